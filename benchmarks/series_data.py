"""All real series of ../shared/data/series as one data set, dealt at once by blocks of 1°.

The labelled table is dealt, and what has no label here (another table, and pixels of a stack of
rasters) is learned from where it shares no block with a series that is held out.
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import Tensor

from csp_core.data import DATASETS
from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.records import ClassTable
from csp_core.data.sets.facts import FACTS, Facts
from csp_core.data.sets.series import load_series
from csp_core.data.splits import Split, deal
from csp_core.image import to_unit

NAME = "real_series"
LABELLED, OTHER = "modis_ndvi_mato_grosso.parquet", "modis_cerrado_2classes.parquet"
STACK, POINTS = "sinop_ndvi", "sinop_points.csv"
# Of the rows and columns of the stack: neighbours tell the same.
EVERY = 4
WHOLE = {"split_method": "random", "val_fraction": 0.0, "test_fraction": 0.0}


def load_real(
    split: str = "train",
    *,
    root: str | Path | None = None,
    split_method: str = "block",
    val_fraction: float = 0.0,
    test_fraction: float = 0.25,
    block_degrees: float = 1.0,
    buffer_km: float = 0.0,
    seed: int = 0,
    label_seed: int | None = None,
    labels: int | None = None,
    unlabelled: bool = False,
    pixels: bool = True,
    without_block: tuple[int, int] | None = None,
) -> ImageDataset:
    """Load the series; see the module and ``load_series``.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The folder ``series``.
        split_method: ``block``.
        val_fraction: Share of the labelled series for validation.
        test_fraction: Share of the labelled series for test.
        block_degrees: Side of a block.
        buffer_km: As everywhere.
        seed: Seed of the split.
        label_seed: Seed of the choice of labels.
        labels: Labels in all that are seen in training; None for all.
        unlabelled: Whether the other series stay, without labels.
        pixels: Whether the pixels of the stack are among them.
        without_block: Whole degrees of the south-western corner of a block whose labelled series
            are left out.

    Returns:
        The series of the part.
    """
    image, days, lonlat, label, names = read_all(Path(str(root)), pixels)
    stays = torch.ones_like(label, dtype=torch.bool) if unlabelled else label >= 0
    if without_block is not None:
        there = (lonlat.floor() == torch.tensor(without_block)).all(dim=1)
        stays &= ~there | (label < 0)
    image, days, lonlat, label = (column[stays] for column in (image, days, lonlat, label))
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
        label_seed=label_seed,
        labels=labels,
        keep_unlabelled=unlabelled,
    )
    dealt = deal(how, lonlat, label, names=names)
    rows = dealt.rows(split)
    return ImageDataset(
        lonlat=lonlat[rows],
        label=dealt.shown(label)[rows],
        classes=ClassTable(names, counts=dealt.counts(label, len(names))),
        name=NAME,
        info={**dealt.left_out(), "split": how.words(split)},
        store=MemoryImages(image),
        rows=rows,
        days=days[rows],
        test_hash=dealt.test_hash(names, lonlat, label),
    )


@functools.cache
def read_all(root: Path, pixels: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, tuple[str, ...]]:
    """Read images ``(N, T, 1, 1, 1)`` in [0, 1], days, places, labels and names of classes."""
    labelled = load_series("all", root=root / LABELLED, **WHOLE)
    found = [labelled, load_series("all", root=root / OTHER, bands=["ndvi"], **WHOLE)]
    columns = [[each.store.take(each.rows), each.days, each.lonlat] for each in found]
    if pixels:
        stack = load_series("all", root=root / STACK, **WHOLE)
        cells = stack.store.cells
        some = ((cells % EVERY) == 0).all(dim=1)
        columns.append([stack.store.array[some], stack.days[some], stack.lonlat[some]])
    longest = max(days.shape[1] for _, days, _ in columns)
    image = torch.cat([_longer(to_unit(part[0]), longest, 0.0) for part in columns])
    days = torch.cat([_longer(part[1], longest, float("nan")) for part in columns])
    lonlat = torch.cat([part[2] for part in columns])
    label = torch.full((len(lonlat),), -1)
    label[: len(labelled)] = labelled.label
    return image, days, lonlat, label, labelled.classes.names


def _longer(column: Tensor, longest: int, value: float) -> Tensor:
    filled = column.new_full((len(column), longest, *column.shape[2:]), value)
    filled[:, : column.shape[1]] = column
    return filled


def register() -> None:
    """Let configurations name the data."""
    DATASETS[NAME] = load_real
    FACTS[NAME] = Facts(
        keeps_test=frozenset({"buffer_km", "label_seed", "labels", "unlabelled", "pixels"})
    )


def usable(root: Path, seed: int, each: int) -> bool:
    """Tell whether a split has enough labels of each class, and each in its test that can be.

    Args:
        root: The folder ``series``.
        seed: Seed of the split.
        each: Labels of a class.

    Returns:
        Whether it has. A class that lies in one block alone cannot be learned and tested on.
    """
    whole = load_real("all", root=root, seed=seed)
    train, test = (load_real(part, root=root, seed=seed) for part in ("train", "test"))
    blocks = [len(torch.unique(whole.lonlat[whole.label == k].floor(), dim=0))
              for k in range(len(whole.classes))]  # fmt: skip
    tested = torch.bincount(test.label, minlength=len(blocks)) > 0
    return min(train.classes.counts) >= each and all(
        there or number == 1 for there, number in zip(tested.tolist(), blocks, strict=True)
    )
