"""From places: click where a species was seen, and the map of where else it may live follows."""

from __future__ import annotations

import contextlib

import streamlit as st

import few_shot.answer
import few_shot.clicking
import few_shot.drawing
import few_shot.files
import few_shot.saving
import shell
from csp_core.errors import CspError
from csp_core.inference import write_score
from csp_core.inference.few_shot import BACKGROUND_MEANING, told_of
from csp_core.store import ModelInfo
from few_shot.address import (
    DISTANCE,
    DISTANCES,
    MOST,
    MOST_NAME,
    PlacesView,
    link_to,
    models_of_places,
    read_view,
)
from few_shot.answer import Answer
from jobs.listing import allowed
from range_map.layer import write_area
from shared import resources, widgets
from shared.address import set_param
from shared.visits import own
from shared.words import count_of, escape_markdown, value_meaning

TITLE = "Where else may it live?"
BACKGROUNDS = {"land": "All land", "target-group": "The model's records", "world": "Land and sea"}


def on_box(param: str, key: str) -> None:
    """Take over what a box holds."""
    set_param(param, str(st.session_state[key] or "").strip() or None)


def on_distance() -> None:
    """Take over whether distance counts."""
    set_param(DISTANCE, None if st.session_state["few-shot-distance"] else DISTANCES[1])


def draw_controls(view: PlacesView, known: dict[str, ModelInfo]) -> None:
    """Draw the boxes for the species' name, the model and the background."""
    state = st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        state["few-shot-name"] = view.name
        st.text_input(
            "Name of the species",
            key="few-shot-name",
            placeholder="Genus species",
            max_chars=MOST_NAME,
            on_change=on_box,
            args=("name", "few-shot-name"),
            width=260,
        )
        if len(known) > 1:
            state["few-shot-model"] = view.info.name
            st.selectbox("On the embedding of", list(known), key="few-shot-model",
                         on_change=on_box, args=("model", "few-shot-model"), width=200)  # fmt: skip
        state["few-shot-background"] = view.background
        told = "; ".join(f"{BACKGROUNDS[kind]}: {BACKGROUND_MEANING[kind]}" for kind in BACKGROUNDS)
        st.selectbox(
            "Told apart from",
            list(BACKGROUNDS),
            format_func=BACKGROUNDS.__getitem__,
            key="few-shot-background",
            on_change=on_box,
            args=("background", "few-shot-background"),
            width=200,
            help=f"What its places are compared with. {told}.",
        )
        state["few-shot-distance"] = view.distance
        st.toggle(
            "Distance counts",
            key="few-shot-distance",
            on_change=on_distance,
            help="On: a place scores high where it is alike and not far from where it was seen."
            " Off: places alike are found anywhere in the world, also where it never came.",
        )


def learn(view: PlacesView) -> Answer | None:
    """Learn the species; what cannot be learned from is one more problem of the page."""
    try:
        return few_shot.answer.learn(view)
    except CspError as error:
        view.problems.append(str(error))
        return None


def draw_numbers(view: PlacesView, answer: Answer | None) -> None:
    """Say how many places there are, what was learned from them, and how large the area is."""
    seen, missed = len(view.places(True)), len(view.places(False))
    words = f"{count_of(seen, 'place', 'places')} where it was seen"
    words += f", {missed:,} where it was not" if missed else ""
    st.markdown(f"**{words}**" if view.spots else "**No place yet**")
    if answer is None:
        if not view.spots:
            st.markdown(
                "Click the map where you have seen it. After the first click a map says where it is"
                " like there; from the second on, places left out say how well the others foretell"
                " them."
            )
        return
    area = write_area(answer.raster.area_km2(answer.threshold.value))
    st.header("Area above threshold", anchor=False)
    st.metric("Area above threshold", area, label_visibility="collapsed")
    where = " on land" if answer.raster.land_only else ""
    least = write_score(answer.threshold.value)
    st.caption(
        f"Cells of {answer.raster.step:g}°{where} with {least} or more. Not the size of its range."
    )
    st.header("How it was learned", anchor=False)
    for sentence in told_of(answer.found):
        st.markdown(escape_markdown(sentence))
    widgets.live(f"{words}. Area above threshold: {area}.")


def draw_rest(view: PlacesView, answer: Answer | None) -> None:
    """Draw what adds places otherwise, what saves, and the files."""
    few_shot.clicking.draw_typed(view)
    few_shot.clicking.draw_upload(view)
    if answer is not None:
        st.header("Keep it", anchor=False)
        few_shot.saving.draw(view, answer, allowed())
        few_shot.files.downloads(view, answer)
    if view.spots:
        with st.popover("Link to this view"):
            st.code(link_to(view), language=None, wrap_lines=True)


def page() -> None:
    """Draw the page."""
    listed = resources.models()
    known = models_of_places(listed)
    if not known:
        shell.title(TITLE)
        widgets.no_models(listed)
        return
    view = read_view(known)
    shell.title(TITLE, of=view.info)
    st.caption(
        "Click where you have seen it, and where you looked for it in vain. The map shows where"
        " it is alike, as far as a model of places can tell"
        + (", and not far away." if view.distance else ", anywhere in the world.")
    )
    draw_controls(view, known)
    left, right = st.container(key="few-shot-view").columns([11, 5], gap="medium")
    with left:
        few_shot.clicking.draw_marks(view)
        frame = st.container(key="map-box")
    with frame:
        answer = learn(view)
        few_shot.drawing.draw(view, answer)
    said = st.session_state.pop(own("said"), "")
    with left:
        widgets.messages([*view.problems, said], ())
        with st.container(key="few-shot-legend" if answer else "few-shot-marks-legend"):
            few_shot.drawing.legend(answer)
        if answer is not None:
            st.caption(value_meaning(view.info, answer.raster.kind))
        st.caption(
            f"All places stand in the address of this page, up to {MOST}, so that a link shows the"
            " same. Nothing is written anywhere until you save it."
        )
    with right:
        draw_numbers(view, answer)
        draw_rest(view, answer)
        if not view.spots:
            with contextlib.suppress(CspError):  # it is told once there is a place
                few_shot.answer.prepare(view)


shell.run("few-shot", page)
