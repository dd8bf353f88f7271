"""Explore: a place is chosen on the map or typed, and the model's ranked species are listed."""

from __future__ import annotations

import streamlit as st

import shell
from csp_core.errors import CspError
from csp_core.inference import PlaceReport, describe_place
from csp_core.model import LEVEL_RADIUS_KM, DualEncoder
from csp_core.store import ModelInfo
from explore import files, ranked
from explore.address import BY_LIFT, View, link_to, read_view
from explore.evidence import evidence_legend
from mapping import deck, leaflet
from mapping.evidence import EDGE, read_evidence
from shared import address, clicks, months, resources, style, typed, visits, widgets
from shared.address import set_param, set_taxon
from shared.words import (
    escape_markdown,
    explain,
    knows_species,
    not_known,
    place_name,
    plural,
    reworded,
    singular,
    species_label,
)

ROWS = 10
# In the session's state: how many species are listed.
SHOWN = "explore-rows"
# How the list may be ordered.
MOST, MORE = "Most recorded", "More here than elsewhere"
LIKELY, MORE_LIKELY = "Most likely", "More likely here"


def on_model() -> None:
    """Take over another model."""
    address.set_model(st.session_state["model_box"])


def on_species() -> None:
    """Take over a species picked in the box."""
    set_taxon(st.session_state["species"])


def on_order() -> None:
    """Take over how the list is ordered."""
    by_lift = st.session_state["order_box"] in (MORE, MORE_LIKELY)
    set_param("sort", BY_LIFT if by_lift else None)


def on_wanted() -> None:
    """Take over a part of the names that are looked for."""
    set_param("find", st.session_state["find_box"].strip() or None)


def draw_controls(view: View, known: list[ModelInfo], model: DualEncoder) -> None:
    """Draw the boxes that choose model, place and month, and what is wrong with the choice."""
    usable = list(address.usable(known))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="controls"):
        if len(usable) > 1:
            st.session_state["model_box"] = view.info.name
            st.selectbox("Model", usable, key="model_box", on_change=on_model, width=200)
        typed.place_box(width=340)
        clicks.coordinate_boxes(view.place)
        if model.uses_date:
            months.month_picker(view.month)
    typed.draw_lookup(view.refused, model, view.beside, view.notices)
    # A container even for nothing: the map below would be built anew if its number changed.
    with st.container():
        widgets.messages(view.problems, ())
    draw_examples(view)


def draw_examples(view: View) -> None:
    """Offer the places that the model knows well."""
    examples = view.info.introduction.examples
    if len(examples) < 2:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="examples"):
        st.markdown("Try", width="content")
        for number, example in enumerate(examples):
            st.button(
                escape_markdown(example.name),
                key=f"example-{number}",
                type="tertiary",
                on_click=clicks.choose_place,
                args=(example.lon, example.lat),
            )


def draw_map(view: View, model: DualEncoder) -> None:
    """Draw the map with the pin and the records of the chosen species."""
    evidence = read_evidence(model, view.taxon)
    colours = style.palette()
    home = st.session_state.setdefault(visits.own("home"), (*view.place, view.zoom))
    start = clicks.map_start(home, colours)
    with st.container(key="map-box"):
        if resources.leaflet_ready():
            leaflet.click_map(
                "map",
                [
                    leaflet.evidence_group(evidence, colours),
                    leaflet.pin_group(view.place, colours, radius_km=LEVEL_RADIUS_KM),
                ],
                start=start,
                home=home,
                center=clicks.map_center(view.place),
                palette=colours,
                on_change=clicks.on_map,
            )
            st.caption(
                f"The map ends at {EDGE:.0f}° north and south; this place lies beyond."
                if abs(view.place[1]) > EDGE
                else "Click the map to choose a place. The dashed circle marks"
                f" {LEVEL_RADIUS_KM:.0f} km around it, within which"
                f" {reworded('recordings', view.info)} are counted."
            )
        else:
            layers = deck.evidence_layers(evidence, colours)
            deck.cell_map("cells", layers, view.place, start=start, palette=colours,
                          on_select=clicks.on_cell)  # fmt: skip
            st.caption(
                f"Leaflet is not installed, so a click picks a cell of {deck.PICK_DEGREES}°; type"
                " the place for more. `make setup` installs Leaflet."
            )
    with st.container(key="records-box"):
        widgets.species_picker(
            reworded("Show on the map where this was recorded", view.info),
            model.classes,
            view.taxon,
            on_species,
            placeholder=f"Pick a {singular(view.info)} here or in the list",
        )
        if evidence and view.taxon:
            evidence_legend(evidence, species_label(model.classes, view.taxon), view.info)
        if view.taxon:
            name = escape_markdown(species_label(model.classes, view.taxon))
            widgets.range_link(f"Range map of {name} →", view.taxon, _link(view))


