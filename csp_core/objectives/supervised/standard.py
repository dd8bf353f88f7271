"""Maps of a resting encoder brought to mean 0 and spread 1 for a linear classifier of pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.data.records import RecordDataset
from csp_core.model import DualEncoder

# Pictures that are measured, and how many at a time.
MEASURED, CHUNK = 64, 8
# A channel that hardly changes says nothing, and is left at its scale.
LEAST_SPREAD = 1e-6


@torch.no_grad()
def measure_maps(model: DualEncoder, dataset: RecordDataset) -> tuple[Tensor, Tensor]:
    """Measure the channels of an encoder's maps over training pictures with known pixels.

    Args:
        model: The model, with an image encoder that keeps pixels; left in evaluation mode.
        dataset: The training records; 64 of those with masks are looked at, evenly.

    Returns:
        Mean and standard deviation of each channel, ``(D, 1, 1)`` each, float32.
    """
    model.eval()
    known = dataset.labelled().nonzero().flatten()
    rows = known[torch.linspace(0, len(known) - 1, min(len(known), MEASURED)).long()]
    total, sums = 0, torch.zeros(2, 1, dtype=torch.float64)
    for some in torch.split(rows, CHUNK):
        batch = dataset.__getitems__(some.tolist())
        maps = model.pixel_maps(batch["image"], batch.get("days")).double().movedim(1, -1)
        pixels = maps[batch["valid"]] if "valid" in batch else maps.flatten(0, 2)
        total += len(pixels)
        sums = sums + torch.stack((pixels.sum(dim=0), pixels.square().sum(dim=0)))
    mean, square = sums / max(total, 1)
    spread = (square - mean.square()).clamp_min(0).sqrt()
    spread = torch.where(spread > LEAST_SPREAD, spread, torch.ones_like(spread))
    return mean.float().view(-1, 1, 1), spread.float().view(-1, 1, 1)


@torch.no_grad()
def rescale(model: DualEncoder, centre: Tensor, spread: Tensor) -> None:
    """Let a classifier of pixels say of maps what it said of them shifted and divided.

    Args:
        model: The model, whose classifier of pixels is changed.
        centre: ``(D, 1, 1)`` what is taken from maps.
        spread: ``(D, 1, 1)`` what they are then divided by.
    """
    classifier = model.pixel_classifier
    assert classifier is not None and classifier.bias is not None
    classifier.weight.div_(spread)
    classifier.bias.sub_((classifier.weight * centre).sum(dim=(1, 2, 3)))
