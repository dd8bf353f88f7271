"""An objective with a state of its own of every kind: layers, a queue and a teacher."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from csp_core.data.batch import Batch
from csp_core.model import DualEncoder
from csp_core.objectives import OBJECTIVES, Objective
from csp_core.objectives.rows import times


class Remembering(Objective):
    """Softmax, and a layer that predicts what a slow copy of the encoder says of the place.

    Args:
        model: The model to train.
        queue_size: Places remembered.
        momentum: Weight of the teacher's past.
        writes: Write to the queue in ``forward`` too, which no objective may do.
        jitter_km: Scatter of places in training.
    """

    def __init__(
        self,
        model: DualEncoder,
        *,
        queue_size: int = 48,
        momentum: float = 0.9,
        writes: bool = False,
        jitter_km: float = 0.0,
    ) -> None:
        super().__init__(model, jitter_km=jitter_km)
        # A parameter right below the objective, which PyTorch lists before all others.
        self.gain = nn.Parameter(torch.ones(()))
        self.predict = nn.Linear(model.dim, model.dim)
        self.teacher = copy.deepcopy(model.location).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(queue_size, model.dim))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))
        self.momentum, self.writes = momentum, writes

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute both parts; the rows that the queue shall take are stashed."""
        logits = self.model.class_logits(batch["lonlat"], *times(batch))
        hard = nn.functional.cross_entropy(logits, batch["label"])
        with torch.no_grad():
            key = self.teacher(batch["lonlat"])
        self.stash(key=key)
        if self.writes:
            self.queue += 1
        guess = self.gain * self.predict(self.model.embed_location(batch["lonlat"]))
        pull = (guess - key + 0.1 * self.queue.mean(dim=0)).square().mean()
        return {"loss": hard + pull, "pull": pull}

    def advance(self, rows: Mapping[str, Tensor], step: int) -> None:
        """Let the teacher follow, and put what it said into the queue."""
        for slow, fast in zip(
            self.teacher.parameters(), self.model.location.parameters(), strict=True
        ):
            slow.lerp_(fast, 1 - self.momentum)
        size, key = len(self.queue), rows["key"]
        where = (self.next + torch.arange(len(key), device=key.device)) % size
        self.queue[where[-size:]] = key[-size:]
        self.next.copy_((self.next + len(key)) % size)


@contextmanager
def in_the_table() -> Iterator[None]:
    """Let configurations name it for a while."""
    OBJECTIVES["remembering"] = Remembering
    try:
        yield
    finally:
        del OBJECTIVES["remembering"]
