"""A short run of `csp train` on a GPU, stopped and resumed, and the test that needs two devices."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_cells import ROOT, Measure, Setting, run_cells

from csp_core import load_model, rerank
from csp_core.files import hash_file, load_tensors

CONFIG = ROOT / "configs" / "demo.yaml"
DEVICE_TESTS = ("tests/inference/test_rerank.py::test_probabilities_may_lie_on_another_device",)
LONGEST = 120


def command(*words: object) -> list[str]:
    """Give a `csp` command of this Python."""
    return [sys.executable, "-m", "csp_core", *map(str, words)]


def recipe(setting: Setting) -> list[str]:
    """Give the changes to the configuration: few records, this device, weights in full."""
    size, epochs = (400, 8) if setting.quick else (6000, 24)
    return [
        f"data.size={size}",
        f"training.epochs={epochs}",
        f"training.device={setting.device}",
        "training.saved_as=float32",
    ]


def straight(setting: Setting, name: str) -> Path:
    """Train without a stop; the run's folder."""
    run = setting.folder / name
    words = ("train", CONFIG, *recipe(setting), "--run-dir", run)
    subprocess.run(command(*words), cwd=ROOT, check=True, timeout=LONGEST)
    return run


def stopped_and_resumed(setting: Setting, name: str) -> tuple[Path, int]:
    """Train, stop midway as `csp stop` does, and resume; the folder and the step of the stop."""
    run = setting.folder / name
    words = ("train", CONFIG, *recipe(setting), "--run-dir", run)
    process = subprocess.Popen(command(*words), cwd=ROOT)
    until = time.monotonic() + LONGEST
    try:
        while status(run).get("step", 0) < 1 and time.monotonic() < until:
            time.sleep(0.02)
        (run / "control" / "stop").touch()
        process.wait(timeout=LONGEST)
    finally:
        process.kill()
    found = status(run)
    if found.get("state") != "stopped":
        raise RuntimeError(f"the run is {found.get('state')}, not stopped midway")
    subprocess.run(command("resume", run), cwd=ROOT, check=True, timeout=LONGEST)
    return run, int(found["step"])


def status(run: Path) -> dict[str, Any]:
    """Read the status of a run; nothing before there is one."""
    path = run / "status.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def difference(first: Path, second: Path) -> float:
    """Give the largest difference between the weights of two runs."""
    ours, others = (load_tensors(run / "model" / "model.safetensors") for run in (first, second))
    if ours.keys() != others.keys():
        raise RuntimeError("the two runs have weights of other names")
    return max(float((ours[key].double() - others[key].double()).abs().max()) for key in ours)


def train_and_resume(setting: Setting) -> dict[str, Any]:
    """Compare a run that was stopped with one that was not, and two that were not.

    Returns:
        ``difference`` of the weights after the stop, ``between_straight_runs`` without one, and
        whether the files of the weights are ``bit_equal``.
    """
    once, again = straight(setting, "once"), straight(setting, "again")
    resumed, step = stopped_and_resumed(setting, "resumed")
    hashes = {hash_file(run / "model" / "model.safetensors") for run in (once, resumed)}
    lines = (once / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    return {
        "stopped_at": step,
        "steps": last["step"],
        "difference": difference(once, resumed),
        "between_straight_runs": difference(once, again),
        "bit_equal": len(hashes) == 1,
        "top1": last["val_top1"],
        "seconds": last["seconds"],
    }


def device_test(setting: Setting) -> dict[str, Any]:
    """Run the test that machines without a GPU skip; without pytest, what it tests.

    Returns:
        ``outcome``: what pytest says last, or what was compared.

    Raises:
        RuntimeError: If the test fails.
    """
    if importlib.util.find_spec("pytest") is None:
        return {"outcome": _rerank_from_another_device(setting.device)}
    # Other versions of other packages may warn, which is not what is tested here.
    options = ("-q", "--import-mode=importlib", "-o", "addopts=", "-o", "filterwarnings=default")
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-p", "no:cacheprovider", *DEVICE_TESTS],
        cwd=ROOT,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=LONGEST,
    )
    if found.returncode:
        raise RuntimeError(found.stdout[-400:])
    return {"outcome": found.stdout.strip().splitlines()[-1].rpartition(" in ")[0]}


def _rerank_from_another_device(device: str) -> str:
    model = load_model("birds")
    probs = torch.rand(4, len(model.classes), generator=torch.Generator().manual_seed(0)).softmax(1)
    place = torch.tensor([[36.8, -1.3]]).expand(4, 2)
    want = rerank(probs, place, model=model).probs
    found = rerank(probs.to(device), place.to(device), model=model).probs
    torch.testing.assert_close(found.cpu(), want)
    return "rerank of probabilities on the device is that on the CPU; pytest is missing"


def cells(setting: Setting) -> dict[str, Measure]:
    """Give the cells."""
    return {
        "csp train and resume": partial(train_and_resume, setting),
        "device test": partial(device_test, setting),
    }


if __name__ == "__main__":
    run_cells("training", cells)
