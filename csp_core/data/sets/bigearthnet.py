"""BigEarthNet: Sentinel-2 patches of ten countries of Europe with the kinds of land in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from csp_core.data.groups import SPLITS
from csp_core.data.image_files import read_shared
from csp_core.data.images import ImageDataset, ImageStore
from csp_core.data.parts import LEFT_OUT, PARTS, Dealt
from csp_core.data.records import ClassTable, recounted
from csp_core.data.sets.bigearthnet_labels import classes_of, label_sets, to_19
from csp_core.data.sets.bigearthnet_patches import (
    BANDS,
    PatchImages,
    find_patches,
    read_descriptions,
)
from csp_core.data.sets.bigearthnet_tables import (
    marked,
    parts_of_year,
    read_labelled,
    read_metadata,
    read_splits,
)
from csp_core.data.splits import Split, deal, keep_labels
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.geo import check_lonlat
from csp_core.tables import lookup

SOURCE = {
    "source": "BigEarthNet (Sumbul et al. 2019; Clasen et al. 2024); contains modified Copernicus"
    " Sentinel data",
    "license": "CDLA-Permissive-1.0",
}
# To how `Split` deals: the published parts are taken as they are, tiles are dealt like recorders.
METHODS = {name: name for name in SPLITS if name != "recorder"}
METHODS |= {"official": "random", "tile": "recorder"}
VERSIONS = {"v1": (19, 43), "v2": (19,)}
FIRST = 5


def load_bigearthnet(
    split: str = "train",
    *,
    root: str | Path | None = None,
    version: str = "v2",
    classes: int = 19,
    bands: str = "rgb",
    images: bool = True,
    in_memory: bool = False,
    without_snow: bool = False,
    without_clouds: bool = False,
    published_labels: float | None = None,
    split_method: str = "official",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    block_degrees: float = 1.0,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> ImageDataset:
    """Load BigEarthNet: patches of 120 pixels a side of 10 m, several classes in each.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder of the patches' folders; for ``v2``, of ``metadata_lonlat.parquet``; for
            ``v1``, of ``splits/train.parquet`` and others, as ``convert_split`` makes them.
        version: ``v2``: labels, places and parts are those of the table. ``v1``: those of the lists
            in ``splits``, or without lists those of the JSON file beside each patch.
        classes: 19, or 43 of ``v1``.
        bands: ``rgb`` (B04, B03, B02) or ``all`` 12, those at 20 and 60 m brought to 10 m; int16 in
            units of 1/10,000 reflectance.
        images: Whether to read images; not needed where places and labels alone are learned from.
        in_memory: Whether to keep the images in memory (84 KiB each, 338 with all bands), or to
            read them anew whenever they are asked for.
        without_snow: Whether to leave out patches with seasonal snow.
        without_clouds: Whether to leave out patches with clouds or their shadow.
        published_labels: Part of the training patches that are labelled in published lists, such as
            0.01; the others that those name have no labels. For ``v1`` and ``official``.
        split_method: ``official``, ``tile`` (no Sentinel-2 tile in two parts), ``random``, ``site``
            or ``block``.
        val_fraction: Share of the records for validation, in [0, 1); not for ``official``.
        test_fraction: Share of the records for test, in [0, 1); not for ``official``.
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training records this near to one of validation or test are left out; not for
            ``official``.
        seed: Seed of the split.
        label_fraction: Part of the training patches whose labels are seen, in (0, 1].
        label_seed: Seed of that choice; that of the split if omitted.
        labels: Training patches in all whose labels are seen, each class in two of them at least;
            None for as many as ``label_fraction`` says.
        unlabelled: Whether the other training patches stay, without their labels.

    Returns:
        The records of the part, each with a label set and no label; classes are sorted by name and
        counted in the training part.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.

    Source:
        Sumbul et al. 2019, BigEarthNet; Clasen et al. 2024, reBEN, for ``v2``.
    """
    names = _checked(version, classes, published_labels, split_method, buffer_km)
    how = Split(
        method=lookup("split method", METHODS, split_method),
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
    if root is None:
        raise ConfigError("The data set 'bigearthnet' needs root: the folder of its patches.")
    folder, wanted = Path(root), lookup("choice of bands", BANDS, bands) if images else ()
    found = _find(folder, version, wanted, in_memory=in_memory)
    found = _chosen(found, folder, classes, snow=without_snow, clouds=without_clouds)
    lonlat, date = _columns(found.table)
    sets = label_sets(found.table[f"labels_{classes}"], names)
    dealt = _deal(how, split_method, found.table, lonlat, sets, names)
    if published_labels is not None:
        dealt = _unlabelled(dealt, found.table, *read_labelled(folder, published_labels, classes))
    found.info.update(dealt.left_out())
    found.info["split"] = _words(how, split, split_method, published_labels)
    return _part(found, split, dealt, names, lonlat=lonlat, labels=sets, date=date)


def _part(
    found: _Found, split: str, dealt: Dealt, names: tuple[str, ...], **columns: Tensor
) -> ImageDataset:
    """Give the records of one part."""
    rows, train = dealt.rows(split), dealt.rows("train")
    told, labels = columns["labels"], dealt.shown(columns["labels"])
    patches = found.table["patch_id"].to_list()
    return ImageDataset(
        lonlat=columns["lonlat"][rows],
        date=columns["date"][rows],
        labels=labels[rows],
        label=torch.full((len(rows),), -1),
        classes=recounted(ClassTable(names), torch.full((len(train),), -1), labels[train]),
        name="bigearthnet",
        info={**SOURCE, **found.info},
        store=found.store,
        rows=found.kept[rows] if found.store is not None else found.kept,
        test_hash=dealt.test_hash(names, columns["lonlat"], told, files=patches),
    )


def _checked(
    version: str, classes: int, published: float | None, method: str, buffer_km: float
) -> tuple[str, ...]:
    """Refuse options that do not go together, and give the names of the classes."""
    known = lookup("version of BigEarthNet", VERSIONS, version)
    if classes not in known:
        given = " or ".join(map(str, known))
        raise ConfigError(f"classes is {classes}; {version} has {given}.")
    if published is not None and (method != "official" or version != "v1" or not 0 < published < 1):
        raise ConfigError(
            f"published_labels is {published} with version {version} and split_method {method};"
            " give a part in (0, 1) with version v1 and split_method official, or leave it out."
        )
    if method == "official" and buffer_km:
        raise ConfigError(
            f"buffer_km is {buffer_km}, but the official parts are taken as they are published;"
            " give split_method tile or block."
        )
    return classes_of(classes)


def _words(how: Split, part: str, method: str, published: float | None) -> str:
    few = "" if published is None else f", published list of {published:g} of the labels"
    if method == "official":
        return f"{part} of official{few}"
    return how.words(part).replace("recorder", "tile")


@dataclass(frozen=True)
class _Found:
    """The patches that are there, a row for each in the table."""

    table: pl.DataFrame
    store: ImageStore | None
    kept: Tensor
    info: dict[str, object]


def _find(root: Path, version: str, bands: tuple[str, ...], *, in_memory: bool) -> _Found:
    """Find what is said of the patches and, if bands are wanted, their images."""
    if not root.is_dir():
        raise DataNotFoundError(f"No folder {root}.")
    info: dict[str, object] = {"version": version}
    table = read_metadata(root) if version == "v2" else read_splits(root)
    folders = find_patches(root) if bands or table is None else {}
    if table is None:
        table, refused = read_descriptions(root, folders)
        info |= {"descriptions_left_out": len(refused), "first_left_out": refused[:FIRST]}
    if not len(table):
        raise DataNotFoundError(
            f"No patch of BigEarthNet in {root}: give the folder of those such as"
            " S2A_MSIL2A_20170617T113321_36_85, with the JSON file in each or splits/train.parquet"
            " beside them."
        )
    if not bands:
        return _Found(table, None, torch.empty(0, dtype=torch.int64), info)
    there = table["patch_id"].is_in(list(folders))
    info |= {"patches_without_images": int((~there).sum()),
             "images_without_labels": len(folders) - int(there.sum())}  # fmt: skip
    table = table.filter(there)
    if not len(table):
        raise DataNotFoundError(
            f"None of the patches that the table names is in {root}; images: false needs none."
        )
    files = PatchImages(root, [folders[name] for name in table["patch_id"]], bands)
    if not in_memory:
        return _Found(table, files, torch.arange(len(table)), info)
    memory = read_shared(files)
    kept = torch.tensor([row for row in range(len(files)) if row not in memory.refused])
    told = list(memory.refused.values())
    info |= {"images_left_out": len(told), "first_images_left_out": told[:FIRST]}
    return _Found(table[kept.tolist()], memory, kept, info)


def _chosen(found: _Found, root: Path, classes: int, **drops: bool) -> _Found:
    """Leave out what is not wanted, and what has none of the classes; all is counted."""
    table, info = found.table, dict(found.info)
    keep = pl.repeat(True, len(table), dtype=pl.Boolean, eager=True)
    for kind in (kind for kind, drop in drops.items() if drop):
        has = marked(root, table, kind)
        info[f"left_out_{kind}"] = int((keep & has).sum())
        keep = keep & ~has
    column, wanted = f"labels_{classes}", int(keep.sum())
    if column not in table.columns and classes == 19 and "labels_43" in table.columns:
        _, outside, emptied = to_19(table.filter(keep)["labels_43"])
        table = table.with_columns(to_19(table["labels_43"])[0].alias(column))
        info |= {"labels_outside_19": outside, "emptied_label_sets": emptied}
    if column not in table.columns:
        raise BadRecordError(f"The lists have no labels of {classes} classes; give the other.")
    keep = keep & (table[column].list.len() > 0).fill_null(False)
    info["left_out_without_labels"] = wanted - int(keep.sum())
    if not keep.any():
        raise BadRecordError("No patch is left: all are left out or have none of the classes.")
    rows = torch.from_numpy(keep.to_numpy().copy()).nonzero().flatten()
    return replace(
        found,
        table=table.filter(keep),
        kept=found.kept[rows] if found.store is not None else found.kept,
        info=info,
    )


def _columns(table: pl.DataFrame) -> tuple[Tensor, Tensor]:
    """Give places ``(N, 2)`` and parts of the year ``(N,)``, NaN where unknown."""
    if not {"lon", "lat"} <= set(table.columns):
        raise BadRecordError("The lists say no places: they need lng and lat.")
    places = table.select(pl.col("lon", "lat").cast(pl.Float32).fill_null(float("nan"))).to_numpy()
    lonlat = check_lonlat(torch.from_numpy(places.copy()), allow_missing=True)
    if "date" not in table.columns:
        return lonlat, torch.full((len(table),), float("nan"))
    date = parts_of_year(table["date"]).fill_null(float("nan")).to_numpy(writable=True)
    return lonlat, torch.from_numpy(date).float()


def _deal(
    how: Split,
    method: str,
    table: pl.DataFrame,
    lonlat: Tensor,
    labels: Tensor,
    names: tuple[str, ...],
) -> Dealt:
    """Deal the patches: by their published parts, by tiles, or as others are dealt."""
    if method == "official":
        if "part" not in table.columns:
            raise ConfigError(
                "Patches without splits/train.parquet have no official parts; give split_method"
                f" {', '.join(name for name in METHODS if name != 'official')}."
            )
        parts = torch.from_numpy(table["part"].to_numpy(writable=True))
        kept = keep_labels(how, parts, labels, names)
        if not how.keep_unlabelled:
            parts = torch.where((parts == PARTS["train"]) & ~kept, LEFT_OUT, parts)
        return Dealt(parts, kept)
    if method != "tile":
        return deal(how, lonlat, labels, names=names)
    if "tile" not in table.columns or table["tile"].null_count():
        raise ConfigError(
            "Not every patch says its tile, which the names of v2 and the JSON files of v1 do; give"
            " split_method block."
        )
    tiles = sorted(table["tile"].unique().to_list())
    number = {name: row for row, name in enumerate(tiles)}
    tile = table["tile"].replace_strict(number, return_dtype=pl.Int64).to_numpy(writable=True)
    return deal(how, lonlat, labels, recorder=torch.from_numpy(tile), names=names)


def _unlabelled(dealt: Dealt, table: pl.DataFrame, known: pl.Series, unknown: pl.Series) -> Dealt:
    """Take the labels of the training patches that a published list leaves without."""
    named, others = (
        torch.from_numpy(table["patch_id"].is_in(names.to_list()).to_numpy().copy())
        for names in (known, unknown)
    )
    train = dealt.parts == PARTS["train"]
    if not (train & named).any():
        raise BadRecordError("No training patch is in the published list of labelled ones.")
    parts = dealt.parts.masked_fill(train & ~named & ~others, LEFT_OUT)
    bare = train & ~named & others
    return replace(dealt, parts=parts, labelled=dealt.labelled & ~bare)
