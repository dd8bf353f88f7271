"""Evaluation: how well a prior ranks and weighs the classes of records it has not seen."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.data.records import RecordDataset
from csp_core.evaluation.metrics import Metrics, compute_metrics
from csp_core.evaluation.scores import (
    BOTH,
    IMAGE,
    PLACE,
    Scores,
    answer,
    matched_labels,
    score,
    sees_images,
)
from csp_core.inference import location_prior
from csp_core.model import DualEncoder, Prior

CHUNK = 4096


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
    """
    if isinstance(model, DualEncoder) and sees_images(model, dataset):
        return evaluate_images(model, dataset)[BOTH if prior else IMAGE]
    label = matched_labels(model, dataset)
    keep = (label >= 0) & ~dataset.lonlat.isnan().any(dim=1)
    label, lonlat = label[keep], dataset.lonlat[keep]
    if not prior:
        scores = model.classes.frequency().expand(len(label), -1)
    else:
        columns = (lonlat, dataset.date[keep], dataset.hour[keep])
        parts = zip(*(torch.split(column, CHUNK) for column in columns), strict=True)
        asked = [location_prior(model, place, date=day, hour=h) for place, day, h in parts]
        scores = torch.cat(asked or [torch.empty(0)])
    return compute_metrics(scores, label, unmatched=int((~keep).sum()))


def evaluate_images(model: DualEncoder, dataset: RecordDataset) -> dict[str, Metrics]:
    """Evaluate a model on records with images: by image, by place and by both.

    Args:
        model: A model with an image classifier.
        dataset: Records with images.

    Returns:
        Metrics of ``image``, of ``place`` (of the records with a place, if there are any) and of
        ``image+place``.

    Raises:
        BadRecordError: If no record is left.
    """
    was_training = model.training
    scores = score(model.eval(), dataset)
    model.train(was_training)
    return measure(model, scores)


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


@torch.no_grad()
def records_logits(model: DualEncoder, records: RecordDataset) -> Tensor:
    """Score every class at the places and times of records, before calibration.

    Args:
        model: A model with classes.
        records: The records.

    Returns:
        ``(N, K)`` logits, on the CPU.
    """
    device = next(model.parameters()).device
    columns = (records.lonlat, records.date, records.hour)
    parts = zip(*(torch.split(column.to(device), CHUNK) for column in columns), strict=True)
    return torch.cat([model.class_logits(*part).cpu() for part in parts])
