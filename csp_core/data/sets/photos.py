"""Data sets of one's own photos: a folder with a sub-folder a class, or a table of paths."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

import polars as pl
import torch
from torch import Tensor

from csp_core.data.images import FileImages, ImageDataset, MemoryImages, is_below
from csp_core.data.pictures import ENDINGS, Photo, parts_of_time, read_photo
from csp_core.data.pictures.clock import read_time
from csp_core.data.pictures.raws import ENDINGS as RAWS
from csp_core.data.pictures.sidecar import beside
from csp_core.data.reading.cleaning import WORDS
from csp_core.data.reading.columns import plain
from csp_core.data.reading.source import empty_table
from csp_core.data.reading.tabular import ParquetSource
from csp_core.data.records import ClassTable
from csp_core.data.sets.photo_report import FIRST, report
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError
from csp_core.geo import check_lonlat

TABLES = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
COLUMNS = {
    "path": ("path", "file", "filename", "filepath", "image", "photo"),
    "label": ("label", "class", "species", "scientificname", "taxon"),
    "lon": ("lon", "longitude", "decimallongitude", "x"),
    "lat": ("lat", "latitude", "decimallatitude", "y"),
    "date": ("date", "eventdate", "taken", "datetime", "observedon"),
}
# What programs write into a cell of a place or a date that is not known.
EMPTY = (*WORDS, "-nan", "nat", "")


@dataclass(frozen=True)
class _Listed:
    """A photo as it was found: its path below the root, its class, and what a table says of it.

    ``bad_date`` and ``half_place`` quote the cells that nothing could be made of.
    """

    path: str
    label: str
    lonlat: tuple[float, float] | None = None
    date: float = math.nan
    bad_date: str = ""
    half_place: str = ""


@dataclass(frozen=True, eq=False)
class PhotoImages(MemoryImages):
    """Photos in memory with what their files say.

    Args:
        photos: Of each, without its pixels; None where it could not be read.
    """

    photos: tuple[Photo | None, ...] = ()


# As long as one part of a data set lives, the next need not read the files again.
_SHARED: WeakValueDictionary[str, PhotoImages] = WeakValueDictionary()


def load_photos(
    split: str = "train",
    *,
    root: str | Path | None = None,
    size: int = 64,
    in_memory: bool = True,
    without_place: str = "test",
    min_photos: int = 1,
    split_method: str = "random",
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    block_degrees: float = 2.0,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_fraction: float = 1.0,
) -> ImageDataset:
    """Load photos of one's own; files that cannot be read are told in ``info`` and left out.

    Place and time come from the table where it has them, else from EXIF, XMP, georeference or a
    sidecar beside the photo; with a date of the table, the hour of the file is left out. Dates of
    the table that cannot be read, and longitudes without latitude, are counted in ``info`` too;
    there the file is asked.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: A folder with a sub-folder for each class; or a table, CSV, TSV or Parquet, with the
            columns ``path`` (below the table's folder) and ``label``, maybe ``lon``, ``lat`` and
            ``date`` (such as 2024-05-17).
        size: Side in pixels of the square cut from the middle of each photo.
        in_memory: Whether to keep the squares in memory, or to read them anew when asked for.
        without_place: ``test``: photos without a place are tested on, never learned from;
            ``train``: they are dealt like the others, for models of images alone.
        min_photos: Classes with fewer are left out.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the photos for validation, in [0, 1).
        test_fraction: Share of the photos for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training photos this near to one of validation or test are left out.
        seed: Seed of the split and of the label fraction.
        label_fraction: Part of the training photos of each class to keep, in (0, 1]; at least one
            of each stays.

    Returns:
        The photos of the part; classes are sorted by name and counted in the training part.

    Raises:
        CspError: If there are no photos that can be read, or an option does not fit.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
        label_fraction=label_fraction,
    )
    folder, listed, info = _list(_checked(root, size, without_place))
    if not listed:
        raise DataNotFoundError(
            f"No photos in {root}: give a folder with a sub-folder of pictures for each class."
        )
    files = FileImages(folder, [one.path for one in listed], size)
    scanned = _scan(files, keep=in_memory)
    rows, classes, label = _choose(listed, scanned, min_photos)
    paths = [listed[row].path for row in rows]
    lonlat, date, hour = _columns([listed[row] for row in rows], [scanned.photos[r] for r in rows])
    _check_places(lonlat, without_place)
    dealt = deal(how, lonlat, label, without_place=without_place)
    here = dealt.rows(split)
    return ImageDataset(
        lonlat=lonlat[here],
        label=label[here],
        classes=ClassTable(classes, counts=dealt.counts(label, len(classes))),
        date=date[here],
        hour=hour[here],
        name=Path(str(root)).name,
        info={**info, **_told(listed, scanned, lonlat), "split": how.words(split)},
        store=scanned if in_memory else files,
        rows=torch.tensor(rows)[here],
        test_hash=dealt.test_hash(classes, lonlat, label, date, files=paths),
    )


