"""Whether what a model answers with is what the records are labelled with."""

from __future__ import annotations

from csp_core.data.images import has_masks
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import DualEncoder, Prior

ONE, SETS, MASKS = "one class a record", "label sets", "a class for each pixel"


def check_kinds(model: Prior, dataset: RecordDataset) -> None:
    """Refuse to measure answers of one kind on labels of another.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Raises:
        ConfigError: If the model answers with label sets, with one class or with a class for each
            pixel, and the records are labelled otherwise.
    """
    answers = _answers(model)
    has = MASKS if has_masks(dataset) else ONE if dataset.labels is None else SETS
    if len(model.classes) and has not in answers:
        raise ConfigError(
            f"Model {model.name!r} answers with {' or '.join(answers)}, and the data set"
            f" {dataset.name!r} has {has}: give records of its kind, or a model that was trained on"
            " such records."
        )


def _answers(model: Prior) -> list[str]:
    """List the kinds of answers of a model; one without classifiers gives none of its kind."""
    kind = SETS if model.prior_kind == "probability" else ONE
    if not isinstance(model, DualEncoder) or model.pixel_classifier is None:
        return [kind]
    whole = model.classifier is not None or model.image_classifier is not None
    return [MASKS, kind] if whole else [MASKS]
