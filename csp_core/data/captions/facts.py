"""Captions made of what is known of records: nearest named place, country, month, maybe class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from csp_core.data.captions.templates import class_words, fill, listed, month_of
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import ConfigError
from csp_core.gazetteer import Named, build_index, country_at, name_points

# A town farther than this is told with its distance.
NEAR_KM = 30.0


def captions_of_facts(
    dataset: RecordDataset, *, with_class: bool = False, taxa: bool = False, seed: int = 0
) -> list[str]:
    """Make a caption for each record of what is known of it.

    The form of the sentence is drawn for each record by the seed and by its place and time, so that
    a record has one caption in whichever part of the data it stands. Its label has no say in that:
    a caption without the class tells nothing of it.

    Args:
        dataset: The records.
        with_class: Whether captions name the class of a record, where it has a label.
        taxa: Whether classes are taxa.
        seed: Seed of the forms.

    Returns:
        A caption for each record; empty where neither a place that has a name nor a class is known.

    Raises:
        ConfigError: If classes are asked for and records have masks of them.
        DataNotFoundError: If the package of towns is not installed.
    """
    if with_class and getattr(dataset, "masks", None) is not None:
        raise ConfigError(
            "Captions with the class need a class of each record, and these have masks, a class of"
            " each pixel: give captions: facts."
        )
    things = _things(dataset, taxa) if with_class else [""] * len(dataset)
    months = [month_of(date) for date in dataset.date.tolist()]
    rows = zip(_places(dataset), months, things, _forms(dataset, seed), strict=True)
    return [
        fill({"where": where, "month": month, "thing": thing}, form)
        for where, month, thing, form in rows
    ]


def where(named: Named) -> str:
    """Say where a point lies by the town that it is named by.

    Args:
        named: The town, and how far it is.

    Returns:
        Such as ``near Bergen, Norway``; a distance is rounded to 10 km.
    """
    place = named.place
    town = ", ".join(dict.fromkeys(filter(None, (place.name, place.country))))
    if named.inside:
        return f"in {town}"
    return (
        f"near {town}"
        if named.km <= NEAR_KM
        else f"some {10 * round(named.km / 10)} km from {town}"
    )


def _places(dataset: RecordDataset) -> list[str]:
    """Say where each record is; places that are the same are looked up once."""
    known = ~dataset.lonlat.isnan().any(dim=1)
    found = [""] * len(dataset)
    if not known.any():
        return found
    build_index()
    different, row = torch.unique(dataset.lonlat[known], dim=0, return_inverse=True)
    points = different.double().numpy()
    words = [
        where(named) if named is not None else _country(*point)
        for named, point in zip(name_points(points), points.tolist(), strict=True)
    ]
    for at, number in zip(known.nonzero().flatten().tolist(), row.tolist(), strict=True):
        found[at] = words[number]
    return found


def _country(lon: float, lat: float) -> str:
    """Say which country a point far from every town lies in; nothing at sea."""
    name = country_at(lon, lat)
    return f"in {name}" if name else ""


def _things(dataset: RecordDataset, taxa: bool) -> list[str]:
    """Say what each record shows; nothing where it has no label, or one that may not be seen."""
    words = _words(dataset.classes, taxa)
    if dataset.labels is None:
        return [words[label] if label >= 0 else "" for label in dataset.label.tolist()]
    found = [""] * len(dataset)
    sets: dict[int, list[str]] = {}
    for row, label in (dataset.labels == 1).nonzero().tolist():
        sets.setdefault(row, []).append(words[label])
    for row, several in sets.items():
        found[row] = listed(several)
    return found


def _words(classes: ClassTable, taxa: bool) -> list[str]:
    pairs = zip(classes.names, classes.common_names, strict=True)
    return [class_words(name, common, taxa=taxa) for name, common in pairs]


def _forms(dataset: RecordDataset, seed: int) -> list[int]:
    """Draw a number for each record from the bits of its place and time and the seed."""
    columns = torch.column_stack((dataset.lonlat, dataset.date, dataset.hour)).float()
    # All NaN have the same bits, and so do -0 and 0.
    columns = torch.where(columns.isnan(), torch.nan, columns + 0.0)
    bits = columns.contiguous().numpy().view(np.uint32).astype(np.uint64)
    found = np.full(len(bits), seed, dtype=np.uint64)
    for column in bits.T:
        found = _mixed(found ^ column)
    return (found % np.uint64(2**31)).tolist()  # type: ignore[no-any-return]


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix the bits of numbers (Steele et al. 2014, SplitMix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