def _checked(root: str | Path | None, size: int, without_place: str) -> Path:
    if root is None or size < 8 or without_place not in ("test", "train"):
        raise ConfigError(
            f"root is {root}, size {size} and without_place {without_place!r}; give a folder or"
            " table of photos, at least 8 pixels, and 'test' or 'train'."
        )
    return Path(root)


def _list(root: Path) -> tuple[Path, list[_Listed], dict[str, object]]:
    if root.is_file():
        listed = _read_table(root)
        return root.parent, listed, {"table": root.name, **_lost(listed)}
    if not root.is_dir():
        raise DataNotFoundError(f"No folder or table {root}.")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    pictures = [path.relative_to(root) for path in files if path.suffix.lower() in ENDINGS]
    listed = [_Listed(p.as_posix(), p.parts[0]) for p in pictures if len(p.parts) > 1]
    loose = len(pictures) - len(listed)
    raws = sum(path.suffix.lower().lstrip(".") in RAWS for path in files)
    info: dict[str, object] = {"folder": root.name, "other_files": len(files) - len(pictures)}
    info |= {"camera_raws_among_them": raws} if raws else {}
    return root, listed, info | ({"pictures_outside_class_folders": loose} if loose else {})


def _read_parquet(path: Path) -> pl.DataFrame:
    """Read the columns that are asked for, within the budget of files of records."""
    source = ParquetSource(lambda: path.open("rb"))
    asked = {name for names in COLUMNS.values() for name in names}
    wanted = [name for name in source.header if plain(name) in asked]
    if not wanted:
        return empty_table(source.header)
    return pl.concat([chunk.table for chunk in source.chunks(wanted)] or [empty_table(wanted)])


def _read_table(path: Path) -> list[_Listed]:
    try:
        if path.suffix.lower() == ".parquet":
            table = _read_parquet(path)
        else:
            separator = TABLES[path.suffix.lower()]
            table = pl.read_csv(path, separator=separator, infer_schema=False)
    except KeyError as error:
        raise BadRecordError("give a CSV, TSV or Parquet table", file=path.name) from error
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise BadRecordError(f"cannot be read as a table ({said})", file=path.name) from error
    known = {plain(name): name for name in reversed(table.columns)}
    found = {key: next((known[n] for n in names if n in known), None)
             for key, names in COLUMNS.items()}  # fmt: skip
    if found["path"] is None or found["label"] is None:
        raise BadRecordError(
            f"no column for the path or the label among {', '.join(table.columns[:20])}; call them"
            " path and label",
            file=path.name,
        )
    columns = {key: table[name].cast(pl.String).to_list() for key, name in found.items() if name}
    return [_row(columns, number, path.name) for number in range(len(table))]


def _row(columns: Mapping[str, Sequence[str | None]], number: int, file: str) -> _Listed:
    said = {key: (values[number] or "").strip() for key, values in columns.items()}
    line = number + 2
    if not said["path"] or not said["label"] or not is_below(said["path"]):
        raise BadRecordError("give a path below the table's folder and a label", file=file,
                             line=line)  # fmt: skip
    known = {key: said[key] for key in ("lon", "lat", "date")
             if said.get(key, "").lower() not in EMPTY}  # fmt: skip
    place, half = None, ""
    if "lon" in known and "lat" in known:
        try:
            place = (float(known["lon"]), float(known["lat"]))
            check_lonlat(torch.tensor([place]))
        except ValueError as error:
            raise BadRecordError(f"no place ({error})", file=file, line=line) from error
    else:
        half = next((f"line {line}: {key} {known[key][:40]} alone"
                     for key in ("lon", "lat") if key in known), "")  # fmt: skip
    date = _part_of_year(known.get("date", ""))
    bad = f"line {line}: {known['date'][:40]}" if "date" in known and math.isnan(date) else ""
    return _Listed(said["path"], said["label"], place, date, bad, half)


