"""What a model says of a photo, in words: the answer's set, its weight, why, and as a file."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from csp_core.data.pictures import Photo
from csp_core.errors import CspError
from csp_core.inference import PhotoAnswer, RankedAnswer, answer_photo, describe_place
from csp_core.model import DualEncoder, Prior
from csp_core.store import ModelInfo
from photo import chart
from photo.address import MOST_WEIGHT, PhotoView, link_to
from photo.files import Chosen
from photo.misfit import caution
from photo.place import Where
from photo.verdict import guesses, name_of, why_alone
from shared import address, widgets
from shared.words import escape_markdown, reworded

WEIGHT_STEP, MOST_NAMED = 0.05, 6


def ask(model: DualEncoder, photo: Photo, where: Where, weight: float | None) -> PhotoAnswer | str:
    """Ask a model about a photo.

    Args:
        model: A model that sees images.
        photo: The photo.
        where: Where and when it was taken.
        weight: Of the place; None for the fitted one.

    Returns:
        Its answer, or why there is none.
    """
    try:
        return answer_photo(
            model,
            photo.image,
            lonlat=where.counts,
            radius_km=where.radius_km,
            date=where.date,
            hour=where.hour,
            weight=weight,
        )
    except CspError as error:
        return str(error)


def truth_set(answer: PhotoAnswer, model: DualEncoder, info: ModelInfo, where: Where) -> None:
    """Name the set that holds the truth 9 times in 10, as far as that is promised.

    Args:
        answer: What the model says.
        model: The model.
        info: Its line in the list.
        where: Place and time.
    """
    if answer.kind == "probability":
        st.caption(
            "Which classes are in the label set, each by its own threshold; the probabilities need"
            " not sum to 100 %."
        )
        return
    heard = not why_alone(model, where) and answer.weight > 0
    alone = _set_words(answer.image_only, answer.image_set_size)
    together = _set_words(answer.combined, answer.set_size) if heard else alone
    if not together:
        what = "For this weight of the place" if alone else "For this model"
        st.caption(f"{what} no set that holds the truth 9 times in 10 was fitted.")
        return
    line = f"**9 times in 10 the truth is among:** {together}."
    if heard and alone:
        line += f" By the image alone: {alone}."
    st.markdown(line)
    if heard and guesses(model, where):
        few = "The promise is not for places like this, with too few recordings near."
        st.caption(reworded(few, info))


def _set_words(rows: Sequence[RankedAnswer], size: int | None) -> str:
    if size is None:
        return ""
    if size > MOST_NAMED:
        return f"the first {size} of {len(rows)}"
    return ", ".join(name_of(row) for row in rows[:size])


def weigh(model: DualEncoder, weight: float | None) -> None:
    """Draw the slider for the weight of the place, with a mark at the fitted one.

    Args:
        model: The model.
        weight: As the address says, or None for the fitted one.
    """
    fitted = _on_step(model.calibration.place_weight)
    most = MOST_WEIGHT if fitted > 1.5 or (weight or 0) > 2 else 2.0
    st.session_state["weight_box"] = min(most, fitted if weight is None else _on_step(weight))
    st.slider(
        "Weight of the place",
        *(0.0, most),
        step=WEIGHT_STEP,
        key="weight_box",
        on_change=_on_weight,
        args=(fitted,),
        help="0 is the image alone; at 1 the place counts as much as the image.",
    )
    # A slider's ends lie half a thumb from those of its box.
    fitted_to = f"{model.calibration.place_weight:.3g}"
    at = f"calc(0.5rem + (100% - 1rem) * {fitted / most:.4f})"
    st.html(
        f'<div class="csp-mark"><span style="left:{at}">▲ fitted {fitted_to}'
        f"{', in use' if weight is None else ''}</span></div>"
    )
    if weight is not None:
        st.button("Back to the fitted weight", key="fitted_weight", on_click=address.set_param,
                  args=("weight", None))  # fmt: skip


def _on_step(weight: float) -> float:
    return round(round(weight / WEIGHT_STEP) * WEIGHT_STEP, 2)


def _on_weight(fitted: float) -> None:
    value = st.session_state["weight_box"]
    address.set_param("weight", None if abs(value - fitted) < 1e-6 else f"{value:g}")


def explain(answer: PhotoAnswer, model: DualEncoder, info: ModelInfo, where: Where) -> None:
    """Offer why ranks moved, what the place's part rests on, and all classes, folded.

    Args:
        answer: What the model says.
        model: The model.
        info: Its line in the list.
        where: Place and time.
    """
    heard = model.places
    season = where.counts is not None and _timed(heard, where)
    if where.counts is not None and heard is not None:
        with st.expander("Why the ranking moved"):
            chart.explanations(answer, season)
            if model.borrowed is not None:
                st.caption(escape_markdown(str(model.borrowed)))
            if heard.support is None:
                st.caption(
                    "How much was recorded near, nobody can say: this model came without counts of"
                    " its records."
                )
            else:
                widgets.support_line(describe_place(heard, *where.counts), info)
    chart.table(answer, season)


def _timed(heard: Prior | None, where: Where) -> bool:
    if heard is None:
        return False
    dated, hourly = heard.uses_date and where.date is not None, where.hour is not None
    return dated or (heard.uses_hour and hourly)


def downloads(answer: PhotoAnswer, view: PhotoView, where: Where, chosen: Chosen) -> None:
    """Offer the answer as JSON, and the address of an example's view.

    Args:
        answer: What the model says.
        view: What the address says.
        where: Place and time.
        chosen: The photo.
    """
    with st.container(horizontal=True, gap="small"):
        st.download_button("Download JSON", lambda: to_json(answer, where), "photo.json",
                           "application/json", on_click="ignore")  # fmt: skip
        if chosen.example:
            with st.popover("Link to this view"):
                st.code(link_to(view, chosen.example), language=None, wrap_lines=True)


def to_json(answer: PhotoAnswer, where: Where) -> str:
    """Write an answer as JSON, with the place and date it holds for, and a caution if it needs one.

    Args:
        answer: What the model says.
        where: Place and time.

    Returns:
        The file's text.
    """
    lon, lat = where.counts or (None, None)
    warned = {} if answer.fits else {"caution": caution(answer.model, answer.fits_reason)}
    content = {
        **warned,
        "model": answer.model,
        "lon": lon,
        "lat": lat,
        "radius_km": where.radius_km,
        "date": where.day.isoformat() if where.day else None,
        "date_source": where.day_source,
        **answer.to_dict(),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
