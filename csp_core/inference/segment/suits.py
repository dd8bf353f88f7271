"""Whether a picture is one that a model of pixels is for."""

from __future__ import annotations

import math

from torch import Tensor

from csp_core.errors import BadRecordError
from csp_core.image import to_unit
from csp_core.image.stats import ImageStats

# A pixel so many times as large or small as the model's shows other things.
FAR_METRES = 1.5
# In standard deviations of the training pixels: so far off a band's mean may lie, and by this
# factor its spread may differ.
FAR_MEAN, FAR_SPREAD = 2.0, 4.0
COLOURS = ("red", "green", "blue")
# Of so many squares, spread over a picture, more than half must be unlike those of training.
MOST_SQUARES = 64


def check_bands(model: object, bands: int, name: str = "") -> None:
    """Refuse a picture of other bands than a model takes.

    Args:
        model: A model of pixels.
        bands: How many the picture has.
        name: What to call it.

    Raises:
        BadRecordError: If the model takes another number.
    """
    wanted = int(getattr(getattr(model, "image", None), "bands", bands))
    if bands == wanted:
        return
    names = f" ({', '.join(COLOURS)})" if wanted == len(COLOURS) else ""
    has = "one band" if bands == 1 else f"{bands} bands"
    raise BadRecordError(
        f"The picture has {has}, and model {getattr(model, 'name', '?')!r} takes {wanted}{names}:"
        " give one with the bands that it learned from, in their order.",
        file=name or None,
    )


def misfits(
    model: object,
    image: Tensor,
    valid: Tensor,
    *,
    metres: float | None = None,
    learned_metres: float | None = None,
) -> tuple[str, ...]:
    """Say in what a picture is unlike those that a model learned from.

    Args:
        model: A model of pixels.
        image: ``(C, H, W)`` of the model's bands; a sample of a large one.
        valid: ``(H, W)`` bool, where it has data.
        metres: Side of one of its pixels on the ground, None where that is not known.
        learned_metres: The same of those that the model learned from.

    Returns:
        A sentence for each reason; none where nothing speaks against it, or nothing is known.
    """
    told = []
    if metres and learned_metres and not 1 / FAR_METRES < metres / learned_metres < FAR_METRES:
        told.append(
            f"A pixel of this picture is {_metres(metres)} wide on the ground, and those that the"
            f" model learned from are {_metres(learned_metres)}: what it knows by size and texture"
            " looks otherwise here."
        )
    encoder = getattr(model, "image", None)
    mean, std = getattr(encoder, "mean", None), getattr(encoder, "std", None)
    if isinstance(mean, Tensor) and isinstance(std, Tensor) and bool(valid.any()):
        told += _bands(image, valid, mean.flatten().double(), std.flatten().double())
    stats = getattr(model, "image_stats", None)
    # Who hears that a band is far off needs no second reason.
    if not told and isinstance(stats, ImageStats) and stats.bands == len(image):
        told += _squares(image, valid, stats)
    return tuple(told)


def _squares(image: Tensor, valid: Tensor, stats: ImageStats) -> list[str]:
    """Compare squares of the size of the training pictures with these, in detail and colour, too.

    Means of whole bands are right for noise as well, which looks like no ground.
    """
    high, wide = stats.size.tolist()
    corners = [
        (row, column)
        for row in range(0, image.shape[1] - high + 1, high)
        for column in range(0, image.shape[2] - wide + 1, wide)
        if bool(valid[row : row + high, column : column + wide].all())
    ]
    chosen = corners[:: max(1, -(-len(corners) // MOST_SQUARES))]
    cuts = (image[:, row : row + high, column : column + wide] for row, column in chosen)
    odd = [why for like, why in (stats.judge(stats.bring(cut)) for cut in cuts) if not like]
    if not odd or 2 * len(odd) <= len(chosen):
        return []
    return [
        f"{len(odd)} of {len(chosen)} squares of {high} × {wide} pixels of this picture are unlike"
        f" those that the model learned from, so its answer is a guess; of the first:"
        f" {odd[0].partition(': ')[2]}"
    ]


def _bands(image: Tensor, valid: Tensor, mean: Tensor, std: Tensor) -> list[str]:
    pixels = to_unit(image[:, valid]).double()
    own = pixels.mean(dim=1)
    offs, spreads = (own - mean) / std, pixels.std(dim=1, correction=0) / std
    told = []
    for band, (off, spread) in enumerate(zip(offs.tolist(), spreads.tolist(), strict=True)):
        if why := _why(off, spread):
            name = f"The {COLOURS[band]}" if len(own) == len(COLOURS) else f"Band {band + 1}"
            told.append(
                f"{name} of this picture {why} the pictures that the model learned from: its mean"
                f" is {float(own[band]):.3g}, theirs {float(mean[band]):.3g} ±"
                f" {float(std[band]):.2g}."
            )
    return told


def _why(off: float, spread: float) -> str:
    if not (math.isfinite(off) and math.isfinite(spread)):
        return "holds no numbers, unlike"
    if abs(off) > FAR_MEAN:
        return f"is far {'brighter' if off > 0 else 'darker'} than in"
    if spread > FAR_SPREAD:
        return "differs far more from pixel to pixel than in"
    return "hardly differs from pixel to pixel, unlike in" if spread < 1 / FAR_SPREAD else ""


def _metres(side: float) -> str:
    return f"{side:,.0f} m" if side >= 10 else f"{side:.2g} m"
