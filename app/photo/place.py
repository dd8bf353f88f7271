"""Where and when a photo was taken: as its file says, as typed, or as clicked on the map."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import streamlit as st

from csp_core.data.pictures import Photo, parts_of_time
from csp_core.inference import When, taken
from csp_core.model import DualEncoder, Prior
from photo.address import (
    FIRST_DAY,
    IGNORED,
    LAST_DAY,
    MOST_KM,
    UNKNOWN,
    PhotoView,
    forget_own,
    is_shown,
)
from photo.files import Chosen
from shared import address, clicks, typed, widgets
from shared.visits import own
from shared.words import escape_markdown, place_title

SOURCES = {"EXIF": "EXIF", "XMP": "XMP", "georeference": "the georeference",
           "sidecar": "a sidecar"}  # fmt: skip


@dataclass(frozen=True)
class Where:
    """Where and when a photo counts as taken.

    Args:
        place: Longitude and latitude, or None where nobody knows.
        source: Where the place is from, or why there is none.
        radius_km: Within which it lies.
        ignored: Whether the place shall not count.
        day: The date, or None.
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        day_source: Where the date is from.
    """

    place: tuple[float, float] | None
    source: str
    radius_km: float
    ignored: bool
    day: datetime.date | None
    date: float | None
    hour: float | None
    day_source: str

    @property
    def counts(self) -> tuple[float, float] | None:
        """The place as far as it counts."""
        return None if self.ignored else self.place


def find(view: PhotoView, photo: Photo) -> Where:
    """Tell where and when a photo was taken.

    Args:
        view: What the address says, which comes first.
        photo: What the file says.

    Returns:
        Place and time with their sources.
    """
    when = None
    if isinstance(view.date, datetime.date):
        midnight = datetime.datetime.combine(view.date, datetime.time())
        when = When(parts_of_time(midnight)[0], day=view.date.isoformat())
    found = taken(photo, view.place, when, undated=view.date == UNKNOWN)
    source = f"From {SOURCES.get(photo.place_source or '', '')}"
    if not found.own_place:
        clicked = st.session_state.get(own("clicked")) == address.place_params()
        source = "Clicked on the map" if clicked else "Typed"
    elif found.place is None:
        source = photo.why_no_place
    told = f"by {photo.taken_source}" if photo.taken_source else "from the photo's file"
    day_source = told if found.when.day else "not in the file"
    if not found.own_date:
        day_source = "typed" if found.when.day else "left out"
    return Where(
        place=found.place,
        source=source,
        radius_km=min(MOST_KM, found.radius_km if view.radius_km is None else view.radius_km),
        ignored=view.ignored,
        day=datetime.date.fromisoformat(found.when.day) if found.when.day else None,
        date=found.when.date,
        hour=found.when.hour,
        day_source=day_source,
    )


def badges(where: Where, photo: Photo) -> None:
    """Say where place and date are from.

    Args:
        where: Place and time.
        photo: The photo.
    """
    if where.place is None:
        st.badge("No place", icon=":material/help:", color="orange")
        st.caption(
            f"{escape_markdown(where.source)} Where was this taken? Click the map, or type"
            " it below."
        )
    else:
        label = where.source + (f", ± {_distance(where.radius_km)}" if where.radius_km else "")
        st.badge(escape_markdown(label), icon=":material/location_on:", color="green")
        title, coordinates = place_title(*where.place)
        st.markdown(f"{title}  \n{coordinates.rstrip('. ')}")
    when = f"{where.day.isoformat()}, {where.day_source}" if where.day else where.day_source
    st.caption(escape_markdown(f"Date: {when}."))
    for note in photo.notes:
        st.caption(escape_markdown(note))


def _distance(km: float) -> str:
    return f"{1000 * km:,.0f} m" if km < 1 else f"{km:,.0f} km"


def controls(view: PhotoView, where: Where, chosen: Chosen, model: DualEncoder) -> None:
    """Draw what sets place, radius and date.

    Every photo has boxes of its own: a browser that still shows the last photo's sends its values.

    Args:
        view: What the address says.
        where: Place and time.
        chosen: The photo.
        model: The model.
    """
    photo, heard = chosen.key, model.places or model
    st.subheader("Where and when it was taken", anchor=False)
    typed.place_box()
    asked = None if view.place else (view.lon, view.lat)
    typed.draw_lookup(asked, heard, view.beside["place"], view.notices)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        clicks.coordinate_boxes(where.place, width=160, owner=photo, on_change=_on_boxes)
        _radius_and_date(where, photo, heard)
    _beside(view, "radius", "date")
    _too_wide(where, chosen)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        st.session_state[f"ignore_box{photo}"] = view.ignored
        st.toggle(
            "Ignore the place (captive, cultivated)",
            key=f"ignore_box{photo}",
            on_change=_on_ignore,
            args=(photo,),
            help="What is kept or planted says nothing of where its kind lives.",
        )
        if view.place is not None and chosen.photo is not None and chosen.photo.lonlat is not None:
            args = ("lat", "lon", "radius")
            st.button("Back to the photo's own place", key="own_place", on_click=forget_own,
                      args=args)  # fmt: skip


def _beside(view: PhotoView, *names: str) -> None:
    """Say what is wrong with what the address says, beside the boxes that it is for."""
    # A container even for nothing: boxes below would be built anew if their number changed.
    with st.container(gap="small"):
        widgets.messages([one for name in names for one in view.beside.get(name, ())], ())


def _too_wide(where: Where, chosen: Chosen) -> None:
    """Say so where the file's own radius is more than counts."""
    told = chosen.photo.uncertainty_m if chosen.photo else None
    if told and told > 1000 * MOST_KM and where.radius_km == MOST_KM:
        st.caption(f"The file says ± {told / 1000:,.0f} km, of which {MOST_KM:,.0f} km count.")


def _radius_and_date(where: Where, photo: str, model: Prior) -> None:
    """Draw the boxes for radius and date, of a photo with this key."""
    state = st.session_state
    state[f"radius_box{photo}"] = float(where.radius_km)
    st.number_input(
        "Known to within (km)",
        *(0.0, MOST_KM),
        step=10.0,
        format="%.4g",
        key=f"radius_box{photo}",
        on_change=_on_radius,
        args=(photo,),
        width=150,
        help="What the place says is averaged over a disc of this radius.",
    )
    state[f"date_box{photo}"] = where.day
    st.date_input(
        "Date",
        value=None,
        # The clock of a camera may be set to any year.
        min_value=min(FIRST_DAY, where.day or FIRST_DAY),
        max_value=max(LAST_DAY, where.day or LAST_DAY),
        key=f"date_box{photo}",
        format="YYYY-MM-DD",
        on_change=_on_date,
        args=(photo,),
        disabled=not model.uses_date,
        help="Empty leaves the season out."
        if model.uses_date
        else f"{escape_markdown(model.name)} knows no seasons.",
        width=175,
    )


def _on_boxes(photo: str, name: str) -> None:
    if is_shown(photo):
        clicks.on_boxes(photo, name)


def _on_radius(photo: str) -> None:
    if is_shown(photo):
        address.set_param("radius", f"{st.session_state[f'radius_box{photo}']:g}")


def _on_date(photo: str) -> None:
    if is_shown(photo):
        day = st.session_state[f"date_box{photo}"]
        address.set_param("date", day.isoformat() if day else UNKNOWN)


def _on_ignore(photo: str) -> None:
    if is_shown(photo):
        ignored = st.session_state[f"ignore_box{photo}"]
        address.set_param("place", IGNORED if ignored else None)
