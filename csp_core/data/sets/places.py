"""The data set ``places``: places drawn at random, with times and without labels."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

from csp_core import geo
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.land import on_land

CLASSES = "classes.csv"
MOST_PLACES = 20_000_000
SOURCE = {"source": "places drawn at random by csp_core; no record of anything"}


def load_places(
    split: str = "train",
    *,
    root: str | Path | None = None,
    size: int = 100_000,
    land: float = 0.8,
    undated: float = 0.1,
    world_seed: int = 0,
    split_method: str = "random",
    val_fraction: float = 0.1,
    test_fraction: float = 0.0,
    block_degrees: float = 2.0,
    buffer_km: float = 0.0,
    seed: int = 0,
) -> RecordDataset:
    """Draw places and times at which a model may be asked; nothing is known of what is there.

    Places are uniform on land, and on the sphere beside; times uniform over the year.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: A model's directory, whose classes they are, or its ``classes.csv``.
        size: How many places in all.
        land: Part of the places that lie on land, in [0, 1]; the others lie anywhere.
        undated: Part of the places without a time, in [0, 1].
        world_seed: Seed of places and times.
        split_method: ``random``, ``site`` or ``block``.
        val_fraction: Share of the places for validation, in [0, 1).
        test_fraction: Share of the places for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        buffer_km: Training places this near to one of validation or test are left out.
        seed: Seed of the split.

    Returns:
        The places of the part, without labels; all classes of the model.

    Raises:
        CspError: If there are no classes there, or an option does not fit.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
    )
    if not 1 <= size <= MOST_PLACES or not 0 <= land <= 1 or not 0 <= undated <= 1:
        raise ConfigError(
            f"size is {size}, land {land} and undated {undated}; give 1 to {MOST_PLACES:,} places"
            " and two parts in [0, 1]."
        )
    classes = _classes(root)
    lonlat, date = _drawn(size, land, undated, world_seed)
    # Nothing has a label, so all are dealt as if they had the same.
    dealt = deal(how, lonlat, torch.zeros(size, dtype=torch.int64), names=classes.names)
    rows = dealt.rows(split)
    return RecordDataset(
        lonlat=lonlat[rows],
        label=torch.full((len(rows),), -1),
        classes=classes,
        date=date[rows],
        name="places",
        info={**SOURCE, **dealt.left_out(), "split": how.words(split)},
    )


def _drawn(size: int, land: float, undated: float, seed: int) -> tuple[Tensor, Tensor]:
    """Draw places and times."""
    generator = torch.Generator().manual_seed(seed)
    ashore = round(land * size)
    found = [geo.sphere_points(torch.rand(size - ashore, 2, generator=generator))]
    while ashore > 0:
        tried = geo.sphere_points(torch.rand(4 * ashore + 16, 2, generator=generator))
        found.append(tried[on_land(tried)][:ashore])
        ashore -= len(found[-1])
    lonlat = torch.cat(found)[torch.randperm(size, generator=generator)]
    date = torch.rand(size, generator=generator)
    without = torch.rand(size, generator=generator) < undated
    return lonlat, date.masked_fill(without, torch.nan)


def _classes(root: str | Path | None) -> ClassTable:
    """Read the classes of a model, without their counts: nothing is recorded here."""
    if root is None:
        raise ConfigError(
            "The data set 'places' needs root: the directory of the model that is to be asked,"
            " whose classes it takes."
        )
    path = Path(root) / CLASSES if Path(root).is_dir() else Path(root)
    if not path.is_file():
        raise DataNotFoundError(f"No {path}; give a model's directory, as csp import-model makes.")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [(row["scientific_name"], row["common_name"]) for row in csv.DictReader(stream)]
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise BadRecordError(
            "is no table of classes with scientific_name and common_name.", file=path.name
        ) from error
    if not rows:
        raise BadRecordError("names no class.", file=path.name)
    names, common = zip(*rows, strict=True)
    return ClassTable(names, common)
