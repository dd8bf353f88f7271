"""What a run resumes from: weights, optimiser and progress, as safetensors and JSON.

Each checkpoint is a new folder that appears whole, and older ones go only afterwards, so a run
killed at any moment finds the last whole one. The newest two are kept: one that was damaged since,
which its checksums tell, is named, and the run goes on from the one before. No random state is
kept: every draw of a step follows from the run's seed and the number of the step.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from csp_core.errors import CheckpointError, CspError
from csp_core.files import atomic_directory, hash_file, load_tensors, save_tensors, write_json
from csp_core.runs.reading import ROWS_BYTES, is_number, read_object

log = logging.getLogger(__name__)
FORMAT = "csp-checkpoint/3"
UNSUMMED = "csp-checkpoint/2"  # what earlier versions wrote, without checksums
KEPT = 2


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
        rows: Lines of ``metrics.jsonl`` so far; whoever edits that file loses none.
    """

    step: int = 0
    epoch: int = 0
    best: float | None = None
    best_epoch: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)


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
) -> int:
    """Write a checkpoint and remove older ones, except the one before it.

    Args:
        folder: The run's ``checkpoints`` folder.
        progress: How far the run is.
        weights: What has a state, by name.
        optimizer: Its state is kept, by the names of the weights.
        names: Names of the optimiser's weights, in its order.
        best: Weights of the best epoch, or None.
        origin: Hashes of what the run is made from, ``data`` and ``recipe``, checked on resume.

    Returns:
        Bytes that the checkpoint takes.

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
            file = fresh / "state.safetensors"
            save_tensors(file, tensors)
            state = {"format": FORMAT, "origin": dict(origin), **asdict(progress)}
            state["tensors"] = hash_file(file)
            write_json(fresh / "state.json", {**state, "checksum": _checksum(state)})
            size = sum(path.stat().st_size for path in fresh.iterdir())
    except OSError as error:
        raise CheckpointError(
            f"Cannot write a checkpoint to {folder} ({error.strerror or error}). Those written"
            " before are whole: make room, and `csp resume` goes on from there."
        ) from error
    _remove_others(folder, target)
    return size


def _remove_others(folder: Path, newest: Path) -> None:
    """Keep the newest checkpoint and those before it; later ones are damaged, or were left."""
    numbers = _checkpoints(folder)
    earlier = [path for path in numbers if numbers[path] < numbers[newest]]
    kept = {newest, *sorted(earlier, key=numbers.__getitem__)[1 - KEPT :]}
    for path in folder.iterdir():
        if path not in kept and path.name.startswith((".step-", "step-")):
            shutil.rmtree(path, ignore_errors=True)


def load_state(
    folder: Path,
    weights: Mapping[str, Stateful],
    optimizer: torch.optim.Optimizer,
    names: Sequence[str],
    origin: Mapping[str, str],
) -> tuple[Progress, dict[str, Tensor] | None]:
    """Read the newest whole checkpoint back into what was saved; damaged ones are named in the log.

    Args:
        folder: The run's ``checkpoints`` folder.
        weights: What has a state, by name; what an earlier version did not save had none.
        optimizer: Gets its state back.
        names: Names of the optimiser's weights, in its order.
        origin: The hashes as they are now.

    Returns:
        The progress, zero if there is no checkpoint, and the best weights so far.

    Raises:
        CheckpointError: If all checkpoints are damaged, or it is of other data or settings.
    """
    checkpoint, state, tensors = _newest_whole(folder)
    if checkpoint is None:
        return Progress(), None
    _check_origin(checkpoint, state["origin"], origin)
    try:
        for name, part in weights.items():
            part.load_state_dict(_below(tensors, name))
        _load_optimizer(optimizer, names, _below(tensors, "optimizer"))
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{checkpoint} does not fit the run's configuration ({error})."
        ) from error
    progress = Progress(**{f.name: state[f.name] for f in fields(Progress) if f.name in state})
    return progress, _below(tensors, "best") or None


def _newest_whole(folder: Path) -> tuple[Path | None, dict[str, Any], dict[str, Tensor]]:
    """Find the newest checkpoint that is as it was written; None if none was ever written."""
    numbers, damage = _checkpoints(folder), []
    for checkpoint in sorted(numbers, key=numbers.__getitem__, reverse=True):
        try:
            state, tensors = _read(checkpoint, numbers[checkpoint])
        except CspError as error:
            damage.append(f"{checkpoint.name} is damaged: {error}")
            continue
        for found in damage:
            log.warning("%s", found)
        if damage:
            log.warning("going on from %s, the newest that is whole", checkpoint.name)
        return checkpoint, state, tensors
    if damage:
        raise CheckpointError(
            f"No checkpoint in {folder} is whole. {' '.join(damage)} Copy the folder again if it"
            " was copied, or start a new run."
        )
    return None, {}, {}


def _checkpoints(folder: Path) -> dict[Path, int]:
    """List the checkpoints of a folder, whole or not, with their steps."""
    found = {path: re.fullmatch(r"step-(\d{9,15})", path.name) for path in folder.glob("step-*")}
    return {path: int(name[1]) for path, name in found.items() if name}


def _read(checkpoint: Path, step: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a checkpoint that is as it was written; anything else is a CspError."""
    file = checkpoint / "state.safetensors"
    state = read_object(checkpoint / "state.json", limit=ROWS_BYTES)
    if state.get("format") == FORMAT:
        checksum = state.pop("checksum", None)
        if checksum != _checksum(state):
            raise CheckpointError("state.json is not as it was written (its checksum differs).")
        if file.is_file() and hash_file(file) != state.get("tensors"):
            raise CheckpointError(
                "state.safetensors is not as it was written (its checksum differs)."
            )
    elif state.get("format") != UNSUMMED or "checksum" in state:
        raise CheckpointError("state.json is none of a checkpoint of this version.")
    if problem := _wrong_progress(state, step):
        raise CheckpointError(f"state.json says {problem}, which cannot be.")
    return state, load_tensors(file)


def _wrong_progress(state: Mapping[str, Any], step: int) -> str:
    """Say which part of a checkpoint's progress cannot be; empty if all can."""
    names = [f.name for f in fields(Progress) if f.name != "rows"]  # earlier versions had none
    if missing := [name for name in (*names, "origin") if name not in state]:
        return f"nothing of {', '.join(missing)}"
    epoch, said = state["epoch"], state["step"]
    whole = all(type(count) is int for count in (epoch, said, state["best_epoch"]))
    if not whole or said != step or not 0 <= epoch <= step:
        return f"epoch {epoch!r} and step {said!r} of {step}"
    for name in ("best", "loss_sum", "seconds"):
        value = state[name]
        if not is_number(value) and type(value) is not float and (name, value) != ("best", None):
            return f"{name} {value!r}"
    rows = state.get("rows", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return "rows that are no list of objects"
    return ""


def _checksum(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()


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
