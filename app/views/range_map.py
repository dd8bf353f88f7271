"""Range map: where a species would be recorded, on the world, with a threshold and a comparison."""

from __future__ import annotations

import random
from functools import partial

import streamlit as st

import shell
from csp_core.errors import CspError
from csp_core.model import DualEncoder
from csp_core.raster import mostly_at_sea
from csp_core.store import ModelInfo
from mapping import deck
from range_map import drawing, files, readout, threshold
from range_map.address import RangeView, link_to, read_range
from range_map.layer import Layer, titles
from range_map.profile import draw_profile
from range_map.readout import Reading
from shared import address, clicks, months, resources, typed, visits, widgets, words
from shared.address import set_param
from shared.words import escape_markdown, explain, not_known, place_name, singular, value_meaning

RECENT = 6
MAP_KEYS = "map-box", "map-box-2"
SIDE_BY_SIDE, DIFFERENCE = "Side by side", "Difference"


def on_box(param: str, key: str) -> None:
    """Take over what a box holds."""
    value = st.session_state[key]
    set_param(param, str(value) if value else None)


def on_model(known: list[ModelInfo]) -> None:
    """Take over another model; the species stays if that one knows it too."""
    name, taxon = st.session_state["model_box"], st.query_params.get("taxon")
    address.set_model(name)
    set_param("threshold", None)
    try:
        resources.model(address.usable(known)[name]).classes.label(taxon or "")
    except CspError:
        return
    set_param("taxon", taxon)


def on_other_model(first: str) -> None:
    """Take over the model to compare with; the first one itself is none."""
    name = st.session_state["other_model_box"]
    set_param("compare_model", name if name != first else None)


def on_random(names: tuple[str, ...], taxon: str) -> None:
    """Choose another species by chance."""
    others = [name for name in names if name != taxon] or list(names)
    set_param("taxon", random.choice(others))


def on_show() -> None:
    """Take over how a comparison is shown."""
    set_param("show", "difference" if st.session_state["show_box"] == DIFFERENCE else None)


def on_guesses() -> None:
    """Take over whether values are shown where the model extrapolates."""
    set_param("guesses", "shown" if st.session_state["guesses_box"] else None)


def on_sea() -> None:
    """Take over whether values are shown at sea."""
    set_param("sea", "shown" if st.session_state["sea_box"] else None)


def on_dots() -> None:
    """Take over whether dots stand where the species was recorded."""
    set_param("dots", None if st.session_state["dots_box"] else "hidden")


def check_taxa(view: RangeView, model: DualEncoder, other: DualEncoder) -> str:
    """Bring the species of the address to their scientific names.

    Args:
        view: What is asked for; problems are added, and the second species is replaced.
        model: The model.
        other: The model to compare with.

    Returns:
        The species to draw: the most recorded one where none can be.
    """
    counts = model.classes.counts
    taxon = model.classes.names[counts.index(max(counts))]
    if view.taxon is not None:
        try:
            taxon = model.classes.names[model.classes.label(view.taxon)]
        except CspError as error:
            said = not_known(view.info, view.taxon, error)
            view.problems.append(f"{said} Showing {taxon} instead.")
    asked = view.other_taxon or (taxon if view.compares else None)
    if asked is not None:
        try:
            view.other_taxon = other.classes.names[other.classes.label(asked)]
        except CspError as error:
            said = not_known(view.other_info, asked, error).removesuffix(".")
            view.problems.append(f"{said}, so there is nothing to compare with.")
            view.other_taxon, view.other_info = None, view.info
    if view.other_taxon == taxon and view.other_info is view.info:
        view.other_taxon = None
    return taxon


def draw_controls(
    view: RangeView, known: list[ModelInfo], model: DualEncoder, other: DualEncoder, taxon: str
) -> None:
    """Draw the boxes that choose model, species and month, and what to compare with."""
    usable = list(address.usable(known))
    state = st.session_state
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        picker = partial(widgets.species_picker, width=260)
        what = singular(view.info)
        if len(usable) > 1:
            state["model_box"] = view.info.name
            st.selectbox("Model", usable, key="model_box", on_change=on_model, args=(known,),
                         width=160)  # fmt: skip
        picker(what.capitalize(), model.classes, taxon, partial(on_box, "taxon", "taxon_box"),
               key="taxon_box")  # fmt: skip
        args = model.classes.names, taxon
        st.button(f"Random {what}", key="random", on_click=on_random, args=args)
        if model.uses_date:
            months.month_picker(view.month)
        picker("Compare with", other.classes, view.other_taxon,
               partial(on_box, "compare", "other_box"), key="other_box",
               placeholder=f"A second {singular(view.other_info)}")  # fmt: skip
        # A map by a model that knows nothing of what this one does answers another question.
        others = [i.name for i in address.usable(known).values() if _compares(view, i)]
        if len(others) > 1:
            state["other_model_box"] = view.other_info.name
            st.selectbox("by model", others, key="other_model_box", on_change=on_other_model,
                         args=(view.info.name,), width=180)  # fmt: skip
        if view.other_taxon:
            state["show_box"] = DIFFERENCE if view.difference else SIDE_BY_SIDE
            st.segmented_control("Comparison", [SIDE_BY_SIDE, DIFFERENCE], key="show_box",
                                 required=True, on_change=on_show)  # fmt: skip
    draw_recent(view, model, taxon)
    widgets.messages(view.problems, ())


