"""Places are given: by clicks on the map, by its cells, by what is typed, and by a file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from csp_core.errors import BadRecordError
from few_shot import address as own_address
from few_shot.address import MARK, MARKS, MOST, PlacesView, Spot
from shared import address, clicks, typed, uploads
from shared.visits import own
from shared.words import count_of, escape_markdown

MAX_MEGABYTES = 20


def on_map(key: str) -> None:
    """Take over a click on the map, or take it back where it became a double click.

    Args:
        key: The map's key in the session's state.
    """
    clicks.follow(key, _take_click, own_address.take_back)


def _take_click(lon: float, lat: float, view: Mapping[str, str]) -> None:
    own_address.add_spot(lon, lat, view)
    st.session_state[own("clicked")] = address.place_params()


def on_cell(key: str) -> None:
    """Take over a cell picked on a map without Leaflet."""
    picked = st.session_state[key].selection.objects.get("pick", [])
    if picked:
        own_address.add_spot(picked[0]["lon"], picked[0]["lat"])


def on_mark() -> None:
    """Take over what the next click says."""
    mark = st.session_state["few-shot-mark"]
    address.set_param(MARK, None if mark == "seen" else mark)


def draw_marks(view: PlacesView) -> None:
    """Draw what the next click says, and what takes places out again."""
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="small", key="few-shot-marks"
    ):
        st.session_state["few-shot-mark"] = view.mark
        st.segmented_control(
            "A click on the map says",
            list(MARKS),
            format_func=MARKS.__getitem__,
            key="few-shot-mark",
            required=True,
            on_change=on_mark,
        )
        st.button(
            "Undo",
            key="few-shot-undo",
            on_click=own_address.take_back,
            disabled=not view.spots,
            help=None if view.spots else "There is no place yet.",
        )
        st.button(
            "Clear",
            key="few-shot-clear",
            on_click=own_address.clear,
            disabled=not view.spots,
            help=None if view.spots else "There is no place yet.",
        )


def draw_typed(view: PlacesView) -> None:
    """Draw the boxes for a place that is typed, and what adds it."""
    with st.expander("Type a place"):
        typed.place_box()
        typed.draw_lookup(None, None, (), view.notices)
        with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
            clicks.coordinate_boxes(view.place)
            st.button(
                f"Add as “{MARKS[view.mark].lower()}”",
                key="few-shot-add",
                on_click=own_address.add_spot,
                args=view.free or (0.0, 0.0),
                disabled=view.free is None,
                help=None if view.free else "Type a place first that is not among the others.",
            )


def draw_upload(view: PlacesView) -> None:
    """Draw the box for a list of places, whose places join those that are there."""
    with st.expander("Upload a list of places"):
        uploaded = st.file_uploader(
            "A file of records (CSV, spreadsheet, Darwin Core, GeoJSON, GPX, KML …)",
            key="few-shot-file",
            max_upload_size=MAX_MEGABYTES,
        )
        st.caption(
            "Columns of longitude and latitude are enough. Records of absences, by their status or"
            " a count of 0, are places where it was not seen."
        )
        if uploaded is None:
            return
        content = uploaded.getvalue()
        digest = hashlib.sha256(content).hexdigest()
        try:
            told = _read(digest, view.name, Path(uploaded.name).suffix, content)
        except BadRecordError as error:
            said = str(error).replace(_called(digest, Path(uploaded.name).suffix), uploaded.name)
            st.error(escape_markdown(said))
            return
        _say(told)
        new = _new(view, told)
        room = MOST - len(view.spots)
        if len(new) > room:
            st.error(
                f"{count_of(len(new), 'place is', 'places are')} new, and {room} more fit into the"
                " address: clear the others first."
            )
        elif new:
            word = count_of(len(new), "place", "places")
            st.button(f"Add {word}", key="few-shot-add-file", type="primary",
                      on_click=_add_all, args=(view, new, told["name"]))  # fmt: skip


def _add_all(view: PlacesView, new: list[Spot], name: str) -> None:
    last = new[-1]
    others = address.place_of(last.lon, last.lat)
    if name and not view.name:
        others["name"] = name
    own_address.set_spots([*view.spots, *new], **others)


def _new(view: PlacesView, told: dict[str, Any]) -> list[Spot]:
    given = [Spot(lon, lat, True) for lon, lat in told["seen"]]
    given += [Spot(lon, lat, False) for lon, lat in told["missed"]]
    # As the address holds them.
    written = own_address.read_spots(own_address.write_spots(given), [])
    return [spot for spot in dict.fromkeys(written) if spot not in view.spots]


def _say(told: dict[str, Any]) -> None:
    lines = [
        f"{count_of(len(told['seen']), 'place', 'places')} where it was seen and"
        f" {len(told['missed'])} where it was not, of {told['read']:,} records."
    ]
    lines += [f"Left out {number:,}: {reason}." for reason, number in told["left_out"].items()]
    st.markdown(escape_markdown(" ".join(lines)))


def _called(digest: str, suffix: str) -> str:
    return f"upload-{digest[:12]}" + (suffix if suffix[1:].isalnum() else "")


@st.cache_data(show_spinner="Reading the places …", max_entries=8)
def _read(digest: str, name: str, suffix: str, _content: bytes) -> dict[str, Any]:
    uploads.check_length(len(_content), MAX_MEGABYTES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, _called(digest, suffix))
        path.write_bytes(_content)
        return uploads.read_places(str(path), MOST, name)
