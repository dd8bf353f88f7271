"""Boxes for options, made from the signatures of what they configure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from csp_core.config.schema import Option
from csp_core.errors import ConfigError
from csp_core.files import parse_yaml
from jobs import draft
from shared.words import escape_markdown

COLUMNS = 3


def draw_options(
    path: str,
    options: Sequence[Option],
    *,
    of: str = "",
    skip: Sequence[str] = (),
    off: Mapping[str, str] | None = None,
) -> None:
    """Draw a box for each option of a component.

    Args:
        path: Where the component stands, such as ``objective``.
        options: Its options.
        of: Name of the component.
        skip: Options that are drawn elsewhere.
        off: Options that change nothing as things stand, by their path, with why.
    """
    shown = [option for option in options if option.name not in skip]
    for first in range(0, len(shown), COLUMNS):
        cells = st.columns(COLUMNS, vertical_alignment="bottom")
        for option, cell in zip(shown[first : first + COLUMNS], cells, strict=False):
            with cell:
                own = f"{path}.{option.name}"
                draw_option(own, option, of=of, off=(off or {}).get(own, ""))


def draw_option(
    path: str, option: Option, *, of: str = "", label: str | None = None, off: str = ""
) -> None:
    """Draw the box of one option; what is typed there goes to the draft.

    Args:
        path: Where it stands.
        option: What it is.
        of: Name of the component: an option of the same name of another one has a box of its own,
            as this one's would keep what was typed here.
        label: What the box says; the option's name by default.
        off: Why it changes nothing as things stand, if so; one that was set can be taken back.
    """
    key = draft.key_of(f"{of}-{path}" if of else path)
    value = draft.value_at(path, option.default)
    text = label or option.name.replace("_", " ")
    help_text = " ".join(filter(None, (option.help, off)))
    told: dict[str, Any] = {"help": escape_markdown(help_text) or None, "key": key}
    told["disabled"] = bool(off) and value == option.default
    take = partial(_take, path, option, key)
    if option.kind == "bool" and not option.nullable:
        st.checkbox(text, bool(value), on_change=take, **told)
    elif option.kind == "choice":
        choices = [*([None] if option.nullable else []), *option.choices]
        index = choices.index(value) if value in choices else 0
        st.selectbox(text, choices, index, format_func=_word, on_change=take, **told)
    elif option.kind == "int" and not option.nullable and _is_whole(value):
        st.number_input(text, value=int(value), step=1, on_change=take, **told)
    elif option.kind == "float" and not option.nullable and _is_real(value):
        st.number_input(
            text, value=float(value), step=_step(float(value)), format="%g", on_change=take, **told
        )
    else:
        shown = "" if value is None else value if isinstance(value, str) else draft.flow(value)
        st.text_input(text, shown, placeholder="none", on_change=take, **told)
    if problem := draft.problem_at(path):
        st.caption(f":red[{escape_markdown(problem)}]")


def _take(path: str, option: Option, key: str) -> None:
    value: Any = st.session_state[key]
    typed = isinstance(value, str) and option.kind != "choice"
    draft.take(path, lambda: _read(value, option) if typed else value)


def _read(text: str, option: Option) -> Any:
    if not text.strip():
        if not option.nullable:
            raise ConfigError(f"{option.name} needs a value; its default is {option.default!r}.")
        return None
    return text if option.kind == "text" else parse_yaml(text, f"The value of {option.name}")


def _word(value: object) -> str:
    return "none" if value is None else str(value)


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 2**53


def _is_real(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _step(value: float) -> float:
    """Give a step of a tenth of the value's size, so that a click changes it visibly."""
    return 10.0 ** (math.floor(math.log10(abs(value))) - 1) if value else 0.1
