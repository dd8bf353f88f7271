"""Explore: a place is chosen on the map or typed, and the model's ranked species are listed."""

from __future__ import annotations

import streamlit as st

import address
import maps
import resources
import widgets
from address import NAIROBI, View, set_taxon
from csp_core import places
from csp_core.catalog import ModelInfo
from csp_core.errors import CspError
from csp_core.infer import VALUE_MEANING, PlaceReport, describe_place, set_meaning
from csp_core.model import DualEncoder

ROWS = 10
RADIUS_KM = 500.0


def choose_place(lon: float, lat: float) -> None:
    """Take over a place, whichever way it was chosen."""
    _forget_messages()
    address.set_place(lon, lat)


def _forget_messages() -> None:
    st.session_state.pop("lookup", None)
    st.session_state.pop("lookup_error", None)


def on_map() -> None:
    """Take over a click on the Leaflet map."""
    value = st.session_state.get("map") or {}
    st.session_state["zoom"] = value.get("zoom")
    click = value.get("last_clicked")
    # A zoom reports the last click again.
    if click and click != st.session_state.get("seen_click"):
        st.session_state["seen_click"] = click
        choose_place(click["lng"], click["lat"])
        st.session_state["clicked"] = address.place_params()


def on_cell() -> None:
    """Take over a cell picked on the map without Leaflet; picking it again changes nothing."""
    picked = st.session_state["cells"].selection.objects.get("pick", [])
    if picked:
        choose_place(picked[0]["lon"], picked[0]["lat"])


def on_boxes() -> None:
    """Take over typed numbers, right or wrong: the address says what was typed."""
    lon, lat = st.session_state["lon_box"], st.session_state["lat_box"]
    if lon is not None and lat is not None:
        choose_place(lon, lat)


def on_text() -> None:
    """Take over a typed place."""
    _forget_messages()
    text = st.session_state["place_text"]
    if not text.strip():
        return
    try:
        found = places.look_up(text)
    except CspError as error:
        st.session_state["lookup_error"] = str(error)
        return
    if found.certain:
        choose_place(found.places[0].lon, found.places[0].lat)
    else:
        st.session_state["lookup"] = found.places


def on_model() -> None:
    """Take over another model."""
    address.set_model(st.session_state["model_box"])


def on_species() -> None:
    """Take over a species picked in the box."""
    set_taxon(st.session_state["species"])


def draw_controls(view: View, known: list[ModelInfo]) -> None:
    """Draw the boxes that choose place and model, and what is wrong with the choice."""
    st.session_state["lat_box"], st.session_state["lon_box"] = view.lat, view.lon
    usable = list(dict.fromkeys(info.name for info in known if info.problem is None))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        st.text_input(
            "Place or coordinates",
            key="place_text",
            placeholder="Vienna · 48.2 N 16.37 E · geo:-1.3,36.8",
            on_change=on_text,
            width=340,
        )
        for label, key in (("Latitude", "lat_box"), ("Longitude", "lon_box")):
            st.number_input(label, step=0.1, format="%.4f", key=key, on_change=on_boxes, width=150)
        if len(usable) > 1:
            st.session_state["model_box"] = view.info.name
            st.selectbox("Model", usable, key="model_box", on_change=on_model, width=200)
    draw_messages(view)


def draw_messages(view: View) -> None:
    """Say what was changed or refused, and offer what may have been meant."""
    for problem in view.problems:
        st.error(widgets.escape_markdown(problem))
    for notice in view.notices:
        st.info(widgets.escape_markdown(notice))
    guess = None if view.place else places.swapped(view.lon, view.lat)
    if guess:
        label = f"Swap them: {places.format_coordinates(*guess)}"
        st.button(label, on_click=choose_place, args=guess, key="swap")
    if error := st.session_state.get("lookup_error"):
        st.error(widgets.escape_markdown(error))
    if found := st.session_state.get("lookup"):
        st.caption("Which one?")
        with st.container(horizontal=True, gap="small"):
            for number, place in enumerate(found):
                label = widgets.escape_markdown(place.label)
                pair = (place.lon, place.lat)
                st.button(label, on_click=choose_place, args=pair, key=f"choice-{number}")


def draw_map(view: View, model: DualEncoder) -> None:
    """Draw the map with the pin and the records of the chosen species."""
    evidence = read_evidence(model, view.taxon)
    colours = widgets.palette()
    if "start" not in st.session_state:
        st.session_state["start"] = (*(view.place or NAIROBI), view.zoom)
    start = st.session_state["start"]
    with st.container(key="map-box"):
        if resources.leaflet_ready():
            maps.click_map(
                view.place,
                start=start,
                center=_center(view),
                evidence=evidence,
                radius_km=RADIUS_KM,
                palette=colours,
                on_change=on_map,
            )
            st.caption(
                f"The map ends at {maps.EDGE:.0f}° north and south; this place lies beyond."
                if view.place and abs(view.place[1]) > maps.EDGE
                else "Click the map to choose a place. The dashed circle marks"
                f" {RADIUS_KM:.0f} km around it."
            )
        else:
            maps.cell_map(
                view.place, start=start, evidence=evidence, palette=colours, on_select=on_cell
            )
            st.caption(
                f"Leaflet is not installed, so a click picks a cell of {maps.PICK_DEGREES}°; type"
                " the place for more. `make setup` installs Leaflet."
            )
    with st.container(key="records-box"):
        widgets.species_picker(model.classes, view.taxon, on_species)
        if evidence and view.taxon:
            widgets.evidence_legend(evidence, widgets.species_label(model.classes, view.taxon))


