"""Where a photo may be from, by a model that compares pictures and places."""

from __future__ import annotations

from html import escape

import folium
import streamlit as st

from csp_core.errors import CspError
from csp_core.files import read_json
from csp_core.inference import image_fits
from csp_core.inference.retrieval import (
    UNKNOWN,
    Fit,
    TokenPicture,
    spread_of,
    token_picture,
    where_from,
)
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo, read_model_config
from mapping import agreeing, leaflet
from photo import pin_map
from photo.address import PhotoView
from photo.files import Chosen
from photo.place import Where
from shared import style
from shared.home import home_of, look_of
from shared.words import escape_markdown, place_name

OPACITY = 0.8


def find(info: ModelInfo, model: DualEncoder, chosen: Chosen) -> Fit | str:
    """Compare a photo with the places where a model has learned.

    Args:
        info: The model's line in the list.
        model: The model.
        chosen: The photo.

    Returns:
        How well each place fits, or why that is not known.
    """
    assert chosen.photo is not None
    try:
        return where_from(model, chosen.photo.image, agreeing.gallery(info, model))
    except CspError as error:
        return str(error)


def verdict(info: ModelInfo, model: DualEncoder, chosen: Chosen, fit: Fit | str) -> None:
    """Say where the photo may be from, and how far that is to be trusted.

    Args:
        info: The model's line in the list.
        model: The model.
        chosen: The photo.
        fit: How well each place fits, or why that is not known.
    """
    st.header("Where may this be from?", anchor=False)
    if isinstance(fit, str):
        st.error(escape_markdown(fit))
        return
    st.markdown(f"Best of all: **{escape_markdown(fit.best[0].name)}**.")
    st.markdown(escape_markdown(spread_words(info)))
    assert chosen.photo is not None
    suits, reason = image_fits(model, chosen.photo.image)
    if not suits:
        st.warning(f"{escape_markdown(reason)} So the map says little of it.")


def spread_words(info: ModelInfo) -> str:
    """Say how far off the best place usually is, or that nobody has measured it."""
    try:
        found = spread_of(
            read_json(info.directory / "metrics.json"), read_model_config(info.directory)
        )
    except (CspError, OSError, ValueError):
        found = None
    return UNKNOWN if found is None else found.sentence()


def own_place(fit: Fit, where: Where) -> None:
    """Say how the place that the photo counts as taken at stands among all."""
    if where.place is None:
        st.caption("No place is known of the photo itself: set the pin to see how another stands.")
        return
    above, away = fit.above_at(*where.place)
    title = escape_markdown(place_name(*where.place)[0])
    if away > 250:
        st.caption(f"{title}: the model has learned nothing near there, so it is not compared.")
        return
    st.markdown(f"**{title}**, where the pin stands, agrees better than {above:.0%} of the places.")


def draw_map(view: PhotoView, where: Where, fit: Fit | str) -> None:
    """Draw the map of agreement, whose clicks set the pin.

    Args:
        view: What the address says.
        where: The place.
        fit: How well each place fits, or why that is not known.
    """
    palette = style.palette()
    picture = b"" if isinstance(fit, str) else agreeing.picture(view.info, fit, palette)

    def groups() -> list[folium.FeatureGroup]:
        label = "Map of how well places agree with the picture"
        return [leaflet.value_group(picture, OPACITY, label)] if picture else []

    pin_map.draw(
        view,
        where,
        palette,
        groups,
        picture=picture,
        opacity=OPACITY,
        home=look_of(home_of(view.info)),
    )


def draw_best(fit: Fit, model: DualEncoder, chosen: Chosen, where: Where) -> None:
    """List the best places, and for a model of tokens what agrees with what.

    Args:
        fit: How well each place fits.
        model: The model.
        chosen: The photo.
        where: The place that the parts of the picture are compared with.
    """
    st.subheader("Places that agree best, at least 200 km apart", anchor=False)
    agreeing.listed(fit)
    st.caption("Agreements are cosines: they rank, and are no probabilities.")
    assert chosen.photo is not None
    best = fit.best[0]
    at = where.place or (best.lon or 0.0, best.lat or 0.0)
    found = token_picture(model, chosen.photo.image, at)
    if found is not None:
        _parts(found, place_name(*at)[0])


def _parts(found: TokenPicture, title: str) -> None:
    """Draw which parts of the picture and which scales of the place agree."""
    st.subheader("What agrees with what", anchor=False)
    bars = "".join(
        f'<div><span>{escape(name)}</span><b style="width:{max(value, 0):.0%}"></b>'
        f"<span>{value:.2f}</span></div>"
        for name, value in found.scales
    )
    squares = _patches(found, title)
    st.html(f'<div class="csp-parts">{squares}<div class="csp-bars">{bars}</div></div>')
    several = (
        "The squares: how well each part of the picture agrees with its best part of the place."
    )
    single = "The model sees this picture as one part, so there is no map of its parts."
    st.caption(
        f"Compared with: {escape_markdown(title)}. {several if squares else single} The bars: the"
        " parts of the place, such as its scales, and how well each agrees with its best part of"
        " the picture. Cosines."
    )


def _patches(found: TokenPicture, title: str) -> str:
    """Draw the parts of the picture, with what their colours say; nothing of a single one."""
    rows, columns = found.grid
    low, most = min(found.patches), max(found.patches)
    if len(found.patches) < 2:
        return ""
    ramp, width = style.palette().values, max(most - low, 1e-9)
    cells = "".join(
        f'<i style="background:{ramp[min(int((v - low) / width * len(ramp)), len(ramp) - 1)]}"'
        f' title="{v:.2f}"></i>'
        for v in found.patches
    )
    steps = "".join(f'<i style="background:{colour}"></i>' for colour in ramp)
    return (
        f'<div><div role="img" aria-label="The picture in {rows} by {columns} parts, each coloured'
        f' by how well it agrees with {escape(title)}, from {low:.2f} to {most:.2f}"'
        f' class="csp-patches" style="grid-template-columns:repeat({columns},1fr);'
        f'aspect-ratio:{columns}/{rows}">{cells}</div>'
        f'<div class="csp-steps">{steps}</div>'
        f'<div class="csp-ends csp-small"><span>{low:.2f}</span><span>{most:.2f}</span></div></div>'
    )
