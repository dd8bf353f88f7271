"""Explore: a place is chosen on the map or typed, and the model's ranked species are listed.

The address is the one source of truth: ``model``, ``lat``, ``lon``, ``zoom`` and ``taxon`` are read
from it in every run, and every widget and the map write to it. So each view is a link, and the
browser's back button works.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from urllib.parse import urlencode

import streamlit as st

import maps
import resources
import widgets
from csp_core import places
from csp_core.checkpoint import ModelInfo
from csp_core.errors import BadRecordError, CspError
from csp_core.infer import VALUE_MEANING, PlaceReport, describe_place
from csp_core.model import DualEncoder

NAIROBI = (36.8, -1.3)
ZOOM = 4
ROWS = 10
RADIUS_KM = 500.0


@dataclass
class View:
    """What the address asks for, and what is wrong with it."""

    info: ModelInfo
    lon: float
    lat: float
    place: tuple[float, float] | None
    zoom: int
    taxon: str | None
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_view(known: list[ModelInfo]) -> View:
    """Read the address; whatever cannot be used becomes a sentence and a default."""
    problems: list[str] = []
    notices: list[str] = []
    lon, lat = _number("lon"), _number("lat")
    for name, value in (("lon", lon), ("lat", lat)):
        if value is None:
            given = st.query_params.get(name, "")
            problems.append(f"{name}={given} in the address is not a number; showing Nairobi.")
    if lon is None or lat is None:
        lon, lat = NAIROBI
    place: tuple[float, float] | None = None
    try:
        tidy_lon, tidy_lat, notice = places.tidy_coordinates(lon, lat)
        lon, place = tidy_lon, (tidy_lon, tidy_lat)
        notices += [notice] if notice else []
    except BadRecordError as error:
        problems.append(str(error))
    zoom = _number("zoom")
    return View(
        info=_read_model(known, problems),
        lon=lon,
        lat=lat,
        place=place,
        zoom=min(12, max(1, round(zoom))) if zoom else ZOOM,
        taxon=st.query_params.get("taxon") or None,
        notices=notices,
        problems=problems,
    )


def _number(name: str) -> float | None:
    defaults = {"lon": NAIROBI[0], "lat": NAIROBI[1], "zoom": float(ZOOM)}
    try:
        value = float(st.query_params.get(name, defaults[name]))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _read_model(known: list[ModelInfo], problems: list[str]) -> ModelInfo:
    usable = [info for info in known if info.problem is None]
    name = st.query_params.get("model", usable[0].name)
    for info in known:
        if info.name == name and info.problem is None:
            return info
        if info.name == name:
            problems.append(f"Model {name} cannot be loaded: {info.problem}")
            return usable[0]
    names = ", ".join(info.name for info in usable)
    problems.append(f"There is no model {name}; there are: {names}. Showing {usable[0].name}.")
    return usable[0]


def set_place(lon: float, lat: float) -> None:
    """Write a place to the address; four decimals are about ten metres."""
    _forget_messages()
    params = {"lat": f"{lat:.4f}".rstrip("0").rstrip("."), "lon": f"{lon:.4f}"}
    params["lon"] = params["lon"].rstrip("0").rstrip(".")
    if zoom := st.session_state.get("zoom"):
        params["zoom"] = str(zoom)
    st.query_params.update(params)


def set_taxon(taxon: str | None) -> None:
    """Write a species to the address, or take it out."""
    if taxon:
        st.query_params["taxon"] = taxon
    else:
        st.query_params.pop("taxon", None)


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
        set_place(click["lng"], click["lat"])
        st.session_state["clicked"] = _place_key()


def on_cell() -> None:
    """Take over a cell picked on the map without Leaflet; picking it again changes nothing."""
    picked = st.session_state["cells"].selection.objects.get("pick", [])
    if picked:
        set_place(picked[0]["lon"], picked[0]["lat"])


def on_boxes() -> None:
    """Take over typed numbers, right or wrong: the address says what was typed."""
    lon, lat = st.session_state["lon_box"], st.session_state["lat_box"]
    if lon is not None and lat is not None:
        set_place(lon, lat)


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
        set_place(found.places[0].lon, found.places[0].lat)
    else:
        st.session_state["lookup"] = found.places


def on_model() -> None:
    """Take over another model; its species are others."""
    st.query_params["model"] = st.session_state["model_box"]
    set_taxon(None)


def on_species() -> None:
    """Take over a species picked in the box."""
    set_taxon(st.session_state["species"])


def _place_key() -> tuple[str | None, str | None]:
    return st.query_params.get("lon"), st.query_params.get("lat")


def draw_controls(view: View, known: list[ModelInfo]) -> None:
    """Draw the boxes that choose place and model, and what is wrong with the choice."""
    st.session_state["lat_box"], st.session_state["lon_box"] = view.lat, view.lon
    usable = [info for info in known if info.problem is None]
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
            st.selectbox(
                "Model", [i.name for i in usable], key="model_box", on_change=on_model, width=200
            )
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
        st.button(label, on_click=set_place, args=guess, key="swap")
    if error := st.session_state.get("lookup_error"):
        st.error(widgets.escape_markdown(error))
    if found := st.session_state.get("lookup"):
        st.caption("Which one?")
        with st.container(horizontal=True, gap="small"):
            for number, place in enumerate(found):
                label = widgets.escape_markdown(place.label)
                pair = (place.lon, place.lat)
                st.button(label, on_click=set_place, args=pair, key=f"choice-{number}")


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
                f"Click the map to choose a place. The circle is {RADIUS_KM:.0f} km wide"
                " to each side."
            )
        else:
            maps.cell_map(
                view.place, start=start, evidence=evidence, palette=colours, on_select=on_cell
            )
            st.caption(
                f"Leaflet is not installed, so a click picks a cell of {maps.PICK_DEGREES}°; type"
                " the place for more. `make setup` installs Leaflet."
            )
    widgets.species_picker(model.classes, view.taxon, on_species)
    if evidence and view.taxon:
        widgets.evidence_legend(evidence, widgets.species_label(model.classes, view.taxon))


def _center(view: View) -> tuple[float, float] | None:
    # The map moves to a typed place, but stays where it is when it was clicked itself.
    state, key = st.session_state, _place_key()
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
    st.subheader(place_title(report.lon, report.lat), anchor=False)
    listed = widgets.count_of(view.info.num_classes, "listed species", "listed species")
    st.markdown(f"**{report.taxa_within:,}** of the {listed} recorded within {RADIUS_KM:.0f} km.")
    widgets.support_line(report)
    if report.extrapolates:
        st.warning(
            "Too few training records stand near this place: the model extrapolates. The order"
            " below is a guess, so no numbers are shown."
        )
    else:
        st.caption(VALUE_MEANING[report.kind])
    rows = st.session_state.setdefault("rows", ROWS)
    widgets.ranked_list(report, shown=rows, chosen=view.taxon, on_pick=set_taxon)
    if rows < len(report.results):
        st.button("Show more species", on_click=_more_rows, key="more")
    widgets.downloads(report, view.info, link_to(view))


def _more_rows() -> None:
    st.session_state["rows"] = st.session_state.get("rows", ROWS) + 20


def place_title(lon: float, lat: float) -> str:
    """Name a place by its coordinates and the nearest listed city."""
    title = places.format_coordinates(lon, lat)
    if found := places.nearest_place(lon, lat):
        city, km = found
        title += f" – {'at' if km < 15 else f'{km:,.0f} km from'} {city.label}"
    return widgets.escape_markdown(title)


def link_to(view: View) -> str:
    """Give the full address of a view."""
    params = {"model": view.info.name, "lat": f"{view.lat:g}", "lon": f"{view.lon:g}"}
    params["zoom"] = str(st.session_state.get("zoom") or view.zoom)
    if view.taxon:
        params["taxon"] = view.taxon
    return f"{(st.context.url or '').split('?')[0]}?{urlencode(params)}"


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
    st.title("Which species are recorded here?", anchor=False)
    known = resources.models()
    if not any(info.problem is None for info in known):
        draw_empty(known)
        return
    view = read_view(known)
    try:
        model = resources.model(view.info)
    except CspError as error:
        st.error(widgets.escape_markdown(str(error)))
        return
    check_taxon(view, model)
    widgets.model_chip(view.info)
    draw_controls(view, known)
    left, right = st.columns([11, 9], gap="medium")
    with left:
        draw_map(view, model)
    with right:
        if view.place:
            draw_list(view, describe_place(model, *view.place, radius_km=RADIUS_KM))
        else:
            st.markdown("Choose a place on the map, or correct the numbers above.")


page()
