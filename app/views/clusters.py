"""Clusters: which places a model sees alike, on the map and as a scatter, linked both ways."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

import shell
from clusters import alike, classes, drawing, facts, files, film, scatter, words
from clusters.address import View, read_clusters, whole
from clusters.form import draw_controls
from clusters.kept import kept
from clusters.study import Study, account, colours_of, study, title_of
from csp_core.inference.clusters import CAUTION, MEANING
from csp_core.model import DualEncoder
from mapping import deck
from shared import clicks, resources, style, typed, visits, widgets
from shared.words import escape_markdown

TITLE = "Which places does the model see as alike?"


def draw_map(view: View, found: Study, lit: list[bool] | None) -> DeltaGenerator:
    """Draw the map, and give where its legend comes."""
    drawing.draw_map(view, found, lit)
    if resources.leaflet_ready():
        st.caption("Click the map: its point is ringed in the scatter, and places like it follow.")
    else:
        st.caption(
            f"Leaflet is not installed, so a click picks a cell of {deck.PICK_DEGREES}°; type"
            " the place for more. `make setup` installs Leaflet."
        )
    if view.shown == "components":
        st.caption(
            "Red, green and blue are the three directions in which the places differ most. Like"
            " colours: seen alike."
        )
    return st.container()


def draw_scatter(view: View, found: Study, lit: list[bool] | None) -> DeltaGenerator:
    """Draw the scatter of the same points, and give where the box comes that picks a cluster."""
    near = found.nearest_to(*view.place) if view.place and view.pin_inside else None
    points = kept("tables", 12).get(
        (found.key, view.shown, (view.cluster, view.brush) if lit is not None else None),
        lambda: scatter.table(found.places.lonlat, found.x, found.y, found.labels,
                              colours_of(found, view.shown), lit),
    )  # fmt: skip
    pin = None if near is None else (found.x[near], found.y[near])
    scatter.chart(points, pin, view, found.explained, style.palette())
    st.caption("Drag over the scatter to see those places on the map. " + MEANING[view.projection])
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        picker = st.container(width=300)
        if lit is not None:
            st.button("Show all", on_click=scatter.clear, key="clusters-clear")
    with st.expander("Highlight by numbers", expanded=False):
        scatter.boxes(view, found.x, found.y)
    if lit is not None:
        count = lit.count(True)
        st.markdown(f"**{count:,} of {len(lit):,} places are highlighted.**")
    return picker


def draw_place(view: View, model: DualEncoder, found: Study) -> None:
    """Draw which places are like the chosen one."""
    st.header("Places like here", anchor=False)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        typed.place_box(width=300)
        clicks.coordinate_boxes(view.place)
    typed.draw_lookup(None if view.place else (view.lon, view.lat))
    if view.place is None:
        st.markdown("Choose a place on the map above, or type one, to see which are like it.")
        return
    alike.draw(view, model, found)


def page() -> None:
    """Draw the page."""
    known = resources.models()
    view = read_clusters(known) if whole(known) else None
    shell.title(TITLE, of=view.info if view else None)
    if view is None:
        widgets.no_models(known)
        return
    model = resources.model(view.info)
    widgets.model_chip(view.info)
    draw_controls(view, known, seasons=model.uses_date)
    found = study(view, model)
    facts.check_cluster(view, found)
    lit = scatter.both(
        scatter.within(view.brush, found.x, found.y),
        None if view.cluster is None else [label == view.cluster for label in found.labels],
    )
    left, right = st.container(key="view").columns([11, 9], gap="medium")
    with left:
        legend = draw_map(view, found, lit)
    with right:
        picker = draw_scatter(view, found, lit)
    st.caption(f"{escape_markdown(title_of(view, seasons=model.uses_date))}. **{CAUTION}**")
    draw_place(view, model, found)
    words.draw(view, model)
    told = account(view, model, found)
    with picker:
        facts.picker(view, told)
    if view.shown == "clusters":
        with legend:
            facts.legend(told)
    facts.draw(view, told)
    film.draw(view, found)
    classes.draw(view, model)
    files.downloads(view, found, told)


shell.run("clusters", page, shared=visits.SHARED)
