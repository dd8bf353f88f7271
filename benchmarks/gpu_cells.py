"""What the parts of the GPU benchmark share: cells that are written at once, and a clock."""

from __future__ import annotations

import argparse
import gc
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from csp_core.files import read_json, write_json

ROOT = Path(__file__).resolve().parent.parent
MEASURED, FAILED, WAITING = "measured", "failed", "waiting"
# A turn is timed over so many seconds at least, so that the clock and the wait count for nothing.
LEAST_TURN, MOST_CALLS = 0.02, 1000
Measure = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """How a part is run.

    Args:
        quick: Whether the small form is wanted.
        device: ``cuda`` or ``cpu``.
        folder: For files that are not kept.
    """

    quick: bool
    device: str
    folder: Path


class Store:
    """Results by part and cell in one JSON file, which is replaced whenever a cell changes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """Give all that is known; nothing where there is no file."""
        found: dict[str, Any] = read_json(self.path) if self.path.is_file() else {}
        return found

    def begin(self, key: Mapping[str, Any]) -> None:
        """Go on with what a killed run of the same code on the same machine left, or start anew."""
        known = self.read()
        if known.get("key") != dict(key) or known.get("finished"):
            write_json(self.path, {"key": dict(key), "finished": False, "cells": {}})

    def cells(self, group: str) -> dict[str, dict[str, Any]]:
        """Give the cells of a part by name."""
        found: dict[str, dict[str, Any]] = self.read().get("cells", {}).get(group, {})
        return found

    def plan(self, group: str, names: Sequence[str]) -> list[str]:
        """List the cells of a part that are still to be measured, and say that they wait."""
        known = self.cells(group)
        done = {name: known[name] for name in names if is_measured(known.get(name, {}))}
        left = [name for name in names if name not in done]
        value = self.read()
        value.setdefault("cells", {})[group] = {
            name: done.get(name, {"state": WAITING}) for name in names
        }
        write_json(self.path, value)
        return left

    def put(self, group: str, name: str, cell: Mapping[str, Any]) -> None:
        """Write one cell."""
        value = self.read()
        value.setdefault("cells", {}).setdefault(group, {})[name] = dict(cell)
        write_json(self.path, value)


def run_cells(group: str, make: Callable[[Setting], dict[str, Measure]]) -> None:
    """Measure the cells of a part that are not measured yet; one that fails stops no other.

    Args:
        group: Name of the part.
        make: Gives the cells: name to what measures it.
    """
    parser = argparse.ArgumentParser(description=f"The part {group} of benchmarks/gpu.sh.")
    parser.add_argument("--quick", action="store_true", help="the small form")
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--store", type=Path, required=True, help="JSON file of all cells")
    parser.add_argument("--folder", type=Path, required=True, help="for files that are not kept")
    options = parser.parse_args()
    store = Store(options.store)
    cells = make(Setting(options.quick, options.device, options.folder))
    for name in store.plan(group, list(cells)):
        started = time.perf_counter()
        torch.manual_seed(0)
        try:
            cell = {"state": MEASURED, **cells[name]()}
        except Exception as error:
            cell = {"state": FAILED, "reason": f"{type(error).__name__}: {error}"[:500]}
        cell["took"] = round(time.perf_counter() - started, 2)
        store.put(group, name, cell)
        print(f"{group}, {name}: {cell}", flush=True)
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()


def is_measured(cell: Mapping[str, Any]) -> bool:
    """Tell whether a cell has its numbers."""
    return bool(cell.get("state") == MEASURED)


def wait(device: str) -> None:
    """Wait until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds_of(work: Callable[[], Any], device: str, calls: int = 1) -> float:
    """Time calls, from an idle device to an idle device.

    Args:
        work: What to call.
        device: Where it works.
        calls: How often.

    Returns:
        Seconds a call.
    """
    wait(device)
    started = time.perf_counter()
    for _ in range(calls):
        work()
    wait(device)
    return (time.perf_counter() - started) / calls


def seconds_in_turns(
    ways: Mapping[str, Callable[[], Any]], rounds: int, device: str
) -> dict[str, float]:
    """Time ways in turns, so that whatever else the machine does strikes all alike.

    Args:
        ways: Name to work. Each is called twice before, which compiles and allocates.
        rounds: How often each has its turn.
        device: Where they work.

    Returns:
        Name to the median over the rounds of the seconds of a call.
    """
    calls = {}
    for name, work in ways.items():
        seconds_of(work, device)
        least = max(seconds_of(work, device), 1e-6)
        calls[name] = max(1, min(MOST_CALLS, round(LEAST_TURN / least)))
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            found[name].append(seconds_of(work, device, calls[name]))
    return {name: median(values) for name, values in found.items()}


def code_hash() -> str:
    """Hash what is measured and what measures, so that no old result is taken for a new one."""
    digest = hashlib.sha256()
    for path in sorted([*ROOT.glob("csp_core/**/*.py"), *ROOT.glob("benchmarks/*.py")]):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()
