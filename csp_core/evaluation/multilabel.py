"""How well a model or baseline answers records with label sets: by image, by place, by both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from csp_core.calibrate import fit_class_temperatures, fit_set_thresholds, fit_set_weight
from csp_core.data.records import RecordDataset
from csp_core.evaluation.measure import Fitted, Measure
from csp_core.evaluation.scores import image_logits, place_logits, sees_images
from csp_core.evaluation.set_numbers import (
    SET_CLASS_COLUMNS,
    SET_COLUMNS,
    SET_RISING,
    LabelSetMetrics,
    compute_set_metrics,
)
from csp_core.inference import location_prior
from csp_core.model import BOTH, IMAGE, PLACE, DualEncoder, Prior, calibration_of, class_frequency
from csp_core.model.combine import combine

CHUNK = 4096
# What is told of each side beside the answer of both, while a run trains.
SHOWN = ("macro_ap", "log_loss")


@dataclass(frozen=True)
class SetScores:
    """Logits of records with label sets, before calibration.

    Args:
        labels: ``(N, K)`` int8 label sets in the model's classes.
        image: ``(N, K)`` logits of the image classifier, or None.
        place: ``(N, K)`` logits of the location classifier, NaN where the place is unknown, or
            None.
        unmatched: Records left out.
    """

    labels: Tensor
    image: Tensor | None
    place: Tensor | None
    unmatched: int

    @property
    def placed(self) -> Tensor:
        """Which records have an answer by their place: ``(N,)`` bool."""
        if self.place is None:
            return torch.zeros(len(self.labels), dtype=torch.bool)
        return ~self.place.isnan().any(dim=1)


def answers_sets(model: Prior, dataset: RecordDataset) -> bool:
    """Tell whether a model or baseline answers records with label sets.

    Args:
        model: A model or a baseline.
        dataset: The records.

    Returns:
        Whether both are of label sets, and the model has a side to ask.
    """
    if model.prior_kind != "probability" or dataset.labels is None:
        return False
    return _knows_places(model) or sees_images(model, dataset)


def matched_sets(model: Prior, dataset: RecordDataset) -> Tensor:
    """Give the label sets of records in a model's classes, matched by name.

    Args:
        model: A model or a baseline.
        dataset: Records with label sets.

    Returns:
        ``(N, K)`` int8; -1 where a class is unknown, or not among those of the records.
    """
    assert dataset.labels is not None  # whoever asks has looked
    matched = model.classes.match(dataset.classes.names)
    found = torch.full((len(dataset), len(model.classes)), -1, dtype=torch.int8)
    known = matched >= 0
    found[:, matched[known]] = dataset.labels[:, known].to(torch.int8)
    return found


@torch.no_grad()
def score_sets(model: DualEncoder, dataset: RecordDataset) -> SetScores:
    """Ask the sides of a model about all records of which a class is known.

    Args:
        model: A model, in evaluation mode.
        dataset: Records with label sets.

    Returns:
        The logits, on the CPU.
    """
    labels = matched_sets(model, dataset)
    rows = (labels >= 0).any(dim=1)
    seen = sees_images(model, dataset)
    if not seen:
        rows &= ~dataset.lonlat.isnan().any(dim=1)
    kept = rows.nonzero().flatten()
    return SetScores(
        labels=labels[kept],
        image=image_logits(model, dataset, kept) if seen else None,
        place=place_logits(model, dataset, kept),
        unmatched=len(dataset) - len(kept),
    )


def fit_sets(model: DualEncoder, scores: SetScores) -> None:
    """Fit what turns logits into probabilities and sets, and keep it in the model.

    A temperature for each class of each side, then the weight of the place beside an image, then a
    threshold for each class of each answer.

    Args:
        model: The model, changed.
        scores: What it says of records that it was not fitted to.
    """
    labels, placed = scores.labels, scores.placed
    fitted, divisors = model.calibration, {}
    if scores.image is not None:
        one, each = fit_class_temperatures(scores.image, labels)
        fitted, divisors[IMAGE] = replace(fitted, image_temperature=one), each.tolist()
    if scores.place is not None:
        one, each = fit_class_temperatures(scores.place[placed], labels[placed])
        fitted, divisors[PLACE] = replace(fitted, temperature=one), each.tolist()
    model.calibration = fitted.with_sets(divisors, {})
    frequency = class_frequency(model)
    if len(divisors) == 2 and frequency is not None and placed.any():
        found = answer_sets(model, scores, weight=0.0)
        weight = fit_set_weight(found[IMAGE][0][placed], found[PLACE][0], labels[placed], frequency)
        model.calibration = replace(model.calibration, place_weight=weight)
    thresholds = {
        name: fit_set_thresholds(probs, truth).tolist()
        for name, (probs, truth) in answer_sets(model, scores).items()
    }
    model.calibration = model.calibration.with_sets({}, thresholds)


def answer_sets(
    model: DualEncoder, scores: SetScores, *, weight: float | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    """Turn logits into calibrated probabilities.

    Args:
        model: The model, with its calibration.
        scores: What it says of records.
        weight: Weight of the place beside an image; the fitted one if None.

    Returns:
        ``image``, ``place`` (of the records with a place, if there are any) and ``image+place`` (of
        all; without a place the image's own answer), each ``(n, K)`` probabilities with the
        ``(n, K)`` label sets, as far as the model has these sides.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    labels, placed = scores.labels, scores.placed
    image = None if scores.image is None else model.divided(scores.image, IMAGE).sigmoid()
    place = None if scores.place is None else model.divided(scores.place, PLACE).sigmoid()
    if image is not None:
        found[IMAGE] = (image, labels)
    if place is not None and placed.any():
        found[PLACE] = (place[placed], labels[placed])
    if image is not None and place is not None:
        found[BOTH] = (combine(model, image, place, weight=weight), labels)
    return found


def measure_sets_of(model: DualEncoder, scores: SetScores) -> dict[str, LabelSetMetrics]:
    """Compute the metrics of what a model says of records with label sets.

    Args:
        model: The model, with its calibration.
        scores: Its logits.

    Returns:
        Answer to its metrics.

    Raises:
        BadRecordError: If no record with a class is left.
    """
    total = len(scores.labels) + scores.unmatched
    return {
        name: compute_set_metrics(
            probs,
            labels,
            model.classes.names,
            thresholds=model.calibration.thresholds_of(name),
            unmatched=total - len(labels),
        )
        for name, (probs, labels) in _answers_or_none(model, scores).items()
    }


def measure_label_sets(
    model: Prior, dataset: RecordDataset, *, prior: bool = True
) -> dict[str, LabelSetMetrics]:
    """Measure a model or baseline on records with label sets.

    Args:
        model: A model or a baseline.
        dataset: The records.
        prior: Whether the place is used; without it the image answers alone or, without images,
            the class frequency answers everywhere.

    Returns:
        Metrics of each answer: of one alone, or of ``image``, ``place`` and ``image+place``.

    Raises:
        BadRecordError: If no record with a class is left.
    """
    if isinstance(model, DualEncoder) and (prior or sees_images(model, dataset)):
        was_training = model.training
        scores = score_sets(model.eval(), dataset)
        model.train(was_training)
        found = measure_sets_of(model, scores)
        return found if prior else {IMAGE: found[IMAGE]}
    labels = matched_sets(model, dataset)
    keep = (labels >= 0).any(dim=1) & ~dataset.lonlat.isnan().any(dim=1)
    if prior:
        columns = (dataset.lonlat[keep], dataset.date[keep], dataset.hour[keep])
        parts = zip(*(torch.split(column, CHUNK) for column in columns), strict=True)
        probs = torch.cat([location_prior(model, p, date=d, hour=h) for p, d, h in parts])
    else:
        probs = model.classes.usual().expand(int(keep.sum()), -1)
    fitted = calibration_of(model).thresholds_of(PLACE) if prior else ()
    gone = int((~keep).sum())
    numbers = compute_set_metrics(
        probs, labels[keep], model.classes.names, thresholds=fitted, unmatched=gone
    )
    return {PLACE: numbers}


def watch_sets(model: DualEncoder, val_set: RecordDataset) -> dict[str, float]:
    """Calibrate a model on the records held out and measure its answers there.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        Each number of its main answer and, where there are several, some of each side.
    """
    scores = score_sets(model, val_set)
    fit_sets(model, scores)
    found = measure_sets_of(model, scores)
    main = next(name for name in HEADLINE if name in found)
    values = found[main].numbers()
    for name in (IMAGE, PLACE):
        if name in found and name != main:
            values |= {f"{name}_{key}": getattr(found[name], key) for key in SHOWN}
    return values


def calibrate_sets(model: DualEncoder, val_set: RecordDataset) -> Fitted:
    """Calibrate each class, and measure.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        The metrics.
    """
    scores = score_sets(model, val_set)
    fit_sets(model, scores)
    return Fitted(measure_sets_of(model, scores))


def check_sets(model: DualEncoder, test_set: RecordDataset) -> Fitted:
    """Measure a calibrated model on the test, which it neither learned from nor was fitted to.

    Args:
        model: The model.
        test_set: Records of the test.

    Returns:
        The metrics.
    """
    return Fitted(measure_sets_of(model, score_sets(model, test_set)))


def _answers_or_none(model: DualEncoder, scores: SetScores) -> Mapping[str, tuple[Tensor, Tensor]]:
    """Give the answers or, where no record is left, one of nothing, which is refused."""
    empty: Any = torch.empty(0, len(model.classes))
    return answer_sets(model, scores) or {PLACE: (empty, empty)}


def _knows_places(model: Prior) -> bool:
    return not isinstance(model, DualEncoder) or model.classifier is not None


HEADLINE = (BOTH, IMAGE, PLACE)
LABEL_SETS = Measure(
    applies=answers_sets,
    measure=measure_label_sets,
    watch=watch_sets,
    calibrate=calibrate_sets,
    check=check_sets,
    monitor=lambda model: "macro_ap",
    headline=HEADLINE,
    columns=SET_COLUMNS,
    rising=SET_RISING,
    of_classes=SET_CLASS_COLUMNS,
)
