"""EuroSAT: Sentinel-2 patches of ten kinds of land cover in Europe, with their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import polars as pl
import torch
from torch import Tensor

from csp_core.data.images import FileImages, ImageDataset, ImageStore, read_shared
from csp_core.data.pictures.georeference import centre
from csp_core.data.records import ClassTable
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.geo import check_lonlat
from csp_core.tables import lookup

# The names of two publications of the same pictures.
ARCHIVES, FOLDERS = ("EuroSAT_RGB.zip", "EuroSAT.zip"), ("2750", "EuroSAT_RGB", "")
PLACES = "eurosat_coordinates.csv"
COLUMNS = ("filepath", "class", "latitude", "longitude")
SIDE = 64
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
) -> ImageDataset:
    """Load EuroSAT: 27,000 patches of 64 pixels a side of 10 m, without dates.

    Images that cannot be read are left out and told in ``info``. Images without a place are kept
    for the test, where the image answers alone.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder of ``EuroSAT_RGB.zip``, or of what is in it, ``2750/``, with
            ``eurosat_coordinates.csv``; for ``bands="all"``, the folder of GeoTIFFs, or one above.
        bands: ``rgb``, uint8; or ``all`` 13 bands, int16 in units of 1/10,000 reflectance.
        images: Whether to read the images; not needed where places alone are learned from.
        in_memory: Whether to keep the images in memory (12 KiB each, 104 with all bands), or to
            read them anew whenever they are asked for.
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

    Returns:
        The records of the part; classes are counted in the training part.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.

    Source:
        Helber et al. 2019, EuroSAT.
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
    suffix = lookup("choice of bands", BANDS, bands)
    if root is None:
        raise ConfigError(f"The data set 'eurosat' needs root: the folder of {ARCHIVES[0]}.")
    found = _find(Path(root), suffix, images=images, in_memory=in_memory)
    return _part(split, how, found, with_images=images)


def _part(split: str, how: Split, found: _Found, *, with_images: bool) -> ImageDataset:
    """Deal the images, and give those of one part."""
    classes, label = _labels(found.names)
    if found.lonlat.isnan().any(dim=1).all():
        raise BadRecordError("No image has a place: check that the table is of these images.")
    dealt = deal(how, found.lonlat, label, names=classes)
    rows = dealt.rows(split)
    described = (
        f"{split} of {how.method}: val {how.val:g}, test {how.test:g}, blocks of"
        f" {how.block_degrees:g}°, buffer {how.buffer_km:g} km, {how.label_fraction:g} of the"
        f" labels, seed {how.seed}" + (f", {few}" if (few := how.few()) else "")
    )
    return ImageDataset(
        lonlat=found.lonlat[rows],
        label=dealt.shown(label)[rows],
        classes=_table(classes, dealt.counts(label, len(classes))),
        name="eurosat",
        info={**SOURCE, **found.info, "left_out_by_buffer": dealt.near, "split": described},
        store=found.store,
        rows=found.kept[rows] if with_images else torch.empty(0, dtype=torch.int64),
        test_hash=dealt.test_hash(classes, found.lonlat, label, files=_patches(found.names)),
    )


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


def _find(folder: Path, suffix: str, *, images: bool, in_memory: bool) -> _Found:
    """Find images and places; those that cannot be read are told and left out."""
    tiffs = suffix == BANDS["all"]
    source, listed = _list_tiffs(folder) if tiffs else _list_pictures(folder)
    if not listed:
        raise DataNotFoundError(f"No {suffix} of EuroSAT below {folder}, such as Forest_1{suffix}.")
    files = FileImages(source, listed, SIDE)
    store: ImageStore | None = files if images else None
    refused: Mapping[int, str] = {}
    if images and in_memory:
        store = memory = read_shared(files)
        refused = memory.refused
    kept = torch.tensor([row for row in range(len(listed)) if row not in refused])
    names = tuple(listed[row] for row in kept.tolist())
    if tiffs:
        lonlat, info = _georeferences(source, names)
    else:
        lonlat, info = _join_places(_read_places(folder / PLACES), names)
    info |= {"images_left_out": len(refused), "first_left_out": list(refused.values())[:FIRST]}
    return _Found(store, names, kept, lonlat, info)


def _list_pictures(folder: Path) -> tuple[Path, list[str]]:
    """Find the unpacked folder or else the archive, and list the pictures in it."""
    for unpacked in (folder / name for name in FOLDERS):
        found = [p.relative_to(unpacked).as_posix() for p in unpacked.glob("*/*.jpg")]
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


def _read_places(path: Path) -> dict[str, tuple[float, float]]:
    """Read the table of places: class folder and file name to longitude and latitude."""
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}: it holds {', '.join(COLUMNS)} of each image.")
    try:
        table = pl.read_csv(path, columns=list(COLUMNS), schema_overrides={
            "latitude": pl.Float64, "longitude": pl.Float64})  # fmt: skip
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise BadRecordError(
            f"give the columns {', '.join(COLUMNS)} ({said})", file=path.name
        ) from error
    values = zip(*(table[c].to_list() for c in ("filepath", "longitude", "latitude")), strict=True)
    return {str(name): (lon, lat) for name, lon, lat in values
            if None not in (lon, lat)}  # fmt: skip


def _join_places(
    known: dict[str, tuple[float, float]], names: tuple[str, ...]
) -> tuple[Tensor, dict[str, object]]:
    """Give each image its place, NaN where the table has none."""
    nowhere = (float("nan"), float("nan"))
    files = _patches(names)
    lonlat = torch.tensor([known.get(file, nowhere) for file in files], dtype=torch.float32)
    try:
        lonlat = check_lonlat(lonlat, allow_missing=True)
    except BadRecordError as error:
        raise BadRecordError(str(error), file=PLACES) from error
    missing = int(lonlat.isnan().any(dim=1).sum())
    unused = len(known.keys() - set(files))
    return lonlat, {"images_without_place": missing, "places_without_image": unused}


def _patches(names: tuple[str, ...]) -> list[str]:
    """Give class folder and file of each image, without the folder of its publication."""
    return ["/".join(name.split("/")[-2:]) for name in names]


def _georeferences(source: Path, names: tuple[str, ...]) -> tuple[Tensor, dict[str, object]]:
    """Give each GeoTIFF the place of its middle, NaN where it says none."""
    nowhere = (float("nan"), float("nan"))
    found = [centre((source / name).read_bytes(), name).lonlat or nowhere for name in names]
    lonlat = torch.tensor(found, dtype=torch.float32)
    return lonlat, {"images_without_place": int(lonlat.isnan().any(dim=1).sum())}


def _labels(names: tuple[str, ...]) -> tuple[tuple[str, ...], Tensor]:
    """Read the classes from the names of the files."""
    given = [match[1] for name in names if (match := NAMED.search(name))]
    classes = tuple(sorted(set(given)))
    index = {name: label for label, name in enumerate(classes)}
    return classes, torch.tensor([index[name] for name in given])
