"""What dense contrast sees of a batch: the embeddings of the cells where two views meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from csp_core import losses
from csp_core.data.batch import Batch
from csp_core.errors import ConfigError


def see_cells(
    encoder: Any, batch: Batch, join: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Embed both views, and take the cells that are compared.

    Args:
        encoder: An image encoder that gives maps of cells.
        batch: As ``DenseContrast.draw`` gives it, the rows of this process.
        join: Joins rows of all processes.

    Returns:
        ``(2, N, P, D)`` cells of the first and of the second views, and ``(2, N, D)`` means over
        their whole maps, of all processes.

    Raises:
        ConfigError: If the map has too few cells.
    """
    number, cells = len(batch["image"]), batch["cells"]
    both = torch.cat((batch["image"], batch["view"]))
    days = (torch.cat((batch["days"], batch["view_days"])),) if "view_days" in batch else ()
    maps: Tensor = encoder.dense_maps(both, *days)
    stride = int(getattr(encoder, "stride", 1))
    want = tuple(side // stride for side in both.shape[-2:])
    if tuple(maps.shape[2:]) != want:
        raise ConfigError(
            f"The image encoder gives a map of {tuple(maps.shape[2:])} cells where its stride,"
            f" {stride}, makes {want}: set the attribute stride of your encoder."
        )
    at = cells.clamp_min(0).permute(2, 0, 1).flatten(0, 1)[:, None]
    some = maps.flatten(2).gather(2, at.expand(-1, maps.shape[1], -1)).transpose(1, 2)
    means = maps.mean(dim=(2, 3))
    # Rows of either view are joined apart, as each process holds both views of its own images.
    seen, pooled = (
        torch.stack([join(part) for part in torch.split(rows, number)]) for rows in (some, means)
    )
    return seen, pooled


def run_both(layer: nn.Module, pair: Tensor) -> Tensor:
    """Run a layer on the rows of both views at once, as one batch.

    Args:
        layer: ``(M, D)`` → ``(M, E)``.
        pair: ``(2, N, D)``.

    Returns:
        ``(2, N, E)``.
    """
    found: Tensor = layer(pair.flatten(0, 1))
    return found.view(2, pair.shape[1], -1)


@torch.no_grad()
def recall(query: Tensor, key: Tensor, negative: Tensor) -> Tensor:
    """Give the share of cells whose own match is nearer than every negative.

    Args:
        query: ``(N, D)``.
        key: ``(N, D)``.
        negative: ``(N, N)``, 0 for what is none.

    Returns:
        Scalar in [0, 1].
    """
    similarity = losses.similarities(query, key)
    nearest = similarity.masked_fill(negative == 0, -2).amax(dim=1)
    return (similarity.diagonal() > nearest).float().mean()
