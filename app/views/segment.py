"""Segment: what covers the ground in a picture from above, pixel by pixel, and how sure that is."""

from __future__ import annotations

import streamlit as st

import segment.address
import segment.answer
import segment.areas
import segment.chosen
import segment.drawing
import segment.files
import segment.readout
import shell
from csp_core.store import ModelInfo
from segment.address import LAYERS, LEAST_OPACITY, STEP, SegmentView
from segment.answer import Answer
from shared import resources, widgets
from shared.address import set_param
from shared.words import escape_markdown

TITLE = "What covers the ground in a picture from above?"
FEATURES = (
    "Like colours: parts that the model sees as alike, before it names any class. The colours are"
    " the three directions in which its view of the scene varies most (principal components); they"
    " mean nothing else."
)


def on_box(param: str, key: str) -> None:
    """Take over what a box holds."""
    set_param(param, str(st.session_state[key]))


def no_model(known: list[ModelInfo]) -> None:
    """Say how a model comes here that names the class of each pixel."""
    with st.container(border=True):
        st.header("No model for this page yet", anchor=False)
        st.markdown(
            "This page needs a model that says of every pixel what it shows, and none of those here"
            " does. One is trained from pictures with masks: `csp train configs/dense/korea.yaml`"
            " on the land cover of Korea, or `csp train configs/dense/tiles.yaml data.root=FOLDER`"
            " on a folder of your own. Name the folder that holds your models in the environment"
            " variable `CSP_MODELS`."
        )
        for info in known:
            if info.problem:
                st.error(escape_markdown(f"{info.name}: {info.problem}"))


def draw_model(view: SegmentView, known: dict[str, ModelInfo]) -> None:
    """Draw the box that chooses a model, and what it knows."""
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="medium", key="segment-model"
    ):
        if len(known) > 1:
            st.session_state["segment-model-box"] = view.info.name
            st.selectbox(
                "Model",
                list(known),
                key="segment-model-box",
                on_change=on_box,
                args=("model", "segment-model-box"),
                width=220,
            )
        widgets.model_chip(view.info)


def draw_fit(answer: Answer) -> None:
    """Say where the scene is one that the model is not for."""
    name = escape_markdown(answer.info.name)
    if answer.problem:
        st.error(escape_markdown(answer.problem))
        st.markdown(f"The scene is shown without what {name} says of it.")
    elif answer.reasons:
        reasons = "".join(f"\n- {escape_markdown(reason)}" for reason in answer.reasons)
        st.warning(
            f"**{name} was not made for a scene like this**, so do not rely on what it says of"
            f" it.{reasons}"
        )


def draw_controls(view: SegmentView) -> None:
    """Draw what chooses the layer and how strong it is."""
    state = st.session_state
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="medium", key="segment-controls"
    ):
        state["segment-layer"] = view.layer
        st.segmented_control(
            "Over the picture",
            list(LAYERS),
            format_func=LAYERS.__getitem__,
            key="segment-layer",
            required=True,
            on_change=on_box,
            args=("layer", "segment-layer"),
        )
        if view.layer != "picture":
            state["segment-opacity"] = view.opacity
            st.slider(
                "Opacity",
                *(LEAST_OPACITY, 100),
                step=STEP,
                format="%d %%",
                key="segment-opacity",
                on_change=on_box,
                args=("opacity", "segment-opacity"),
                width=220,
            )


def draw_scene(view: SegmentView, answer: Answer) -> None:
    """Draw the scene, its classes, their areas, one pixel, and the files."""
    asked = segment.drawing.chosen_pixel(view, answer.chosen)
    left, right = st.container(key="view").columns([11, 9], gap="medium")
    spots = segment.readout.spots(answer, asked)
    with left:
        with st.container(key="map-box"):
            segment.drawing.draw(view, answer, spots, asked)
        if not answer.problem:
            with st.container(key="segment-legend"):
                if view.layer == "classes":
                    segment.areas.legend(answer)
                elif view.layer == "features":
                    st.caption(FEATURES)
            draw_controls(view)
    with right:
        if answer.problem:
            return
        with st.container(key="segment-pixel"):
            segment.readout.draw(answer, asked, view.place is not None)
            segment.readout.alike(answer, spots)
        st.header("How much of it", anchor=False)
        st.markdown(escape_markdown(segment.areas.summary(answer)))
        segment.areas.table(answer)
        segment.files.downloads(answer)


def page() -> None:
    """Draw the page."""
    listed = resources.models()
    known = segment.address.mapping_models(listed)
    view = segment.address.read_segment(known) if known else None
    shell.title(TITLE, of=view.info if view else None)
    if view is None:
        no_model(listed)
        return
    draw_model(view, known)
    chosen = segment.chosen.choose()
    if chosen is not None and segment.address.turn_to(chosen.key):
        view = segment.address.read_segment(known)
    if chosen is None:
        widgets.messages(view.problems, ())
        return
    answer = segment.answer.ask(view.info, chosen)
    segment.drawing.chosen_pixel(view, chosen)
    widgets.messages(list(dict.fromkeys(view.problems)), ())
    draw_fit(answer)
    draw_scene(view, answer)


shell.run("segment", page)
