"""Data sets of one's own photos: a folder with a sub-folder a class, or a table of paths."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from csp_core.data.captions.column import number
from csp_core.data.image_files import FileImages
from csp_core.data.images import ImageDataset, ImageStore, MemoryImages
from csp_core.data.parts import LEFT_OUT, Dealt
from csp_core.data.pictures import ENDINGS, Photo, read_photo
from csp_core.data.pictures.raws import ENDINGS as RAWS
from csp_core.data.pictures.sidecar import beside
from csp_core.data.records import ClassTable
from csp_core.data.sets.photo_report import report
from csp_core.data.sets.photo_table import Listed, read_table, without_authors
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError

# The folder of photos without a label, where these are asked for.
UNLABELLED = "unlabelled"


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
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
) -> ImageDataset:
    """Load photos of one's own; files that cannot be read are told in ``info`` and left out.

    Place and time come from the table where it has them, else from EXIF, XMP, georeference or a
    sidecar beside the photo; with a date of the table, the hour of the file is left out. Dates of
    the table that cannot be read, and longitudes without latitude, are counted in ``info`` too;
    there the file is asked. Places are read as those of records are: decimal commas, degrees as
    text, hemispheres and datums of their own; authors are left out of names.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: A folder with a sub-folder for each class, and maybe one, ``unlabelled``, of photos
            without; or a table, CSV, TSV or Parquet, with the columns ``path`` (below the table's
            folder) and ``label`` (empty where there is none), maybe ``lon``, ``lat``, ``date``
            (such as 2024-05-17) and ``caption``.
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
        label_seed: Seed of the choice of labels; ``seed`` if omitted.
        labels: Labels in all that are seen in training, the same number of each class; None for as
            many as ``label_fraction`` says.
        unlabelled: Whether the other training photos stay, without their labels, and photos that
            never had one are learned from too: those of the folder ``unlabelled``, or whose label
            is empty in the table. These are in no other part.

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
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    found = _find(_checked(root, size, without_place), size, keep=in_memory, unlabelled=unlabelled)
    rows, classes, label = _choose(found.listed, found.scanned, min_photos)
    return _part(split, how, found, (rows, classes, label), without_place)


@dataclass(frozen=True)
class _Found:
    """The photos that were found: what is listed, where their squares are, what their files say."""

    name: str
    store: ImageStore
    listed: list[Listed]
    scanned: PhotoImages
    info: dict[str, object]


def _find(root: Path, size: int, *, keep: bool, unlabelled: bool) -> _Found:
    folder, listed, info = _list(root, unlabelled=unlabelled)
    if not listed:
        raise DataNotFoundError(
            f"No photos in {root}: give a folder with a sub-folder of pictures for each class."
        )
    files = FileImages(folder, [one.path for one in listed], size)
    scanned = _scan(files, keep=keep)
    return _Found(root.name, scanned if keep else files, listed, scanned, info)


def _part(
    split: str,
    how: Split,
    found: _Found,
    chosen: tuple[list[int], tuple[str, ...], Tensor],
    without_place: str,
) -> ImageDataset:
    """Deal the photos that were chosen, and give those of one part."""
    rows, classes, label = chosen
    listed = [found.listed[row] for row in rows]
    lonlat, date, hour = _columns(listed, [found.scanned.photos[row] for row in rows])
    _check_places(lonlat, without_place)
    dealt = deal(how, lonlat, label, without_place=without_place, names=classes)
    here = dealt.rows(split)
    paths = [one.path for one in listed]
    captions, caption = _captions(found.listed, listed)
    return ImageDataset(
        lonlat=lonlat[here],
        label=dealt.shown(label)[here],
        classes=ClassTable(classes, counts=dealt.counts(label, len(classes))),
        date=date[here],
        hour=hour[here],
        name=found.name,
        info={
            **found.info,
            **_told(found.listed, found.scanned, lonlat),
            **_without_label(label, dealt),
            **dealt.left_out(),
            "split": how.words(split),
        },
        store=found.store,
        rows=torch.tensor(rows)[here],
        captions=captions,
        caption=caption[here],
        test_hash=dealt.test_hash(classes, lonlat, label, date, files=paths),
    )


