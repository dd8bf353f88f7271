"""Data sets by name: every source ends in a ``RecordDataset`` of one schema."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from csp_core.data.captions.attach import check_source, with_captions
from csp_core.data.records import RecordDataset
from csp_core.data.sets.bigearthnet import load_bigearthnet
from csp_core.data.sets.demo import load_demo
from csp_core.data.sets.eurosat import load_eurosat
from csp_core.data.sets.facts import names_taxa
from csp_core.data.sets.fmow import load_fmow
from csp_core.data.sets.inat2018 import load_inat2018
from csp_core.data.sets.occurrences import load_occurrences
from csp_core.data.sets.pastis import load_pastis
from csp_core.data.sets.phenology import load_phenology
from csp_core.data.sets.photos import load_photos
from csp_core.data.sets.place_features import load_place_features
from csp_core.data.sets.places import load_places
from csp_core.data.sets.series import load_series
from csp_core.data.sets.tiles import load_tiles
from csp_core.errors import ConfigError, UnknownNameError

DATASETS: dict[str, Callable[..., RecordDataset]] = {
    "bigearthnet": load_bigearthnet,
    "demo": load_demo,
    "eurosat": load_eurosat,
    "fmow": load_fmow,
    "inat2018": load_inat2018,
    "occurrences": load_occurrences,
    "pastis": load_pastis,
    "phenology": load_phenology,
    "photos": load_photos,
    "place_features": load_place_features,
    "places": load_places,
    "series": load_series,
    "tiles": load_tiles,
}


def load_dataset(
    name: str,
    split: str = "train",
    *,
    root: str | Path | None = None,
    captions: str | Path | None = None,
    **options: Any,
) -> RecordDataset:
    """Load a data set.

    Args:
        name: A name in ``DATASETS``.
        split: ``train``, ``val``, ``test`` or ``all``; or ``outside``, for a data set with a
            ``split_longitude``.
        root: Where its files are; ``demo`` needs none.
        captions: ``facts`` or ``facts_and_class``, made of what is known of records; or a CSV file,
            as `csp caption` writes it. None for those that the data set has itself, if any.
        **options: Options of the data set, as in the signature of its loader.

    Returns:
        The records of that part.

    Raises:
        UnknownNameError: If there is no such data set or part.
        ConfigError: If it has no such option, or there are no such captions.
        DataNotFoundError: If its files are not there.
        BadRecordError: If its files cannot be read.
    """
    if name not in DATASETS:
        raise UnknownNameError("data set", name, DATASETS)
    loader = DATASETS[name]
    known = [key for key in inspect.signature(loader).parameters if key not in ("split", "root")]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ConfigError(
            f"The data set {name!r} has no option {', '.join(map(repr, unknown))}. Its options are:"
            f" {', '.join([*known, 'captions'])}."
        )
    if captions is not None:
        check_source(captions)
    records = loader(split, root=root, **options)
    if captions is None:
        return records
    return with_captions(
        records,
        captions,
        taxa=names_taxa(name),
        whole=lambda: records if split == "all" else loader("all", root=root, **options),
    )


__all__ = ["DATASETS", "load_dataset"]
