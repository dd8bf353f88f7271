"""Places like the chosen one: a map of cosines above a threshold, and the nearest by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import streamlit as st

from clusters import drawing
from clusters.address import View
from clusters.facts import area_words, small
from clusters.kept import kept
from clusters.scatter import number_of
from clusters.study import Study
from csp_core.inference.clusters import Similar, similar
from csp_core.model import DualEncoder
from shared import address, style, widgets
from shared.address import set_param
from shared.words import escape_markdown, place_title, plural

KEY = "clusters-above"
# Share of the places that stay below the threshold until another is chosen.
SUITS = 0.9


def on_above() -> None:
    """Take over the slider's threshold."""
    set_param("above", f"{st.session_state[KEY]:g}")


def draw(view: View, model: DualEncoder, found: Study) -> None:
    """Draw what is like the chosen place.

    Args:
        view: What is asked for, with a place.
        model: The model.
        found: The sample with its vectors.
    """
    lon, lat = view.place or (0.0, 0.0)
    title, where = place_title(lon, lat)
    near = found.nearest_to(lon, lat)
    st.markdown(f"**{title}** {where}{_group(view, found, near)}")
    key = (*found.of, lon, lat)
    answer: Similar = kept("alike", 24).get(
        key,
        lambda: similar(
            model, lon, lat, sample=found.sample, vectors=found.vectors, date=found.date
        ),
    )
    cosine = answer.cosine.tolist()
    above = threshold(cosine) if view.above is None else view.above
    left, right = st.container(key="alike-view").columns([11, 9], gap="medium")
    with left:
        drawing.draw_alike(view, found, key, cosine, above)
        st.session_state[KEY] = above
        # Cosines of a trained model crowd near 1, so the slider goes by hundredths.
        st.slider(
            "Colour places with a cosine of at least",
            *(-1.0, 1.0),
            key=KEY,
            step=0.01,
            on_change=on_above,
            width=360,
        )
        areas = found.sample.area_km2.tolist()
        area = sum(km2 for km2, value in zip(areas, cosine, strict=True) if value >= above)
        _legend(above, area)
    with right:
        _list(view, answer)


def threshold(cosine: Sequence[float]) -> float:
    """Choose the threshold that about a tenth of the places reach, in hundredths.

    Example:
        >>> threshold([i / 100 for i in range(100)])
        0.9
    """
    ordered = sorted(cosine)
    return math.floor(100 * ordered[int(SUITS * len(ordered))] + 1e-6) / 100


def _group(view: View, found: Study, near: int) -> str:
    if not view.pin_inside:
        return "It lies outside the region, so it is in none of its clusters."
    label = found.labels[near]
    return "It is in no cluster." if label < 0 else f"It is in cluster {number_of(label)}."


def _legend(above: float, area: float) -> None:
    colours = style.palette().values
    boxes = "".join(f'<i style="background:{colour}"></i>' for colour in colours)
    st.html(
        '<div class="csp-scale" role="img" aria-label="Colour scale: cosine from'
        f' {above:g} to 1"><div>Cosine with the chosen place</div>'
        f'<div class="csp-steps">{boxes}</div>'
        f'<div class="csp-ends"><span>{above:g}</span><span>1: the same</span></div></div>'
        f'<div class="csp-small">{area_words(area)} reach it.</div>'
    )


def _list(view: View, answer: Similar) -> None:
    st.markdown("**Far away and most like it**")
    if not answer.places:
        st.markdown("The sample has no place more than 1,000 km away.")
        return
    for number, place in enumerate(answer.places, start=1):
        params: dict[str, Any] = {"model": view.info.name, **address.place_of(place.lon, place.lat)}
        with st.container(gap=None, key=f"row-like-{number}"):
            words = f"{number}\\. {escape_markdown(place.name)}"
            if view.info.num_classes:
                st.page_link(widgets.EXPLORE_PAGE, label=words, query_params=params)
            else:
                st.markdown(words)
            small(f"cosine {place.cosine:.2f} · {place.km:,.0f} km away")
    if view.info.num_classes:
        st.caption(f"At least 1,000 km from here and apart. A name opens its {plural(view.info)}.")
