"""Measuring on the records held out, while a run trains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import Tensor

from csp_core.data.batch import Batch
from csp_core.data.images import has_masks
from csp_core.data.records import RecordDataset
from csp_core.evaluation import find_measure
from csp_core.model import DualEncoder
from csp_core.model.pixels import PIXELS_AT_ONCE
from csp_core.objectives import BatchRandom, Objective
from csp_core.training.state import derive_seed

CHUNK, IMAGE_CHUNK = 4096, 512


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
        ``val_objective`` and its parts, and ``val_`` with what the model's measure watches.
    """
    modes = [(part, part.training) for part in (*model.modules(), *objective.modules())]
    objective.eval()
    model.eval()
    try:
        return _measured(objective, model, val_set, layers or {}, seed)
    finally:
        for part, mode in modes:
            part.training = mode


def _measured(
    objective: Objective,
    model: DualEncoder,
    val_set: RecordDataset,
    layers: Mapping[str, Tensor],
    seed: int,
) -> dict[str, float]:
    weights = objective.measured_weights(model, layers)
    device = next(model.parameters()).device
    totals: Counter[str] = Counter()
    counted, chunk = 0, _chunk(val_set)
    for number, rows in enumerate(torch.split(torch.arange(len(val_set)), chunk)):
        draws = torch.Generator().manual_seed(derive_seed(seed, "validate", number))
        random = BatchRandom(draws, 0, len(rows), len(rows))
        batch = objective.draw(val_set.__getitems__(rows.tolist()), random)
        losses = objective.measure(to_device(batch, device), weights)
        count = objective.counted(batch)
        counted += count
        totals.update({key: float(value) * count for key, value in losses.items()})
    totals["objective"] = totals.pop("loss")
    values = {f"val_{key}": total / max(1, counted) for key, total in totals.items()}
    measure = find_measure(model, val_set)
    if measure is not None:
        found = measure.watch(model, val_set)
        values |= {f"val_{key}": value for key, value in found.items()}
    return values


def _chunk(val_set: RecordDataset) -> int:
    """Tell how many records are measured at a time, which bounds the memory."""
    image = val_set[0].get("image", torch.empty(0))
    if image.ndim < 3:
        return CHUNK
    if not has_masks(val_set):
        return IMAGE_CHUNK
    return max(1, PIXELS_AT_ONCE * image.shape[-3] // image.numel())


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch.

    Args:
        batch: Tensors by name.
        device: Where to.

    Returns:
        The batch on the device.
    """
    moved = {
        key: to_device(value, device) if isinstance(value, dict) else value.to(device)  # type: ignore[arg-type,attr-defined]
        for key, value in batch.items()
    }
    return moved  # type: ignore[return-value]
