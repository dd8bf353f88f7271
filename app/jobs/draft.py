"""The settings of a run that is being put together: sections of plain values in the session."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import streamlit as st
import yaml

from csp_core.config import set_key
from csp_core.config.presets import preset, preset_file, presets_of, settings_of
from csp_core.data import DATASETS
from csp_core.errors import CspError

# In the session's state: the settings, what they began from, and how often they were replaced, so
# that every box is a new one then.
DRAFT, BASE, GENERATION = "train-draft", "train-base", "train-generation"
# What was typed and is no value, by its setting.
PROBLEMS = "train-problems"
# What is wrong with a file of settings.
FILE_PROBLEM = "train-file-problem"
DEFAULT_SET, DEFAULT_PRESET = "demo", "seconds"


def draft() -> dict[str, Any]:
    """Give the settings in work; those of a first look at the invented world to begin with."""
    if DRAFT not in st.session_state:
        begin(DEFAULT_SET, DEFAULT_PRESET)
    found: dict[str, Any] = st.session_state[DRAFT]
    return found


def base() -> tuple[str, str]:
    """Give the data set and preset that the settings began from; ``""`` where it was no preset."""
    draft()
    found: tuple[str, str] = st.session_state[BASE]
    return found


def begin(data_set: str, name: str) -> None:
    """Begin anew from a preset."""
    replace(preset(data_set, name), (data_set, name))


def first_preset(data_set: str, wanted: str = DEFAULT_PRESET) -> str:
    """Name the preset to begin from: the wanted one, or else the quickest that there is."""
    presets = presets_of(data_set)
    return next(name for name in (wanted, DEFAULT_PRESET, *presets) if name in presets)


def replace(tree: Mapping[str, Any], began: tuple[str, str] | None = None) -> None:
    """Take other settings, such as those of a run or of a file."""
    state = st.session_state
    state[DRAFT] = copy.deepcopy(dict(tree))
    data = state[DRAFT].get("data")
    name = data.get("name") if isinstance(data, dict) else data
    known = isinstance(name, str) and name in DATASETS
    state[BASE] = began or (name if known else DEFAULT_SET, "")
    state.pop(PROBLEMS, None)
    state.pop(FILE_PROBLEM, None)
    state[GENERATION] = state.get(GENERATION, 0) + 1


def key_of(path: str) -> str:
    """Name the box of a setting."""
    return f"train-{st.session_state.get(GENERATION, 0)}-{path}"


def value_at(path: str, default: Any = None) -> Any:
    """Read a setting; a component given by its name alone has no options."""
    found: Any = draft()
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return default
        found = found[part]
    return found


def set_at(path: str, value: Any) -> None:
    """Write a setting; what was wrong with it, and with what stood below it, is past."""
    *sections, last = path.split(".")
    set_key(draft(), sections, last, value, path)
    found: dict[str, str] = st.session_state.get(PROBLEMS, {})
    for wrong in [one for one in found if f"{one}.".startswith(f"{path}.")]:
        del found[wrong]


def take(path: str, read: Callable[[], Any]) -> None:
    """Write a setting that somebody typed or picked; what is no value is told and not taken.

    Args:
        path: Which setting.
        read: Gives the value, or raises a ``CspError`` that says what is wrong with it.
    """
    try:
        set_at(path, read())
    except CspError as error:
        st.session_state.setdefault(PROBLEMS, {})[path] = str(error)


def problem_at(path: str) -> str:
    """Say why what was typed for a setting is not taken; empty if it is."""
    found: dict[str, str] = st.session_state.get(PROBLEMS, {})
    return found.get(path, "")


def problems() -> list[str]:
    """List what was typed and is no value."""
    return list(st.session_state.get(PROBLEMS, {}).values())


def name_at(path: str) -> str | None:
    """Read which component stands somewhere; None for none."""
    found = value_at(path)
    if isinstance(found, dict):
        return str(found["name"]) if "name" in found else None
    return found if isinstance(found, str) else None


def overrides(start: Mapping[str, Any], tree: Mapping[str, Any]) -> list[str]:
    """Say what differs, as ``csp train`` takes it.

    Args:
        start: Settings.
        tree: Others.

    Returns:
        ``section.key=value``, to be put behind the first ones' file.

    Example:
        >>> overrides({"seed": 0, "data": {"name": "demo"}}, {"seed": 1, "data": {"name": "demo"}})
        ['seed=1']
    """
    return [f"{key}={flow(value)}" for key, value in _changes(start, tree, "")]


def _changes(
    start: Mapping[str, Any], tree: Mapping[str, Any], before: str
) -> Iterator[tuple[str, Any]]:
    for key, new in tree.items():
        old = start.get(key)
        if old == new:
            continue
        both = isinstance(old, dict) and isinstance(new, dict) and key != "pretrain"
        # Another component has other options, so it is given as a whole.
        if both and old.get("name") == new.get("name") and set(old) <= set(new):  # type: ignore[union-attr,arg-type]
            yield from _changes(old, new, f"{before}{key}.")  # type: ignore[arg-type]
        else:
            yield f"{before}{key}", new


def file_name() -> str:
    """Name the file of the settings."""
    name = draft().get("name")
    return f"{name if isinstance(name, str) else 'run'}.yaml"


def command(tree: Mapping[str, Any]) -> str:
    """Give the command line that starts the same run.

    Args:
        tree: The settings, with absolute paths: a command's are relative to where it is given.

    Returns:
        One line for a shell.
    """
    data_set, name = base()
    if not name:
        return shlex.join(["csp", "train", file_name()])
    path = preset_file(data_set, name)
    try:
        shown = path.relative_to(Path.cwd())
    except ValueError:
        shown = path
    found = overrides(settings_of(path), tree)
    return shlex.join(["csp", "train", str(shown), *found])


def flow(value: Any) -> str:
    """Write a value in one line of YAML.

    Example:
        >>> flow([2, 300]), flow("all"), flow(None)
        ('[2, 300]', 'all', 'null')
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.strip().removesuffix("\n...").strip()
