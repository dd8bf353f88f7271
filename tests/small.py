"""Small invented records and configurations, quick to learn from."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import torch

from csp_core.config import RunConfig, parse_config
from csp_core.data.records import ClassTable, RecordDataset, recounted
from csp_core.geo import unit_vectors
from csp_core.runs.status import MACHINE

# Two taxa share each city, one three times as frequent as the other, so no model can be certain.
TAXA = (
    ("Aba alta", "High Aba", 36.8, -1.3, 150),
    ("Aba bassa", "Low Aba", 36.8, -1.3, 50),
    ("Ceta alta", "High Ceta", 16.4, 48.2, 150),
    ("Ceta bassa", "", 16.4, 48.2, 50),
    ("Dora alta", "High Dora", 178.0, -18.0, 150),
    ("Dora bassa", "Low Dora", 178.0, -18.0, 50),
)
NAMES = tuple(row[0] for row in TAXA)


def rows(seed: int = 0) -> list[dict[str, Any]]:
    """Scatter 600 records around three cities; those of Fiji cross the antimeridian."""
    chance = random.Random(seed)
    found = []
    for name, common, lon, lat, count in TAXA:
        for _ in range(count):
            east = (lon + chance.gauss(0, 2) + 180) % 360 - 180
            month, day = chance.randint(1, 12), chance.randint(1, 28)
            found.append(
                {
                    "scientific_name": name,
                    "common_name": common,
                    "lon": round(east, 5),
                    "lat": round(lat + chance.gauss(0, 2), 5),
                    "date": f"2021-{month:02}-{day:02}",
                }
            )
    chance.shuffle(found)
    return found


def write_csv(path: Path, seed: int = 0) -> Path:
    """Write the records as a table and return its path."""
    records = rows(seed)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    return path


def dataset(seed: int = 0) -> RecordDataset:
    """Give the records as a data set, without a file."""
    records = rows(seed)
    return RecordDataset(
        lonlat=torch.tensor([[row["lon"], row["lat"]] for row in records]),
        label=torch.tensor([NAMES.index(row["scientific_name"]) for row in records]),
        classes=ClassTable(NAMES, tuple(row[1] for row in TAXA), tuple(row[4] for row in TAXA)),
    )


def pairs(seed: int = 0, features: int = 12) -> RecordDataset:
    """Give the same records with features of images, which tell of the place under some noise."""
    records = dataset(seed)
    generator = torch.Generator().manual_seed(seed)
    unit = unit_vectors(records.lonlat)
    mixed = 6 * unit @ torch.randn(3, features, generator=generator)
    noise = torch.randn(len(records), features, generator=generator)
    return replace(records, image=mixed.sin() + 0.1 * noise)


def pictures(seed: int = 0, side: int = 16) -> RecordDataset:
    """Give the same records with images of pixels, which tell of the place under some noise."""
    records = pairs(seed, features=6)
    generator = torch.Generator().manual_seed(seed + 1)
    coarse = torch.randn(6, 3, side // 4, side // 4, generator=generator)
    patterns = torch.nn.functional.interpolate(coarse, scale_factor=4).flatten(1)
    return replace(records, image=(records.image @ patterns).sigmoid().view(-1, 3, side, side))


def label_sets(records: RecordDataset, *, unknown: bool = True) -> RecordDataset:
    """Give records of the cities label sets: the taxon recorded, and its city's commoner one.

    If asked to, every tenth knows nothing of the last class, and one in fifty has no label set.
    """
    rows = torch.arange(len(records))
    sets = torch.zeros(len(records), len(records.classes), dtype=torch.int8)
    sets[rows, records.label] = 1
    sets[rows, records.label // 2 * 2] = 1
    if unknown:
        sets[rows % 10 == 0, -1] = -1
        sets[rows % 50 == 0] = -1
    unlabelled = torch.full_like(records.label, -1)
    classes = recounted(records.classes, unlabelled, sets)
    return replace(records, label=unlabelled, labels=sets, classes=classes)


def of_sets(loader: Callable[..., RecordDataset]) -> Callable[..., RecordDataset]:
    """Give a data set's loader whose records have label sets in place of labels."""

    @wraps(loader)
    def load(*args: Any, **options: Any) -> RecordDataset:
        return label_sets(loader(*args, **options), unknown=False)

    return load


def tree(root: Path, **sections: dict[str, Any]) -> dict[str, Any]:
    """Give a configuration that trains in a second, with keys of its sections replaced."""
    base: dict[str, Any] = {
        "name": "tiny",
        "data": {"name": "occurrences", "root": str(root), "split_method": "random"},
        "model": {
            "dim": 16,
            "location": {
                "name": "rff_sphere",
                "num_features": 32,
                "kernel_variance": [10.0, 100.0],
                "network": {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.1},
            },
        },
        "objective": {"name": "softmax", "jitter_km": 20.0},
        "training": {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "device": "cpu"},
    }
    for name, values in sections.items():
        base[name] = base[name] | values
    return base


def config(root: Path, **sections: dict[str, Any]) -> RunConfig:
    """Give the same as a checked configuration."""
    return parse_config(tree(root, **sections))


def without_time(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the lines of metrics without what they say of the machine."""
    return [{key: value for key, value in row.items() if key not in MACHINE} for row in history]
