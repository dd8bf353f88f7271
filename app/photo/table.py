"""Several photos as a table: an answer, place and date each, and what is wrong with any."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields
from html import escape

import streamlit as st

from csp_core import gazetteer
from csp_core.files import spreadsheet_cell
from csp_core.model import DualEncoder
from photo import place
from photo.address import PhotoView, says_where, view_of
from photo.answer import ask
from photo.files import Chosen, Given, pick
from photo.place import Where
from photo.verdict import why_alone
from shared import resources
from shared.words import count_of, escape_markdown, percent

# In the session's state: the rows, each with what it was made from.
ROWS = "photo-rows"
HEADS = ("Most likely, with the place", "Image alone", "Place", "Date", "What to know of it")
# Sides of a small picture and of the button beside it, pixels.
SMALL, BUTTON = 44, 190


@dataclass(frozen=True)
class Row:
    """A line of the table; an answer stands in it only where the model is for the picture.

    Args:
        photo: Name of the file.
        model: Name of the model.
        license: Of the model.
        most_likely: Scientific name of what ranks first, with the place where one counts.
        common_name: Its common name.
        probability: Of it, with the place.
        image_alone: Scientific name of what ranks first by the image alone.
        image_alone_common_name: Its common name.
        image_alone_probability: Of it, by the image alone.
        lon: Degrees, or None.
        lat: Degrees, or None.
        place_from: Where the place is from.
        radius_km: Within which it lies.
        date: YYYY-MM-DD, or ``""``.
        date_from: Where the date is from.
        note: What is wrong or odd.
    """

    photo: str
    model: str = ""
    license: str = ""
    most_likely: str = ""
    common_name: str = ""
    probability: float | None = None
    image_alone: str = ""
    image_alone_common_name: str = ""
    image_alone_probability: float | None = None
    lon: float | None = None
    lat: float | None = None
    place_from: str = ""
    radius_km: float | None = None
    date: str = ""
    date_from: str = ""
    note: str = ""


def rows_of(view: PhotoView, model: DualEncoder, given: Given) -> list[Row]:
    """Ask a model about all photos; what was asked before is remembered.

    Args:
        view: What the address says.
        model: The model.
        given: The photos.

    Returns:
        A line each, those that cannot be read last.
    """
    kept: dict[str, tuple[object, Row]] = st.session_state.get(ROWS, {})
    fresh: dict[str, tuple[object, Row]] = {}
    content = resources.content_hash(view.info)
    for one in given.own:
        assert one.photo is not None
        where = place.find(view_of(view, one.key), one.photo)
        basis = (content, view.weight, where)
        known = kept.get(one.key)
        same = known is not None and known[0] == basis
        fresh[one.key] = known if known and same else (basis, _row(view, model, one, where))
    st.session_state[ROWS] = fresh
    lost = [Row(one.name, note=f"Not read: {one.problem}") for one in given.refused]
    return [*(row for _, row in fresh.values()), *lost]


def _row(view: PhotoView, model: DualEncoder, chosen: Chosen, where: Where) -> Row:
    photo, answer = chosen.photo, None
    assert photo is not None
    notes = []
    if not view.info.sees_images:
        placing = "says where it may be from: open it." if says_where(view.info) else ""
        notes.append(f"{view.info.name} {placing or 'does not look at pictures.'}")
    else:
        found = ask(model, photo, where, view.weight)
        if isinstance(found, str):
            notes.append(found)
        elif not found.fits:
            notes.append(f"No answer: {view.info.name} is not for such a picture.")
        else:
            answer = found
    notes += [photo.why_no_place] if where.place is None else []
    notes += ["The place is ignored."] if where.place and where.ignored else []
    lon, lat = where.place or (None, None)
    told: dict[str, object] = {}
    if answer is not None:
        first, alone = answer.combined[0], answer.image_only[0]
        told = {"most_likely": first.taxon, "common_name": first.common_name,
                "probability": first.value, "image_alone": alone.taxon,
                "image_alone_common_name": alone.common_name,
                "image_alone_probability": alone.value}  # fmt: skip
        if why_alone(model, where):
            told |= {"most_likely": "", "common_name": "", "probability": None}
    return Row(
        photo=chosen.name,
        model=view.info.name,
        license=resources.credit(view.info).license,
        lon=lon,
        lat=lat,
        place_from=where.source if where.place else "",
        radius_km=where.radius_km if where.place else None,
        date=where.day.isoformat() if where.day else "",
        date_from=where.day_source if where.day else "",
        note=" ".join((*notes, *photo.notes)),
        **told,  # type: ignore[arg-type]  # each as its field is
    )


def draw(rows: list[Row], given: Given) -> None:
    """Draw the table; the button of a row leads to its photo.

    Args:
        rows: As ``rows_of`` gives them.
        given: The photos.
    """
    assert given.shown is not None
    st.header(count_of(len(given.own), "photo", "photos"), anchor=False)
    with st.container(gap=None, key="photo-row"):
        heads = "".join(f"<b>{head}</b>" for head in HEADS)
        # As far from the left as the cells below, which a picture and a button precede.
        indent = f"padding-left:calc({SMALL + BUTTON}px + 2rem)"
        st.html(f'<div class="csp-cells csp-head" style="{indent}">{heads}</div>')
        for number, (one, row) in enumerate(zip(given.own, rows, strict=False)):
            with st.container(
                horizontal=True,
                gap="small",
                vertical_alignment="center",
                key=f"photo-row-{number}",
            ):
                with st.container(width=SMALL):
                    st.image(one.thumbnail, width=one.width_in(SMALL), alt=f"The photo {one.name}")
                st.button(
                    escape_markdown(one.name),
                    key=f"photo-{number}",
                    type="primary" if one is given.shown else "secondary",
                    on_click=pick,
                    args=(one.key,),
                    width=BUTTON,
                )
                st.html(_cells(row))
    st.download_button("Download the table as CSV", lambda: to_csv(rows), "photos.csv", "text/csv",
                       on_click="ignore", key="photo-csv")  # fmt: skip


def _cells(row: Row) -> str:
    place_words = ""
    if row.lon is not None and row.lat is not None:
        place_words = f"{gazetteer.format_coordinates(row.lon, row.lat)}. {row.place_from}"
    cells = (
        _named(row.common_name or row.most_likely, row.probability),
        _named(row.image_alone_common_name or row.image_alone, row.image_alone_probability),
        place_words or "–",
        row.date or "–",
        row.note or "–",
    )
    pairs = zip(HEADS, cells, strict=True)
    return ('<div class="csp-cells">'
            + "".join(f"<span><i>{head}: </i>{escape(cell)}</span>" for head, cell in pairs)
            + "</div>")  # fmt: skip


def _named(name: str, share: float | None) -> str:
    return "–" if share is None else f"{name}, {percent(share)}"


def to_csv(rows: list[Row]) -> str:
    """Write the table as CSV; names that a spreadsheet would take for a formula are escaped.

    Args:
        rows: As ``rows_of`` gives them.

    Returns:
        The file's text.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field.name for field in fields(Row)])
    for row in rows:
        writer.writerow([spreadsheet_cell(value) for value in asdict(row).values()])
    return stream.getvalue()
