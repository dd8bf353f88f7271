"""What a form needs to know of a configuration: components, their options and their sentences.

Nothing is written down twice: names come from the tables, options from signatures, sentences from
docstrings, so an entry of a table is in every form at once.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from csp_core.config.quality import QualityConfig
from csp_core.config.sections import TrainingConfig, option_types
from csp_core.data import DATASETS
from csp_core.image import IMAGE_ENCODERS
from csp_core.location import ENCODINGS, INPUTS, NETWORKS
from csp_core.objectives import OBJECTIVES
from csp_core.objectives.semisup.thresholds import POLICIES
from csp_core.tables import lookup, option_names
from csp_core.text import TEXT_ENCODERS

# Family to its table and how many leading parameters are no options.
FAMILIES: dict[str, tuple[Mapping[str, Callable[..., Any]], int]] = {
    "data": (DATASETS, 1),
    "objective": (OBJECTIVES, 1),
    "location": (ENCODINGS, 0),
    "network": (NETWORKS, 2),
    "input": (INPUTS, 0),
    "image": (IMAGE_ENCODERS, 0),
    "text": (TEXT_ENCODERS, 1),
    # What ``objective.thresholds`` of the objective of that name takes.
    "thresholds": (POLICIES, 1),
}
# What a component's owner gives it, so that nobody is asked for it.
GIVEN = {"thresholds": ("several", "frequency", "steps")}
KINDS: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "text", Path: "text"}


@dataclass(frozen=True)
class Option:
    """One option of a component.

    Args:
        name: Its key.
        kind: ``bool``, ``int``, ``float``, ``text``, ``choice``, or ``yaml`` for everything else.
        default: What stands for it where it is left out; None too where it has to be given.
        required: Whether it has to be given.
        nullable: Whether it may be none.
        choices: What it may be, for a ``choice``.
        help: A sentence or more on it; may be empty.
    """

    name: str
    kind: str
    default: Any
    required: bool = False
    nullable: bool = False
    choices: tuple[Any, ...] = ()
    help: str = ""


def summary(family: str, name: str) -> str:
    """Say in one sentence what a component is.

    Args:
        family: A key of ``FAMILIES``.
        name: Its name there.

    Returns:
        The first paragraph of its docstring, without marks of code.

    Raises:
        UnknownNameError: If there is no such component.

    Example:
        >>> summary("location", "xyz")
        'The point on the unit sphere.'
    """
    found = inspect.getdoc(lookup(family, FAMILIES[family][0], name)) or ""
    return _plain(found.split("\n\n")[0])


def options(family: str, name: str) -> tuple[Option, ...]:
    """List the options of a component.

    Args:
        family: A key of ``FAMILIES``.
        name: Its name there.

    Returns:
        Its options, in the order of its signature.

    Raises:
        UnknownNameError: If there is no such component.

    Example:
        >>> [(o.name, o.kind, o.default) for o in options("location", "nerf")]
        [('num_scales', 'int', 16)]
    """
    table, given = FAMILIES[family]
    constructor = lookup(family, table, name)
    hints, sentences = option_types(constructor), _sentences(constructor)
    return tuple(
        _option(key, hints.get(key, Any), default, sentences.get(key, ""))
        for key, default in option_names(constructor, given=given).items()
        if key not in GIVEN.get(family, ())
    )


def training_options() -> tuple[Option, ...]:
    """List the keys of the section ``training``.

    Returns:
        Its options, in the order of the section.
    """
    return _keys(TrainingConfig)


def quality_options() -> tuple[Option, ...]:
    """List the keys of ``data.quality``.

    Returns:
        Its options, in the order in which they are done.
    """
    return _keys(QualityConfig)


def _keys(section: type[BaseModel]) -> tuple[Option, ...]:
    return tuple(
        _option(name, field.annotation, field.default, field.description or "")
        for name, field in section.model_fields.items()
    )


def _option(name: str, hint: Any, default: Any, sentence: str) -> Option:
    union = get_origin(hint) in (Union, types.UnionType)
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if union else [hint]
    choices = get_args(kinds[0]) if get_origin(kinds[0]) is Literal and len(kinds) == 1 else ()
    plain = {KINDS.get(kind, "yaml") for kind in kinds}
    kind = "choice" if choices else plain.pop() if len(plain) == 1 else "yaml"
    required = default is inspect.Parameter.empty
    return Option(
        name,
        kind,
        None if required else default,
        required=required,
        nullable=union and type(None) in get_args(hint),
        choices=choices,
        help=sentence,
    )


def _sentences(constructor: Callable[..., Any]) -> dict[str, str]:
    """Read what docstrings say of options, those of the classes it is built on last."""
    found: dict[str, str] = {}
    bases = inspect.getmro(constructor) if isinstance(constructor, type) else (constructor,)
    for base in bases:
        for name, sentence in _arguments(inspect.cleandoc(base.__doc__ or "")):
            # What a base explains is explained there.
            if not re.fullmatch(r"As of \w+\.", sentence):
                found.setdefault(name, sentence)
    return found


def _arguments(doc: str) -> Iterator[tuple[str, str]]:
    """Go through the section ``Args`` of a docstring."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", doc, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^ {4}(?=\S)", section[1], flags=re.MULTILINE) if section else []
    for entry in entries:
        names, colon, sentence = entry.partition(": ")
        if colon and re.fullmatch(r"\*{0,2}\w+(, \w+)*", names):
            for name in names.replace("*", "").split(", "):
                yield name, _plain(sentence)


def _plain(text: str) -> str:
    return " ".join(text.replace("``", "").split())
