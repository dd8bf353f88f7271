"""Loading the records of a finished model again, as they were before anything was done to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from csp_core.data.captions.attach import MADE, without_captions
from csp_core.data.records import RecordDataset


def options_again(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Give what records are loaded again with.

    Args:
        settings: The section ``data`` of the configuration that a model was trained with.

    Returns:
        Its options without name and root, without what is done to training records on purpose, and
        with captions only where they are made of facts: the path of a file says nothing elsewhere.
    """
    apart = ["name", "root", "quality"]
    if settings.get("captions") not in MADE:
        apart.append("captions")
    return {key: value for key, value in settings.items() if key not in apart}


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
