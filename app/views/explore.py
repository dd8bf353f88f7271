"""Explore: a place is chosen on the map or typed, and the model's ranked species are listed."""

from __future__ import annotations

import streamlit as st

import shell
from csp_core.errors import CspError
from csp_core.inference import PlaceReport, describe_place, set_meaning
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from explore import ranked
from explore.address import NAIROBI, View, link_to, read_view
from explore.evidence import evidence_legend
from mapping import deck, leaflet
from mapping.evidence import EDGE, Evidence
from shared import address, clicks, months, resources, style, typed, visits, widgets
from shared.address import set_taxon
from shared.words import (
    escape_markdown,
    in_its_words,
    knows_species,
    not_known,
    place_title,
    plural,
    singular,
    species_label,
    value_meaning,
)

ROWS = 10
# In the session's state: how many species are listed.
SHOWN = "explore-rows"
RADIUS_KM = 500.0


def on_model() -> None:
    """Take over another model."""
    address.set_model(st.session_state["model_box"])


def on_species() -> None:
    """Take over a species picked in the box."""
    set_taxon(st.session_state["species"])


def draw_controls(view: View, known: list[ModelInfo], model: DualEncoder) -> None:
    """Draw the boxes that choose place, model and month, and what is wrong with the choice."""
    usable = list(address.usable(known))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        typed.place_box(width=340)
        clicks.coordinate_boxes(view.lon, view.lat)
        if len(usable) > 1:
            st.session_state["model_box"] = view.info.name
            st.selectbox("Model", usable, key="model_box", on_change=on_model, width=200)
        if model.uses_date:
            months.month_picker(view.month)
    widgets.without_classes(known)
    draw_messages(view)


def draw_messages(view: View) -> None:
    """Say what was changed or refused, and offer what may have been meant."""
    widgets.messages(view.problems, view.notices)
    if not view.place:
        typed.offer_swap(view.lon, view.lat)
    typed.draw_lookup()


def draw_map(view: View, model: DualEncoder) -> None:
    """Draw the map with the pin and the records of the chosen species."""
    evidence = read_evidence(model, view.taxon)
    colours = style.palette()
    first = address.read_centre() or (*(view.place or NAIROBI), view.zoom)
    start = st.session_state.setdefault(visits.own("start"), first)
    with st.container(key="map-box"):
        if resources.leaflet_ready():
            leaflet.click_map(
                "map",
                [
                    leaflet.evidence_group(evidence, colours),
                    leaflet.pin_group(view.place, colours, radius_km=RADIUS_KM),
                ],
                start=start,
                center=clicks.map_center(view.place),
                palette=colours,
                on_change=clicks.on_map,
            )
            st.caption(
                f"The map ends at {EDGE:.0f}° north and south; this place lies beyond."
                if view.place and abs(view.place[1]) > EDGE
                else "Click the map to choose a place. The dashed circle marks"
                f" {RADIUS_KM:.0f} km around it."
            )
        else:
            deck.cell_map(
                "cells",
                deck.evidence_layers(evidence, colours),
                view.place,
                start=start,
                palette=colours,
                on_select=clicks.on_cell,
            )
            st.caption(
                f"Leaflet is not installed, so a click picks a cell of {deck.PICK_DEGREES}°; type"
                " the place for more. `make setup` installs Leaflet."
            )
    with st.container(key="records-box"):
        widgets.species_picker(
            "Show the training records of",
            model.classes,
            view.taxon,
            on_species,
            placeholder=f"Pick a {singular(view.info)} here or in the list",
        )
        if evidence and view.taxon:
            evidence_legend(evidence, species_label(model.classes, view.taxon))
        if view.taxon:
            widgets.range_link("See its range map", view.taxon, _link(view))


def _link(view: View) -> dict[str, str]:
    place = address.place_of(*view.place) if view.place else {}
    month = {"month": str(view.month)} if view.month else {}
    return {"model": view.info.name, **place, **month}


def read_evidence(model: DualEncoder, taxon: str | None) -> Evidence | None:
    """Collect the counts per cell of a species."""
    if taxon is None or model.support is None:
        return None
    centres, counts = model.support.taxon_cells(model.classes.label(taxon))
    rows = zip(centres.tolist(), counts.tolist(), strict=True)
    return Evidence(
        tuple((lon, lat, count) for (lon, lat), count in rows), model.support.cell_degrees
    )


def draw_list(view: View, report: PlaceReport) -> None:
    """Draw what the model says of the place."""
    title, where = place_title(report.lon, report.lat)
    st.subheader(title, anchor=False)
    listed = f"{view.info.num_classes:,} listed {plural(view.info)}"
    st.markdown(
        f"{where}**{report.taxa_within:,} of the {listed} recorded within"
        f" {report.radius_km:,.0f} km.**"
    )
    widgets.support_line(report)
    if report.extrapolates:
        st.warning(
            "Too few training records stand near this place: the model extrapolates. The order"
            " below is a guess, so no shares are shown."
        )
    else:
        st.caption(value_meaning(view.info, report.kind))
        if report.set_size is not None:
            st.caption(in_its_words(view.info, set_meaning(report.set_size)))
    rows = st.session_state.setdefault(SHOWN, ROWS)
    ranked.ranked_list(
        report,
        shown=rows,
        chosen=view.taxon,
        on_pick=set_taxon,
        link=_link(view),
        taxa=knows_species(view.info),
    )
    if rows < len(report.results):
        st.button(f"Show more {plural(view.info)}", on_click=_more_rows, key="more")
    ranked.downloads(report, view.info, link_to(view))


def _more_rows() -> None:
    st.session_state[SHOWN] = st.session_state.get(SHOWN, ROWS) + 20


def check_taxon(view: View, model: DualEncoder) -> None:
    """Bring the species of the address to its scientific name, or say that there is none."""
    if view.taxon is None:
        return
    try:
        view.taxon = model.classes.names[model.classes.label(view.taxon)]
    except CspError as error:
        view.problems.append(not_known(view.info, view.taxon, error))
        view.taxon = None


def page() -> None:
    """Draw the page."""
    known = shell.usable_models("Which species are recorded here?")
    if known is None:
        return
    view = read_view(known)
    shell.title(f"Which {plural(view.info)} are recorded here?")
    model = resources.model(view.info)
    check_taxon(view, model)
    widgets.model_chip(view.info)
    draw_controls(view, known, model)
    left, right = st.container(key="view").columns([11, 9], gap="medium")
    with left:
        draw_map(view, model)
    with right:
        if view.place:
            date = months.date_of(view.month)
            try:
                report = describe_place(model, *view.place, date=date, radius_km=RADIUS_KM)
            except CspError as error:  # such as of a model that knows images alone
                st.error(escape_markdown(str(error)))
                return
            draw_list(view, report)
        else:
            st.markdown("Choose a place on the map, or correct the numbers above.")


shell.run("explore", page, shared=visits.SHARED, keeps=("rows",))
