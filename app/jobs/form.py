"""The form of a new run: every part of it appears from the tables that the package keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from csp_core.config.compared import hints
from csp_core.config.presets import presets_of
from csp_core.config.schema import (
    FAMILIES,
    Option,
    options,
    summary,
    training_options,
)
from csp_core.data import DATASETS
from csp_core.errors import ConfigError, CspError
from csp_core.files import parse_yaml
from csp_core.objectives import OBJECTIVES
from jobs import draft
from jobs.basis import draw_basis
from jobs.captions import draw_captions, draw_quality
from jobs.fields import draw_option, draw_options
from jobs.start import as_text
from shared.words import escape_markdown

MOST_YAML = 200_000
NONE = "none"
THRESHOLDS = "thresholds"
# The keys of training that every run has to think of; the others stand below.
FIRST = ("epochs", "batch_size", "learning_rate", "device", "precision", "watch")
NAME = Option("name", "text", "model", help="Letters, digits, dots, dashes; a time is added to it.")
SEED = Option("seed", "int", 0, help="Everything that chance decides follows from it.")
DIM = Option("dim", "int", 256, help="Numbers in the embedding that both sides share.")
BIAS = Option("bias", "bool", True, help="Whether the classifier has a constant for each class.")
INIT = Option(
    "init_from",
    "text",
    None,
    nullable=True,
    help="A model or run to start from, by name or folder, such as one of CSP pre-training.",
)


def draw_start() -> None:
    """Draw where the settings begin: a data set with a preset, or a file."""
    data_set, name = draft.base()
    left, middle, right = st.columns([2, 2, 3], vertical_alignment="bottom")
    key = draft.key_of("data-set")
    left.selectbox(
        "Data set",
        DATASETS,
        list(DATASETS).index(data_set),
        key=key,
        on_change=partial(_begin, key, None),
    )
    key, presets = draft.key_of("preset"), presets_of(data_set)
    middle.selectbox(
        "Start from the preset",
        presets,
        list(presets).index(name) if name else None,
        placeholder="settings of a run or file",
        key=key,
        help="\n".join(f"- **{k}**: {v}" for k, v in presets.items()),
        on_change=partial(_begin, None, key),
    )
    with right.popover("Settings from a file", width="stretch"):
        st.file_uploader(
            "A YAML configuration",
            type=["yaml", "yml"],
            # A new box after each start, as another file of the same name is another file.
            key=draft.key_of("upload"),
            on_change=_upload,
            max_upload_size=1,
        )
    if problem := st.session_state.get(draft.FILE_PROBLEM):
        st.error(escape_markdown(problem))
    st.caption(escape_markdown(summary("data", data_set)))


def _begin(set_key: str | None, preset_key: str | None) -> None:
    data_set, name = draft.base()
    data_set = st.session_state[set_key] if set_key else data_set
    name = st.session_state[preset_key] if preset_key else name
    draft.begin(data_set, draft.first_preset(data_set, name))


def _upload() -> None:
    """Take the settings of a file, or say what is wrong with it."""
    file = st.session_state[draft.key_of("upload")]
    st.session_state.pop(draft.FILE_PROBLEM, None)
    if file is None:
        return
    try:
        content = file.getvalue()
        if len(content) > MOST_YAML:
            raise ConfigError(f"{file.name} has more than {MOST_YAML:,} bytes; settings are short.")
        tree = parse_yaml(as_text(content, file.name), file.name)
        if not isinstance(tree, dict):
            raise ConfigError(f"{file.name} holds no sections such as `data:` and `training:`.")
        draft.replace(tree)
    except CspError as error:
        st.session_state[draft.FILE_PROBLEM] = str(error)


def draw_settings() -> None:
    """Draw all sections of the settings."""
    left, right = st.columns([3, 1])
    with left:
        draw_option("name", NAME, label="Name of the run")
    with right:
        draw_option("seed", SEED)
    data_set = draft.name_at("data") or draft.DEFAULT_SET
    # What is none is said below; a data set or preset leads out of it.
    data = options("data", data_set) if data_set in DATASETS else ()
    with st.expander("Data and split", expanded=data_set != "demo"):
        for option in (option for option in data if option.name == "root"):
            draw_option("data.root", option, of=data_set, label="Folder or file of the data")
        draw_options("data", data, of=data_set, skip=("root",))
    found = hints(draft.draft())
    with st.expander("Objective: what is learned"):
        draw_objective()
    with st.expander("Location encoder"):
        draw_location(found)
    with st.expander("Image encoder"):
        draw_component("model.image", "image", "Image encoder", may_be_none=True)
        draw_hint(found, "model.image")
        draw_options("model", (DIM, BIAS, INIT))
    with st.expander("Captions and text encoder"):
        draw_captions(data_set, found)
    with st.expander("Quality of the training records"):
        draw_quality(found)
    draw_training()


def draw_training() -> None:
    """Draw how it is trained: what everybody asks first, then the rest."""
    known = training_options()
    with st.expander("Training: length, optimiser, machine", expanded=True):
        draw_options("training", [option for option in known if option.name in FIRST])
        with st.expander("More"):
            draw_options("training", [option for option in known if option.name not in FIRST])


def _objectives() -> list[str]:
    """List the objectives that can work: one that is taught only in settings with teachers."""
    teachers, now = draft.value_at("teachers"), draft.name_at("objective")
    return [name for name, one in OBJECTIVES.items() if teachers or not one.taught or name == now]


def draw_component(path: str, family: str, label: str, *, may_be_none: bool = False) -> None:
    """Draw the box that picks a component of a table, with its sentence and its options."""
    name = _pick(path, FAMILIES[family][0], label, may_be_none=may_be_none)
    if name:
        st.caption(escape_markdown(summary(family, name)))
        draw_options(path, options(family, name), of=name)


def draw_objective() -> None:
    """Draw the objective; what decides which pseudo-labels count has boxes of its own."""
    path = "objective"
    name = _pick(path, _objectives(), "Objective")
    if not name:
        return
    st.caption(escape_markdown(summary(path, name)))
    below = options(THRESHOLDS, name) if name in FAMILIES[THRESHOLDS][0] else None
    draw_options(path, options(path, name), of=name, skip=() if below is None else (THRESHOLDS,))
    if below:
        st.caption("Which labels count that it gives to pictures without one:")
        draw_options(f"{path}.{THRESHOLDS}", below, of=name)


def draw_hint(found: Mapping[str, str], path: str) -> None:
    """Say what does not fit the objective, if anything."""
    if path in found:
        st.caption(escape_markdown(found[path]))


def draw_location(found: Mapping[str, str]) -> None:
    """Draw the location encoder: its position encoding with a picture, network and inputs.

    Args:
        found: What of the settings does not fit the objective, by their path.
    """
    path = "model.location"
    name = _pick(path, FAMILIES["location"][0], "Position encoding", may_be_none=True)
    if not name:
        st.caption("Without a location side the model knows images alone.")
        return
    left, right = st.columns([3, 2])
    with left:
        st.caption(escape_markdown(summary("location", name)))
        draw_options(path, options("location", name), of=name)
    with right:
        given = draft.value_at(path)
        known = {option.name for option in options("location", name)}
        draw_basis(name, {k: v for k, v in given.items() if k in known} if given else {})
    network = _pick(f"{path}.network", FAMILIES["network"][0], "Network behind it")
    if network:
        st.caption(escape_markdown(summary("network", network)))
    draw_hint(found, f"{path}.network")
    if network:
        draw_options(f"{path}.network", options("network", network), of=network)
    key = draft.key_of("time")
    timed = isinstance(draft.value_at(f"{path}.time"), Mapping)
    st.checkbox(
        "Also knows the time",
        timed or draft.value_at(f"{path}.time") is True,
        key=key,
        on_change=partial(_take_time, key),
        help=escape_markdown(summary("input", "time")),
    )
    if timed:
        draw_options(f"{path}.time", options("input", "time"))


def _take_time(key: str) -> None:
    value = {"day_of_year": True} if st.session_state[key] else None
    draft.take("model.location.time", lambda: value)


def _pick(path: str, table: Iterable[str], label: str, *, may_be_none: bool = False) -> str | None:
    names = [*([NONE] if may_be_none else []), *table]
    key, name = draft.key_of(f"{path}-name"), draft.name_at(path)
    st.selectbox(
        label,
        names,
        names.index(name) if name in names else (0 if may_be_none else None),
        placeholder="the usual one",
        key=key,
        on_change=partial(_take_name, path, key),
    )
    return name if name in names else None


def _take_name(path: str, key: str) -> None:
    chosen: Any = st.session_state[key]
    whole: dict[str, Any] | None = None if chosen in (NONE, None) else {"name": chosen}
    draft.take(path, lambda: whole)
