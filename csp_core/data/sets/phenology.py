"""The built-in data set ``phenology``: invented series of images of fields, with known classes."""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor

from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.records import ClassTable
from csp_core.data.series.growth import CURVES, Landscape, grow
from csp_core.data.series.masks import count_shown, patch_sets, shown_masks
from csp_core.data.splits import Split, deal
from csp_core.errors import ConfigError

# Where tiles lie, degrees: nothing that grows there depends on it.
WEST, EAST, SOUTH, NORTH = 0.0, 20.0, 44.0, 54.0
# More values than a small machine has room for.
MOST_VALUES = 1_000_000_000
SOURCE = {"source": "invented by csp_core; no place, date or field in it is real"}


def load_phenology(
    split: str = "train",
    *,
    root: str | Path | None = None,
    size: int = 400,
    side: int = 32,
    dates: int = 8,
    parcels: int = 12,
    noise: float = 0.03,
    clouds: float = 0.3,
    world_seed: int = 0,
    split_method: str = "random",
    val_fraction: float = 0.1,
    test_fraction: float = 0.25,
    block_degrees: float = 1.0,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> ImageDataset:
    """Draw series of tiles with six things that grow in them, and masks of what grows where.

    Tiles have four bands, as int16 in 1/10,000 reflectance. They lie at random places, from which
    nothing follows, so a random split flatters nobody.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: Not used: there are no files.
        size: How many tiles in all.
        side: Side of a tile in pixels, at least 8.
        dates: How many dates each series has, at least 2: one in each of as many parts of the year.
        parcels: How many parcels a tile has.
        noise: Standard deviation of the noise of a pixel, in reflectance.
        clouds: Part of the pixels of a series that clouds hide, in [0, 1). Nothing tells which.
        world_seed: Seed of what is drawn.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the tiles for validation, in [0, 1).
        test_fraction: Share of the tiles for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training tiles this near to one of validation or test are left out.
        seed: Seed of the split.
        label_fraction: Part of the training tiles to keep, in (0, 1], at least one.
        label_seed: Seed of the choice of labels; that of the split if omitted.
        labels: Labelled tiles in all, each class in two at least; None for as many as
            ``label_fraction`` says.
        unlabelled: Whether the other training tiles stay, without their masks.

    Returns:
        The tiles of the part; classes are sorted by name and counted in pixels of the training
        part.

    Raises:
        CspError: If an option does not fit.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
        label_fraction=label_fraction,
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    landscape = Landscape(side, dates, parcels, noise, clouds)
    _check(landscape, size)
    return _part(split, how, *_drawn(landscape, size, world_seed))


def _part(
    split: str, how: Split, store: MemoryImages, days: Tensor, mask: Tensor, lonlat: Tensor
) -> ImageDataset:
    """Deal the tiles, and give those of one part."""
    names = tuple(CURVES)
    dealt = deal(how, lonlat, patch_sets(mask, len(names)), names=names)
    rows = dealt.rows(split)
    return ImageDataset(
        lonlat=lonlat[rows],
        label=torch.full((len(rows),), -1),
        classes=ClassTable(names, counts=count_shown(mask, dealt, len(names))),
        name="phenology",
        info={**SOURCE, **dealt.left_out(), "split": how.words(split)},
        store=store,
        rows=rows,
        masks=shown_masks(mask, dealt)[rows],
        days=days[rows],
    )


def _check(landscape: Landscape, size: int) -> None:
    if landscape.side < 8 or landscape.dates < 2 or landscape.parcels < 1 or size < 1:
        raise ConfigError(
            f"side is {landscape.side}, dates {landscape.dates}, parcels {landscape.parcels} and"
            f" size {size}; give at least 8 pixels, 2 dates, 1 parcel and 1 tile."
        )
    if not 0 <= landscape.noise <= 1 or not 0 <= landscape.clouds < 1:
        raise ConfigError(
            f"noise is {landscape.noise} and clouds {landscape.clouds}; give a standard deviation"
            " in [0, 1] and a part in [0, 1)."
        )
    if size * landscape.dates * 4 * landscape.side**2 > MOST_VALUES:
        raise ConfigError(
            f"{size:,} tiles of {landscape.side} pixels and {landscape.dates} dates are more than"
            f" {MOST_VALUES:,} values; give fewer or smaller ones."
        )


# The parts of a data set are asked for one after the other.
@functools.lru_cache(maxsize=1)
def _drawn(
    landscape: Landscape, size: int, seed: int
) -> tuple[MemoryImages, Tensor, Tensor, Tensor]:
    """Draw images, days, masks and places."""
    generator = torch.Generator().manual_seed(seed)
    grown = grow(landscape, size, generator)
    corner, width = torch.tensor([WEST, SOUTH]), torch.tensor([EAST - WEST, NORTH - SOUTH])
    lonlat = corner + width * torch.rand(size, 2, generator=generator)
    return MemoryImages(grown.image), grown.days, grown.mask, lonlat
