"""Giving the records of any data set captions: made of facts, or read from a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from csp_core.data.captions.column import number
from csp_core.data.captions.facts import captions_of_facts
from csp_core.data.captions.table import ENDINGS, read_captions
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, ConfigError
from csp_core.files import hash_file

# What ``info`` calls the hash of the table that captions were read from.
CAPTIONS_HASH = "captions_sha256"
# What captions are made of where no table is given.
MADE: dict[str, Callable[..., list[str]]] = {
    "facts": captions_of_facts,
    "facts_and_class": partial(captions_of_facts, with_class=True),
}
TOLD = {
    "facts": "made of facts: nearest named place, country, month where there is a date",
    "facts_and_class": "made of facts: class, nearest named place, country, month where there is a"
    " date; they tell what the labels tell",
}


def check_source(captions: object) -> str:
    """Check where captions are to come from.

    Args:
        captions: A name in ``MADE``, or the path of a table.

    Returns:
        It, as text.

    Raises:
        ConfigError: If it is neither.
    """
    if isinstance(captions, (str, Path)):
        text = str(captions)
        if text in MADE or Path(text).suffix.lower() in ENDINGS:
            return text
    raise ConfigError(
        f"captions is {captions!r}; give {', '.join(MADE)}, or a CSV file with the columns caption"
        " and file, or caption, lon and lat, as `csp caption` writes it."
    )


def with_captions(
    dataset: RecordDataset,
    captions: str | Path,
    *,
    taxa: bool,
    whole: Callable[[], RecordDataset],
) -> RecordDataset:
    """Give records captions, in the place of those that they have, if any.

    Args:
        dataset: The records of a part.
        captions: As for ``check_source``.
        taxa: Whether its classes are taxa, whose names are left as they are written.
        whole: Loads all parts, for the table of captions that all of them share.

    Returns:
        The records with captions; ``info`` tells of them.

    Raises:
        ConfigError: If there are no such captions.
        BadRecordError: If the table cannot be read, or not one record has a caption.
        DataNotFoundError: If there is no such table, or no list of towns.
    """
    source = check_source(captions)
    everything = whole()
    if source in MADE:
        of_all = MADE[source](everything, taxa=taxa)
        own = of_all if everything is dataset else MADE[source](dataset, taxa=taxa)
        told: dict[str, object] = {"captions": TOLD[source]}
    else:
        table = read_captions(Path(source))
        of_all, unused = table.find(everything)
        own = table.find(dataset)[0]
        left_out = [*table.told, *([f"{unused:,} captions are of no record."] if unused else [])]
        told = {"captions": f"read from {Path(source).name}", CAPTIONS_HASH: hash_file(source)}
        told |= {"captions_left_out": " ".join(left_out)} if left_out else {}
    distinct, _ = number(of_all)
    if not distinct:
        raise BadRecordError(
            f"Not one of {len(everything):,} records has a caption (captions: {source}):"
            f" {_why_none(source, told)}"
        )
    _, caption = number(own, distinct)
    told |= {
        "distinct_captions": len(distinct),
        "records_without_caption": int((caption < 0).sum()),
    }
    return replace(dataset, captions=distinct, caption=caption, info={**dataset.info, **told})


def _why_none(source: str, told: dict[str, object]) -> str:
    if source in MADE:
        return "no place of theirs has a name; take captions from a file."
    return (
        "its files or places are those of other records; places need as many digits as the data"
        f" have, and dates must be the same. {told.get('captions_left_out', '')}".strip()
    )


def without_captions(dataset: RecordDataset) -> RecordDataset:
    """Take captions away from records.

    Args:
        dataset: The records.

    Returns:
        The same without; ``info`` is left as it is.
    """
    if dataset.captions is None:
        return dataset
    empty: dict[str, Any] = {"captions": None, "caption": torch.empty(0, dtype=torch.int64)}
    return replace(dataset, **empty)
