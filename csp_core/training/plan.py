"""The stages of a run, planned before the first of them starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.config import RunConfig, derive_config
from csp_core.files import read_json
from csp_core.model import DualEncoder
from csp_core.runs import RunDir
from csp_core.training.state import derive_seed
from csp_core.training.teachers import count_members


@dataclass(frozen=True)
class TrainResult:
    """What a run leaves.

    Args:
        model: The best model, or the model as it stands if the run was stopped.
        history: One dictionary an epoch, as in ``metrics.jsonl``.
        model_directory: Where the finished model lies; None if the run was stopped.
        state: ``"finished"`` or ``"stopped"``.
    """

    model: DualEncoder
    history: list[dict[str, Any]]
    model_directory: Path | None
    state: str


@dataclass(frozen=True)
class Plan:
    """What one stage of a run does.

    Args:
        config: What to train.
        directory: Where its model shall stand.
        checkpoints: What it resumes from.
        name: What to call it; empty in a run of one stage.
        before: Names of the stages before it.
        held_out: Model of the stage that held records out, where this one learns from all of them.
        networks: Models of earlier stages that it learns from.
        last: Whether the run ends with it.
        start: Model of an earlier stage that it starts from.
    """

    config: RunConfig
    directory: Path
    checkpoints: Path
    name: str = ""
    before: tuple[str, ...] = ()
    held_out: Path | None = None
    networks: tuple[Path, ...] = ()
    last: bool = True
    start: Path | None = None


def plan_stages(config: RunConfig, run: RunDir) -> list[Plan]:
    """List the stages of a run: pre-training, networks that teach, then what learns from them.

    With ``training.refit`` all of them once more on all records, so that what was measured on the
    records held out learned nothing of them by way of a teacher.

    Args:
        config: The run.
        run: Where it lives.

    Returns:
        One plan a stage, in order.
    """
    learners = [*network_configs(config), config]
    homes = [*(run.teacher(i + 1) for i in range(len(learners) - 1)), run.path]
    names = [*(f"teacher {i + 1} of {len(learners) - 1}" for i in range(len(learners) - 1)), ""]
    plans, start = [], None
    if (first := pretrain_config(config)) is not None:
        home = run.pretrained
        start = home / "model"
        plans.append(Plan(first, start, home / "checkpoints", "pre-training", last=False))
    for refit in (False, True) if config.training.refit else (False,):
        kind = "model" if refit or not config.training.refit else "held_out"
        for learner, home, name in zip(learners, homes, names, strict=True):
            own = home / "checkpoints"
            whole = "all records" if refit else "records held out" if config.training.refit else ""
            plans.append(
                Plan(
                    config=learner,
                    directory=home / kind,
                    checkpoints=own / "refit" if refit else own,
                    name=", ".join(filter(None, (name, whole))),
                    before=tuple(plan.name for plan in plans),
                    held_out=home / "held_out" if refit else None,
                    networks=tuple(h / kind for h in homes[:-1]) if home == run.path else (),
                    last=kind == "model" and home == run.path,
                    start=start if home == run.path else None,
                )
            )
    return plans


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
        for member in range(count_members(teacher)):
            seed = derive_seed(config.seed, f"teacher {index}", member) % 2**31
            changes = teacher.options["overrides"] or {}
            found.append(derive_config(config, changes, source=f"teacher {index + 1}", seed=seed))
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
    # What is watched of the fine-tuning is as a rule not measured of another objective.
    own = {"training.refit": False, "training.monitor": "auto"}
    return derive_config(config, {**own, **config.pretrain}, source="pretrain")


def trained_epochs(directory: Path) -> int | None:
    """Read how many epochs the weights of a finished model saw.

    Args:
        directory: A model directory, which need not be there.

    Returns:
        The number, or None if no model stands there.
    """
    file = directory / "config.json"
    return int(read_json(file)["provenance"]["epochs"]) if file.is_file() else None
