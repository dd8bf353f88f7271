"""Measuring and calibrating: one table of what a model answers, and how that becomes numbers."""

from __future__ import annotations

from csp_core.data.images import has_masks
from csp_core.data.records import RecordDataset
from csp_core.evaluation.cautions import cautions, set_cautions
from csp_core.evaluation.images import IMAGES, evaluate_images, measure
from csp_core.evaluation.kinds import check_kinds
from csp_core.evaluation.measure import Fitted, Measure, Numbers, plain
from csp_core.evaluation.metrics import Metrics, compute_metrics, mid_ranks
from csp_core.evaluation.multilabel import LABEL_SETS, matched_sets
from csp_core.evaluation.records import PLACES, records_logits
from csp_core.evaluation.retrieval import RETRIEVAL, cautions_of_retrieval, evaluate_retrieval
from csp_core.evaluation.retrieval_numbers import RetrievalMetrics
from csp_core.evaluation.scores import (
    SET_COVERAGE,
    Scores,
    answer,
    fit_calibration,
    held_by_others,
    matched_labels,
    score,
    sees_images,
)
from csp_core.evaluation.segmentation import MAPS, confusions, pixel_cautions
from csp_core.evaluation.segmentation_numbers import SegmentationMetrics, iou_of, mean_iou
from csp_core.evaluation.set_numbers import LabelSetMetrics, compute_set_metrics
from csp_core.inference.retrieval import sides_of
from csp_core.model import BOTH, IMAGE, PIXELS, PLACE, Prior

# The first that applies to a model and records is theirs.
MEASURES: dict[str, Measure] = {
    "retrieval": RETRIEVAL,
    "pixels": MAPS,
    "label_sets": LABEL_SETS,
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


def _measure_of(model: Prior, dataset: RecordDataset) -> Measure:
    """Find the same; who answers nothing is asked all the same, and says why not."""
    return find_measure(model, dataset) or (RETRIEVAL if sides_of(model) else PLACES)


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
        ConfigError: If the model gives no answers, or none of the kind of the records' labels.
    """
    found = _measure_of(model, dataset)
    if found is not RETRIEVAL:  # labels have no part in it
        check_kinds(model, dataset)
    return dict(found.measure(model, dataset, prior=prior))


def cautions_of(model: Prior, dataset: RecordDataset) -> list[str]:
    """Say why what is measured of a model on records tells little.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        Sentences; none where nothing is odd.
    """
    if sides_of(model):
        return cautions_of_retrieval(model, dataset)
    if has_masks(dataset):
        return pixel_cautions(model.classes, dataset)
    if dataset.labels is not None:
        return set_cautions(model.classes, matched_sets(model, dataset))
    return cautions(model.classes, matched_labels(model, dataset))


def evaluate(
    model: Prior, dataset: RecordDataset, *, prior: bool = True
) -> Metrics | LabelSetMetrics | SegmentationMetrics | RetrievalMetrics:
    """Evaluate a model or baseline on records: image and place together where it sees images.

    Classes are matched by scientific name; records of classes that the model does not know, without
    a label or, where there are no images to ask about, without a place are left out and counted.

    Args:
        model: A model or a baseline.
        dataset: The records.
        prior: Whether the place is used; without it the image answers alone, or, without images,
            the class frequency answers everywhere.

    Returns:
        The metrics; on label sets those of ``LabelSetMetrics``, on masks those of
        ``SegmentationMetrics``; of a model that only compares those of ``RetrievalMetrics``.

    Raises:
        BadRecordError: If no record is left.
        ConfigError: If the model gives no answers, or none of the kind of the records' labels.
    """
    headline = _measure_of(model, dataset).headline
    found = evaluate_answers(model, dataset, prior=prior)
    numbers = next(found[name] for name in headline if name in found)
    return numbers  # type: ignore[return-value]


__all__ = [
    "BOTH",
    "IMAGE",
    "MEASURES",
    "PIXELS",
    "PLACE",
    "SET_COVERAGE",
    "Fitted",
    "LabelSetMetrics",
    "Measure",
    "Metrics",
    "Numbers",
    "RetrievalMetrics",
    "Scores",
    "SegmentationMetrics",
    "answer",
    "cautions",
    "cautions_of",
    "cautions_of_retrieval",
    "check_kinds",
    "compute_metrics",
    "compute_set_metrics",
    "confusions",
    "evaluate",
    "evaluate_answers",
    "evaluate_images",
    "evaluate_retrieval",
    "find_measure",
    "fit_calibration",
    "held_by_others",
    "iou_of",
    "matched_labels",
    "matched_sets",
    "mean_iou",
    "measure",
    "mid_ranks",
    "pixel_cautions",
    "plain",
    "records_logits",
    "score",
    "sees_images",
    "set_cautions",
]
