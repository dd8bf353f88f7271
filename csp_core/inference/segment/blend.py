"""A model's answers for the pixels of a picture of any size, strip by strip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.inference.segment.windows import Windows

# ``read(top, left, height, width)`` gives ``(…, height, width)`` of the picture and ``(height,
# width)`` bool, where it has data; it is never asked for what lies beyond the picture.
Read = Callable[[int, int, int, int], tuple[Tensor, Tensor]]
# ``(N, …, h, w)`` to ``(N, K, h, w)`` floating-point numbers on the CPU.
Predict = Callable[[Tensor], Tensor]
BATCH = 4
# What the answers of one row of windows may take; a wider picture is done in panels side by side.
PANEL_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Strip:
    """Answers for a part of a picture.

    Args:
        row: Its first row in the picture.
        column: Its first column in the picture.
        values: ``(K, h, w)`` float32; 0 where there is no data.
        valid: ``(h, w)`` bool, where the picture has data.
    """

    row: int
    column: int
    values: Tensor
    valid: Tensor


def strips(
    predict: Predict,
    read: Read,
    windows: Windows,
    *,
    outputs: int,
    rows: range | None = None,
    batch: int = BATCH,
    progress: Callable[[int], None] | None = None,
) -> Iterator[Strip]:
    """Answer for a picture window by window and blend what the windows say.

    At most one row of windows of one panel is held at a time. Windows without any data are not
    asked about.

    Args:
        predict: The model.
        read: The picture.
        windows: The windows.
        outputs: How many numbers ``predict`` gives for a pixel, K.
        rows: Which rows of windows to answer for; all if None. The row above is computed too, for
            what it says of their first pixels.
        batch: Windows that ``predict`` gets at a time.
        progress: Called with the number of windows done since it was called last.

    Yields:
        The strips, from top to bottom in each panel, the panels from left to right; together they
        cover the rows without a gap and without an overlap.
    """
    work = _Work(predict, read, windows, outputs, batch, progress)
    wanted = range(len(windows.rows)) if rows is None else rows
    for columns in panels(windows, outputs):
        yield from work.panel(wanted, columns)


def panels(windows: Windows, outputs: int) -> list[range]:
    """Divide the columns of windows so that the answers of a row of them fit in memory.

    Args:
        windows: The windows.
        outputs: Numbers a pixel.

    Returns:
        Ranges of columns of windows, from left to right.
    """
    of_one = outputs * windows.size[0] * windows.size[1] * 4
    most = max(1, PANEL_BYTES // of_one)
    total = len(windows.columns)
    return [range(at, min(at + most, total)) for at in range(0, total, most)]


def count_windows(windows: Windows, outputs: int) -> int:
    """Count the windows that ``strips`` looks at for a whole picture.

    Args:
        windows: The windows.
        outputs: Numbers a pixel.

    Returns:
        The number; those at the edge of a panel are looked at twice.
    """
    wide = sum(len(part) + (part.start > 0) for part in panels(windows, outputs))
    return wide * len(windows.rows)


@dataclass(frozen=True)
class _Work:
    """What stays the same from strip to strip; see ``strips``."""

    predict: Predict
    read: Read
    windows: Windows
    outputs: int
    batch: int
    progress: Callable[[int], None] | None

    def panel(self, rows: range, columns: range) -> Iterator[Strip]:
        windows, overlap = self.windows, self.windows.overlap
        step, left = windows.step[0], windows.columns[columns.start]
        below: Tensor | None = None
        for row in range(max(rows.start - 1, 0), rows.stop):
            band, valid = self.band(row, columns)
            weights = windows.weights(row, 0)[0]
            if below is not None and overlap:
                band[:, :overlap] *= weights[:overlap, None]
                band[:, :overlap] += below
            if row + 1 < len(windows.rows):
                below = band[:, step:] * weights[step:, None]
            if row >= rows.start:
                top = windows.rows[row]
                high = _end(windows.rows, row + 1, windows.height) - top
                there = valid[:high]
                yield Strip(top, left, band[:, :high].mul_(there), there)
            # Or two of them would be held while the next is made.
            del band

    def band(self, row: int, columns: range) -> tuple[Tensor, Tensor]:
        """Blend the answers of one row of windows from left to right."""
        windows, high, top = self.windows, self.windows.size[0], self.windows.rows[row]
        left = windows.columns[columns.start]
        right = _end(windows.columns, columns.stop, windows.width)
        band = torch.zeros(self.outputs, high, right - left)
        valid = torch.zeros(high, right - left, dtype=torch.bool)
        waiting: list[tuple[int, Tensor]] = []
        # The window before the panel reaches into it.
        numbers = range(max(columns.start - 1, 0), columns.stop)
        for number in numbers:
            image, there = self.window(top, windows.columns[number])
            first = max(windows.columns[number], left)
            inside = there[:, first - windows.columns[number] :][:, : right - first]
            valid[:, first - left : first - left + inside.shape[1]] |= inside
            if there.any():
                waiting.append((number, image))
            if waiting and (len(waiting) == self.batch or number == numbers[-1]):
                found = self.predict(torch.stack([one for _, one in waiting]))
                for (which, _), values in zip(waiting, found, strict=True):
                    _add(band, values, windows.columns[which] - left,
                         windows.weights(row, which)[1])  # fmt: skip
                waiting = []
            if self.progress is not None:
                self.progress(1)
        return band, valid

    def window(self, top: int, left: int) -> tuple[Tensor, Tensor]:
        """Read a window; beyond the picture it goes on as its mirror image, which is no data."""
        size, picture = self.windows.size, (self.windows.height, self.windows.width)
        have = [min(s, p - c) for c, s, p in zip((top, left), size, picture, strict=True)]
        image, valid = self.read(top, left, *have)
        if tuple(have) == size:
            return image, valid
        down, right = (_mirrored(h, s) for h, s in zip(have, size, strict=True))
        whole = torch.zeros(size, dtype=torch.bool)
        whole[: have[0], : have[1]] = valid
        return image.index_select(-2, down).index_select(-1, right), whole


def _end(starts: Sequence[int], following: int, length: int) -> int:
    """Give the first pixel that belongs to the window after, or the end of the picture."""
    return starts[following] if following < len(starts) else length


def _add(band: Tensor, values: Tensor, at: int, weights: Tensor) -> None:
    """Add a window's answers from a column of the band on; what lies beside the band is dropped."""
    first, last = max(at, 0), min(at + len(weights), band.shape[2])
    if last > first:
        mine = slice(first - at, last - at)
        band[:, :, first:last] += values[:, :, mine] * weights[mine]


def _mirrored(have: int, size: int) -> Tensor:
    """Index as many pixels as a window has, back and forth over those that there are."""
    period = max(1, 2 * (have - 1))
    at = torch.arange(size) % period
    return torch.minimum(at, period - at) if have > 1 else at
