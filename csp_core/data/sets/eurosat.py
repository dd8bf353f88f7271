"""EuroSAT: Sentinel-2 patches of ten kinds of land cover in Europe, with their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from csp_core.data.image_files import FileImages, read_shared
from csp_core.data.images import ImageDataset, ImageStore
from csp_core.data.parts import Dealt
from csp_core.data.records import ClassTable
from csp_core.data.sets.eurosat_places import georeferences, join_places, patches
from csp_core.data.sets.eurosat_published import check_published, deal_published
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.tables import lookup

# The names of two publications of the same pictures.
ARCHIVES, FOLDERS = ("EuroSAT_RGB.zip", "EuroSAT.zip"), ("2750", "EuroSAT_RGB", "")
SIDE = 64
# What images can be brought to.
LEAST, MOST = 8, 512
NAMED = re.compile(r"(?:^|/)([A-Za-z]+)_\d+\.(?:jpg|tif)$")
BANDS = {"rgb": ".jpg", "all": ".tif"}
FIRST = 5
# What people call the classes whose names are run together.
COMMON_NAMES = {
    "AnnualCrop": "Annual crop",
    "HerbaceousVegetation": "Grass and herbs",
    "PermanentCrop": "Permanent crop",
    "SeaLake": "Sea or lake",
}
SOURCE = {
    "source": "EuroSAT (Helber et al. 2019); contains modified Copernicus Sentinel data",
    "license": "MIT",
}


def load_eurosat(
    split: str = "train",
    *,
    root: str | Path | None = None,
    bands: str = "rgb",
    images: bool = True,
    in_memory: bool = True,
    size: int = SIDE,
    split_method: str = "random",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    block_degrees: float = 1.0,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
    split_longitude: float | None = None,
    protocol: Literal["own", "published"] = "own",
    index_file: str | Path | None = None,
) -> ImageDataset:
    """Load EuroSAT: 27,000 patches of 64 pixels a side of 10 m, without dates.

    Images that cannot be read are left out and told in ``info``. Images without a place are kept
    for the test, where the image answers alone.

    The published protocol tests on the last fifth of each class by file name, 5,400 images, and
    labels ``labels`` of the others, evenly: draw 0 to 4 is ``label_seed``. Nothing is held out of
    them for validation there; here a seeded ``val_fraction`` of each class is, as a test that
    chooses among models is none. Neighbours of the test's places are learned from.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``; or ``outside``, with ``split_longitude``.
        root: The folder of ``EuroSAT_RGB.zip``, or of what is in it, ``2750/``, with
            ``eurosat_coordinates.csv`` or ``eurosat_meta.yaml``; for ``bands="all"``, the folder of
            GeoTIFFs, or one above.
        bands: ``rgb``, uint8; or ``all`` 13 bands, int16 in units of 1/10,000 reflectance.
        images: Whether to read the images; not needed where places alone are learned from.
        in_memory: Whether to keep the images in memory (12 KiB each, 104 with all bands), or to
            read them anew whenever they are asked for.
        size: Side in pixels that they are brought to.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the records for validation, in [0, 1).
        test_fraction: Share of the records for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training records this near to one of validation or test are left out.
        seed: Seed of the split.
        label_fraction: Part of the training records of each class to keep, in (0, 1]; at least one
            of each stays.
        label_seed: Seed of that choice; that of the split if omitted.
        labels: Labels in all that are seen in training, the same number of each class; None for as
            many as ``label_fraction`` says.
        unlabelled: Whether the other training images stay, without their labels.
        split_longitude: Images east of it are the part ``outside``; those west of it are dealt to
            the others.
        protocol: ``published``, or ``own``, that of the options above. Of these the published one
            takes ``val_fraction``, of what is not tested, ``seed``, and those of labels.
        index_file: An array of the labelled images as the published code writes it, such as
            ``lb_labels20_1_seed0_idx.npy``, for the published protocol; where none is given, one
            for these ``labels`` and this draw is looked for below ``root``.

    Returns:
        The records of the part; classes are counted in the training part.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.

    Source:
        Helber et al. 2019, EuroSAT; protocol of Wang et al. 2022, USB, and Bernhard et al. 2024.
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
        split_longitude=split_longitude,
    )
    suffix = lookup("choice of bands", BANDS, bands)
    if not LEAST <= size <= MOST:
        raise ConfigError(f"size is {size}; give {LEAST} to {MOST} pixels.")
    if root is None:
        raise ConfigError(f"The data set 'eurosat' needs root: the folder of {ARCHIVES[0]}.")
    published = check_published(protocol, how, index_file)
    found = _find(Path(root), suffix, images=images, in_memory=in_memory, size=size)
    classes, label = _labels(found.names)
    if found.lonlat.isnan().any(dim=1).all():
        raise BadRecordError("No image has a place: check that the table is of these images.")
    if published:
        dealt, told = deal_published(how, patches(found.names), label, Path(root), index_file)
    else:
        dealt, told = deal(how, found.lonlat, label, names=classes), {"split": _described(how)}
    return _part(split, dealt, told, found, with_images=images)


