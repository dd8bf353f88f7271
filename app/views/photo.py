"""Photo: what a picture says by itself, what its place adds, and why the ranking moved."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import photo.address
import photo.answer
import photo.chart
import photo.files
import photo.misfit
import photo.origin
import photo.place
import photo.table
import photo.verdict
import photo.world
import shell
from csp_core.inference import PhotoAnswer
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from mapping import agreeing
from photo.address import PhotoView
from photo.files import Chosen
from photo.place import Where
from photo.world import World
from shared import resources, style, widgets
from shared.words import escape_markdown

OPENED = (
    "Photos of real animals are looked at by **animals**, as no model was chosen; the box *Model*"
    " has others."
)
# Side of the square that holds the photo, pixels.
LARGE = 150


def on_model() -> None:
    """Take over another model."""
    photo.address.set_model(st.session_state["model_box"])


def pick_model(view: PhotoView, known: list[ModelInfo]) -> None:
    """Draw the box that chooses a model, those that see images first."""
    choice = photo.address.choices(known)
    names = sorted(choice.values(), key=lambda i: (not i.sees_images, photo.address.says_where(i)))
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


def room(name: str) -> DeltaGenerator:
    """Make a place for what comes late; the browser draws none that is empty."""
    made = st.container(key=name, gap=None)
    made.html("<span></span>")
    return made


def draw_head(
    view: PhotoView, model: DualEncoder, chosen: Chosen, where: Where, said: PhotoAnswer | str
) -> None:
    """Draw the photo with the verdict and where place and date are from."""
    assert chosen.photo is not None
    with st.container(horizontal=True, gap="medium", key="photo-box"):
        st.image(chosen.thumbnail, width=chosen.width_in(LARGE), alt=f"The photo {chosen.name}")
        with st.container(gap="small", width="stretch", key="photo-verdict"):
            if not view.info.sees_images:
                photo.verdict.looks_not(view.info)
            elif isinstance(said, str):
                photo.misfit.verdict(view.info, said)
            elif not said.fits:
                photo.misfit.verdict(view.info, said.fits_reason)
            else:
                photo.verdict.headline(said, model, view.info, where)
            photo.place.badges(where, chosen.photo)
            photo.files.remove_button(chosen)


def draw_answer(
    view: PhotoView, model: DualEncoder, chosen: Chosen, where: Where, answer: PhotoAnswer
) -> World | None:
    """Draw the answer to the photo, and give where on Earth it would be another."""
    alone, chart = bool(photo.verdict.why_alone(model, where)), st.empty()
    # The rankings do not wait for the map; until then letters stay as they were.
    before = photo.world.last_keys(view.info, chosen.key)
    with chart:
        rank(answer, alone, before)
    world = photo.world.look(view.info, model, answer, where)
    keys = photo.world.keep_keys(world, view.info, chosen.key)
    if keys != before:
        with chart:
            rank(answer, alone, keys)
    photo.answer.truth_set(answer, model, view.info, where)
    if model.places is not None and not where.ignored:
        photo.answer.weigh(model, view.weight)
    photo.answer.explain(answer, model, view.info, where)
    photo.answer.downloads(answer, view, where, chosen)
    return world


def draw_misfit(
    view: PhotoView,
    known: list[ModelInfo],
    model: DualEncoder,
    chosen: Chosen,
    where: Where,
    said: PhotoAnswer | str,
) -> None:
    """Draw what there is to say where the model has no answer to the photo."""
    assert chosen.photo is not None
    if not view.info.sees_images:
        photo.misfit.without_image_model(view.info, model, known, where)
        return
    photo.misfit.what_fits(view.info, known, chosen.photo)
    photo.misfit.place_by_itself(known, where)
    if isinstance(said, str):
        return
    with st.expander(f"Show what {escape_markdown(view.info.name)} says all the same"):
        st.warning(escape_markdown(photo.misfit.caution(view.info.name, said.fits_reason)))
        rank(said, bool(photo.verdict.why_alone(model, where)), {})
        photo.answer.downloads(said, view, where, chosen)


def draw(
    view: PhotoView, known: list[ModelInfo], model: DualEncoder, chosen: Chosen, where: Where
) -> None:
    """Draw the photo, its place and what the model says of both."""
    assert chosen.photo is not None
    world: World | None = None
    said: PhotoAnswer | str = ""
    if view.info.sees_images:
        said = photo.answer.ask(model, chosen.photo, where, view.weight)
    answer = None if isinstance(said, str) or not said.fits else said
    draw_head(view, model, chosen, where, said)
    left, right = st.container(key="view").columns([9, 11], gap="medium")
    # What comes late has its room from the start, so that nothing moves.
    late = photo.world.has_winners(model, answer, where)
    with left:
        with st.container(key="map-box"):
            map_box = room("photo-map")
            legend = room("photo-legend" if late else "photo-caption")
        moves = room("photo-moves") if late else None
        with st.container(key="records-box"):
            photo.place.controls(view, where, chosen, model)
            winners = st.container()
    with right:
        if answer:
            world = draw_answer(view, model, chosen, where, answer)
        else:
            draw_misfit(view, known, model, chosen, where, said)
    with map_box:
        photo.world.draw_map(view, where, world, style.palette())
    with legend:
        if world:
            photo.world.legend(world, view.info)
        else:
            moved = "The pin is where it counts as taken; click the map to move it."
            asked = "Click the map to say where the photo was taken."
            st.caption(moved if where.place else asked)
    if world and answer and moves:
        with moves:
            photo.world.moves(world, answer.combined[0].taxon)
        with winners:
            photo.world.table(world)


def draw_origin(view: PhotoView, model: DualEncoder, chosen: Chosen, where: Where) -> None:
    """Draw where the photo may be from, by a model that compares pictures and places."""
    fit = photo.origin.find(view.info, model, chosen)
    with st.container(horizontal=True, gap="medium", key="photo-box"):
        st.image(chosen.thumbnail, width=chosen.width_in(LARGE), alt=f"The photo {chosen.name}")
        with st.container(gap="small", width="stretch", key="photo-verdict"):
            photo.origin.verdict(view.info, model, chosen, fit)
    left, right = st.container(key="view").columns([9, 11], gap="medium")
    with left:
        with st.container(key="map-box"):
            map_box, legend = room("photo-map"), room("photo-caption")
        with st.container(key="records-box"):
            photo.place.controls(view, where, chosen, model)
    if not isinstance(fit, str):
        with right:
            photo.origin.own_place(fit, where)
            photo.origin.draw_best(fit, model, chosen, where)
        with legend:
            agreeing.legend(fit)
    with map_box:
        photo.origin.draw_map(view, where, fit)


def page() -> None:
    """Draw the page."""
    photo.chart.style()
    shell.title("What does the place add to a picture?")
    known = shell.usable_models()
    if known is None:
        return
    view = photo.address.read_view(known)
    model, truth = resources.model(view.info), room("photo-truth")
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="medium", key="photo-model"
    ):
        pick_model(view, known)
        widgets.model_chip(view.info)
    if photo.address.opened_by_itself(view):
        st.caption(OPENED)
    given = photo.files.choose(
        view.example,
        view.problems,
        view.info.name,
        photo.address.choices(known),
        empty=view.info.name == photo.address.ANIMALS,
    )
    with truth:
        photo.files.say_truth(given.shown)
    widgets.messages(view.problems, ())
    chosen = given.shown
    if chosen is None or chosen.photo is None:
        if chosen is not None:
            st.error(escape_markdown(chosen.problem))
        elif given.refused:
            st.info("None of these files can be looked at. Give another.")
        else:
            st.markdown("Give a photo to begin.")
        return
    if photo.address.turn_to(chosen.key):
        view = photo.address.read_view(known)
    if len(given.own) > 1:
        photo.table.draw(photo.table.rows_of(view, model, given), given)
    where = photo.place.find(view, chosen.photo)
    if photo.address.says_where(view.info):
        draw_origin(view, model, chosen, where)
        return
    draw(view, known, model, chosen, where)


shell.run("photo", page, keeps=("current", "said", "letters", "read", "picked", "rows"))
