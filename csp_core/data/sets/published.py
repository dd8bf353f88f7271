"""Pairs of precomputed image features and places, as the published data sets lay them out.

A folder holds, for each published part, annotations in the form of COCO, a list of places and one
NumPy array with a row of features for each image, in the order of the annotations' ``images``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from csp_core.data.features import FeatureDataset, map_features
from csp_core.data.image_files import FileImages, is_below
from csp_core.data.images import ImageDataset
from csp_core.data.parts import Dealt
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError
from csp_core.files import read_json
from csp_core.geo import check_lonlat
from csp_core.tables import lookup

# Of a published JSON file; that of the largest, iNat 2018, has some 200 MB.
MOST_BYTES = 2 << 30

LAST_DAY = 1 - 2**-24
# The kind of features that are none: the images themselves.
PIXELS = "pixels"


@dataclass(frozen=True)
class Layout:
    """Where a published data set keeps what; ``{part}`` stands for ``train`` or ``val``.

    Args:
        name: What to call the data.
        folder: Its folder, below the root of all published sets.
        annotations: ``images`` (``id``) and ``annotations`` (``image_id``, ``category_id``).
        places: List of ``id``, ``lon``, ``lat``, ``user_id``, ``date_c`` in [0, 1], null allowed.
        classes: List of ``id`` and ``name``, or names to ids.
        features: Kind of features to its file.
    """

    name: str
    folder: str
    annotations: str
    places: str
    classes: str
    features: Mapping[str, str]


def load_pairs(
    layout: Layout,
    split: str,
    root: str | Path | None,
    how: Split,
    *,
    features: str,
    images: bool,
    with_user: bool,
    size: int,
) -> RecordDataset:
    """Load a published data set.

    Its own validation part is the test here; what training is validated on is held out of its
    training part. Images without a place are left out of training and kept for the test.

    Args:
        layout: Where what is.
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The data set's folder, or the one above it.
        how: How the published training part is dealt to training and validation.
        features: Kind of features, a key of ``layout.features``; or ``pixels`` for the images, read
            from ``file_name`` below the data set's folder whenever they are asked for.
        images: Whether to read features at all.
        with_user: Also leave images without a user out of training, as was published.
        size: Side in pixels of the square cut from the middle of each image, for ``pixels``.

    Returns:
        The records of the part, classes in the order of their published numbers.

    Raises:
        UnknownNameError: If there is no such part, split method or kind of features.
        ConfigError: If an option does not fit.
        DataNotFoundError: If a file is not there.
        BadRecordError: If a file is of another form.
    """
    folder = _find_folder(layout, root)
    pattern = lookup("kind of features", {**layout.features, PIXELS: ""}, features)
    names, label_of = _read_classes(folder / layout.classes)
    learned = _read_part(folder, layout, "train", label_of)
    usable = ~learned.lonlat.isnan().any(dim=1) & (learned.has_user if with_user else True)
    dealt = deal(
        how, learned.lonlat, learned.label, without_place="none", among=usable, names=names
    )
    shown = replace(learned, label=dealt.shown(learned.label))
    records = {} if split == "test" else {"train": shown}
    if split in ("test", "all"):
        records["val"] = _read_part(folder, layout, "val", label_of)
    found = _Part.join(records.values())
    rows = _rows(split, dealt, usable, len(found.label))
    columns: dict[str, Any] = {
        "lonlat": found.lonlat[rows],
        "label": found.label[rows],
        "classes": ClassTable(names, counts=dealt.counts(learned.label, len(names))),
        "date": found.date[rows],
        "name": layout.name,
        "info": {
            "folder": layout.folder,
            "features": features if images else "not read",
            "left_out_of_training": int((~usable).sum()),
            "split": f"{split} of {how.method}: val {how.val:g} of the published training part,"
            f" {how.label_fraction:g} of the labels, seed {how.seed}"
            + (f", {few}" if (few := how.few()) else ""),
        },
    }
    if features == PIXELS and images:
        _check_images(folder, [found.files[row] for row in rows.tolist()], size)
        return ImageDataset(**columns, store=FileImages(folder, found.files, size), rows=rows)
    files = {name: folder / pattern.format(part=name) for name in records} if images else {}
    arrays = tuple(map_features(path, len(records[name].label)) for name, path in files.items())
    return FeatureDataset(**columns, files=arrays, rows=rows)


@dataclass(frozen=True)
class _Part:
    """One published part, a row for each image."""

    lonlat: Tensor
    label: Tensor
    date: Tensor
    has_user: Tensor
    files: tuple[str, ...]

    @classmethod
    def join(cls, parts: Iterable[_Part]) -> _Part:
        parts = list(parts)
        names = ("lonlat", "label", "date", "has_user")
        joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
        return cls(**joined, files=tuple(file for part in parts for file in part.files))


def _rows(split: str, dealt: Dealt, usable: Tensor, read: int) -> Tensor:
    """Find the records of a part among those read; the published test stands behind the others."""
    if split not in ("test", "all"):
        return dealt.rows(split)
    tested = torch.arange(len(usable) if split == "all" else 0, read)
    return tested if split == "test" else torch.cat((usable.nonzero().flatten(), tested))


def _check_images(folder: Path, names: list[str], size: int) -> None:
    if size < 8:
        raise ConfigError(f"size is {size}; give at least 8 pixels.")
    outside = [name for name in names if not is_below(name)]
    if outside:
        raise BadRecordError(
            f"{outside[0]!r} is no path below {folder}: give file_name as it was published."
        )
    missing = [name for name in names if not name or not (folder / name).is_file()]
    if missing:
        raise DataNotFoundError(
            f"{len(missing)} of {len(names)} images are not in {folder}, the first"
            f" {missing[0] or 'without a file_name'}: unpack them there, or give features."
        )


def _find_folder(layout: Layout, root: str | Path | None) -> Path:
    if root is None:
        raise ConfigError(
            f"The data set {layout.name!r} needs root: the folder of {layout.classes}, or the one"
            f" above it that holds {layout.folder}/."
        )
    for folder in (Path(root), Path(root) / layout.folder):
        if (folder / layout.classes).is_file():
            return folder
    raise DataNotFoundError(
        f"No {layout.classes} in {root} or in {layout.folder} below it; {layout.name} is read as it"
        " is published with Mac Aodha et al. 2019 and Mai et al. 2023."
    )


def _read_classes(path: Path) -> tuple[tuple[str, ...], dict[int, int]]:
    """Read class names in the order of their numbers, and which label each number has."""
    value = _read(path)
    try:
        pairs = value.items() if isinstance(value, dict) else ((c["name"], c["id"]) for c in value)
        number_of = {str(name): int(number) for name, number in pairs}
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecordError(
            "give a list of id and name, or names to ids", file=path.name
        ) from error
    names = tuple(sorted(number_of, key=lambda name: number_of[name]))
    return names, {number_of[name]: label for label, name in enumerate(names)}


def _read_part(folder: Path, layout: Layout, part: str, label_of: Mapping[int, int]) -> _Part:
    path = folder / layout.annotations.format(part=part)
    where = folder / layout.places.format(part=part)
    annotations, places = _read(path), _read(where)
    try:
        numbers = [image["id"] for image in annotations["images"]]
        files = tuple(str(image.get("file_name", "")) for image in annotations["images"])
        category = {a["image_id"]: a["category_id"] for a in annotations["annotations"]}
        place_of = {place["id"]: place for place in places}
        label = [label_of[category[n]] if n in category else -1 for n in numbers]
        found: list[dict[str, Any]] = [place_of.get(number, {}) for number in numbers]
        lonlat = torch.stack((_column(found, "lon"), _column(found, "lat")), dim=1)
        date = _column(found, "date_c").clamp(0, LAST_DAY)
    except (KeyError, TypeError, ValueError) as error:
        raise BadRecordError(
            f"not of the published form, or of another set of classes ({error!r})",
            file=f"{path.name} or {where.name}",
        ) from error
    lonlat[lonlat.isnan().any(dim=1)] = float("nan")
    try:
        lonlat = check_lonlat(lonlat, allow_missing=True)
    except BadRecordError as error:
        raise BadRecordError(str(error), file=where.name) from error
    has_user = torch.tensor([place.get("user_id") is not None for place in found])
    return _Part(lonlat, torch.tensor(label, dtype=torch.int64), date, has_user, files)


def _column(places: Iterable[Mapping[str, Any]], key: str) -> Tensor:
    values = (place.get(key) for place in places)
    return torch.tensor([float("nan") if v is None else float(v) for v in values])


def _read(path: Path) -> Any:
    try:
        return read_json(path, most_bytes=MOST_BYTES)
    except DataNotFoundError:
        raise
    except CspError as error:
        raise BadRecordError(str(error), file=path.name) from error
