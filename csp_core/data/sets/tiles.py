"""Tiles of land cut into crops, each with its mask, or with the set of classes that cover it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from csp_core.data.parts import PARTS, Dealt
from csp_core.data.records import ClassTable
from csp_core.data.splits import Split
from csp_core.data.tiles.crops import Crops, cut_tiles
from csp_core.data.tiles.dealing import Ground, deal_crops
from csp_core.data.tiles.files import list_tiles
from csp_core.data.tiles.footprints import TileDataset, footprint_of
from csp_core.data.tiles.ground import overlaps
from csp_core.data.tiles.legend import TABLE as CLASSES
from csp_core.data.tiles.legend import Legend, read_legend
from csp_core.data.tiles.report import report
from csp_core.data.tiles.sources import find_sources
from csp_core.errors import BadRecordError, ConfigError

# As long as one part of a data set lives, the next need not read the files again.
_SHARED: WeakValueDictionary[str, Crops] = WeakValueDictionary()


def load_tiles(
    split: str = "train",
    *,
    root: str | Path | None = None,
    masks: bool = False,
    table: str | Path | None = None,
    crop: int = 64,
    bands: Sequence[int | str] | None = None,
    classes: Mapping[Any, Any] | None = None,
    ignored: Sequence[int] = (),
    min_cover: float = 0.01,
    min_valid: float = 0.5,
    split_method: str = "block",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    block_crops: int = 4,
    gap: int | None = None,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    label_seed: int | None = None,
    labels: int | None = None,
    label_crops: int = 2,
    unlabelled: bool = False,
) -> TileDataset:
    """Load tiles of land as crops with masks or label sets.

    All tiles are cut along one lattice on the ground, so two crops are of the same ground or do not
    overlap, and ground is dealt as a whole: no crop of one part overlaps one of another. Of one
    ground and day one crop is kept. A place is the middle of a crop, a date that of the table or
    the month in the tile's name.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: A folder with ``images/`` of GeoTIFFs or PNGs, and ``masks/`` of the same names for
            all, some or none; or with ``tiles.csv``, see ``table``.
        masks: Whether crops have masks, the class of each pixel, rather than label sets.
        table: A CSV with the columns ``image`` and, for some, ``mask``, ``date`` and ``split``;
            paths below ``root``.
        crop: Side of a crop in pixels.
        bands: Bands that are read, by number from 1 or by their names in the files; None for all.
        classes: Number in the masks to name of the class, such as ``{10: building, 30: road}``, or
            to ``{name: building, colour: "#c02020", ignored: false}``; None for ``classes.csv`` in
            the folder, with the columns ``value``, ``name``, ``colour`` and ``ignored``.
        ignored: Numbers in the masks that are no class.
        min_cover: Part of a crop, or of a block of labels, that a class covers at least where it is
            present, in (0, 1].
        min_valid: Part of a crop with a mask that must have data, in (0, 1]; the rest is told in
            ``valid`` and has no class. With label sets all of it must.
        split_method: ``block``; ``lines``, a strip of the ground each; ``table``, as the table
            says; or ``random``, ground by ground, where neighbours are learned from.
        val_fraction: Share of the crops for validation, in [0, 1).
        test_fraction: Share of the crops for test, in [0, 1).
        block_crops: Side of a block in crops, for ``block``.
        gap: Crops of ground between parts that belong to none; 1 with masks, else 0, if omitted.
        buffer_km: Training crops whose middles are this near to one of validation or test are left
            out.
        seed: Seed of the split.
        label_fraction: Part of the training crops to keep, in (0, 1], at least one; with masks, of
            the blocks of labels.
        label_seed: Seed of the choice of labels; that of the split if omitted.
        labels: Labelled crops in all, each class in two at least; with masks, blocks of
            ``label_crops`` a side, each class in one. None for as many as ``label_fraction`` says.
        label_crops: Side of a block of ground that is labelled as a whole, in crops, with masks.
        unlabelled: Whether the other training crops stay, without their labels, and those of tiles
            without a mask.

    Returns:
        The crops of the part; classes are sorted by name and counted in the training part, with
        masks in pixels.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.
    """
    apart = int(masks) if gap is None else gap
    ground = Ground(split_method, block_crops, apart, label_crops if masks else None, min_cover)
    how = Split(
        method="random" if split_method == "random" else "block",
        val=val_fraction,
        test=test_fraction,
        buffer_km=buffer_km,
        seed=seed,
        label_fraction=label_fraction,
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    least = min_valid if masks else 1.0
    _check(root, crop, min_cover, least)
    folder = Path(str(root))
    legend = read_legend(folder, classes, ignored)
    need_masks = not masks and not unlabelled
    crops = _cut(folder, table, bands, crop, legend, least, need_masks)
    names = legend.names
    sets = (crops.shares() >= min_cover).to(torch.int8)
    sets = sets.masked_fill(~crops.masked[:, None], -1)
    dealt = deal_crops(how, ground, crops, sets, names)
    told = {**legend.told(), "min_cover": min_cover, "split": ground.words(how, split)}
    return _part(split, dealt, crops, sets, names, masks, told)


def _check(root: str | Path | None, crop: int, min_cover: float, least: float) -> None:
    if root is None:
        raise ConfigError("The data set 'tiles' needs root: the folder of images/ and masks/.")
    if crop < 8 or not 0 < min_cover <= 1 or not 0 < least <= 1:
        raise ConfigError(
            f"crop is {crop}, min_cover {min_cover} and min_valid {least}; give at least 8 pixels"
            " and parts in (0, 1]."
        )


def _cut(
    root: Path,
    table: str | Path | None,
    bands: Sequence[int | str] | None,
    side: int,
    legend: Legend,
    least: float,
    need_masks: bool,
) -> Crops:
    """Cut the tiles, or share what another part of the same data has cut."""
    sources, _ = find_sources(root, table)
    asked = f"{root.resolve()}/{bands}/{side}/{legend}/{least}/{need_masks}"
    key = hashlib.sha256(asked.encode())
    for source in sources:
        for path in filter(None, (source.image, source.mask)):
            state = path.stat()
            key.update(f"{source}/{path}/{state.st_mtime_ns}/{state.st_size}".encode())
    known = _SHARED.get(key.hexdigest())
    if known is None:
        listing = list_tiles(root, table=table, bands=bands, need_masks=need_masks)
        if not legend.names and any(tile.source.mask for tile in listing.tiles):
            raise ConfigError(
                "The masks hold numbers; give classes their names, such as {10: building, 30:"
                f" road}}, or a {CLASSES} with the columns value and name in the folder."
            )
        known = _SHARED[key.hexdigest()] = cut_tiles(listing, side, legend, least=least)
    return known


def _part(
    split: str,
    dealt: Dealt,
    crops: Crops,
    sets: Tensor,
    names: tuple[str, ...],
    masks: bool,
    told: dict[str, object],
) -> TileDataset:
    """Give the crops of one part."""
    rows = dealt.rows(split)
    truth = crops.masks if masks else sets
    _check_known(crops, names)
    # Of training crops whose labels are not to be seen, none is.
    hidden = (dealt.parts == PARTS["train"]) & ~dealt.labelled
    shown: dict[str, Any] = {"labels": dealt.shown(sets)[rows]}
    counts = dealt.counts(sets, len(names))
    if masks:
        shown = {
            "masks": crops.masks[rows].masked_fill_(hidden[rows, None, None], -1),
            "valid": None if crops.valid is None else crops.valid[rows],
        }
        learned = (dealt.parts == PARTS["train"]) & dealt.labelled
        counts = tuple(crops.pixels[learned].sum(dim=0).tolist())
        told |= {"pixel_shares": _shares(crops, dealt, names)}
    info = {
        **crops.info,
        **told,
        "crops_without_a_class": int((sets == 0).all(dim=1).sum()),
        **dealt.left_out(),
        "overlaps_between_parts": overlaps(crops.cells, dealt.parts),
    }
    return TileDataset(
        lonlat=crops.lonlat[rows],
        label=torch.full((len(rows),), -1),
        classes=ClassTable(names, counts=counts),
        date=crops.date[rows],
        name="tiles",
        info=info | {"import_report": report(info, dealt.parts, dealt.labelled)},
        store=crops,
        rows=rows,
        test_hash=dealt.test_hash(names, crops.lonlat, truth, crops.date, files=crops.names),
        footprint=footprint_of(crops.grid, crops.cells, crops.array.shape[-1])[rows],
        crs="" if crops.grid is None else crops.grid.crs,
        **shown,
    )


def _check_known(crops: Crops, names: tuple[str, ...]) -> None:
    if names and bool(crops.masked.any()) and not bool(crops.pixels.any()):
        raise BadRecordError(
            "Every pixel of the masks is ignored or has no data; name a number of theirs in"
            " classes."
        )


def _shares(crops: Crops, dealt: Dealt, names: tuple[str, ...]) -> dict[str, object]:
    """Tell which part of the known pixels each class has, in each part of the data."""
    each = crops.shares()
    summed = {part: each[dealt.parts == number].sum(dim=0) for part, number in PARTS.items()}
    return {
        part: {name: round(float(share), 4) for name, share in zip(names, found / found.sum(),
                                                                   strict=True)}
        for part, found in summed.items()
        if found.sum() > 0
    }  # fmt: skip
