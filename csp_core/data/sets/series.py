"""Series of one pixel through time: a table of them, or every pixel of a stack of rasters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from csp_core.data.image_files import FileImages
from csp_core.data.images import ImageDataset
from csp_core.data.parts import Dealt
from csp_core.data.records import ClassTable
from csp_core.data.series.stack import ENDINGS, Stack, read_stack
from csp_core.data.series.table import read_series_table
from csp_core.data.splits import Split, deal
from csp_core.errors import ConfigError, DataNotFoundError

# As long as one part of a data set lives, the next need not read the files again.
_SHARED: WeakValueDictionary[str, Stack] = WeakValueDictionary()


def load_series(
    split: str = "train",
    *,
    root: str | Path | None = None,
    points: str | Path | None = None,
    bands: Sequence[str] | None = None,
    split_method: str = "block",
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
    """Load series of one pixel, ``(T, C, 1, 1)``, with the days of their dates.

    Series are sorted by date; a date without a number is one that is not there. What cannot be read
    is left out and told in ``info``. Several years of one place stay in one part unless the split
    is random.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: A table, CSV, TSV or Parquet, with longitude, latitude, date, bands and maybe label,
            of one row a date, or one row a series whose dates and bands are lists; or a folder of
            rasters (``.tif``, ``.jp2``) of one grid with a day in each name.
        points: For a folder: a table of longitude, latitude and label, whose pixels are labelled;
            the others are not.
        bands: For a table: the columns to read as bands; all columns of numbers if omitted.
        split_method: ``block``, ``site`` or ``random``.
        val_fraction: Share of the series for validation, in [0, 1).
        test_fraction: Share of the series for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training series this near to one of validation or test are left out.
        seed: Seed of the split.
        label_fraction: Part of the training series of each class to keep, in (0, 1]; at least one
            of each stays.
        label_seed: Seed of the choice of labels; that of the split if omitted.
        labels: Labels in all that are seen in training, the same number of each class; None for as
            many as ``label_fraction`` says.
        unlabelled: Whether the other training series stay, without their labels. Where there is no
            label at all, they do.

    Returns:
        The series of the part; classes are sorted by name and counted in the training part.

    Raises:
        CspError: If a file is missing or of another form, or an option does not fit.
    """
    if root is None:
        raise ConfigError("The data set 'series' needs root: a table, or a folder of rasters.")
    found = _find(Path(root), None if points is None else Path(points), bands)
    classes = tuple(sorted({*found.label} - {""}))
    if not classes and (labels is not None or label_fraction < 1):
        raise ConfigError(
            f"labels is {labels} and label_fraction {label_fraction}, but no series has a label;"
            " leave both out."
        )
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
        keep_unlabelled=unlabelled and bool(classes),
    )
    index = {name: label for label, name in enumerate(classes)} | {"": -1}
    label = torch.tensor([index[name] for name in found.label])
    # Where nothing has a label, all are dealt as if they had the same.
    dealt = deal(how, found.lonlat, label if classes else label + 1, names=classes)
    return _part(split, how, found, dealt, (classes, label))


def _find(root: Path, points: Path | None, bands: Sequence[str] | None) -> Stack:
    """Read the series, or share what another part of the same data has read."""
    if root.is_dir():
        if bands is not None:
            raise ConfigError("bands chooses columns of a table; rasters are read with all bands.")
        names = sorted(path.name for path in root.glob("*") if path.suffix.lower() in ENDINGS)
    elif not root.exists():
        raise DataNotFoundError(f"No table or folder {root}.")
    elif points is not None:
        raise ConfigError("points labels the pixels of rasters; a table has labels of its own.")
    else:
        names = [root.name]
    folder = root if root.is_dir() else root.parent
    beside = "" if points is None else FileImages(points.parent, [points.name], 1).digest()
    key = f"{FileImages(folder, names, 1).digest()}/{beside}/{bands}"
    known = _SHARED.get(key)
    if known is None:
        known = _SHARED[key] = read_stack(root, points) if root.is_dir() else _table(root, bands)
    return known


def _table(path: Path, bands: Sequence[str] | None) -> Stack:
    table = read_series_table(path, bands)
    dated = table.dated
    return Stack(
        dated.values[..., None, None],
        days=dated.days,
        lonlat=table.lonlat,
        label=table.label,
        info={**dated.told, "bands": list(table.bands), "dates": dated.days.shape[1]},
    )


def _part(
    split: str, how: Split, found: Stack, dealt: Dealt, labelled: tuple[tuple[str, ...], Tensor]
) -> ImageDataset:
    """Give the series of one part."""
    (classes, label), rows = labelled, dealt.rows(split)
    return ImageDataset(
        lonlat=found.lonlat[rows],
        label=dealt.shown(label)[rows],
        classes=ClassTable(classes, counts=dealt.counts(label, len(classes))),
        name="series",
        info={
            **found.info,
            "series_without_label": int((label < 0).sum()),
            **dealt.left_out(),
            "split": how.words(split),
        },
        store=found,
        rows=rows,
        days=found.days[rows],
        test_hash=dealt.test_hash(classes, found.lonlat, label, found.days.nan_to_num(-1)),
    )
