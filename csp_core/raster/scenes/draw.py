"""Drawing the map of a scene of any size: part by part, into files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import Scene, SceneFacts, open_scene
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.segment.areas import AreaSums, classes_of
from csp_core.inference.segment.ask import (
    PixelModel,
    batch_of,
    check_pixel_model,
    make_windows,
    predictor,
    takes_series,
)
from csp_core.inference.segment.blend import Read, count_windows, strips
from csp_core.inference.segment.suits import check_bands, misfits
from csp_core.inference.segment.windows import Windows
from csp_core.raster.blocks import in_turn
from csp_core.raster.scenes.files import class_file, probability_file, stored
from csp_core.raster.scenes.legend import MapLegend
from csp_core.raster.scenes.report import AS_USUAL, Drawing, MapReport, map_tags

# What a scene looks like is judged by so many squares of so many pixels a side.
LOOKS, LOOK_SIDE = 16, 64
# Rows of windows that one machine does at a time.
ROWS_AT_ONCE = 4


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a map as it is written.

    Args:
        row: Its first row.
        column: Its first column.
        numbers: ``(1, h, w)`` numbers of the legend.
        probabilities: ``(K, h, w)`` as ``stored`` gives them, or None.
    """

    row: int
    column: int
    numbers: npt.NDArray[Any]
    probabilities: npt.NDArray[Any] | None