def _compares(view: RangeView, info: ModelInfo) -> bool:
    """Tell whether a model can stand beside the first one: it does, or has a class of it."""
    return info.name == view.other_info.name or resources.share_classes(view.info, info)


def draw_recent(view: RangeView, model: DualEncoder, taxon: str) -> None:
    """Offer the species that were looked at before."""
    seen: list[tuple[str, str]] = st.session_state.setdefault("range-map-recent", [])
    now = view.info.name, taxon
    seen[:] = [now, *(one for one in seen if one != now)][: RECENT + 1]
    before = [name for by, name in seen[1:] if by == view.info.name and name in model.classes.names]
    if not before:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="recent-box"):
        st.caption("Seen before:", width="content")
        for number, name in enumerate(before):
            common = model.classes.common_names[model.classes.label(name)]
            label = escape_markdown(common) or f"*{escape_markdown(name)}*"
            st.button(label, key=f"recent-{number}", type="tertiary", on_click=set_param,
                      args=("taxon", name))  # fmt: skip


def draw_notes(view: RangeView, layers: list[Layer]) -> None:
    """Say what the values mean, and what a map without support lacks."""
    st.caption(value_meaning(view.info, layers[0].raster.kind))
    if any(layer.model.support is None for layer in layers):
        said = "This model came without counts of its recordings, so nobody can say where there are"
        said += " too few of them. All of the map is coloured."
        st.warning(words.reworded(said, view.info))
    if len(layers) == 2 and layers[0].model.classes.names != layers[1].model.classes.names:
        st.caption(
            "The two models list different classes, and the values of each are about its own list."
        )
    if not resources.leaflet_ready():
        st.caption(
            f"Leaflet is not installed, so a click picks a cell of {deck.PICK_DEGREES}°; type"
            " the place for more. `make setup` installs Leaflet."
        )


def draw_place(view: RangeView, layers: list[Layer], readings: list[Reading]) -> None:
    """Draw the boxes for a place, and what the maps say of it."""
    st.header("At a place", anchor=False)
    typed.place_box()
    with st.container(horizontal=True, gap="small"):
        clicks.coordinate_boxes(view.place)
    asked = None if view.place else (view.lon, view.lat)
    typed.draw_lookup(asked, layers[0].model, view.beside, view.notices)
    if view.place is None:
        st.caption("Click the map, or type a latitude and a longitude, to read its value there.")
        return
    title, where = place_name(*view.place)
    st.markdown(f"**{escape_markdown(title)}** {where.rstrip('. ')}")
    names = titles(*layers) if len(layers) == 2 else ("",)
    for number, (reading, name) in enumerate(zip(readings, names, strict=True)):
        readout.draw_reading(reading, name)
        # Two maps of one model rest on the same records.
        if number == len(readings) - 1 or reading.layer.model is not layers[-1].model:
            readout.draw_support(reading)
    told = [f"{reading.layer.name}, {reading.short}" for reading in readings]
    widgets.live(f"{title}: {'; '.join(told)}.")
    params = {"model": view.info.name, "taxon": layers[0].taxon, **address.place_of(*view.place)}
    st.page_link(
        widgets.EXPLORE_PAGE,
        label="Explore what else is here →",
        query_params=params,
    )


def draw_options(view: RangeView, layers: list[Layer], at_sea: bool) -> None:
    """Draw the boxes that change how the map looks.

    Args:
        view: What is asked for.
        layers: One map or two.
        at_sea: Whether one is of a species that is recorded at sea, whose map needs the sea.
    """
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.slider(
            "Opacity of the colours",
            *(20, 100, drawing.OPACITY, 10),
            format="%d %%",
            key="opacity",
            persist_state="session",
            width=260,
        )
        if any(layer.model.support is not None for layer in layers):
            if not view.difference:
                st.session_state["dots_box"] = view.dots
                where = words.reworded("Dots where it was recorded", view.info)
                st.toggle(where, key="dots_box", on_change=on_dots)
            st.session_state["guesses_box"] = view.guesses
            st.toggle(
                "Colour the hatched area too",
                key="guesses_box",
                on_change=on_guesses,
                help=explain("a guess", view.info),
            )
        if at_sea:
            st.caption("Recorded at sea more than on land, so the sea is part of the map.")
        else:
            st.session_state["sea_box"] = view.sea
            st.toggle("Colour the sea too", key="sea_box", on_change=on_sea)