def _part(
    split: str, dealt: Dealt, told: dict[str, object], found: _Found, *, with_images: bool
) -> ImageDataset:
    """Give the images of one part."""
    classes, label = _labels(found.names)
    rows, lonlat = dealt.rows(split), found.lonlat
    return ImageDataset(
        lonlat=lonlat[rows],
        label=dealt.shown(label)[rows],
        classes=_table(classes, dealt.counts(label, len(classes))),
        name="eurosat",
        info={
            **SOURCE,
            **found.info,
            **dealt.left_out(),
            **told,
            "split": f"{split} of {told['split']}",
        },
        store=found.store,
        rows=found.kept[rows] if with_images else torch.empty(0, dtype=torch.int64),
        test_hash=dealt.test_hash(classes, lonlat, label, files=patches(found.names)),
    )


def _described(how: Split) -> str:
    told = (
        f"{how.method}: val {how.val:g}, test {how.test:g}, blocks of {how.block_degrees:g}°,"
        f" buffer {how.buffer_km:g} km, {how.label_fraction:g} of the labels, seed {how.seed}"
    )
    return ", ".join(filter(None, (told, how.few(), how.where())))


def _table(classes: tuple[str, ...], counts: tuple[int, ...]) -> ClassTable:
    return ClassTable(classes, tuple(COMMON_NAMES.get(name, "") for name in classes), counts)


@dataclass(frozen=True)
class _Found:
    """The images that can be read and their places, a row for each."""

    store: ImageStore | None
    names: tuple[str, ...]
    kept: Tensor
    lonlat: Tensor
    info: dict[str, object]


def _find(folder: Path, suffix: str, *, images: bool, in_memory: bool, size: int) -> _Found:
    """Find images and places; those that cannot be read are told and left out."""
    tiffs = suffix == BANDS["all"]
    source, listed = _list_tiffs(folder) if tiffs else _list_pictures(folder)
    if not listed:
        raise DataNotFoundError(f"No {suffix} of EuroSAT below {folder}, such as Forest_1{suffix}.")
    files = FileImages(source, listed, size)
    store: ImageStore | None = files if images else None
    refused: Mapping[int, str] = {}
    if images and in_memory:
        store = memory = read_shared(files)
        refused = memory.refused
    kept = torch.tensor([row for row in range(len(listed)) if row not in refused])
    names = tuple(listed[row] for row in kept.tolist())
    if tiffs:
        lonlat, info = georeferences(source, names)
    else:
        lonlat, info = join_places(folder, patches(names))
    info |= {"images_left_out": len(refused), "first_left_out": list(refused.values())[:FIRST]}
    return _Found(store, names, kept, lonlat, info)


def _list_pictures(folder: Path) -> tuple[Path, list[str]]:
    """Find the unpacked folder or else the archive, and list the pictures in it."""
    for unpacked in (folder / name for name in FOLDERS):
        found = [f"{p.parent.name}/{p.name}" for p in unpacked.glob("*/*.jpg")]
        if found:
            return unpacked, sorted(name for name in found if NAMED.search(name))
    archive = next((folder / name for name in ARCHIVES if (folder / name).is_file()), None)
    if archive is None:
        raise DataNotFoundError(
            f"Neither {' nor '.join(ARCHIVES)} nor the unpacked folder {FOLDERS[0]} is in {folder}."
        )
    try:
        with ZipFile(archive) as members:
            listed = [name for name in members.namelist() if name.endswith(".jpg")]
    except (BadZipFile, OSError) as error:
        raise BadRecordError(f"no complete archive ({error}); fetch it again", file=archive.name
                             ) from error  # fmt: skip
    return archive, sorted(name for name in listed if NAMED.search(name))


def _list_tiffs(folder: Path) -> tuple[Path, list[str]]:
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.tif"))
    return folder, [name for name in found if NAMED.search(name)]


def _labels(names: tuple[str, ...]) -> tuple[tuple[str, ...], Tensor]:
    """Read the classes from the names of the files."""
    given = [match[1] for name in names if (match := NAMED.search(name))]
    classes = tuple(sorted(set(given)))
    index = {name: label for label, name in enumerate(classes)}
    return classes, torch.tensor([index[name] for name in given])
