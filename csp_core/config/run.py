"""The configuration of a run: one frozen tree, read from YAML, overridden key by key."""

from __future__ import annotations

import difflib
import hashlib
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from csp_core.config.compared import check_compared
from csp_core.config.paths import anchor, anchor_value, shorten
from csp_core.config.sections import (
    CardConfig,
    Component,
    DataConfig,
    ModelConfig,
    Section,
    TeacherConfig,
    TrainingConfig,
    checked,
    model_teacher,
    network_teacher,
    outside_teacher,
)
from csp_core.data import DATASETS
from csp_core.errors import ConfigError, DataNotFoundError, UnknownNameError
from csp_core.files import parse_yaml, printable, read_yaml
from csp_core.model import BASELINES
from csp_core.objectives import OBJECTIVES

# Whose keys a stage may change one by one; others are components, which are named anew.
SECTIONS = ("data", "model", "training", "card")
# Of an override's key; the configuration has four.
MOST_SECTIONS = 10


# Settings of training that only change how a run is watched.
WATCHING = ("space_every", "watch")
# Settings that came later and what they are where nobody asks: runs keep the hash they had before.
LATER = {"decay_vectors": True, "encoder_rate": 1.0}


class RunConfig(Section):
    """One training run."""

    name: str = Field("model", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    seed: int = Field(0, ge=0, lt=2**31)
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    objective: Component = Component(name="softmax")
    # What another stage before does otherwise: {section.key: value}. It starts the model.
    pretrain: dict[str, Any] | None = None
    teachers: tuple[TeacherConfig, ...] = ()
    training: TrainingConfig = TrainingConfig()
    card: CardConfig = CardConfig()

    @model_validator(mode="after")
    def _stages_fit(self) -> RunConfig:
        if self.pretrain and self.model.init_from:
            raise ConfigError(
                "pretrain and model.init_from both say what the model starts from; give one."
            )
        if self.training.refit and self.data.options.get("val_fraction") == 0:
            raise ConfigError(
                "training.refit learns from the validation records in a second stage, but"
                " data.val_fraction is 0. Hold some out, or set refit to false."
            )
        if OBJECTIVES[self.objective.name].taught and not self.teachers:
            raise ConfigError(
                f"The objective {self.objective.name} learns from `teachers`, and there are none."
                " Give some, as configs/birds.yaml does, or take another objective."
            )
        starts = bool(self.pretrain or self.model.init_from)
        check_compared(self.objective, self.model, self.data, starts=starts)
        return self

    @field_validator("data")
    @classmethod
    def _data_exists(cls, part: DataConfig) -> DataConfig:
        # The loader's first parameter is the split, which training chooses.
        plain = Component.model_validate({"name": part.name, "root": part.root} | part.options)
        # What any data set can have is no option of its loader.
        beside = {"captions": part.captions, "quality": part.quality}
        return DataConfig.model_validate(checked("data set", DATASETS, plain, 1) | beside)

    @field_validator("objective")
    @classmethod
    def _objective_exists(cls, part: Component) -> Component:
        return Component.model_validate(checked("objective", OBJECTIVES, part, 1))

    @field_validator("teachers")
    @classmethod
    def _teachers_exist(cls, parts: tuple[TeacherConfig, ...]) -> tuple[TeacherConfig, ...]:
        own: dict[str, Callable[..., Any]] = {
            "model": model_teacher,
            "network": network_teacher,
            "outside_prior": outside_teacher,
        }
        kinds: dict[str, Callable[..., Any]] = {**BASELINES, **own}
        found = [checked("teacher", kinds, p, 0 if p.name in own else 1) for p in parts]
        pairs = zip(parts, found, strict=True)
        return tuple(TeacherConfig.model_validate({**c, "weight": p.weight}) for p, c in pairs)

    def to_yaml(self) -> str:
        """Write the whole tree, defaults included.

        Returns:
            YAML that ``load_config`` reads back to an equal tree.
        """
        tree = self.model_dump(mode="json")
        for name in WATCHING:
            if tree["training"][name] is None:
                del tree["training"][name]
        return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)

    def unwatched(self) -> RunConfig:
        """Give the same without what only changes how the run is watched.

        Returns:
            The configuration with the settings of ``WATCHING`` null, and neither pre-training nor a
            network that teaches saying anything of them.
        """
        teachers = tuple(
            t.model_copy(update={"overrides": _unwatched(changes)})
            if (changes := t.options.get("overrides"))
            else t
            for t in self.teachers
        )
        changed = {
            "training": self.training.model_copy(update=dict.fromkeys(WATCHING)),
            "pretrain": self.pretrain and _unwatched(self.pretrain),
            "teachers": teachers,
        }
        return self.model_copy(update=changed)

    def without_folders(self) -> dict[str, Any]:
        """Give the settings for a model's own files, where folders of one machine say nothing.

        Returns:
            The tree as plain values, without the card, paths cut to their last part.
        """
        exclude: Any = {"card": True, "training": set(WATCHING)}
        # As of models that were saved before there were text encoders.
        exclude |= {} if self.model.text else {"model": {"text"}}
        return shorten(self.unwatched().model_dump(mode="json", exclude=exclude))

    def recipe_hash(self) -> str:
        """Hash what decides the weights besides the records: seed, model, objective, training.

        Returns:
            64 hexadecimal digits. Where and how often the run is saved leaves them as they are.
        """
        machine = {"device", "precision", "threads", "checkpoint_every", "saved_as", *WATCHING}
        parts = ["seed", "model", "objective", "teachers", "training"]
        # A run without pre-training keeps the hash it had before there was any.
        parts += ["pretrain"] if self.pretrain else []
        later = {name for name, usual in LATER.items() if getattr(self.training, name) == usual}
        image = self.model.image
        # What was not there yet is left out where nothing of it is asked for, for the same reason.
        without: dict[str, Any] = {} if self.model.text else {"text": True}
        if image is not None and image.options.get("architecture", 0) is None:
            without["image"] = {"architecture"}
        kept = self.unwatched().model_dump_json(
            include=dict.fromkeys(parts, True),
            exclude={
                "training": machine | later,
                "model": without,
            },
        )
        return hashlib.sha256(kept.encode()).hexdigest()


