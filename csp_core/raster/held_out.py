"""Records that a model has not learned from: which of a file they are, and its values at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.data import load_dataset
from csp_core.data.again import are_those, options_again
from csp_core.data.counts import count_classes
from csp_core.data.records import ClassTable, RecordDataset, join_records
from csp_core.errors import BadRecordError
from csp_core.files import hash_file
from csp_core.inference import CHUNK, location_prior
from csp_core.model import Prior
from csp_core.raster.raster import find_class
from csp_core.raster.thresholds import THRESHOLDS, Threshold, fit_threshold
from csp_core.store import find_model, read_mapping
from csp_core.tables import lookup


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Values of one class at records that the model has not learned from.

    Args:
        presence: ``(P,)`` values at records of the class.
        background: ``(B,)`` values at records of others.
    """

    presence: Tensor
    background: Tensor

    def fit(self, method: str = "max_tss") -> Threshold:
        """Fit a threshold.

        Args:
            method: A key of ``THRESHOLDS``.

        Returns:
            The threshold.

        Raises:
            UnknownNameError: If there is no such method.
            BadRecordError: If there are no records of the class, or none of others.
        """
        return fit_threshold(self.presence, self.background, method)

    def above(self, value: float) -> tuple[float, float]:
        """Tell which parts of the records reach a value.

        Args:
            value: The value.

        Returns:
            The part of the class's records, and that of the others; NaN where there are none.
        """
        own, others = (part >= value for part in (self.presence, self.background))
        return float(own.double().mean()), float(others.double().mean())


def values_at_records(model: Prior, taxon: str | int, records: RecordDataset) -> HeldOut:
    """Ask a model for one of its classes at the places of records.

    Classes are matched by scientific name; records of classes that the model does not know count as
    background, and those without a place or a label are left out.

    Args:
        model: A model or a baseline.
        taxon: Scientific name, common name or label.
        records: Records that the model has not learned from.

    Returns:
        The values, in the records' order.

    Raises:
        UnknownNameError: If there is no such class.
    """
    label = find_class(model, taxon)
    rows, own = _usable(model, label, records)
    # Many records share a place, and a model says the same of it each time.
    first, again = _distinct(records, rows, dated=model.uses_date)
    parts = [torch.zeros(0)]
    for here in torch.split(rows[first], CHUNK):
        date = records.date[here] if model.uses_date else None
        parts.append(location_prior(model, records.lonlat[here], date=date)[:, label])
    values = torch.cat(parts)[again]
    return HeldOut(values[own], values[~own])


@dataclass(frozen=True)
class NamesKnown:
    """Which names of records a model knows.

    Args:
        known: How many names it knows.
        unknown: How many it does not.
        records: Records of names that it does not know.
        named: Some of those names with their records, those of most records first.
    """

    known: int
    unknown: int
    records: int
    named: dict[str, int]


def names_known(model: Prior, records: RecordDataset, most: int = 8) -> NamesKnown:
    """Tell which names of records a model knows.

    Args:
        model: A model or a baseline.
        records: Records with labels.
        most: How many of the other names to give.

    Returns:
        The names.
    """
    names = records.classes.names
    counts = torch.tensor(count_classes(records.label, records.labels, len(names)))
    there, own = counts > 0, _matched(model.classes, names) >= 0
    unknown = (there & ~own).nonzero()[:, 0]
    first = unknown[counts[unknown].argsort(descending=True, stable=True)[:most]].tolist()
    return NamesKnown(
        known=int((there & own).sum()),
        unknown=len(unknown),
        records=int(counts[unknown].sum()),
        named={names[i]: int(counts[i]) for i in first},
    )


# A page asks for the same names with every species; a million take a second.
@lru_cache(maxsize=2)
def _matched(classes: ClassTable, names: tuple[str, ...]) -> Tensor:
    return classes.match(names)


