"""Asking a model for the class, or the embedding, of every pixel of a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.segment.areas import LEAST, classes_of, doubtful
from csp_core.inference.segment.blend import BATCH, Predict, Read, strips
from csp_core.inference.segment.windows import OVERLAP, SIDE, Windows

# Series take as many times the memory as they have dates.
SERIES_SIDE, SERIES_BATCH = 128, 2


class PixelModel(Protocol):
    """What a model of pixels is asked; see ``DualEncoder``."""

    name: str
    classes: ClassTable

    def pixel_prior(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """``(N, K, H, W)`` calibrated probabilities, on the CPU."""
        ...

    def embed_pixels(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """``(N, dim, H, W)``."""
        ...


@dataclass(frozen=True, eq=False)
class Segmented:
    """What a model says of a picture that is held in memory.

    Args:
        probs: ``(K, H, W)`` float32, sums to 1 over the classes; 0 where there is no data.
        valid: ``(H, W)`` bool, where there is data.
        classes: ``(H, W)`` int64, -1 where there is no data.
        doubtful: ``(H, W)`` bool, where the largest probability is below the least asked for.
    """

    probs: Tensor
    valid: Tensor
    classes: Tensor
    doubtful: Tensor


def check_pixel_model(model: object) -> None:
    """Make sure that a model answers for pixels.

    Args:
        model: A model.

    Raises:
        ConfigError: If it does not.
    """
    has = callable(getattr(model, "pixel_prior", None))
    if not has or getattr(model, "pixel_classifier", True) is None:
        raise ConfigError(
            f"Model {getattr(model, 'name', '?')!r} has no classifier of pixels, so it draws no map"
            " of a picture: give one that the objective segmentation trained."
        )


def takes_series(model: object) -> bool:
    """Tell whether a model looks at several dates of one place at a time.

    Args:
        model: A model.

    Returns:
        What its image encoder says.
    """
    return bool(getattr(getattr(model, "image", None), "takes_series", False))


def make_windows(
    model: object, height: int, width: int, side: int | None = None, overlap: int | None = None
) -> Windows:
    """Choose windows for a picture.

    Args:
        model: The model; for series windows are smaller.
        height: Rows of the picture.
        width: Columns of the picture.
        side: Longest side of a window, pixels; None for 512, of series 128.
        overlap: Pixels that neighbours share; None for 64, less where a window is smaller.

    Returns:
        The windows.

    Raises:
        ConfigError: If the numbers do not fit.
    """
    if side is None:
        side = SERIES_SIDE if takes_series(model) else SIDE
    return Windows(
        height, width, side, min(OVERLAP, side // 64 * 32) if overlap is None else overlap
    )


def predictor(model: PixelModel, days: Tensor | None = None, *, embed: bool = False) -> Predict:
    """Make the function that ``strips`` asks.

    Args:
        model: The model.
        days: ``(T,)`` part of the year of each date of a series, NaN where unknown, or None.
        embed: Whether to give embeddings in the place of probabilities.

    Returns:
        ``(N, …, h, w)`` to ``(N, K, h, w)`` float32 on the CPU.
    """
    return partial(_predict, model, days, embed)


def _predict(model: PixelModel, days: Tensor | None, embed: bool, images: Tensor) -> Tensor:
    when = () if days is None else (days.expand(len(images), -1),)
    with torch.inference_mode():
        ask = model.embed_pixels if embed else model.pixel_prior
        return ask(images, *when).float().cpu()


def batch_of(model: object) -> int:
    """Give how many windows a model looks at together.

    Args:
        model: The model.

    Returns:
        The number.
    """
    return SERIES_BATCH if takes_series(model) else BATCH


def reading(image: Tensor, valid: Tensor | None = None) -> Read:
    """Make a picture in memory one that ``strips`` reads.

    Args:
        image: ``(…, H, W)``.
        valid: ``(H, W)`` bool, where it has data; everywhere if None.

    Returns:
        The function.
    """
    there = torch.ones(image.shape[-2:], dtype=torch.bool) if valid is None else valid

    def read(top: int, left: int, height: int, width: int) -> tuple[Tensor, Tensor]:
        rows, columns = slice(top, top + height), slice(left, left + width)
        return image[..., rows, columns], there[rows, columns]

    return read


def segment(
    model: PixelModel,
    image: Tensor,
    *,
    days: Tensor | None = None,
    valid: Tensor | None = None,
    window: int | None = None,
    overlap: int | None = None,
    least: float = LEAST,
    progress: Callable[[int], None] | None = None,
) -> Segmented:
    """Say of every pixel of a picture what it shows.

    Args:
        model: A model of pixels.
        image: ``(C, H, W)`` of any kind an image encoder takes; of series ``(T, C, H, W)``, or one
            date alone.
        days: ``(T,)`` part of the year of each date, NaN where unknown; only of series.
        valid: ``(H, W)`` bool, where there is data; everywhere if None.
        window: Longest side of a window, pixels; see ``make_windows``.
        overlap: Pixels that neighbours share.
        least: A pixel whose largest probability is below this is doubtful.
        progress: Called with the number of windows done since it was called last.

    Returns:
        Probabilities and classes.

    Raises:
        ConfigError: If the model has no classifier of pixels, or an option does not fit.
        BadRecordError: If the picture has another shape.
    """
    check_pixel_model(model)
    image = _dates(model, image)
    windows = make_windows(model, image.shape[-2], image.shape[-1], window, overlap)
    probs = image.new_zeros(len(model.classes), *image.shape[-2:], dtype=torch.float32)
    there = torch.zeros(image.shape[-2:], dtype=torch.bool)
    for strip in strips(
        predictor(model, days),
        reading(image, valid),
        windows,
        outputs=len(model.classes),
        batch=batch_of(model),
        progress=progress,
    ):
        high, wide = strip.valid.shape
        rows, columns = slice(strip.row, strip.row + high), slice(strip.column, strip.column + wide)
        probs[:, rows, columns], there[rows, columns] = strip.values, strip.valid
    unsure = doubtful(probs, least) & there
    return Segmented(probs, there, classes_of(probs, there), unsure)


def embed_picture(
    model: PixelModel,
    image: Tensor,
    *,
    days: Tensor | None = None,
    valid: Tensor | None = None,
    window: int | None = None,
    overlap: int | None = None,
    side: int = 256,
) -> tuple[Tensor, Tensor, int]:
    """Embed every pixel of a picture, and average in cells so that the longest side is small.

    Args:
        model: A model of pixels.
        image: As for ``segment``.
        days: Likewise.
        valid: Likewise.
        window: Likewise.
        overlap: Likewise.
        side: Longest side of the result, cells.

    Returns:
        ``(dim, h, w)`` float32; ``(h, w)`` bool, whether a cell has any data; and how many pixels a
        side a cell has.
    """
    image = _dates(model, image)
    height, width = image.shape[-2:]
    windows = make_windows(model, height, width, window, overlap)
    cell = max(1, -(-max(height, width) // side))
    high, wide = -(-height // cell), -(-width // cell)
    dim = _dimensions(model)
    sums, counts = torch.zeros(dim, high * wide), torch.zeros(high * wide)
    for strip in strips(
        predictor(model, days, embed=True),
        reading(image, valid),
        windows,
        outputs=dim,
        batch=batch_of(model),
    ):
        down = (strip.row + torch.arange(strip.valid.shape[0])) // cell
        right = (strip.column + torch.arange(strip.valid.shape[1])) // cell
        into = (down[:, None] * wide + right).flatten()
        sums.index_add_(1, into, strip.values.flatten(1))
        counts.index_add_(0, into, strip.valid.flatten().float())
    mean = sums / counts.clamp_min(1)
    return mean.view(dim, high, wide), (counts > 0).view(high, wide), cell


def _dates(model: PixelModel, image: Tensor) -> Tensor:
    """Check the shape of a picture; one alone is a series of one date for a model of series."""
    series = takes_series(model)
    if series and image.ndim == 3:
        return image[None]
    if image.ndim != 3 + series:
        shape = "(T, C, H, W), a series" if series else "(C, H, W)"
        raise BadRecordError(
            f"The picture has shape {tuple(image.shape)}; {model.name!r} takes {shape}."
        )
    return image


def _dimensions(model: object) -> int:
    size = getattr(getattr(model, "image", None), "out_dim", None)
    if not isinstance(size, int):
        raise ConfigError(f"Model {getattr(model, 'name', '?')!r} has no encoder of pixels.")
    return size
