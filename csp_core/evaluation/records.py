"""How well a prior ranks and weighs the classes of records it has not seen, by their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.calibrate import crossfit_sets, fit_set_level, fit_temperature, measure_sets
from csp_core.data.records import RecordDataset
from csp_core.evaluation.measure import Fitted, Measure
from csp_core.evaluation.metrics import COLUMNS, RISING, Metrics, compute_metrics
from csp_core.evaluation.scores import SET_COVERAGE, matched_labels
from csp_core.geo import cell_ids
from csp_core.inference import location_prior
from csp_core.land import CONTINENTS, continent_of
from csp_core.model import PLACE, DualEncoder, Prior

CHUNK = 4096
SET_BLOCK_DEGREES = 2.0


def knows_places(model: Prior, dataset: RecordDataset) -> bool:
    """Tell whether a model or baseline ranks classes by places.

    Args:
        model: A model or a baseline.
        dataset: Records.

    Returns:
        Whether it does, and some record tells what is true.
    """
    ranks = not isinstance(model, DualEncoder) or model.classifier is not None
    return ranks and bool(dataset.labelled().any())


def measure_places(
    model: Prior, dataset: RecordDataset, *, prior: bool = True
) -> dict[str, Metrics]:
    """Measure a prior on the records that have a place and a class that it knows.

    Args:
        model: A model or a baseline.
        dataset: The records.
        prior: Whether the place is used; without it the class frequency answers everywhere, as
            the baseline ``class_frequency`` does.

    Returns:
        Metrics of the one answer.

    Raises:
        BadRecordError: If no record is left.
        ConfigError: If the model ranks no classes by places.
    """
    label = matched_labels(model, dataset)
    keep = (label >= 0) & ~dataset.lonlat.isnan().any(dim=1)
    label, lonlat = label[keep], dataset.lonlat[keep]
    if not prior:
        scores = model.classes.usual().expand(len(label), -1)
    else:
        columns = (lonlat, dataset.date[keep], dataset.hour[keep])
        parts = zip(*(torch.split(column, CHUNK) for column in columns), strict=True)
        asked = [location_prior(model, place, date=day, hour=h) for place, day, h in parts]
        scores = torch.cat(asked or [torch.empty(0)])
    return {PLACE: compute_metrics(scores, label, unmatched=int((~keep).sum()))}


def watch_places(model: DualEncoder, val_set: RecordDataset) -> dict[str, float]:
    """Measure a model as it is, and the log-loss that one temperature would leave.

    Args:
        model: The model.
        val_set: Records held out.

    Returns:
        Each metric and, for shares, ``calibrated_log_loss``.
    """
    values = measure_places(model, val_set)[PLACE].to_dict()
    if model.prior_kind != "share":
        return values
    logits = records_logits(model, val_set)
    loss = F.cross_entropy(logits / fit_temperature(logits, val_set.label), val_set.label)
    return {**values, "calibrated_log_loss": float(loss)}


def calibrate_places(model: DualEncoder, val_set: RecordDataset) -> Fitted:
    """Fit temperature and set level of shares, and measure; relative scores are measured alone.

    Args:
        model: The model, whose calibration is replaced.
        val_set: Records held out.

    Returns:
        The metrics, and a report on the sets in all and by continent.
    """
    sets = _fit_sets(model, val_set) if model.prior_kind == "share" else {}
    return Fitted(measure_places(model, val_set), sets)


def _fit_sets(model: DualEncoder, val_set: RecordDataset) -> Mapping[str, dict[str, Any]]:
    logits, label = records_logits(model, val_set), val_set.label
    temperature = fit_temperature(logits, label)
    share = (logits / temperature).softmax(dim=1)
    level = fit_set_level(share, label, SET_COVERAGE)
    model.calibration = replace(model.calibration, temperature=temperature, set_level=level)
    # Measured on blocks that the level was not fitted to, unlike the level that is kept.
    blocks = cell_ids(val_set.lonlat, SET_BLOCK_DEGREES)
    sets = crossfit_sets(share, label, blocks, SET_COVERAGE)
    reports = {"all": asdict(measure_sets(sets, label))}
    continent = continent_of(val_set.lonlat)
    for number, name in enumerate(CONTINENTS):
        if (here := continent == number).any():
            reports[name] = asdict(measure_sets(sets[here], label[here]))
    return reports


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


PLACES = Measure(
    applies=knows_places,
    measure=measure_places,
    watch=watch_places,
    calibrate=calibrate_places,
    monitor=lambda model: "calibrated_log_loss" if model.prior_kind == "share" else "mrr",
    headline=(PLACE,),
    columns=COLUMNS,
    rising=RISING,
    sets_of=(" at a place", "where"),
)