def _unwatched(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a stage's changes what only changes how it is watched."""
    kept: dict[str, Any] = {}
    for key, value in changes.items():
        if key == "training" and isinstance(value, Mapping):
            kept[key] = {name: v for name, v in value.items() if name not in WATCHING}
        elif key not in {f"training.{name}" for name in WATCHING}:
            kept[key] = value
    # A stage that changes nothing is a stage, and an empty mapping says that there is none.
    return kept or {"training.watch": None}


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's configuration.

    Args:
        path: YAML file. Paths in it are relative to its folder.
        overrides: ``"section.key=value"``; the value is read as YAML. Paths given here are relative
            to the working directory.

    Returns:
        The frozen configuration.

    Raises:
        DataNotFoundError: If there is no such file.
        ConfigError: If it is not YAML, or a key or value does not fit.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "not there"
        raise DataNotFoundError(
            f"The configuration {str(path)!r} is {found}; give a YAML file, such as"
            " configs/birds.yaml."
        )
    tree = read_yaml(path) or {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds a {type(tree).__name__}; give sections such as `data:`.")
    anchor(tree, path.parent.resolve())
    for override in overrides:
        _override(tree, override)
    return parse_config(tree, source=str(path))


def parse_config(tree: Mapping[str, Any], *, source: str = "configuration") -> RunConfig:
    """Check a tree of plain values.

    Args:
        tree: Sections and keys.
        source: Where it came from, for error messages.

    Returns:
        The frozen configuration.

    Raises:
        ConfigError: If a key or value does not fit.
    """
    try:
        return RunConfig.model_validate(tree)
    except ValidationError as error:
        lines = "; ".join(_explain(dict(item)) for item in error.errors())
        raise ConfigError(f"{source}: {lines}") from error
    except (ConfigError, UnknownNameError) as error:
        raise ConfigError(f"{source}: {error}") from error


def derive_config(
    config: RunConfig, changes: Mapping[str, Any], *, source: str, seed: int | None = None
) -> RunConfig:
    """Give the configuration of another stage of a run, which has neither teachers nor stages.

    Args:
        config: The run.
        changes: ``section.key`` to what the stage does otherwise.
        source: What to call it in error messages.
        seed: Its seed; that of the run if None.

    Returns:
        The frozen configuration.

    Raises:
        ConfigError: If a change does not fit.
    """
    tree = config.model_dump(mode="json")
    tree["teachers"], tree["pretrain"] = [], None
    tree["seed"] = config.seed if seed is None else seed
    for key, value in _plain_changes(changes):
        *sections, last = key.split(".")
        set_key(tree, sections, last, value, f"{source}: {key}")
    return parse_config(tree, source=source)


def _plain_changes(changes: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield changes key by key: a section of which some keys are given keeps its others."""
    for key, value in changes.items():
        if key in SECTIONS and isinstance(value, Mapping) and "name" not in value:
            yield from ((f"{key}.{inner}", one) for inner, one in value.items())
        else:
            yield key, value


def _explain(item: dict[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if not item["loc"]:  # of the parts together, each of which may be right
        return str(item["msg"]).removeprefix("Value error, ")
    if item["type"] != "extra_forbidden":
        given = textwrap.shorten(repr(item["input"]), 200)
        return f"{where}: {item['msg'].removeprefix('Value error, ')} (given: {given})"
    section: type[BaseModel] = RunConfig
    for part in item["loc"][:-1]:
        annotation = section.model_fields[str(part)].annotation
        kinds = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        section = next((kind for kind in kinds if issubclass(kind, BaseModel)), section)
    close = difflib.get_close_matches(str(item["loc"][-1]), section.model_fields, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"unknown key {where!r}.{hint} Known here: {', '.join(section.model_fields)}"


def _override(tree: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{override[:200]!r} is no override; give section.key=value.")
    if key.count(".") > MOST_SECTIONS or printable(key) != key:
        raise ConfigError(f"{override[:200]!r} names no key; give section.key=value.")
    value = parse_yaml(text, f"The value of {override[:200]!r}")
    *sections, last = key.strip().split(".")
    value = anchor_value(key.strip(), value, Path.cwd(), resolve=True)
    if sections[:1] == ["pretrain"]:  # its keys are written as those of overrides
        sections, last = sections[:1], ".".join([*sections[1:], last])
    set_key(tree, sections, last, value, override)


def set_key(
    tree: dict[str, Any], sections: Sequence[str], last: str, value: Any, given: str
) -> None:
    """Set a key below sections, which are made where they are missing.

    Args:
        tree: Plain values, changed.
        sections: The way to the key.
        last: The key.
        value: Its value.
        given: What the user wrote, for the message.

    Raises:
        ConfigError: If the way leads through a value that is no section.
    """
    for section in sections:
        inner = tree.setdefault(section, {})
        if isinstance(inner, str):  # a component given by its name alone
            tree[section] = inner = {"name": inner}
        elif inner is None:  # written out where there was none
            tree[section] = inner = {}
        if not isinstance(inner, dict):
            raise ConfigError(f"{given!r}: {section!r} is not a section.")
        tree = inner
    tree[last] = value
