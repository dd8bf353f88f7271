"""Evaluation: how well a prior ranks and weighs the classes of records it has not seen."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from csp_core.answers import BOTH, IMAGE, PLACE, Scores, answer, matched_labels, score, sees_images
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError
from csp_core.inference import location_prior
from csp_core.model import DualEncoder, Prior

CHUNK = 4096
ECE_BINS = 15


@dataclass(frozen=True)
class Metrics:
    """The numbers of one evaluation.

    Args:
        top1: Part of the records whose class ranks first.
        top3: Part whose class is among the first 3.
        top5: Part whose class is among the first 5.
        mrr: Mean of 1 / rank; equal scores share the middle of their ranks.
        macro_top5: Mean over the classes present of the part among the first 5.
        log_loss: Mean of -log share of the true class, nats; relative scores are normalised first.
        ece: Expected calibration error of the first-ranked share, 15 equal bins.
        n: Records evaluated.
        unmatched: Records left out because the model does not know their class, or because they
            have no place or label.
    """

    top1: float
    top3: float
    top5: float
    mrr: float
    macro_top5: float
    log_loss: float
    ece: float
    n: int
    unmatched: int = 0

    def to_dict(self) -> dict[str, float]:
        """Return the fields as plain numbers.

        Returns:
            Name to value.
        """
        return asdict(self)


def mid_ranks(scores: Tensor, label: Tensor) -> Tensor:
    """Rank the true class, equal scores sharing the middle of the ranks they take up.

    Args:
        scores: ``(N, K)``.
        label: ``(N,)`` int64.

    Returns:
        ``(N,)`` ranks from 1; halves occur.

    Example:
        >>> mid_ranks(torch.tensor([[0.5, 0.5, 0.1]]), torch.tensor([0])).tolist()
        [1.5]
    """
    own = scores.gather(1, label[:, None])
    higher, equal = (scores > own).sum(dim=1), (scores == own).sum(dim=1)
    return 1 + higher + (equal - 1) / 2


def compute_metrics(prior: Tensor, label: Tensor, *, unmatched: int = 0) -> Metrics:
    """Compute the metrics of a prior against the true classes.

    Args:
        prior: ``(N, K)`` shares or relative scores, at least 0.
        label: ``(N,)`` int64.
        unmatched: Records left out before, to be told.

    Returns:
        The metrics.

    Raises:
        BadRecordError: If there is no record.
    """
    if not len(label):
        raise BadRecordError(
            f"No record is left to evaluate ({unmatched} had no place or a class the model does"
            " not know). Classes are matched by scientific name."
        )
    from torchmetrics.functional.classification import multiclass_calibration_error

    rank = mid_ranks(prior, label)
    share = prior / prior.sum(dim=1, keepdim=True).clamp_min(1e-30)
    truth = share.gather(1, label[:, None])[:, 0].double()
    hit5 = (rank <= 5).double()
    present = torch.bincount(label)
    per_class = torch.bincount(label, weights=hit5)[present > 0] / present[present > 0]
    ece = (
        multiclass_calibration_error(share, label, num_classes=share.shape[1], n_bins=ECE_BINS)
        if share.shape[1] > 1
        else torch.tensor(0.0)
    )
    return Metrics(
        top1=float((rank <= 1).double().mean()),
        top3=float((rank <= 3).double().mean()),
        top5=float(hit5.mean()),
        mrr=float((1 / rank.double()).mean()),
        macro_top5=float(per_class.mean()),
        log_loss=float(-truth.clamp_min(math.exp(-50)).log().mean()),
        ece=float(ece),
        n=len(label),
        unmatched=unmatched,
    )


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