def _distinct(records: RecordDataset, rows: Tensor, *, dated: bool) -> tuple[Tensor, Tensor]:
    """Find the places that differ, to the bit.

    Args:
        records: The records.
        rows: ``(N,)`` those that count.
        dated: Whether places of different dates differ.

    Returns:
        ``(K,)`` where among the rows each place is first, and ``(N,)`` which of them a row has.
    """
    bits = records.lonlat[rows].float().contiguous().view(torch.int64)[:, 0].numpy()
    _, first, again = np.unique(bits, return_index=True, return_inverse=True)
    if dated:
        day = records.date[rows].float().contiguous().view(torch.int32).long().numpy()
        _, first, again = np.unique((again << 32) + day, return_index=True, return_inverse=True)
    return torch.from_numpy(first), torch.from_numpy(again)


def _usable(model: Prior, label: int, records: RecordDataset) -> tuple[Tensor, Tensor]:
    """Give the rows with place and label, and ``bool`` which of them are of a class.

    Of label sets those count of which it is known whether they have the class.
    """
    matched = _matched(model.classes, records.classes.names)
    placed = ~records.lonlat.isnan().any(dim=1)
    if records.labels is not None:
        own = (matched == label).nonzero()[:, 0]
        column = records.labels[:, own[0]] if len(own) else records.label
        keep = (column >= 0) & placed
        return keep.nonzero()[:, 0], column[keep] == 1
    keep = (records.label >= 0) & placed
    return keep.nonzero()[:, 0], matched[records.label[keep]] == label


def fit_class_threshold(
    model: Prior, taxon: str | int, records: RecordDataset, method: str = "max_tss"
) -> Threshold:
    """Fit the threshold of one class of a model to records.

    Args:
        model: A model or a baseline.
        taxon: Scientific name, common name or label.
        records: Records that the model has not learned from; which of them count says
            ``values_at_records``.
        method: A key of ``THRESHOLDS``.

    Returns:
        The threshold.

    Raises:
        UnknownNameError: If there is no such class or method.
        BadRecordError: If there is no record of the class, or none of another.
    """
    lookup("threshold", THRESHOLDS, method)
    label = find_class(model, taxon)
    rows, own = _usable(model, label, records)
    # Before the model is asked, which takes a while.
    if not own.any():
        raise BadRecordError(
            f"None of {len(rows)} held-out records is of {model.classes.names[label]!r}, so"
            " its threshold cannot be fitted. Give other records, or a threshold as a number."
        )
    return values_at_records(model, label, records).fit(method)


def read_held_out(model: str | Path, file: str | Path) -> RecordDataset:
    """Read records, leaving out those that a model has learned from if the file is its own.

    Args:
        model: As for ``load_model``.
        file: Occurrence records, in any form that ``read_occurrences`` takes.

    Returns:
        The validation and test records of the model's own file, or all records of another.

    Raises:
        UnknownNameError: If there is no such model.
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, or the model has learned from all of it.
    """
    provenance: Any = read_mapping(find_model(model) / "config.json").get("provenance") or {}
    data = provenance.get("data") or {}
    path = Path(file)
    if not path.exists() or data.get("sha256") != hash_file(path):
        # All are held out: nothing is to be dealt to parts.
        return load_dataset("occurrences", "all", root=path, species_only=False, val_fraction=0.0)
    settings = dict((provenance.get("config") or {}).get("data") or {})
    held_out: list[RecordDataset] = []
    if settings.get("name") == "occurrences":
        settings = options_again(settings)
        train = load_dataset("occurrences", "train", root=path, **settings)
        if are_those(train, data):
            for split in ("val", "test"):
                if settings.get(f"{split}_fraction"):
                    held_out.append(load_dataset("occurrences", split, root=path, **settings))
    if not held_out:
        raise BadRecordError(
            f"The model has learned from {path.name}, and none of its records is known to be held"
            " out. Give records that it has not seen, or a threshold as a number."
        )
    return reduce(join_records, held_out)
