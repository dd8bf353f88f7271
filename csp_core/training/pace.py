"""How fast a stage of a run is, how long it will last, and what memory it takes."""

from __future__ import annotations

import time
from typing import Any

import psutil
import torch

WARM_SECONDS, WARM_STEPS = 20.0, 50


class Pace:
    """Counts what is done, and the time that it takes.

    Args:
        device: What the stage runs on.
        batch_size: Records of a step, of all processes together.
    """

    def __init__(self, device: torch.device, batch_size: int) -> None:
        self.device, self.batch_size = device, batch_size
        self.name = name_device(device)
        self.began = self.epoch_began = time.monotonic()
        self.steps = self.epoch_steps = 0
        self._rate: float | None = None

    def begin_epoch(self) -> None:
        """Count an epoch from here: validation before it is none of its steps."""
        self.epoch_began, self.epoch_steps = time.monotonic(), 0

    def step(self) -> None:
        """Count a step."""
        self.steps += 1
        self.epoch_steps += 1
        passed = time.monotonic() - self.epoch_began
        if passed > 0:
            self._rate = self.epoch_steps * self.batch_size / passed

    def numbers(self) -> dict[str, Any]:
        """Give what this machine makes of the run; no two runs have the same.

        Returns:
            ``samples_per_second`` of the epoch under way, or the last one, None before the first
            step; ``memory_bytes``.
        """
        rate = None if self._rate is None else round(self._rate, 1)
        return {"samples_per_second": rate, "memory_bytes": memory_bytes(self.device)}

    def seconds_left(self, steps: int) -> float | None:
        """Estimate how long further steps take, with the validations between them.

        Args:
            steps: Steps that are left.

        Returns:
            Seconds, at the mean pace of this process; None while too few were made.
        """
        passed = time.monotonic() - self.began
        # The first steps are slow, as everything is made ready in them.
        if not self.steps or (passed < WARM_SECONDS and self.steps < WARM_STEPS):
            return None
        return round(passed / self.steps * max(steps, 0), 1)


def name_device(device: torch.device) -> str:
    """Name a device for people.

    Args:
        device: The device.

    Returns:
        ``"cpu"``, or the name of the GPU.
    """
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def memory_bytes(device: torch.device) -> int:
    """Measure the memory that training takes.

    Args:
        device: What it runs on.

    Returns:
        The most that torch held on the GPU so far; on a processor what the process holds now.
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    return int(psutil.Process().memory_info().rss)