def _part_of_year(text: str) -> float:
    """Read a date, year first; NaN for intervals, the future, and 5/6/2024: of May or of June."""
    day, _ = read_time(text)
    return math.nan if day is None else parts_of_time(day)[0]


def _lost(listed: Sequence[_Listed]) -> dict[str, object]:
    """Count what a table says and nothing could be made of."""
    dates = [one.bad_date for one in listed if one.bad_date]
    places = [one.half_place for one in listed if one.half_place]
    return {
        "dates_not_read": len(dates),
        "first_dates_not_read": dates[:FIRST],
        "places_not_complete": len(places),
        "first_places_not_complete": places[:FIRST],
    }


def _scan(files: FileImages, *, keep: bool) -> PhotoImages:
    """Read all photos, or share what another part of the same data has read; keep their pixels."""
    missing = [name for name in files.names if not (files.root / name).is_file()]
    if missing:
        raise DataNotFoundError(f"{len(missing)} photos are not there, the first {missing[0]}.")
    key = f"{files.digest()}/{_sidecars(files)}/{keep}"
    known = _SHARED.get(key)
    if known is not None:
        return known
    shape = (len(files) if keep else 0, 3, files.size, files.size)
    array = torch.zeros(shape, dtype=torch.uint8)
    photos: list[Photo | None] = []
    refused: dict[int, str] = {}
    for row, name in enumerate(files.names):
        try:
            photo = read_photo(files.root / name, name, size=files.size)
            if len(photo.image) != 3:
                raise BadRecordError(f"{len(photo.image)} bands; photos have 3", file=name)
        except CspError as error:
            refused[row] = str(error)
            photos.append(None)
            continue
        if keep:
            array[row] = photo.image
        photos.append(replace(photo, image=torch.empty(0)))
    found = _SHARED[key] = PhotoImages(array, refused, tuple(photos))
    return found


def _sidecars(files: FileImages) -> int:
    """Tell what lies beside the photos from what lay there before."""
    states = [(one.name, one.stat().st_mtime_ns, one.stat().st_size)
              for name in files.names for one in beside(files.root / name)]  # fmt: skip
    return hash(tuple(states))


def _choose(
    listed: Sequence[_Listed], scanned: PhotoImages, min_photos: int
) -> tuple[list[int], tuple[str, ...], Tensor]:
    """Keep photos that can be read, of classes that have enough."""
    readable = [row for row, photo in enumerate(scanned.photos) if photo is not None]
    sizes = Counter(listed[row].label for row in readable)
    classes = tuple(sorted(name for name, number in sizes.items() if number >= min_photos))
    index = {name: label for label, name in enumerate(classes)}
    rows = [row for row in readable if listed[row].label in index]
    if not rows:
        first = next(iter(scanned.refused.values()), f"no class has {min_photos} photos")
        raise BadRecordError(f"No photo is left to learn from; the first: {first}")
    return rows, classes, torch.tensor([index[listed[row].label] for row in rows])


def _columns(
    listed: Sequence[_Listed], photos: Sequence[Photo | None]
) -> tuple[Tensor, Tensor, Tensor]:
    """Give place, date and hour of each photo: what a table says counts more than the file."""
    nowhere, rows = (math.nan, math.nan), []
    for one, photo in zip(listed, photos, strict=True):
        assert photo is not None  # those that could not be read are left out before
        # The hour of a file whose date is wrong is no better, so the two are taken together.
        time = (photo.date, photo.hour) if math.isnan(one.date) else (one.date, math.nan)
        rows.append((*(one.lonlat or photo.lonlat or nowhere), *time))
    columns = torch.tensor(rows, dtype=torch.float32)
    return columns[:, :2], columns[:, 2], columns[:, 3]


def _check_places(lonlat: Tensor, without_place: str) -> None:
    if without_place == "test" and lonlat.isnan().any(dim=1).all():
        raise BadRecordError(
            "No photo has a place. To learn from the images alone, give without_place=train and"
            " split_method=random."
        )


def _told(listed: Sequence[_Listed], scanned: PhotoImages, lonlat: Tensor) -> dict[str, object]:
    return report([one.label for one in listed], scanned.photos, scanned.refused, lonlat)