def draw_files(view: RangeView, layers: list[Layer]) -> None:
    """Offer what is shown as files, and as a link."""
    st.header("Files", anchor=False)
    files.downloads(layers, difference=view.difference)
    with st.popover("Link to this view"):
        st.code(link_to(view, layers[0].taxon), language=None, wrap_lines=True)


def draw_profiles(view: RangeView, layers: list[Layer]) -> None:
    """Draw what is known of each species that is shown."""
    st.header(f"About the {singular(view.info)}", anchor=False)
    for layer in {(layer.taxon, layer.info.name): layer for layer in layers}.values():
        with st.container(key=f"profile-{layer is layers[0]}"):
            draw_profile(layer)


def draw(view: RangeView, layers: list[tuple[ModelInfo, DualEncoder, str]]) -> None:
    """Draw everything below the controls."""
    date = months.date_of(view.month) if layers[0][1].uses_date else None
    beside = len(layers) == 2 and not view.difference
    box = st.container(key="range-view")
    if beside:
        map_boxes = list(box.columns(2, gap="medium"))
        side = list(box.columns(3, gap="medium"))
    else:
        left, right = box.columns([11, 5], gap="medium")
        map_boxes, side = [left], [right] * 3
    # Of the maps at once, so that what is drawn before them does not move when they come.
    frames = [b.container(key=k) for b, k in zip(map_boxes, MAP_KEYS, strict=False)]
    with frames[0]:
        at_sea = any(mostly_at_sea(model, taxon) for _, model, taxon in layers)
        sea = view.sea or at_sea
        rasters = [
            resources.raster(info, taxon, date, only_supported=not view.guesses, sea=sea)
            for info, _, taxon in layers
        ]
    with side[1 if beside else 0].container(key="place-box"):
        place_box = st.container()
    drawn: list[Layer] = []
    with side[0 if beside else 1].container(key="area-box"):
        st.header("Area above threshold", anchor=False)
        area_box = st.container()
        for number, ((info, model, taxon), raster) in enumerate(zip(layers, rasters, strict=True)):
            if number == 0:
                limit = threshold.choose(view.threshold, info, model, taxon)
            else:
                limit = threshold.of_other(view.threshold, limit, model, taxon)
            guesses = view.guesses or model.support is None
            drawn.append(Layer(info, model, taxon, raster, limit, guesses))
    with area_box:
        if beside or view.difference:
            readout.two_areas(drawn[0], drawn[-1])
        else:
            readout.one_area(drawn[0])
    readings = [readout.read_at(view.place, layer, date) for layer in drawn] if view.place else []
    with place_box:
        draw_place(view, drawn, readings)
    drawing.draw_maps(view, drawn, readings, map_boxes, frames)
    with map_boxes[0] if not beside else box:
        draw_options(view, drawn, at_sea)
        draw_notes(view, drawn)
        draw_profiles(view, drawn)
    with side[2]:
        draw_files(view, drawn)
    if drawn[0].model.uses_date:
        st.header("Month by month", anchor=False)
        drawing.draw_months(drawn[0])


def page() -> None:
    """Draw the page."""
    known = shell.usable_models("Where is a species recorded?")
    if known is None:
        return
    view = read_range(known)
    asked = words.reworded("recorded?", view.info)
    shell.title(f"Where is a {singular(view.info)} {asked}", view.info)
    model = resources.model(view.info)
    other = resources.model(view.other_info)
    taxon = check_taxa(view, model, other)
    layers = [(view.info, model, taxon)]
    if view.other_taxon:
        layers.append((view.other_info, other, view.other_taxon))
    if view.difference and len(layers) == 2 and model.prior_kind != other.prior_kind:
        view.difference = False
        view.problems.append(
            "Values of two kinds, such as shares and scores, cannot be subtracted from each other,"
            " so the maps stand side by side."
        )
    view.difference = view.difference and len(layers) == 2
    draw_controls(view, known, model, other, taxon)
    draw(view, layers)


shell.run("range-map", page, shared=visits.SHARED, keeps=("recent",))
