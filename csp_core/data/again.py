"""Loading the records of a finished model again, as they were before anything was done to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

from csp_core.data.captions.attach import CAPTIONS_HASH, MADE, without_captions
from csp_core.data.captions.table import ENDINGS
from csp_core.data.records import RecordDataset
from csp_core.files import hash_file


def options_again(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give what records are loaded again with.

    Args:
        settings: The section ``data`` of the configuration that a model was trained with.

    Returns:
        Its options without name and root, without what is done to training records on purpose, and
        with captions only where they are made of facts: the path of a file says nothing elsewhere,
        and ``captions_file`` looks for it.
    """
    apart = ["name", "root", "quality"]
    if settings.get("captions") not in MADE:
        apart.append("captions")
    return {key: value for key, value in settings.items() if key not in apart}


def captions_file(
    settings: Mapping[str, Any], learned: Mapping[str, Any], places: Iterable[Path]
) -> tuple[Path | None, str]:
    """Find the table again from which a model's captions were read.

    Args:
        settings: The section ``data`` of the configuration that it was trained with.
        learned: What its provenance says of its data.
        places: Where to look, first of all: folders in which it may lie, or files that it may be.

    Returns:
        The table, None where it is not found or there was none; and a sentence on it, empty where
        there was none.
    """
    name = PurePath(str(settings.get("captions") or "")).name
    if not name.lower().endswith(ENDINGS):
        return None, ""
    known, other = learned.get(CAPTIONS_HASH), ""
    for place in places:
        path = place / name if place.is_dir() else place
        if path.name != name or not path.is_file():
            continue
        if known in (None, hash_file(path)):
            # Models that are older do not tell what was in it.
            same = "" if known else ", by its name"
            return path, f"Captions are read from {path}, from which they were in training{same}."
        other = f"; {path} has other captions in it"
    return None, (
        f"Its captions were read from {name}, which is not found again{other}, so nothing is"
        " measured of captions: give --captions FILE."
    )


def are_those(records: RecordDataset, learned: Mapping[str, Any]) -> bool:
    """Tell whether records are those that a model learned from.

    Args:
        records: The training part, loaded again.
        learned: What the model's provenance says of its data.

    Returns:
        Whether they are. Captions count only where the data set has them of its own.
    """
    as_loaded = learned.get("hash_as_loaded")
    if as_loaded:
        return bool(without_captions(records).content_hash() == as_loaded)
    return bool(records.content_hash() == learned.get("hash"))
