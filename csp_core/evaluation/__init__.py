"""Measuring and calibrating: what a model says of labelled records, in numbers."""

from __future__ import annotations

from csp_core.evaluation.metrics import Metrics, compute_metrics, mid_ranks
from csp_core.evaluation.records import evaluate, evaluate_images, measure, records_logits
from csp_core.evaluation.report import evaluate_splits
from csp_core.evaluation.scores import (
    BOTH,
    IMAGE,
    PLACE,
    SET_COVERAGE,
    SET_LEVELS,
    Scores,
    answer,
    fit_calibration,
    matched_labels,
    score,
    sees_images,
)

__all__ = [
    "BOTH",
    "IMAGE",
    "PLACE",
    "SET_COVERAGE",
    "SET_LEVELS",
    "Metrics",
    "Scores",
    "answer",
    "compute_metrics",
    "evaluate",
    "evaluate_images",
    "evaluate_splits",
    "fit_calibration",
    "matched_labels",
    "measure",
    "mid_ranks",
    "records_logits",
    "score",
    "sees_images",
]
