"""Stages before the last: teachers, which a run learns from, and pre-training, its start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from csp_core.config import RunConfig, TeacherConfig, parse_config, set_key
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.model import Mixture, Prior, make_baseline
from csp_core.store import load_model
from csp_core.trainstate import derive_seed


def network_configs(config: RunConfig) -> list[RunConfig]:
    """List the networks that are trained before the one that learns from them.

    Args:
        config: The run.

    Returns:
        One configuration each: that of the run with the teacher's overrides, without teachers, and
        with a seed of its own for weights, batches and draws. Data and split are the same.

    Raises:
        ConfigError: If an override does not fit.
    """
    found: list[RunConfig] = []
    for index, teacher in enumerate(config.teachers):
        for member in range(_members(teacher)):
            tree = config.model_dump(mode="json")
            tree["teachers"], tree["pretrain"] = [], None
            tree["seed"] = derive_seed(config.seed, f"teacher {index}", member) % 2**31
            for key, value in (teacher.options["overrides"] or {}).items():
                *sections, last = key.split(".")
                set_key(tree, sections, last, value, f"teachers: {key}")
            found.append(parse_config(tree, source=f"teacher {index + 1}"))
    return found


def pretrain_config(config: RunConfig) -> RunConfig | None:
    """Give the configuration of the stage that pre-trains what the run then fine-tunes.

    Args:
        config: The run.

    Returns:
        That of the run with the overrides of ``pretrain``, without teachers, on the same split;
        None if there is no such stage.

    Raises:
        ConfigError: If an override does not fit.
    """
    if not config.pretrain:
        return None
    tree = config.model_dump(mode="json")
    tree["teachers"], tree["pretrain"] = [], None
    tree["training"]["refit"] = False
    for key, value in config.pretrain.items():
        *sections, last = key.split(".")
        set_key(tree, sections, last, value, f"pretrain: {key}")
    return parse_config(tree, source="pretrain")


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
            members: list[Prior] = [load_model(next(trained)) for _ in range(_members(teacher))]
        elif teacher.name == "model":
            members = [load_model(str(teacher.options["path"]))]
        else:
            members = [make_baseline(teacher.name, train_set, **teacher.options)]
        priors += members
        weights += [teacher.weight / len(members)] * len(members)
    return Mixture(priors, weights, name="teacher")


def _members(teacher: TeacherConfig) -> int:
    if teacher.name != "network":
        return 0
    members = int(teacher.options["members"])
    if members < 1:
        raise ConfigError(f"A teacher has {members} members; give 1 or more.")
    return members