def _center(view: View) -> tuple[float, float] | None:
    # The map moves to a typed place, but stays where it is when it was clicked itself.
    state, key = st.session_state, address.place_params()
    if view.place and key != state.get("shown", key) and key != state.get("clicked"):
        # The component ignores a centre that equals its last one, so it is made to differ.
        state["moves"] = state.get("moves", 0) + 1
        state["center"] = (view.place[0], view.place[1] + 1e-9 * state["moves"])
    state["shown"] = key
    center: tuple[float, float] | None = state.get("center")
    return center


def read_evidence(model: DualEncoder, taxon: str | None) -> maps.Evidence | None:
    """Collect the counts per cell of a species."""
    if taxon is None or model.support is None:
        return None
    centres, counts = model.support.taxon_cells(model.classes.label(taxon))
    rows = zip(centres.tolist(), counts.tolist(), strict=True)
    return maps.Evidence(
        tuple((lon, lat, count) for (lon, lat), count in rows), model.support.cell_degrees
    )


def draw_list(view: View, report: PlaceReport) -> None:
    """Draw what the model says of the place."""
    title, where = place_title(report.lon, report.lat)
    st.subheader(title, anchor=False)
    st.markdown(
        f"{where}**{report.taxa_within:,} of the {view.info.num_classes:,} listed species recorded"
        f" within {report.radius_km:,.0f} km.**"
    )
    widgets.support_line(report)
    if report.extrapolates:
        st.warning(
            "Too few training records stand near this place: the model extrapolates. The order"
            " below is a guess, so no shares are shown."
        )
    else:
        st.caption(VALUE_MEANING[report.kind])
        if report.set_size is not None:
            st.caption(set_meaning(report.set_size))
    rows = st.session_state.setdefault("rows", ROWS)
    widgets.ranked_list(report, shown=rows, chosen=view.taxon, on_pick=set_taxon)
    if rows < len(report.results):
        st.button("Show more species", on_click=_more_rows, key="more")
    widgets.downloads(report, view.info, address.link_to(view))


def _more_rows() -> None:
    st.session_state["rows"] = st.session_state.get("rows", ROWS) + 20


def place_title(lon: float, lat: float) -> tuple[str, str]:
    """Name a place: a heading, and its coordinates where the heading is a city."""
    coordinates = places.format_coordinates(lon, lat)
    found = places.nearest_place(lon, lat)
    if found is None:
        return coordinates, ""
    city, km = found
    distance = "Near" if km < 15 else f"{km:,.0f} km from"
    return widgets.escape_markdown(f"{distance} {city.label}"), f"{coordinates}. "


def draw_empty(known: list[ModelInfo]) -> None:
    """Say what to do when there is no model."""
    with st.container(border=True):
        st.subheader("No model yet", anchor=False)
        st.markdown(
            "This page needs a trained model. Train one with `csp train CONFIG`, and name the"
            " folder that holds your models in the environment variable `CSP_MODELS`."
        )
        for info in known:
            st.error(widgets.escape_markdown(f"{info.name}: {info.problem}"))


def check_taxon(view: View, model: DualEncoder) -> None:
    """Bring the species of the address to its scientific name, or say that there is none."""
    if view.taxon is None:
        return
    try:
        view.taxon = model.classes.names[model.classes.label(view.taxon)]
    except CspError:
        view.problems.append(f"Model {view.info.name} does not know the species {view.taxon}.")
        view.taxon = None


def page() -> None:
    """Draw the page."""
    widgets.apply_style()
    address.come_back()
    st.title("Which species are recorded here?", anchor=False)
    known = resources.models()
    if not any(info.problem is None for info in known):
        draw_empty(known)
        return
    view = address.read_view(known)
    try:
        model = resources.model(view.info)
    except CspError as error:
        st.error(widgets.escape_markdown(str(error)))
        return
    check_taxon(view, model)
    widgets.model_chip(view.info)
    draw_controls(view, known)
    left, right = st.container(key="view").columns([11, 9], gap="medium")
    with left:
        draw_map(view, model)
    with right:
        if view.place:
            draw_list(view, describe_place(model, *view.place, radius_km=RADIUS_KM))
        else:
            st.markdown("Choose a place on the map, or correct the numbers above.")


page()
