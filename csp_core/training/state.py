"""What a run resumes from: weights, optimiser and progress, as safetensors and JSON.

Each checkpoint is a new folder that appears whole, and older ones go only afterwards, so a run
killed at any moment finds the last whole one. No random state is kept: every draw of a step follows
from the run's seed and the number of the step.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.files import atomic_directory, load_tensors, read_json, save_tensors, write_json

FORMAT = "csp-checkpoint/2"


@dataclass
class Progress:
    """How far a run is.

    Args:
        step: Optimiser steps done.
        epoch: Epochs done.
        best: Best value of the monitored metric, lower is better; None before the first.
        best_epoch: Epoch of the best value, counted from 1.
        loss_sum: Sum of the losses of the steps of the epoch under way.
        seconds: Training time of earlier processes and this one.
    """

    step: int = 0
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0


class Stateful(Protocol):
    """What is saved in a checkpoint and read back from it."""

    def state_dict(self) -> dict[str, Any]:
        """Give the state as tensors by name."""
        ...

    def load_state_dict(self, state: dict[str, Any], /) -> object:
        """Take it back; names and shapes that differ are a RuntimeError."""
        ...


def derive_seed(seed: int, purpose: str, number: int) -> int:
    """Derive an independent seed for one purpose and step.

    Args:
        seed: The run's seed.
        purpose: What is drawn.
        number: Step or epoch.

    Returns:
        An integer in [0, 2**63).
    """
    digest = hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def save_state(
    folder: Path,
    progress: Progress,
    weights: Mapping[str, Stateful],
    optimizer: torch.optim.Optimizer,
    names: Sequence[str],
    best: dict[str, Tensor] | None,
    origin: Mapping[str, str],
) -> None:
    """Write a checkpoint and remove older ones.

    Args:
        folder: The run's ``checkpoints`` folder.
        progress: How far the run is.
        weights: What has a state, by name.
        optimizer: Its state is kept, by the names of the weights.
        names: Names of the optimiser's weights, in its order.
        best: Weights of the best epoch, or None.
        origin: Hashes of what the run is made from, ``data`` and ``recipe``, checked on resume.

    Raises:
        CheckpointError: If it cannot be written.
    """
    tensors = {
        f"{name}/{key}": value
        for name, part in weights.items()
        for key, value in part.state_dict().items()
    }
    tensors |= {f"best/{key}": value for key, value in (best or {}).items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{names[index]}/{slot}": value for slot, value in slots.items()}
    target = folder / f"step-{progress.step:09d}"
    try:
        with atomic_directory(target) as fresh:
            save_tensors(fresh / "state.safetensors", tensors)
            state = {"format": FORMAT, "origin": dict(origin), **asdict(progress)}
            write_json(fresh / "state.json", state)
    except OSError as error:
        raise CheckpointError(f"Cannot write a checkpoint to {folder} ({error}).") from error
    for old in folder.iterdir():
        if old != target and old.name.startswith((".step-", "step-")):
            shutil.rmtree(old, ignore_errors=True)


def load_state(
    folder: Path,
    weights: Mapping[str, Stateful],
    optimizer: torch.optim.Optimizer,
    names: Sequence[str],
    origin: Mapping[str, str],
) -> tuple[Progress, dict[str, Tensor] | None]:
    """Read the newest checkpoint back into what was saved.

    Args:
        folder: The run's ``checkpoints`` folder.
        weights: What has a state, by name; what an earlier version did not save had none.
        optimizer: Gets its state back.
        names: Names of the optimiser's weights, in its order.
        origin: The hashes as they are now.

    Returns:
        The progress, zero if there is no checkpoint, and the best weights so far.

    Raises:
        CheckpointError: If the checkpoint is damaged, or of other data or settings.
    """
    found = sorted(folder.glob("step-*/state.json"))
    if not found:
        return Progress(), None
    state = read_json(found[-1])
    if not isinstance(state, dict) or state.pop("format", None) != FORMAT:
        raise CheckpointError(f"{found[-1].parent} is not a checkpoint of this version.")
    _check_origin(found[-1].parent, state.pop("origin", None), origin)
    tensors = load_tensors(found[-1].with_name("state.safetensors"))
    try:
        for name, part in weights.items():
            part.load_state_dict(_below(tensors, name))
        _load_optimizer(optimizer, names, _below(tensors, "optimizer"))
        return _read_progress(state), _below(tensors, "best") or None
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{found[-1].parent} does not fit the run's configuration ({error})."
        ) from error


def _check_origin(checkpoint: Path, then: object, now: Mapping[str, str]) -> None:
    before = then if isinstance(then, dict) else {}
    if before.get("data") != now["data"]:
        raise CheckpointError(
            "The training records have changed since the run was interrupted, so it cannot go on"
            " exactly. Restore the data, or start a new run."
        )
    if before.get("recipe") != now["recipe"]:
        raise CheckpointError(
            f"{checkpoint} does not fit the run's configuration: seed, model, objective or training"
            " have changed since it was written. Restore config.yaml, or start a new run."
        )


def _read_progress(state: dict[str, Any]) -> Progress:
    progress = Progress(**state)
    counts = (progress.epoch, progress.step)
    if not all(type(count) is int for count in counts) or not 0 <= counts[0] <= counts[1]:
        raise ValueError(f"epoch {counts[0]!r} and step {counts[1]!r} cannot be")
    return progress


def _below(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): v for key, v in tensors.items() if key.startswith(prefix)}


def _load_optimizer(
    optimizer: torch.optim.Optimizer, names: Sequence[str], tensors: dict[str, Tensor]
) -> None:
    # Earlier versions told weights by their number.
    number = {**{str(i): i for i in range(len(names))}, **{n: i for i, n in enumerate(names)}}
    slots: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        name, _, slot = key.rpartition("/")
        slots.setdefault(number[name], {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
