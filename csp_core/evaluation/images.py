"""How well a model answers records with images: by image, by place, and by both together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from csp_core.calibrate import crossfit_sets, measure_sets, prediction_sets
from csp_core.data.records import RecordDataset
from csp_core.evaluation.measure import Fitted, Measure
from csp_core.evaluation.metrics import COLUMNS, RISING, Metrics, compute_metrics
from csp_core.evaluation.records import SET_BLOCK_DEGREES
from csp_core.evaluation.scores import (
    SET_COVERAGE,
    Scores,
    answer,
    fit_calibration,
    score,
    sees_images,
)
from csp_core.geo import cell_ids
from csp_core.model import BOTH, IMAGE, PLACE, DualEncoder

# What is told of each side beside the answer of both, while a run trains.
SHOWN = ("top1", "log_loss")


def evaluate_images(
    model: DualEncoder, dataset: RecordDataset, *, prior: bool = True
) -> dict[str, Metrics]:
    """Evaluate a model on records with images: by image, by place and by both.

    Args:
        model: A model with an image classifier.
        dataset: Records with images.
        prior: Whether the place is used; without it the image's answer alone is measured.

    Returns:
        Metrics of ``image`` and, of a model that knows places, of ``place`` (of the records with a
        place, if there are any) and of ``image+place``.

    Raises:
        BadRecordError: If no record is left.
    """
    was_training = model.training
    scores = score(model.eval(), dataset)
    model.train(was_training)
    found = measure(model, scores)
    return found if prior else {IMAGE: found[IMAGE]}


def measure(model: DualEncoder, scores: Scores) -> dict[str, Metrics]:
    """Compute the metrics of what a model says of records with images.

    Args:
        model: The model, with its calibration.
        scores: Its logits.

    Returns:
        As ``evaluate_images``.

    Raises:
        BadRecordError: If there is no record.
    """
    total = len(scores.label) + scores.unmatched
    return {
        name: compute_metrics(share, label, unmatched=total - len(label))
        for name, (share, label) in answer(model, scores).items()
        if len(label) or name != PLACE
    }


def watch_images(model: DualEncoder, val_set: RecordDataset) -> dict[str, float]:
    """Calibrate a model on the records held out and measure its answers there.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        Each metric of both together or, without places, of the image, some of each side, and
        ``calibrated_log_loss``.
    """
    scores = score(model, val_set)
    loss = fit_calibration(model, scores)
    found = measure(model, scores)
    values = found.get(BOTH, found[IMAGE]).to_dict()
    for name in (IMAGE, PLACE):
        if name in found:
            values |= {f"{name}_{key}": getattr(found[name], key) for key in SHOWN}
    return {**values, "calibrated_log_loss": loss}


def calibrate_images(model: DualEncoder, val_set: RecordDataset) -> Fitted:
    """Calibrate image and place together.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        The metrics, and the reports on sets of blocks that their level was not fitted to.
    """
    scores = score(model, val_set)
    fit_calibration(model, scores)

    def crossfit(name: str, share: Tensor, label: Tensor) -> Tensor:
        lonlat = scores.lonlat[scores.placed] if name == PLACE else scores.lonlat
        # Images without a place are a group each.
        alone = -1 - torch.arange(len(lonlat))
        missing = lonlat.isnan().any(dim=1)
        blocks = torch.where(missing, alone, cell_ids(lonlat.nan_to_num(), SET_BLOCK_DEGREES))
        return crossfit_sets(share, label, blocks, SET_COVERAGE)

    return Fitted(measure(model, scores), _report_sets(model, scores, crossfit))


def check_images(model: DualEncoder, test_set: RecordDataset) -> Fitted:
    """Measure a calibrated model on the test, which it neither learned from nor was fitted to.

    Args:
        model: The model.
        test_set: Records of the test.

    Returns:
        The metrics, and the reports on sets of the model's own levels.
    """
    scores = score(model, test_set)

    def kept(name: str, share: Tensor, label: Tensor) -> Tensor:
        level = model.calibration.level(name)
        assert level is not None  # fitted just before
        return prediction_sets(share, level)

    return Fitted(measure(model, scores), _report_sets(model, scores, kept))


def _report_sets(
    model: DualEncoder, scores: Scores, sets_of: Callable[[str, Tensor, Tensor], Tensor]
) -> Mapping[str, dict[str, Any]]:
    return {
        name: asdict(measure_sets(sets_of(name, share, label), label))
        for name, (share, label) in answer(model, scores).items()
        if len(label)
    }


def _monitor(model: DualEncoder) -> str:
    return "calibrated_log_loss" if model.classifier is not None else "loss"


IMAGES = Measure(
    applies=sees_images,
    measure=evaluate_images,
    watch=watch_images,
    calibrate=calibrate_images,
    check=check_images,
    monitor=_monitor,
    headline=(BOTH, IMAGE),
    columns=COLUMNS,
    rising=RISING,
)
