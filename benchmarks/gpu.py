"""All parts of the GPU benchmark, each in a process and a time of its own; ``gpu.sh`` starts it."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from gpu_cells import FAILED, WAITING, Store, code_hash, is_measured
from report import arguments, markdown, write_report

# Part to its seconds at most; together they are less than 8 minutes.
PARTS = {"pretraining": 130, "images": 130, "encoders": 45, "training": 150}
QUICK_SECONDS = 300
Cells = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Aim:
    """What is aimed at.

    Args:
        what: Words for it.
        part: A key of ``PARTS``.
        key: Column of its cells.
        cells: How the names of those begin that count.
        form: How a value is written.
        limit: The value aimed at.
        at_most: Whether less is better.
        worst: Whether the worst of the cells is judged, not the best.
    """

    what: str
    part: str
    key: str
    cells: str | tuple[str, ...]
    form: str
    limit: float
    at_most: bool = False
    worst: bool = False

    def row(self, cells: Cells, quick: bool) -> list[str]:
        """Set what was measured beside it; the small form is not judged."""
        aim = f"{'≤' if self.at_most else '≥'} {self.form.format(self.limit)}"
        values = {
            name: cell[self.key]
            for name, cell in cells.items()
            if is_measured(cell) and name.startswith(self.cells) and self.key in cell
        }
        if not values:
            return [self.what, "not measured", aim, "no"]
        choose = min if self.at_most != self.worst else max
        name, value = choose(values.items(), key=itemgetter(1))
        reached = value <= self.limit if self.at_most else value >= self.limit
        verdict = "not judged" if quick else "yes" if reached else "no"
        return [self.what, f"{self.form.format(value)} ({name})", aim, verdict]


EPOCH, END_TO_END = "an epoch of pre-training", "images end to end, of the bare loop"
AIMS = (
    Aim(f"{EPOCH}, features on the device", "pretraining", "seconds", "resident", "{:.3g} s", 0.3,
        at_most=True),
    Aim(f"{EPOCH}, `csp train`", "pretraining", "seconds", "csp train", "{:.3g} s", 0.3,
        at_most=True),
    Aim(f"{END_TO_END}, in memory", "images", "ratio", "in memory", "{:.2f}", 0.9),
    Aim(f"{END_TO_END}, from files", "images", "ratio", "from files", "{:.2f}", 0.9),
    Aim("encoders' share of the matrix rate", "encoders", "share", ("grid", "sphere_c", "sphere_m"),
        "{:.0%}", 0.5, worst=True),
)  # fmt: skip

ABOUT = """\
{aims}

## Pre-training

An epoch of {pairs} invented pairs of a place and {features} features, model and objective of
`configs/csp-inat2018-paper.yaml` (`csp_mc`, three parts, AdamW). *csp train* is the whole loop,
features read from a file in half precision; *resident* takes the same objective's steps with all
features on the device in half precision, and draws order and random places anew for every epoch;
*replayed* records a step once as a CUDA graph, and takes it as it is where there is no GPU. The
batch of the preset is 1,024.

{pretraining}

## Images

{images_about}

{images}

## Location encoders

Default options and networks, 256 dimensions, in evaluation, {places} places at a time.
*Share* is the rate of the linear layers' multiply-adds alone, as if all else took no time, of that
of `torch.mm` on random matrices of 512 columns, in turns, in single precision without TF32, as the
package answers; beside it both in bf16. *From the CPU* is the largest difference of an embedding.

{encoders}

## A run that is stopped

`configs/demo.yaml` by `csp train`: twice straight, and once stopped midway and resumed.

{training}
"""
IMAGES = """\
ResNet-50 at 224 pixels, batch 256, bf16, AdamW: `csp train` on the data set `photos`, end to end,
beside a bare loop of timm's ResNet-50 over one batch that lies on the device, channels last. Photos
are in memory as 8 bits, or read anew from JPEG files; *augmented* is `weak`."""
QUICK_IMAGES = """\
In this small form `small_convnet` at 64 pixels stands in for ResNet-50, beside a bare loop over one
batch. Photos are in memory as 8 bits, or read anew from JPEG files; *augmented* is `weak`."""


def extend(parser: argparse.ArgumentParser) -> None:
    """Add what ``gpu.sh`` gives."""
    parser.add_argument("--folder", type=Path, required=True, help="for files that are not kept")
    parser.add_argument("--seconds", type=float, default=465, help="that all may take")


def run_part(name: str, options: argparse.Namespace, store: Store, seconds: float) -> None:
    """Run a part in a process of its own, and end it when its time is over.

    Args:
        name: A key of ``PARTS``.
        options: As read.
        store: Where its cells go.
        seconds: Its time.
    """
    script = Path(__file__).with_name(f"gpu_{name}.py")
    device = "cpu" if options.quick else "cuda"
    words = ["--store", store.path, "--device", device, "--folder", options.folder / name]
    (options.folder / name).mkdir(parents=True, exist_ok=True)
    words += ["--quick"] if options.quick else []
    # A group of its own, so that what it started ends with it.
    process = subprocess.Popen([sys.executable, script, *map(str, words)], process_group=0)
    try:
        code = process.wait(timeout=seconds)
        reason = f"the process ended with {code}" if code else ""
    except subprocess.TimeoutExpired:
        reason = f"not done in {seconds:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    waiting = [key for key, cell in store.cells(name).items() if cell["state"] == WAITING]
    for cell in waiting or ([] if store.cells(name) else ["all"]):
        store.put(name, cell, {"state": FAILED, "reason": reason or "it gave no cells"})


def told(cell: Mapping[str, Any], *columns: str) -> list[str]:
    """Write a cell's columns, or why it has none."""
    if is_measured(cell):
        return [form.format_map(cell) for form in columns]
    return [f"failed: {' '.join(cell.get('reason', '').split())[:120]}", *[""] * (len(columns) - 1)]


