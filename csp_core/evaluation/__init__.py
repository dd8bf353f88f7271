"""Measuring and calibrating: one table of what a model answers, and how that becomes numbers."""

from __future__ import annotations

from csp_core.data.records import RecordDataset
from csp_core.evaluation.cautions import cautions
from csp_core.evaluation.images import IMAGES, evaluate_images, measure
from csp_core.evaluation.measure import Fitted, Measure, Numbers, plain
from csp_core.evaluation.metrics import Metrics, compute_metrics, mid_ranks
from csp_core.evaluation.records import PLACES, records_logits
from csp_core.evaluation.scores import (
    SET_COVERAGE,
    Scores,
    answer,
    fit_calibration,
    matched_labels,
    score,
    sees_images,
)
from csp_core.model import BOTH, IMAGE, PLACE, Prior

# The first that applies to a model and records is theirs.
MEASURES: dict[str, Measure] = {
    "images": IMAGES,
    "places": PLACES,
}


def find_measure(model: Prior, dataset: RecordDataset) -> Measure | None:
    """Find how a model's answers to records are measured.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        An entry of ``MEASURES``; None for a model that gives no answers.
    """
    return next((one for one in MEASURES.values() if one.applies(model, dataset)), None)


def evaluate_answers(
    model: Prior, dataset: RecordDataset, *, prior: bool = True
) -> dict[str, Numbers]:
    """Evaluate each answer of a model or baseline on records.

    Args:
        model: A model or a baseline.
        dataset: The records.
        prior: Whether the place is used.

    Returns:
        Answer to its numbers.

    Raises:
        BadRecordError: If no record is left.
        ConfigError: If the model gives no answers.
    """
    # Who answers nothing is asked about places, and says why not.
    found = find_measure(model, dataset) or PLACES
    return dict(found.measure(model, dataset, prior=prior))


def evaluate(model: Prior, dataset: RecordDataset, *, prior: bool = True) -> Metrics:
    """Evaluate a model or baseline on records: image and place together where it sees images.

    Classes are matched by scientific name; records of classes that the model does not know, without
    a label or, where there are no images to ask about, without a place are left out and counted.

    Args:
        model: A model or a baseline.
        dataset: The records.
        prior: Whether the place is used; without it the image answers alone, or, without images,
            the class frequency answers everywhere.

    Returns:
        The metrics.

    Raises:
        BadRecordError: If no record is left.
        ConfigError: If the model gives no answers.
    """
    headline = (find_measure(model, dataset) or PLACES).headline
    found = evaluate_answers(model, dataset, prior=prior)
    numbers: Metrics = next(found[name] for name in headline if name in found)  # type: ignore[assignment]
    return numbers


__all__ = [
    "BOTH",
    "IMAGE",
    "MEASURES",
    "PLACE",
    "SET_COVERAGE",
    "Fitted",
    "Measure",
    "Metrics",
    "Numbers",
    "Scores",
    "answer",
    "cautions",
    "compute_metrics",
    "evaluate",
    "evaluate_answers",
    "evaluate_images",
    "find_measure",
    "fit_calibration",
    "matched_labels",
    "measure",
    "mid_ranks",
    "plain",
    "records_logits",
    "score",
    "sees_images",
]
