"""What a run leaves for whoever watches it: frames of a class's range, and what baselines reach."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from csp_core.config import RunConfig
from csp_core.data.images import has_masks
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import AmbiguousNameError, BadRecordError, ConfigError, UnknownNameError
from csp_core.evaluation import find_measure, plain
from csp_core.files import write_json
from csp_core.model import BASELINES, DualEncoder, make_baseline
from csp_core.raster import GridPrior, write_geotiff
from csp_core.raster.prior import extrapolates
from csp_core.runs import RunDir
from csp_core.runs.artifacts import BASELINES as FILE
from csp_core.runs.artifacts import drop_frames, frame_path
from csp_core.training.plan import Plan

log = logging.getLogger(__name__)
STEP_DEGREES = 2.0
BUDGET_SECONDS = 3.0
# Seconds that asking takes on one processor, for training records, records held out and classes.
COSTS: Mapping[str, Callable[[int, int, int], float]] = {
    "class_frequency": lambda n, v, k: v * k * 2e-9,
    "nearest_records": lambda n, v, k: n * 4e-6 + v * (2e-4 + k * 4e-9),
    "kernel_density": lambda n, v, k: v * n * (6e-8 + k * 1e-10),
}


class Watched:
    """The class whose range a stage draws after each validation.

    Args:
        config: The configuration of the stage.
        model: The model as it is built.
        train_set: The training records.

    Raises:
        ConfigError: If the records have no such class; names those that are spelt alike.
    """

    def __init__(self, config: RunConfig, model: DualEncoder, train_set: RecordDataset) -> None:
        self.name, self.problem = config.training.watch, ""
        classes = train_set.classes
        if self.name is None:
            return
        if len(classes):
            _check_known(self.name, classes)
        if model.location is None or model.classifier is None:
            self.problem = "the model says nothing of places and classes"
        elif not len(model.classes):
            self.problem = "the model knows no classes"
        else:
            # Until it is finished, a model has no counts of the records that it learns from.
            known = bool(train_set.labelled().any())
            self.counts = make_baseline("class_frequency", train_set) if known else None

    def begin(self, run: RunDir, plan: Plan, epoch: int) -> None:
        """Drop the frames of epochs that are done again, and say if there will be none.

        Args:
            run: The run.
            plan: The stage.
            epoch: Epochs done.
        """
        drop_frames(run, epoch + 1, stage=plan.name, before=plan.before)
        if self.problem:
            log.info("%s is not watched: %s", self.name, self.problem)

    def draw(self, run: RunDir, stage: str, model: DualEncoder, epoch: int) -> None:
        """Write the range of the class by a model, which stays as it is.

        Args:
            run: The run.
            stage: Name of the stage.
            model: The model, which may be an average of the one that trains.
            epoch: Epochs done.

        Raises:
            BadRecordError: If the file cannot be written.
        """
        if self.name is None or self.problem:
            return
        modes = [(part, part.training) for part in model.modules()]
        try:
            # Of a kept grid, nothing: the next frame is of other weights.
            raster = GridPrior(model, step=STEP_DEGREES, keep_bytes=0).heatmap(self.name)
        finally:
            for part, mode in modes:
                part.training = mode
        if self.counts is not None:
            where = extrapolates(self.counts, raster.grid)
            raster = replace(raster, extrapolated=where, support_known=True)
        write_geotiff(raster, frame_path(run, epoch, stage))


def _check_known(name: str, classes: ClassTable) -> None:
    try:
        classes.label(name)
    except AmbiguousNameError as error:
        raise ConfigError(f"training.watch: {error}") from error
    except UnknownNameError as error:
        near = difflib.get_close_matches(name, classes.names, n=5, cutoff=0.5)
        listed = (
            f"near it: {', '.join(near)}" if near else f"such as {', '.join(classes.names[:5])}"
        )
        raise ConfigError(
            f"training.watch is {name!r}, and no class of the training records is called so;"
            f" {listed}."
        ) from error


def write_baselines(run: RunDir, train_set: RecordDataset, val_set: RecordDataset | None) -> None:
    """Measure cheap baselines on the records held out, once a run.

    Args:
        run: The run.
        train_set: What they are made of.
        val_set: Records held out, or None.
    """
    path = run.artifacts / FILE
    if path.exists() or val_set is None or not len(train_set.classes) or has_masks(val_set):
        return
    found: dict[str, dict[str, float]] = {}
    passed = []
    sizes = (len(train_set), len(val_set), len(train_set.classes))
    for name in BASELINES:
        cost = COSTS[name](*sizes) if name in COSTS else float("inf")
        if cost > BUDGET_SECONDS:
            passed.append(name)
            continue
        try:
            found[name] = _measure(name, train_set, val_set)
        except BadRecordError as error:
            log.info("no baseline %s: %s", name, error)
    if passed:
        log.info("baselines left out as they take long: %s (`csp evaluate`)", ", ".join(passed))
    write_json(path, found)


@torch.no_grad()
def _measure(name: str, train_set: RecordDataset, val_set: RecordDataset) -> dict[str, float]:
    baseline = make_baseline(name, train_set)
    measure = find_measure(baseline, val_set)
    if measure is None:
        return {}
    found = plain(measure.measure(baseline, val_set))
    numbers = {k: v for k, v in found.items() if isinstance(v, int | float)}
    finite = {k: float(v) for k, v in numbers.items() if abs(float(v)) < float("inf")}
    return {f"val_{key}": value for key, value in finite.items()}
