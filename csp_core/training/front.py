"""What the front matter of a card tells programs: tags, and what a model answers with."""

from __future__ import annotations

from typing import Any

from csp_core.config import RunConfig
from csp_core.data.sets.facts import names_taxa
from csp_core.inference.retrieval import sides_of
from csp_core.model import DualEncoder


def tags(model: DualEncoder, config: RunConfig) -> list[str]:
    """Give the tags by which models are found.

    Args:
        model: The model.
        config: What it was trained with.

    Returns:
        The tags.
    """
    # Only a model that ranks taxa by their places says how species are distributed.
    species = model.classifier is not None and names_taxa(config.data.name)
    places = ["location-encoder"] if model.location is not None else []
    return ["geospatial", *places, *(["species-distribution"] if species else [])]


def answers_with(model: DualEncoder) -> dict[str, Any]:
    """Say what a model answers with, or else which of its sides it compares.

    Args:
        model: The model.

    Returns:
        ``prior_kind`` of a model with classes that it names, ``compares`` of one that compares;
        nothing of one that does neither.
    """
    if compared := sides_of(model):
        return {"compares": list(compared)}
    heads = (model.classifier, model.image_classifier, model.pixel_classifier)
    answers = any(head is not None for head in heads)
    return {"prior_kind": model.prior_kind} if answers else {}