def _captions(
    everything: Sequence[Listed], listed: Sequence[Listed]
) -> tuple[tuple[str, ...] | None, Tensor]:
    """Number the captions of a table; None where it has no column of them."""
    table, _ = number([one.caption or "" for one in everything])
    _, caption = number([one.caption or "" for one in listed], table)
    return (None if everything[0].caption is None else table), caption


def _checked(root: str | Path | None, size: int, without_place: str) -> Path:
    if root is None or size < 8 or without_place not in ("test", "train"):
        raise ConfigError(
            f"root is {root}, size {size} and without_place {without_place!r}; give a folder or"
            " table of photos, at least 8 pixels, and 'test' or 'train'."
        )
    return Path(root)


def _list(root: Path, *, unlabelled: bool) -> tuple[Path, list[Listed], dict[str, object]]:
    if root.is_file():
        listed, told = read_table(root, unlabelled=unlabelled)
        return root.parent, listed, {"table": root.name, **told}
    if not root.is_dir():
        raise DataNotFoundError(f"No folder or table {root}.")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    pictures = [path.relative_to(root) for path in files if path.suffix.lower() in ENDINGS]
    without = UNLABELLED if unlabelled else None
    listed = [
        Listed(p.as_posix(), "" if p.parts[0] == without else p.parts[0])
        for p in pictures
        if len(p.parts) > 1
    ]
    listed, authors = without_authors(listed)
    loose = len(pictures) - len(listed)
    raws = sum(path.suffix.lower().lstrip(".") in RAWS for path in files)
    info: dict[str, object] = {"folder": root.name, "other_files": len(files) - len(pictures)}
    info |= authors
    info |= {"camera_raws_among_them": raws} if raws else {}
    return root, listed, info | ({"pictures_outside_class_folders": loose} if loose else {})


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
    found = _SHARED[key] = PhotoImages(array, refused, files.names, tuple(photos))
    return found


def _sidecars(files: FileImages) -> int:
    """Tell what lies beside the photos from what lay there before."""
    states = [(one.name, one.stat().st_mtime_ns, one.stat().st_size)
              for name in files.names for one in beside(files.root / name)]  # fmt: skip
    return hash(tuple(states))


def _choose(
    listed: Sequence[Listed], scanned: PhotoImages, min_photos: int
) -> tuple[list[int], tuple[str, ...], Tensor]:
    """Keep photos that can be read, of classes that have enough or without a label."""
    readable = [row for row, photo in enumerate(scanned.photos) if photo is not None]
    sizes = Counter(listed[row].label for row in readable if listed[row].label)
    classes = tuple(sorted(name for name, number in sizes.items() if number >= min_photos))
    index = {name: label for label, name in enumerate(classes)} | ({"": -1} if classes else {})
    rows = [row for row in readable if listed[row].label in index]
    if not rows:
        first = next(iter(scanned.refused.values()), f"no class has {min_photos} photos")
        raise BadRecordError(f"No photo is left to learn from; the first: {first}")
    return rows, classes, torch.tensor([index[listed[row].label] for row in rows])


def _columns(
    listed: Sequence[Listed], photos: Sequence[Photo | None]
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


def _without_label(label: Tensor, dealt: Dealt) -> dict[str, object]:
    """Count the photos that never had a label, and those of them that could not be learned from."""
    without = label < 0
    left_out = without & (dealt.parts == LEFT_OUT)
    facts = {"photos_without_label": without, "without_label_left_out": left_out}
    return {name: int(rows.sum()) for name, rows in facts.items()} if without.any() else {}


def _told(listed: Sequence[Listed], scanned: PhotoImages, lonlat: Tensor) -> dict[str, object]:
    return report([one.label for one in listed], scanned.photos, scanned.refused, lonlat)
