"""Tiles of land cut into crops, each with the set of classes that cover a part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch

from csp_core.data.image_files import FileImages
from csp_core.data.images import ImageDataset
from csp_core.data.records import ClassTable
from csp_core.data.splits import Split, deal
from csp_core.data.tiles.crops import Crops, blocks_of, cut_tiles, overlaps
from csp_core.data.tiles.files import ENDING, IMAGES, MASKS, named_classes
from csp_core.errors import ConfigError
from csp_core.tables import lookup

# Side of a block of ground that is dealt as a whole, in crops; None for the option.
METHODS = {"block": None, "random": 1}
# As long as one part of a data set lives, the next need not read the files again.
_SHARED: WeakValueDictionary[str, Crops] = WeakValueDictionary()


def load_tiles(
    split: str = "train",
    *,
    root: str | Path | None = None,
    crop: int = 64,
    classes: Mapping[Any, str] | None = None,
    ignored: Sequence[int] = (),
    min_cover: float = 0.01,
    split_method: str = "block",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    block_crops: int = 4,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> ImageDataset:
    """Load tiles of land as crops with label sets.

    All tiles are cut along one lattice on the ground, so two crops are of the same ground or do not
    overlap, and ground is dealt as a whole: no crop of one part overlaps one of another. Of one
    ground and date one crop is kept. A place is the middle of a crop, a date that of the month in
    the tile's name.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: A folder with ``images/*.tif``, of 8 bits a band, and ``masks/*.tif`` of the same
            names and grid.
        crop: Side of a crop in pixels.
        classes: Number in the masks to name of the class, such as ``{10: building, 30: road}``.
        ignored: Numbers in the masks that are no class.
        min_cover: Part of a crop that a class covers at least where the crop has it, in (0, 1].
        split_method: ``block``; or ``random``, ground by ground, where neighbours are learned from.
        val_fraction: Share of the crops for validation, in [0, 1).
        test_fraction: Share of the crops for test, in [0, 1).
        block_crops: Side of a block in crops, for ``block``.
        buffer_km: Training crops whose middles are this near to one of validation or test are left
            out.
        seed: Seed of the split.
        label_fraction: Part of the training crops to keep, in (0, 1], at least one.
        label_seed: Seed of the choice of labels; that of the split if omitted.
        labels: Labelled crops in all, each class in two at least; None for as many as
            ``label_fraction`` says.
        unlabelled: Whether the other training crops stay, without their labels.

    Returns:
        The crops of the part; classes are sorted by name and counted in the training part.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.
    """
    side = lookup("split method", METHODS, split_method) or block_crops
    _check(root, crop, min_cover, side)
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        buffer_km=buffer_km,
        seed=seed,
        label_fraction=label_fraction,
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    named, left = named_classes(classes, ignored)
    names = tuple(named.values())
    crops = _cut(Path(str(root)), crop, tuple(named), left)
    return _part(split, how, crops, side, names, min_cover)


def _check(root: str | Path | None, crop: int, min_cover: float, side: int) -> None:
    if root is None:
        raise ConfigError("The data set 'tiles' needs root: the folder of images/ and masks/.")
    if crop < 8 or side < 1 or not 0 < min_cover <= 1:
        raise ConfigError(
            f"crop is {crop}, block_crops {side} and min_cover {min_cover}; give at least 8 pixels,"
            " 1 crop and a part in (0, 1]."
        )


def _cut(root: Path, side: int, classes: tuple[int, ...], ignored: set[int]) -> Crops:
    """Cut the tiles, or share what another part of the same data has cut."""
    files = [f"{folder}/{path.name}" for folder in (IMAGES, MASKS)
             for path in sorted((root / folder).glob(f"*{ENDING}"))]  # fmt: skip
    key = f"{FileImages(root, files, side).digest()}/{classes}/{sorted(ignored)}"
    known = _SHARED.get(key)
    if known is None:
        known = _SHARED[key] = cut_tiles(root, side, classes, ignored)
    return known


def _part(
    split: str, how: Split, crops: Crops, side: int, names: tuple[str, ...], min_cover: float
) -> ImageDataset:
    """Deal the crops, and give those of one part."""
    sets = (crops.shares >= min_cover).to(torch.int8)
    ground = blocks_of(crops.cells, side)
    dealt = deal(how, crops.lonlat, sets, names=names, groups=ground)
    rows = dealt.rows(split)
    return ImageDataset(
        lonlat=crops.lonlat[rows],
        label=torch.full((len(rows),), -1),
        labels=dealt.shown(sets)[rows],
        classes=ClassTable(names, counts=dealt.counts(sets, len(names))),
        date=crops.date[rows],
        name="tiles",
        info={
            **crops.info,
            "min_cover": min_cover,
            "crops_without_a_class": int((sets == 0).all(dim=1).sum()),
            **dealt.left_out(),
            "overlaps_between_parts": overlaps(crops.cells, dealt.parts),
            # Blocks are of crops here, not of degrees.
            "split": how.words(split).replace(f"{how.block_degrees:g}°", f"{side} crops a side"),
        },
        store=crops,
        rows=rows,
        test_hash=dealt.test_hash(names, crops.lonlat, sets, crops.date, files=crops.names),
    )
