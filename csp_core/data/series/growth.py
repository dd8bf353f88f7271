"""An invented landscape through one year: parcels, how what grows there looks, and clouds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# When each is half green and half gone, in parts of the year, and how green it gets.
CURVES = {
    "forest": (0.26, 0.84, 0.90),
    "maize": (0.43, 0.76, 0.85),
    "meadow": (0.19, 0.86, 0.62),
    "rapeseed": (0.15, 0.47, 0.93),
    "sunflower": (0.40, 0.68, 0.76),
    "wheat": (0.19, 0.51, 0.86),
}
# Green, red, near and short-wave infrared reflectance of bare soil, of full green, and of clouds.
SOIL = (0.11, 0.14, 0.22, 0.30)
GREEN = (0.07, 0.04, 0.45, 0.17)
CLOUD = (0.72, 0.70, 0.75, 0.55)
# How fast it gets green and pales, in parts of the year.
SLOPE = 0.02
# Standard deviations between parcels of one class: of the days and of how green it gets; and of the
# brightness of a whole picture of one day, without clouds and of its clouds.
DAYS_APART, GREEN_APART, LIGHT_APART, CLOUDS_APART = 0.03, 0.08, 0.06, 0.1
# Side of what clouds are drawn on, in pixels; they are smooth between.
CLOUD_PIXELS = 8
REFLECTANCE = 10_000
# Tiles that are drawn at a time.
CHUNK = 64


@dataclass(frozen=True)
class Landscape:
    """What to draw.

    Args:
        side: Side of a tile in pixels.
        dates: How many dates a series has.
        parcels: How many parcels a tile has.
        noise: Standard deviation of the noise of a pixel, in reflectance.
        clouds: Part of the pixels of all dates that a cloud hides, in [0, 1).
    """

    side: int
    dates: int
    parcels: int
    noise: float
    clouds: float


@dataclass(frozen=True, eq=False)
class Grown:
    """Tiles of an invented landscape.

    Args:
        image: ``(N, T, 4, H, W)`` int16 in 1/10,000 reflectance.
        days: ``(N, T)`` part of the year, ascending.
        mask: ``(N, H, W)`` int8 class of each pixel, the row of its name in ``CURVES``.
        cloudy: ``(N, T, H, W)`` bool, where a cloud was drawn; no sample tells it.
    """

    image: Tensor
    days: Tensor
    mask: Tensor
    cloudy: Tensor


def greenness(day: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Compute how green something is: a logistic rise and a logistic fall, the year being a circle.

    Args:
        day: Parts of the year.
        start: When it is half green.
        end: When it is half gone.

    Returns:
        Numbers in [0, 1], of the common shape.

    Example:
        >>> half = greenness(torch.tensor([0.1, 0.3, 0.5]), torch.tensor(0.3), torch.tensor(0.7))
        >>> half.round(decimals=3).tolist()
        [0.0, 0.5, 1.0]
    """
    turns = [((day + turn - start) / SLOPE).sigmoid() - ((day + turn - end) / SLOPE).sigmoid()
             for turn in (-1, 0, 1)]  # fmt: skip
    return torch.stack(turns).sum(dim=0).clamp(0, 1)


def grow(landscape: Landscape, number: int, generator: torch.Generator) -> Grown:
    """Draw tiles.

    Parcels are the Voronoi cells of uniform points, and each has a class, drawn evenly, with days
    and a greenness of its own. A pixel is a mixture of soil and green; each picture has its own
    light, each pixel its noise, and clouds hide what is below.

    Args:
        landscape: What to draw.
        number: How many tiles.
        generator: Source of chance.

    Returns:
        The tiles.
    """
    found = [
        _tiles(landscape, min(CHUNK, number - start), generator)
        for start in range(0, number, CHUNK)
    ]
    image, days, mask, cloudy = (torch.cat(column) for column in zip(*found, strict=True))
    return Grown(image, days, mask, cloudy)


def voronoi(points: Tensor, side: int) -> Tensor:
    """Divide squares among points.

    Args:
        points: ``(N, P, 2)`` row and column in [0, 1).
        side: Side in pixels.

    Returns:
        ``(N, side, side)`` int64: the nearest point of each pixel.
    """
    middle = (torch.arange(side) + 0.5) / side
    rows, columns = torch.meshgrid(middle, middle, indexing="ij")
    apart = torch.cdist(torch.stack((rows, columns), dim=-1).reshape(-1, 2), points)
    return apart.argmin(dim=2).view(-1, side, side)


def _tiles(landscape: Landscape, number: int, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Draw some tiles: images, days, masks, clouds."""
    count, side, dates = landscape.parcels, landscape.side, landscape.dates

    def normal(*shape: int) -> Tensor:
        return torch.randn(number, *shape, generator=generator)

    parcel = voronoi(torch.rand(number, count, 2, generator=generator), side).flatten(1)
    kind = torch.randint(len(CURVES), (number, count), generator=generator)
    start, end, peak = torch.tensor([*CURVES.values()])[kind].unbind(dim=-1)  # (N, P)
    # A year cut into as many parts as there are dates, with a day somewhere in each.
    days = (torch.arange(dates) + torch.rand(number, dates, generator=generator)) / dates
    grown = greenness(
        days[:, :, None],
        (start + DAYS_APART * normal(count))[:, None],
        (end + DAYS_APART * normal(count))[:, None],
    )
    share = (grown * (peak + GREEN_APART * normal(count))[:, None]).clamp(0, 1)  # (N, T, P)
    share = share.gather(2, parcel[:, None].expand(-1, dates, -1)).view(number, dates, side, side)
    soil, green, cloud = (torch.tensor(one)[:, None, None] for one in (SOIL, GREEN, CLOUD))
    ground = soil + (green - soil) * share[:, :, None]  # (N, T, 4, H, W)
    ground = ground * (1 + LIGHT_APART * normal(dates, 1, 1, 1))
    cloudy = _clouds(landscape, normal)
    bright = cloud * (1 + CLOUDS_APART * normal(dates, 1, 1, 1))
    seen = torch.where(cloudy[:, :, None], bright, ground)
    seen = seen + landscape.noise * normal(*seen.shape[1:])
    image = (seen * REFLECTANCE).round().clamp(0, REFLECTANCE).to(torch.int16)
    mask = kind.gather(1, parcel).view(number, side, side).to(torch.int8)
    return image, days, mask, cloudy


def _clouds(landscape: Landscape, normal: Callable[..., Tensor]) -> Tensor:
    """Draw clouds: where a smooth field of all dates is above what leaves their share."""
    coarse, dates = landscape.side // CLOUD_PIXELS + 2, landscape.dates
    field = normal(dates, coarse, coarse) + normal(dates, 1, 1)
    smooth = F.interpolate(field, size=(landscape.side, landscape.side), mode="bicubic")
    if not landscape.clouds:
        return torch.zeros_like(smooth, dtype=torch.bool)
    level = torch.quantile(smooth.flatten(1), 1 - landscape.clouds, dim=1)
    return smooth > level[:, None, None, None]
