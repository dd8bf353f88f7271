"""Photo: what a picture says by itself, what its place adds, and why the ranking moved."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

import photo.address
import photo.answer
import photo.chart
import photo.files
import photo.place
import photo.world
import shell
from csp_core.inference import PhotoAnswer
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from photo.address import PhotoView
from photo.files import Chosen
from photo.place import Where
from photo.world import World
from shared import address, resources, style, widgets
from shared.words import escape_markdown

# Side of the square that holds the photo, pixels.
LARGE = 150


def on_model() -> None:
    """Take over another model."""
    photo.answer.set_model(st.session_state["model_box"])


def pick_model(view: PhotoView, known: list[ModelInfo]) -> None:
    """Draw the box that chooses a model, those that see images first."""
    names = sorted(address.usable(known).values(), key=lambda i: not i.sees_images)
    if len(names) > 1:
        st.session_state["model_box"] = view.info.name
        st.selectbox(
            "Model", [info.name for info in names], key="model_box", on_change=on_model, width=200
        )


def rank(answer: PhotoAnswer, alone: bool, keys: Mapping[str, tuple[str, str]]) -> None:
    """Draw the rankings: both, or the image's alone."""
    if alone:
        photo.chart.image_column(answer, keys)
    else:
        photo.chart.columns(answer, keys, style.palette())


def draw_map(view: PhotoView, where: Where, world: World | None) -> None:
    """Draw the map with what its colours mean."""
    with st.container(key="map-box"):
        photo.world.draw_map(view, where, world, style.palette())
        if world:
            photo.world.legend(world)
        else:
            st.caption("Click the map to say where the photo was taken.")


def draw(
    view: PhotoView, known: list[ModelInfo], model: DualEncoder, chosen: Chosen, where: Where
) -> None:
    """Draw the photo, its place and what the model says of both."""
    assert chosen.photo is not None
    world, first = None, ""
    left, right = st.container(key="view").columns([9, 11], gap="medium")
    with left, st.container(horizontal=True, gap="medium", key="photo-box"):
        st.image(chosen.thumbnail, width=chosen.width_in(LARGE), alt=f"The photo {chosen.name}")
        with st.container(gap="small", width="stretch"):
            photo.place.badges(where, chosen.photo)
    with right:
        if view.info.sees_images:
            answer = photo.answer.ask(model, chosen.photo, where, view.weight)
            if isinstance(answer, str):
                st.error(escape_markdown(answer))
                photo.answer.place_alone(model, view.info, where)
            else:
                photo.answer.misfit(answer, view.info, known, chosen.photo)
                photo.answer.headline(answer, model, where)
                alone, chart = bool(photo.answer.why_alone(model, where)), st.empty()
                # The rankings do not wait for the map; until then letters stay as they were.
                before = photo.world.last_keys(view.info, chosen.key)
                with chart:
                    rank(answer, alone, before)
                world = photo.world.look(view.info, model, answer, where)
                keys = photo.world.keep_keys(world, view.info, chosen.key)
                if keys != before:
                    with chart:
                        rank(answer, alone, keys)
                photo.answer.truth_set(answer, model, where)
                if model.classifier is not None and not where.ignored:
                    photo.answer.weigh(model, view.weight)
                first = answer.combined[0].taxon
                photo.answer.explain(answer, model, where)
                photo.answer.downloads(answer, view, where, chosen)
        else:
            photo.answer.without_image_model(view.info, known)
            photo.answer.place_alone(model, view.info, where)
    with left:
        draw_map(view, where, world)
        if world:
            photo.world.moves(world, first)
        with st.container(key="records-box"):
            photo.place.controls(view, where, chosen, model)
            if world:
                photo.world.table(world)


def page() -> None:
    """Draw the page."""
    photo.chart.style()
    shell.title("What does the place add to a picture?")
    known = shell.usable_models()
    if known is None:
        return
    view = photo.address.read_view(known)
    model = resources.model(view.info)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        pick_model(view, known)
        widgets.model_chip(view.info)
    chosen = photo.files.choose(view.example, view.problems)
    widgets.messages(view.problems, view.notices)
    if chosen is None or chosen.photo is None:
        st.markdown("Give a photo to begin.")
        return
    if photo.address.turn_to(chosen.key):
        view = photo.address.read_view(known)
    draw(view, known, model, chosen, photo.place.find(view, chosen.photo))


shell.run("photo", page, keeps=("current", "said", "letters", "had"))