def draw_map(
    model: PixelModel,
    sources: str | Path | Sequence[str | Path],
    output: str | Path,
    legend: MapLegend,
    *,
    days: Sequence[float | None] = (),
    drawing: Drawing = AS_USUAL,
    probabilities: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> MapReport:
    """Draw the map of a scene; no more than a row of windows is held at a time.

    Args:
        model: A model of pixels.
        sources: The scene: a GeoTIFF, PNG, JPEG or JPEG 2000. For a model of series, one for each
            date, all on the same pixels.
        output: The GeoTIFF to write.
        legend: Numbers and colours of the classes.
        days: Part of the year in [0, 1) of each date, None where unknown; only of series, where
            none at all says that no date is known.
        drawing: How to draw.
        probabilities: A GeoTIFF of probabilities to write, or None.
        progress: Called with how many windows are done, and of how many.

    Returns:
        Areas, and what is odd about the scene.

    Raises:
        ConfigError: If the model has no classifier of pixels, or an option does not fit.
        DataNotFoundError: If there is no such scene.
        BadRecordError: If it cannot be read, has other bands than the model, a date lies on other
            pixels than the first, or a file cannot be written.
    """
    check_pixel_model(model)
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    if not given or (len(given) > 1 and not takes_series(model)):
        raise ConfigError(
            f"{len(given)} scenes were given for one map; model {model.name!r} takes one at a time."
        )
    if days and len(days) != len(given):
        raise ConfigError(f"{len(days)} dates were given for {len(given)} scenes; give one each.")
    work = _Work(
        model,
        tuple(str(source) for source in given),
        tuple(days),
        legend,
        drawing,
        probabilities is not None,
    )
    with work.opened() as dates:
        for date in dates:
            check_bands(model, date.facts.bands, date.facts.name)
            _check_same_pixels(dates[0].facts, date.facts)
        return work.draw(dates, Path(output), probabilities, progress)


def _check_same_pixels(first: SceneFacts, other: SceneFacts) -> None:
    same = (first.height, first.width, first.crs) == (other.height, other.width, other.crs)
    if not (same and np.allclose(first.transform, other.transform, rtol=0, atol=1e-6)):
        raise BadRecordError(
            f"It lies on other pixels than {first.name}; give all dates of a series on one grid.",
            file=other.name,
        )
    if first.kind != other.kind:
        raise BadRecordError(
            f"It holds {other.stored} and {first.name} {first.stored}; give all dates of a series"
            " alike.",
            file=other.name,
        )


@dataclass(frozen=True)
class _Work:
    """What stays the same from part to part; it can be sent to another machine."""

    model: PixelModel
    sources: tuple[str, ...]
    days: tuple[float | None, ...]
    legend: MapLegend
    drawing: Drawing
    with_probabilities: bool

    @contextmanager
    def opened(self) -> Iterator[list[Scene]]:
        with ExitStack() as files:
            yield [files.enter_context(open_scene(source)) for source in self.sources]

    def draw(
        self,
        dates: list[Scene],
        output: Path,
        probabilities: str | Path | None,
        progress: Callable[[int, int], None] | None,
    ) -> MapReport:
        facts = dates[0].facts
        ground = Ground.of(facts)
        notes = self.notes(dates, ground)
        source = ", ".join(date.facts.name for date in dates)
        tags = map_tags(self.model.name, source, self.drawing.credit)
        sums, empty = AreaSums(self.model.classes.names, least=self.drawing.least), 0
        with ExitStack() as files:
            into = files.enter_context(class_file(output, facts, self.legend, tags))
            beside = None
            if probabilities is not None:
                beside = files.enter_context(
                    probability_file(probabilities, facts, self.legend, tags, self.drawing.bits)
                )
            for parts, some in self.pieces(dates, progress):
                sums.merge(some)
                for part in parts:
                    into.write(part.row, part.column, part.numbers)
                    empty += int((part.numbers == self.legend.nodata).sum())
                    if beside is not None and part.probabilities is not None:
                        beside.write(part.row, part.column, part.probabilities)
        return MapReport(
            name=facts.name,
            path=str(output),
            model=self.model.name,
            legend=self.legend,
            areas=sums.results(),
            placed=ground is not None,
            facts=facts,
            no_data=empty / (facts.height * facts.width),
            notes=notes,
        )

    def notes(self, dates: list[Scene], ground: Ground | None) -> tuple[str, ...]:
        told = [] if ground else [f"{dates[0].facts.unplaced} Areas are in pixels."]
        looks = [look(date) for date in dates]
        odd = misfits(
            self.model,
            torch.cat([image for image, _ in looks], dim=2),
            torch.cat([valid for _, valid in looks], dim=1),
            metres=None if ground is None else ground.pixel_metres,
            learned_metres=self.drawing.metres,
        )
        return (*told, *odd)

    def pieces(
        self, dates: list[Scene], progress: Callable[[int, int], None] | None
    ) -> Iterator[tuple[list[Part], AreaSums]]:
        windows = self.windows(dates[0].facts)
        rows = len(windows.rows)
        total, done = count_windows(windows, len(self.model.classes)), 0

        def count(number: int) -> None:
            nonlocal done
            done = min(done + number, total)
            if progress is not None:
                progress(done, total)

        if self.drawing.scheduler is None:
            for part, some in self.parts(dates, windows, range(rows), count):
                yield [part], some
            return
        blocks = [range(at, min(at + ROWS_AT_ONCE, rows)) for at in range(0, rows, ROWS_AT_ONCE)]
        for found in in_turn(partial(_elsewhere, self), blocks, scheduler=self.drawing.scheduler):
            count(total // len(blocks))
            yield found
        count(total)

    def windows(self, facts: SceneFacts) -> Windows:
        drawing = self.drawing
        return make_windows(self.model, facts.height, facts.width, drawing.window, drawing.overlap)

    def parts(
        self,
        dates: list[Scene],
        windows: Windows,
        rows: range,
        count: Callable[[int], None] | None = None,
    ) -> Iterator[tuple[Part, AreaSums]]:
        ground, names = Ground.of(dates[0].facts), self.model.classes.names
        series = takes_series(self.model)
        days = torch.tensor([math.nan if day is None else day for day in self.days])
        for strip in strips(
            predictor(self.model, days if self.days and series else None),
            reading_of(dates, series=series),
            windows,
            outputs=len(names),
            rows=rows,
            batch=batch_of(self.model),
            progress=count,
        ):
            sums = AreaSums(names, least=self.drawing.least)
            size = None
            if ground is not None:
                areas = ground.areas(strip.row, strip.column, *strip.valid.shape)
                size = torch.from_numpy(np.array(areas))
            sums.add(strip.values, strip.valid, size)
            numbers = self.legend.encode(classes_of(strip.values, strip.valid).numpy())
            probs = None
            if self.with_probabilities:
                probs = stored(strip.values.numpy(), strip.valid.numpy(), self.drawing.bits)
            part = Part(strip.row, strip.column, numbers[None], probs)
            # What is not held while the next is made need not fit beside it.
            del strip, size, numbers, probs
            yield part, sums


def _elsewhere(work: _Work, rows: range) -> tuple[list[Part], AreaSums]:
    """Draw some rows of windows, perhaps on another machine that sees the same files."""
    sums, found = AreaSums(work.model.classes.names, least=work.drawing.least), []
    with work.opened() as dates:
        for part, some in work.parts(dates, work.windows(dates[0].facts), rows):
            found.append(part)
            sums.merge(some)
    return found, sums


def reading_of(dates: Sequence[Scene], *, series: bool = False) -> Read:
    """Make a scene one that ``strips`` reads.

    Args:
        dates: The open scene; of a series one for each date.
        series: Whether the model takes series, ``(T, C, h, w)``.

    Returns:
        The function; of a series there is data where one of the dates has some.
    """

    def read(top: int, left: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        found = [date.read(top, left, height, width) for date in dates]
        if not series:
            return torch.from_numpy(found[0][0]), torch.from_numpy(found[0][1])
        values, valid = (np.stack(one) for one in zip(*found, strict=True))
        return torch.from_numpy(values), torch.from_numpy(valid.any(axis=0))

    return read


def look(scene: Scene) -> tuple[Tensor, Tensor]:
    """Read some squares that are spread over a scene, beside each other.

    Args:
        scene: The open scene.

    Returns:
        ``(C, h, w)`` and ``(h, w)`` bool, where there is data.
    """
    facts, read = scene.facts, reading_of([scene])
    high, wide = min(LOOK_SIDE, facts.height), min(LOOK_SIDE, facts.width)
    each = round(LOOKS**0.5)
    found = [
        read(round(i * (facts.height - high) / (each - 1)),
             round(j * (facts.width - wide) / (each - 1)), high, wide)
        for i in range(each)
        for j in range(each)
    ]  # fmt: skip
    return torch.cat([one[0] for one in found], dim=2), torch.cat([one[1] for one in found], dim=1)
