"""How long a run would take and what it would hold: each stage is built, and tried for a moment."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from csp_core.config import RunConfig
from csp_core.data.records import RecordDataset
from csp_core.data.subsets import take_rows
from csp_core.runs import RunDir
from csp_core.runs.reading import as_line
from csp_core.store import save_model
from csp_core.training.finish import provenance
from csp_core.training.limits import check_limits
from csp_core.training.loop import Stage
from csp_core.training.plan import Plan, plan_stages
from csp_core.training.run import explain_memory, make_accelerator
from csp_core.training.validate import validate

log = logging.getLogger(__name__)
WARM_STEPS, STEPS, SECONDS = 2, 20, 10.0
VALIDATED = 2048
# What a stage's line sums up to in the whole run.
SUMS = ("seconds_setup", "total_steps", "seconds_total")
LATEST = ("seconds_per_step", "steps_per_epoch", "epochs", "seconds_validation")


def estimate(config: RunConfig) -> dict[str, Any]:
    """Estimate time and memory of a run by some steps of each stage; no run directory is made.

    Data is loaded, and features of frozen encoders are computed, as the run would do it. Networks
    that differ by their seed alone are tried once.

    Args:
        config: The run.

    Returns:
        ``seconds_setup``, ``total_steps``, ``seconds_total`` of all stages; ``seconds_per_step``,
        ``steps_per_epoch``, ``epochs``, ``seconds_validation`` (of an epoch), ``parameters`` and
        ``checkpoint_bytes`` of the last; ``memory_bytes``, ``device``, ``stages`` (the same for
        each, with its ``name`` and what was ``assumed``) and ``assumed`` of the whole.

    Raises:
        CspError: If the run could not begin, or diverges at once.
    """
    with tempfile.TemporaryDirectory(prefix="csp-estimate-") as folder:
        run = RunDir(Path(folder) / "run")
        plans = plan_stages(config, run)
        check_limits(config)
        if config.training.threads:
            torch.set_num_threads(config.training.threads)
        accelerator = make_accelerator(config)
        try:
            with explain_memory(config):
                stages = _try_all(plans, run, accelerator)
        finally:
            accelerator.end_training()
    last = stages[-1]
    return {
        **{key: _rounded(sum(stage[key] for stage in stages)) for key in SUMS},
        **{key: last[key] for key in (*LATEST, "parameters", "checkpoint_bytes", "device")},
        "memory_bytes": max(stage["memory_bytes"] for stage in stages),
        "stages": stages,
        "assumed": (
            "every stage does all its epochs, though training.patience may end it; what follows"
            " the last epoch (calibration, the test, writing the model) is not counted"
        ),
    }


def describe(found: dict[str, Any]) -> str:
    """Say an estimate in a sentence.

    Args:
        found: As ``estimate`` gives it.

    Returns:
        The sentence.
    """
    several = len(found["stages"]) > 1
    count, step = f"{found['total_steps']:,} steps", f"{found['seconds_per_step'] * 1000:.3g} ms"
    work = f"{count} of {step}"
    if several:
        work = f"{count} in {len(found['stages'])} stages, the last with steps of {step}"
    return (
        f"About {_duration(found['seconds_total'])} on {found['device']}: {work} in"
        f" {found['epochs']} epochs with {found['seconds_validation']:.2g} s of validation, after"
        f" {_duration(found['seconds_setup'])} of loading; {_megabytes(found['memory_bytes'])} of"
        f" memory, {found['parameters']:,} weights, checkpoints of"
        f" {_megabytes(found['checkpoint_bytes'])}."
    )


def _try_all(plans: Sequence[Plan], run: RunDir, accelerator: Any) -> list[dict[str, Any]]:
    """Try the stages; each leaves a model, hardly trained, for those that build on it."""
    found: list[dict[str, Any]] = []
    known: dict[str, tuple[dict[str, Any], Plan]] = {}
    for plan in plans:
        key = _key(plan)
        if key in known:
            line, like = known[key]
            shutil.copytree(like.directory, plan.directory)
            alike = f"as {like.name}, which differs by its seed alone"
            found.append({**line, "name": plan.name, "assumed": alike})
            continue
        line = _try(plan, run, accelerator)
        known[key] = line, plan
        found.append(line)
    return found


def _key(plan: Plan) -> str:
    """Tell stages that take equally long by their settings; the last of a run stands alone."""
    config = plan.config.model_copy(update={"seed": 0})
    kind = "" if not plan.name.startswith("teacher") else plan.directory.name
    return f"{kind or plan.name}/{config.to_yaml()}"


def _try(plan: Plan, run: RunDir, accelerator: Any) -> dict[str, Any]:
    """Build a stage, do some steps, measure a part of what it holds out and save it."""
    began = time.monotonic()
    stage = Stage(plan, run, accelerator)
    setup = time.monotonic() - began
    seconds = _time_steps(stage)
    validation, measures, note = _time_validation(stage)
    # A checkpoint keeps the lines of the metrics; the last has those of all epochs.
    loss = stage.progress.loss_sum / stage.progress.step
    line_of_one = json.loads(as_line(stage.row_of_epoch(loss, measures)))
    stage.progress.rows = [line_of_one] * stage.epochs
    if stage.options.keep == "best" and stage.parts.val_set is not None:
        stage.best = {k: v.detach().cpu().clone() for k, v in stage._current_weights()}
    began = time.monotonic()
    size = stage.save()
    saving = time.monotonic() - began
    total = setup + stage.total_steps * seconds + stage.epochs * (validation + saving)
    line = {
        "name": plan.name,
        "seconds_setup": _rounded(setup),
        "seconds_per_step": float(f"{seconds:.4g}"),
        "steps_per_epoch": stage.steps_per_epoch,
        "epochs": stage.epochs,
        "total_steps": stage.total_steps,
        "seconds_validation": _rounded(validation),
        "seconds_total": _rounded(total),
        "parameters": sum(p.numel() for p in stage.parts.model.parameters()),
        "checkpoint_bytes": size,
        "assumed": note,
        "device": stage.pace.name,
        "memory_bytes": stage.pace.numbers()["memory_bytes"],
    }
    if not plan.last:
        about = provenance(stage.parts.train_set, plan.config, stage.epochs)
        save_model(stage.parts.model.cpu().eval(), plan.directory, provenance=about)
    return line


def _time_steps(stage: Stage) -> float:
    """Give the mean seconds of a step, behind some that warm up."""
    stage.wrapped.train()
    # An epoch may have fewer steps than are tried.
    batches = itertools.chain.from_iterable(stage._batches(first=0) for _ in itertools.count())
    began, done = time.monotonic(), 0
    for batch in batches:
        stage._train_step(batch)
        done += 1
        if done == WARM_STEPS:
            began = time.monotonic()
        passed = time.monotonic() - began
        if done == WARM_STEPS + STEPS or (done > WARM_STEPS and passed > SECONDS):
            break
    return (time.monotonic() - began) / (done - WARM_STEPS)


def _time_validation(stage: Stage) -> tuple[float, dict[str, float], str]:
    """Time a validation by a part of the records; also what it measured, and what that assumes."""
    val_set = stage.parts.val_set
    if val_set is None or not len(val_set):
        return 0.0, {}, ""
    part = _first_of(val_set, VALIDATED)
    model, layers = stage._current_model(), stage._current_layers()
    began = time.monotonic()
    measures = validate(stage.parts.objective, model, part, layers=layers, seed=stage.config.seed)
    seconds = (time.monotonic() - began) * len(val_set) / len(part)
    whole = len(part) == len(val_set)
    note = "" if whole else f"validation grows with its records; tried on {len(part):,} of them"
    return seconds, measures, note


def _first_of(dataset: RecordDataset, count: int) -> RecordDataset:
    """Take some records from all parts of a data set, evenly."""
    if len(dataset) <= count:
        return dataset
    return take_rows(dataset, torch.linspace(0, len(dataset) - 1, count).long())


def _rounded(value: float) -> float:
    return round(value, 3) if isinstance(value, float) else value


def _duration(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def _megabytes(size: float) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.3g} MB"