def _link(view: View) -> dict[str, str]:
    place = address.place_of(*view.place)
    month = {"month": str(view.month)} if view.month else {}
    return {"model": view.info.name, **place, **month}


def draw_list(view: View, report: PlaceReport) -> None:
    """Draw what the model says of the place."""
    place, where = place_name(report.lon, report.lat)
    st.header(escape_markdown(place), anchor=False)
    widgets.support_line(report, view.info, where, listed=True)
    if report.extrapolates:
        few = "Too few recordings to say: fewer than 10 lie near this place."
        st.warning(
            f"{reworded(few, view.info)} The order below is a guess, so there are no numbers."
        )
    elif report.kind == "probability":
        draw_label_set(report)
    by_lift = view.by_lift and ranked.can_compare(report)
    rows = ranked.rows_of(report, by_lift=by_lift, wanted=view.wanted)
    shown = st.session_state.setdefault(SHOWN, ROWS)
    draw_order(view, report)
    if not rows:
        st.markdown(f"No name on the list holds “{escape_markdown(view.wanted)}”.")
    ranked.ranked_list(
        rows[:shown],
        report,
        view.info,
        chosen=view.taxon,
        on_pick=set_taxon,
        link=_link(view),
        taxa=knows_species(view.info),
        by_lift=by_lift,
    )
    if shown < len(rows):
        st.button(f"Show more {plural(view.info)}", on_click=_more_rows, key="more")
    files.downloads(report, view.info, place, link_to(view))
    say_changed(view, report, place, rows)


def draw_label_set(report: PlaceReport) -> None:
    """Name the classes that reach their threshold at a place."""
    named = [escape_markdown(row.common_name or row.taxon) for row in report.label_set]
    # Names of classes hold commas themselves.
    held = "; ".join(named) or "no class reaches its threshold"
    st.markdown(f"**The label set of a patch here:** {held}.")
    st.caption("Each class stands by itself; the probabilities need not sum to 100 %.")


def draw_order(view: View, report: PlaceReport) -> None:
    """Draw the boxes that order and narrow the list, and what its words mean, folded."""
    state = st.session_state
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="list-box"):
        state["find_box"] = view.wanted
        st.text_input("Find a name in the list", key="find_box", on_change=on_wanted, width=170,
                      label_visibility="collapsed", placeholder="Find a name")  # fmt: skip
        with st.popover("What do the words mean?", type="tertiary"):
            draw_words(view, report)
    if ranked.can_compare(report):
        usual, more = (LIKELY, MORE_LIKELY) if report.kind == "probability" else (MOST, MORE)
        state["order_box"] = more if view.by_lift else usual
        st.segmented_control("Order of the list", [usual, more], key="order_box", required=True,
                             label_visibility="collapsed", on_change=on_order)  # fmt: skip


def draw_words(view: View, report: PlaceReport) -> None:
    """Explain the words and numbers of the list."""
    counted = ["too few recordings to say", "within 250 km"]
    terms = [*(counted if report.records_within is not None else ()), "not on the list"]
    if report.kind == "share" and not report.extrapolates:
        terms = ["often, sometimes, rarely", "share", "more here than elsewhere", *terms]
    elif report.kind == "probability" and not report.extrapolates:
        terms = ["probability", "label set", "more likely here", *terms]
    elif not report.extrapolates:
        terms = ["score", *terms]
    lines = [
        f"- **{reworded(term.capitalize(), view.info)}.** {explain(term, view.info)}"
        for term in terms
    ]
    if report.set_size is not None and not report.extrapolates:
        first = "the first" if report.set_size == 1 else f"one of the first {report.set_size}"
        lines.append(f"- **Here: {first} in 9 of 10 cases.** {explain('9 of 10', view.info)}")
    st.markdown("\n".join(lines))


def say_changed(view: View, report: PlaceReport, place: str, rows: list[ranked.Row]) -> None:
    """Tell those who hear the page that the list is another."""
    known = "not known how well recorded"
    if report.taxa_within is not None:
        known = f"{report.taxa_within:,} {plural(view.info)}"
    if report.extrapolates:
        known = reworded("too few recordings to say", view.info)
    first = rows[0].ranked if rows else None
    name = f"first {first.common_name or first.taxon}" if first else "no name found"
    widgets.live(f"{place}: {known}, {name}.")


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
    recorded = reworded("recorded", view.info)
    shell.title(f"Which {plural(view.info)} are {recorded} here?", view.info)
    model = resources.model(view.info)
    check_taxon(view, model)
    draw_controls(view, known, model)
    left, right = st.container(key="view").columns([11, 9], gap="medium")
    with left:
        draw_map(view, model)
    with right:
        date = months.date_of(view.month)
        try:
            report = describe_place(model, *view.place, date=date)
        except CspError as error:  # such as of a model that knows images alone
            st.error(escape_markdown(str(error)))
            return
        draw_list(view, report)


shell.run("explore", page, shared=visits.SHARED, keeps=("rows",))