def pretraining_table(cells: Cells) -> str:
    """Write seconds of an epoch."""
    for cell in cells.values():
        if is_measured(cell):
            cell |= {
                "first": cell["epochs"][0],
                "from": cell["losses"][0],
                "to": cell["losses"][-1],
            }
    forms = ("{seconds:.3f}", "{first:.3f}", "{from:.4f} → {to:.4f}")
    head = ["steps", "seconds an epoch", "the first", "loss of the first and last epoch"]
    return markdown(head, [[name, *told(cell, *forms)] for name, cell in cells.items()])


def images_table(cells: Cells) -> str:
    """Write images a second."""
    rows = []
    for name, cell in cells.items():
        forms = ("{rate:,.0f}", "{ratio:.2f}" if "ratio" in cell else "1")
        rows.append([name, *told(cell, *forms)])
    return markdown(["photos", "images/s", "of the bare loop"], rows)


def encoders_table(cells: Cells) -> str:
    """Write shares of the rate of a product."""
    forms = ("{places_a_second:,.0f}", "{share:.0%}", "{share_bf16:.0%}", "{difference:.0e}")
    head = ["encoder", "places/s", "share", "share, bf16", "from the CPU"]
    return markdown(head, [[name, *told(cell, *forms)] for name, cell in cells.items()])


def training_text(cells: Cells) -> str:
    """Say how a resumed run differs from a straight one, and how the test of devices ended."""
    run, test = cells.get("csp train and resume"), cells.get("device test")
    lines = [f"The part {told(cells['all'], '')[0]}."] if "all" in cells else []
    if run is not None and is_measured(run):
        equal = "bit for bit equal" if run["bit_equal"] else "not bit for bit equal"
        lines.append(
            f"Stopped after {run['stopped_at']} of {run['steps']} steps; the weights of the resumed"
            f" run are {equal} to those of the straight one (largest difference"
            f" {run['difference']:.1e}; between the two straight ones"
            f" {run['between_straight_runs']:.1e}). A straight run took {run['seconds']:.1f} s."
        )
    elif run is not None:
        lines.append(f"The run {told(run, '')[0]}.")
    if test is not None:
        said = test.get("outcome") or told(test, "")[0]
        lines.append(f"The test that machines without a GPU skip: {said}.")
    return "\n\n".join(lines)


def aims_table(cells: Mapping[str, Cells], quick: bool) -> str:
    """Set what was measured beside what was aimed at."""
    rows = [aim.row(cells.get(aim.part, {}), quick) for aim in AIMS]
    note = "The best cell is judged, of the encoders `grid`, `sphere_c*` and `sphere_m*` the least."
    return f"{markdown(['what', 'measured', 'aim', 'reached'], rows)}\n\n{note}"


def main() -> int:
    """Run the benchmark.

    Returns:
        Exit code: 1 where a cell failed, 2 where there is no GPU.
    """
    started = time.monotonic()
    options = arguments("What a GPU makes of this package.", extend)
    if not options.quick and not torch.cuda.is_available():
        print("No GPU was found; `--quick` runs the small form on a CPU.", file=sys.stderr)
        return 2
    device = "cpu" if options.quick else torch.cuda.get_device_name(0)
    store = Store(options.out / "gpu.json")
    versions = {"torch": torch.__version__, "python": platform.python_version()}
    store.begin({"quick": options.quick, "device": device, "code": code_hash(), **versions})
    for name, most in PARTS.items():
        left = options.seconds - (time.monotonic() - started)
        # The small form may run beside other tests, and has no hurry.
        seconds = QUICK_SECONDS if options.quick else max(1.0, min(most, left))
        run_part(name, options, store, seconds)
    known = store.read()
    cells: dict[str, Cells] = known["cells"]
    body = ABOUT.format(
        aims=aims_table(cells, options.quick),
        pairs="512" if options.quick else "437,513",
        features="64" if options.quick else "2,048",
        places="1,024" if options.quick else "262,144",
        images_about=QUICK_IMAGES if options.quick else IMAGES,
        pretraining=pretraining_table(cells["pretraining"]),
        images=images_table(cells["images"]),
        encoders=encoders_table(cells["encoders"]),
        training=training_text(cells["training"]),
    )
    took = round(time.monotonic() - started, 1)
    failed = [cell for part in cells.values() for cell in part.values() if cell["state"] == FAILED]
    # What failed is tried again when asked once more.
    record = {**known, "finished": not failed, "seconds": took}
    title = "Speed on a GPU" + (", small form on a CPU" if options.quick else "")
    command = "bash benchmarks/gpu.sh" + (" --quick" if options.quick else "")
    write_report("gpu", title, body.strip(), record, options, command=command)
    print(f"{sum(map(len, cells.values()))} cells, {len(failed)} failed, {took} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
