"""What dense contrast has beside the model: heads for single cells, a queue, a slow copy."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError


class CellHead(nn.Sequential):
    """Two 1×1 convolutions with batch normalisation between them, on the cells that are compared.

    On single cells such a convolution is a linear layer. The normalisation is over the cells of the
    batch, in evaluation too: it keeps no running statistics, so that only training steps change
    what an objective holds.

    Args:
        features: Size of a cell's embedding.
        dim: Size of its projection.
        hidden: Size between; None for that of the embedding.
    """

    def __init__(self, features: int, dim: int, hidden: int | None = None) -> None:
        hidden = features if hidden is None else hidden
        super().__init__(
            nn.Linear(features, hidden, bias=False),
            nn.BatchNorm1d(hidden, track_running_stats=False),
            nn.ReLU(),
            # A bias would be taken out again by the normalisation of a predictor behind it.
            nn.Linear(hidden, dim, bias=False),
        )


class CellQueue(nn.Module):
    """Projections of cells of earlier batches, the oldest of which are overwritten.

    Args:
        size: How many it holds.
        dim: Size of a projection.

    Raises:
        ConfigError: If it would hold none.
    """

    rows: Tensor
    lonlat: Tensor
    placed: Tensor
    next: Tensor
    held: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        if size < 1:
            raise ConfigError(f"queue_size is {size}; give at least 1 cell.")
        self.register_buffer("rows", torch.zeros(size, dim))
        # States are compared bit by bit, and what is no number equals nothing.
        self.register_buffer("lonlat", torch.zeros(size, 2))
        self.register_buffer("placed", torch.zeros(size, dtype=torch.bool))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))
        self.register_buffer("held", torch.zeros((), dtype=torch.int64))

    def known(self) -> tuple[Tensor, Tensor]:
        """Give what it holds so far.

        Returns:
            ``(M, dim)`` projections and ``(M, 2)`` degrees of their images, NaN where unknown.
        """
        held = int(self.held)
        places = self.lonlat.masked_fill(~self.placed[:, None], torch.nan)
        return self.rows[:held], places[:held]

    def push(self, rows: Tensor, lonlat: Tensor) -> None:
        """Put cells in the places of the oldest; of more than fit, the last ones.

        Args:
            rows: ``(N, dim)``.
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
        """
        size = len(self.rows)
        where = ((self.next + torch.arange(len(rows), device=rows.device)) % size)[-size:]
        self.rows[where] = rows[-size:].to(self.rows.dtype)
        self.lonlat[where] = lonlat[-size:].nan_to_num().to(self.lonlat.dtype)
        self.placed[where] = ~lonlat[-size:].isnan().any(dim=1)
        self.next.copy_((self.next + len(rows)) % size)
        self.held.copy_((self.held + len(rows)).clamp_max(size))


class Target(nn.Module):
    """A slow copy of the encoder and its head, which says what the other view should be.

    Args:
        image: The model's image encoder.
        head: Its head of cells.
    """

    def __init__(self, image: nn.Module, head: CellHead) -> None:
        super().__init__()
        self.image, self.head = copy.deepcopy(image), copy.deepcopy(head)
        self.requires_grad_(False)

    def follow(self, image: nn.Module, head: nn.Module, past: float) -> None:
        """Move towards what trains.

        Args:
            image: The model's image encoder.
            head: Its head of cells.
            past: Weight of what it was.
        """
        for slow, fast in ((self.image, image), (self.head, head)):
            now: Mapping[str, Tensor] = fast.state_dict()
            for name, held in slow.state_dict().items():
                if held.is_floating_point():
                    held.lerp_(now[name], 1 - past)
                else:
                    held.copy_(now[name])


def momentum_at(step: int, steps: int, first: float) -> float:
    """Give the weight of the past in a step: it grows to 1 along half a cosine.

    Args:
        step: Number of the step, from 0.
        steps: Steps of the run; 0 where that is not known, which leaves the weight as it begins.
        first: The weight in the first step.

    Returns:
        The weight.

    Source:
        Grill et al. 2020, BYOL.

    Example:
        >>> [round(momentum_at(step, 100, 0.99), 4) for step in (0, 50, 100)]
        [0.99, 0.995, 1.0]
    """
    done = min(step / steps, 1.0) if steps else 0.0
    return 1 - (1 - first) * (1 + math.cos(math.pi * done)) / 2


def untouched(layers: Iterable[nn.Module], *found: Tensor) -> Tensor:
    """Give a loss of 0 that has a gradient, of 0, for all weights: where no cells meet.

    Args:
        layers: What would have been used.
        found: What came out of the rest.

    Returns:
        Scalar.
    """
    used = [weight for layer in layers for weight in layer.parameters() if weight.requires_grad]
    return 0.0 * sum((value.float().sum() for value in (*used, *found)), torch.zeros(()))
