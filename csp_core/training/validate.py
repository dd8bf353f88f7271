"""Measuring on the records held out, while a run trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.calibrate import fit_temperature
from csp_core.data.batch import Batch
from csp_core.data.records import RecordDataset
from csp_core.evaluation import (
    BOTH,
    IMAGE,
    PLACE,
    evaluate,
    fit_calibration,
    measure,
    records_logits,
    score,
    sees_images,
)
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, Objective
from csp_core.training.state import derive_seed

CHUNK, IMAGE_CHUNK = 4096, 512
# What is told of each side beside the answer of both.
SHOWN = ("top1", "log_loss")


@torch.no_grad()
def validate(
    objective: Objective,
    model: DualEncoder,
    val_set: RecordDataset,
    *,
    layers: Mapping[str, Tensor] | None = None,
    seed: int,
) -> dict[str, float]:
    """Measure the objective without scatter or dropout and, with classes, the metrics.

    Args:
        objective: The objective that trains.
        model: The model to measure, which may be an average of the one that trains.
        val_set: Records held out.
        layers: Values of the objective's own layers that go with the model; as they train if None.
        seed: Of the draws that an objective needs, the same each time.

    Returns:
        ``val_objective`` and its parts, ``val_`` with each metric and, for shares, the log-loss
        that one temperature fitted on these records leaves.
    """
    was_training = (objective.training, model.training)
    objective.eval()
    model.eval()
    weights = objective.measured_weights(model, layers or {})
    device = next(model.parameters()).device
    totals: Counter[str] = Counter()
    chunk = CHUNK if val_set[0].get("image", torch.empty(0)).ndim < 3 else IMAGE_CHUNK
    for number, rows in enumerate(torch.split(torch.arange(len(val_set)), chunk)):
        draws = torch.Generator().manual_seed(derive_seed(seed, "validate", number))
        random = BatchRandom(draws, 0, len(rows), len(rows))
        batch = objective.draw(val_set.__getitems__(rows.tolist()), random)
        losses = objective.measure(to_device(batch, device), weights)
        totals.update({key: float(value) * len(rows) for key, value in losses.items()})
    totals["objective"] = totals.pop("loss")
    values = {f"val_{key}": total / len(val_set) for key, total in totals.items()}
    if sees_images(model, val_set):
        values |= _measure_answers(model, val_set)
    elif model.classifier is not None:
        metrics = evaluate(model, val_set).to_dict()
        values |= {f"val_{key}": value for key, value in metrics.items()}
        if model.prior_kind == "share":
            logits = records_logits(model, val_set)
            loss = F.cross_entropy(logits / fit_temperature(logits, val_set.label), val_set.label)
            values["val_calibrated_log_loss"] = float(loss)
    model.train(was_training[1])
    objective.train(was_training[0])
    return values


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch.

    Args:
        batch: Tensors by name.
        device: Where to.

    Returns:
        The batch on the device.
    """
    return {key: value.to(device) for key, value in batch.items()}  # type: ignore[attr-defined,return-value]


def _measure_answers(model: DualEncoder, val_set: RecordDataset) -> dict[str, float]:
    """Calibrate a model with images on the records held out and measure its answers there."""
    scores = score(model, val_set)
    loss = fit_calibration(model, scores)
    found = measure(model, scores)
    values = {f"val_{key}": value for key, value in found[BOTH].to_dict().items()}
    for name in (IMAGE, PLACE):
        if name in found:
            values |= {f"val_{name}_{key}": getattr(found[name], key) for key in SHOWN}
    return {**values, "val_calibrated_log_loss": loss}
