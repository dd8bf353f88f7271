"""The threshold of a range map: chosen as a value or a word, or fitted to records."""

from __future__ import annotations

import streamlit as st

from csp_core.errors import CspError
from csp_core.inference import write_score
from csp_core.model import DualEncoder
from csp_core.raster import HeldOut, Threshold, given_threshold
from csp_core.store import ModelInfo
from range_map.address import FITTED, NO_LINE, OVERALL
from range_map.held_out import columns_of, given_file, held_out
from shared.address import set_param
from shared.visits import own
from shared.words import count_of, escape_markdown, percent, reworded, singular

VALUE = "value"
VALUES = {
    "share": (
        *(0.001, 0.002, 0.003, 0.004, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05),
        *(0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0),
    ),
    "relative": tuple(step / 20 for step in range(1, 20)),
    "probability": tuple(step / 20 for step in range(1, 20)),
}
STARTS = {"share": 0.01, "relative": 0.5, "probability": 0.5}
SHARE_WORDS = "Its share of all recordings"
ABOVE = " Above its share of all recordings, a {} is recorded there more than elsewhere."
OWN_WORDS = {"probability": "Its threshold for being in the label set"}
FITTED_WORDS = {
    "max_tss": "Fitted: best at telling it from others",
    "recall_90": "Fitted: keeps 9 of 10 of its records",
}


def write_value(kind: str, value: float) -> str:
    """Write a value in its unit.

    Example:
        >>> write_value("share", 0.0123), write_value("relative", 0.9997)
        ('1.2 %', '0.9997')
    """
    return write_score(value) if kind == "relative" else percent(value)


def overall_share(model: DualEncoder, taxon: str) -> float | None:
    """Give the part of a species in the training records, or of label sets its own threshold.

    None where it is not known.
    """
    if model.prior_kind == "probability":
        fitted = model.calibration.thresholds
        return fitted[model.classes.label(taxon)] if fitted else None
    if model.prior_kind != "share" or not sum(model.classes.counts):
        return None
    share = float(model.classes.frequency()[model.classes.label(taxon)])
    return share or None


def on_choice() -> None:
    """Take over a kind of threshold; a value of one's own begins at the one in use."""
    choice = st.session_state["threshold_box"]
    start = st.session_state.get(own("start_value"), "")
    set_param("threshold", start if choice == VALUE else choice)


def on_slider() -> None:
    """Take over a value."""
    set_param("threshold", f"{st.session_state['threshold_slider']:.9g}")


def choose(
    asked: str | float | None, info: ModelInfo, model: DualEncoder, taxon: str
) -> Threshold | None:
    """Draw the boxes that choose a threshold.

    Args:
        asked: What the address says.
        info: The model.
        model: The same, loaded.
        taxon: Scientific name.

    Returns:
        The threshold, or None for none.
    """
    top, below = st.container(), st.container()
    with below:
        held = _held_out(info, taxon)
    overall = overall_share(model, taxon)
    first = VALUE if overall is None else OVERALL
    choice = first if asked is None else VALUE if isinstance(asked, float) else asked
    problem = ""
    if choice == OVERALL and overall is None:
        lacks = "does not say how frequent its species are"
        if model.prior_kind == "probability":
            lacks = "came without thresholds of its classes"
        problem, choice = f"The model {lacks}.", first
    if choice in FITTED and held is None:
        problem, choice = f"threshold={choice} needs records to be fitted to; see below.", first
    result: Threshold | None = None
    with top:
        if choice in FITTED and held is not None:
            try:
                result = held.fit(choice)
            except CspError as error:
                problem, choice = str(error), first
        kind = model.prior_kind
        value = asked if isinstance(asked, float) else overall if choice == OVERALL else None
        result = result or (None if choice == NO_LINE else given_threshold(value or STARTS[kind]))
        _draw(choice, result, info, kind, overall, fitted=held is not None)
        if problem:
            st.info(escape_markdown(problem))
        if result and held:
            st.markdown(_recall(result, held, kind))
    return result


def of_other(
    asked: str | float | None, threshold: Threshold | None, model: DualEncoder, taxon: str
) -> Threshold | None:
    """Give the threshold of the map that is compared: its own overall share, or the same value.

    Args:
        asked: What the address says.
        threshold: The threshold of the first map.
        model: The model of the other.
        taxon: Its species.

    Returns:
        The threshold, or None for none.
    """
    own = overall_share(model, taxon)
    if threshold and asked in (None, OVERALL) and own is not None:
        return given_threshold(own)
    return given_threshold(threshold.value) if threshold else None


def _draw(
    choice: str,
    threshold: Threshold | None,
    info: ModelInfo,
    kind: str,
    overall: float | None,
    *,
    fitted: bool,
) -> None:
    words = {}
    if overall is not None:
        first = reworded(OWN_WORDS.get(kind, SHARE_WORDS), info)
        words[OVERALL] = f"{first}, {write_value(kind, overall)}"
    words[VALUE] = "A value of my own"
    words |= FITTED_WORDS if fitted else {}
    words[NO_LINE] = "None"
    value = threshold.value if threshold else STARTS[kind]
    st.session_state["threshold_box"] = choice
    # To the digit: a threshold rounded to what is written outlines another area.
    st.session_state[own("start_value")] = f"{value:.9g}"
    more = "" if overall is None or kind == "probability" else ABOVE.format(singular(info))
    st.selectbox(
        "Threshold",
        list(words),
        format_func=words.__getitem__,
        key="threshold_box",
        on_change=on_choice,
        help="Where the values reach it a line is drawn, and the area inside is measured."
        + reworded(more, info),
    )  # fmt: skip
    if choice == VALUE:
        written = write_value(kind, value)
        others = (v for v in VALUES[kind] if write_value(kind, v) != written)
        options = sorted({*others, value})
        st.session_state["threshold_slider"] = value
        st.select_slider(
            "Value",
            options,
            format_func=lambda option: write_value(kind, option),
            key="threshold_slider",
            on_change=on_slider,
        )


def _held_out(info: ModelInfo, taxon: str) -> HeldOut | None:
    with st.expander("Check it against records"):
        st.caption(
            "The model holds no records, so it cannot say which part of them a threshold keeps."
            " Give records that it has not learned from, with a column of scientific names; they"
            " stay on the machine that runs this page."
        )
        given = given_file()
        if given is None:
            return None
        try:
            held, report, names = held_out(info, taxon, given, columns_of(info, given))
        except CspError as error:
            st.error(escape_markdown(str(error)))
            return None
        name = escape_markdown(given.name)
        st.caption(f"Records in use: {name}. {escape_markdown(names)}")
        if report:
            st.markdown("What was read, left out and guessed:")
            st.code(report, language=None, wrap_lines=True)
        return held


def _recall(threshold: Threshold, held: HeldOut, kind: str) -> str:
    own, others = held.above(threshold.value)
    count = count_of
    if not len(held.presence):
        return "None of the records given is of this species."
    lines = [
        f"At {write_value(kind, threshold.value)} or more lie **{own:.0%}** of its"
        f" {count(len(held.presence), 'record', 'records')}"
    ]
    if len(held.background):
        lines.append(
            f" and {others:.0%} of {count(len(held.background), 'record', 'records')} of others"
        )
    return "".join(lines) + "."
