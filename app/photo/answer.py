"""What a model says of a photo, in words: the answer, its set, the weight, and whether it fits."""

from __future__ import annotations

import json
from collections.abc import Sequence

import streamlit as st

from csp_core.data.pictures import Photo
from csp_core.errors import CspError
from csp_core.inference import PhotoAnswer, RankedAnswer, answer_photo, describe_place, image_fits
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from photo import chart
from photo.address import MOST_WEIGHT, PhotoView, link_to
from photo.files import Chosen
from photo.place import Where
from shared import address, resources, widgets
from shared.words import escape_markdown, percent

WEIGHT_STEP, PLACE_ROWS, MOST_NAMED = 0.05, 10, 6
# The one of docs/photos.md, which says how to ask it.
SPECIES_MODEL = "hf-hub:timm/convnext_large_mlp.laion2b_ft_augreg_inat21"
RECIPE = (
    "For photos of animals and plants take a species classifier of timm, such as"
    f" `{SPECIES_MODEL}` (10,000 species of iNat21, file `model.safetensors`, 856 MB,"
    " fetched once where there is a network), and give its probabilities to"
    " `csp_core.rerank(probs, lonlat, model=…, names=…)`: any model"
    " here can be the prior. The steps stand in `docs/photos.md`."
)


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


def set_model(name: str) -> None:
    """Write another model to the address; the fitted weight is another too."""
    address.set_model(name)
    address.set_param("weight", None)


def misfit(answer: PhotoAnswer, info: ModelInfo, known: Sequence[ModelInfo], photo: Photo) -> None:
    """Say so if the model is not made for such a picture, and what would be.

    Args:
        answer: What the model says.
        info: The model's line in the list.
        known: All models.
        photo: The photo.
    """
    if answer.fits:
        return
    name = escape_markdown(info.name)
    st.warning(
        f"**This is not a picture that {name} was made for.**"
        f" {escape_markdown(answer.fits_reason)} What it says below means little."
    )
    others = [other for other in known if other.problem is None and other.name != info.name]
    fitting = [other for other in others if other.sees_images and _fits(other, photo)]
    for other in fitting[:2]:
        label = f"Ask {escape_markdown(other.name)}, which learned from pictures like it"
        args = (other.name,)
        st.button(label, key=f"ask-{other.name}", on_click=set_model, args=args)
    if not fitting:
        st.caption(f"No model here was made for it. {RECIPE}")


def _fits(info: ModelInfo, photo: Photo) -> bool:
    try:
        return image_fits(resources.model(info), photo.image)[0]
    except CspError:
        return False


def without_image_model(info: ModelInfo, known: Sequence[ModelInfo]) -> None:
    """Say that a model does not look at pictures, and which would."""
    name = escape_markdown(info.name)
    able = [other.name for other in known if other.problem is None and other.sees_images]
    also = f" Models here that look at pictures: {', '.join(able)}." if able else ""
    st.warning(
        f"**{name} does not look at the picture.** It knows places alone, so this is the place's"
        f" ranking.{escape_markdown(also)}"
    )
    st.caption(RECIPE)


def place_alone(model: DualEncoder, info: ModelInfo, where: Where) -> None:
    """Draw the ranking of the place by itself."""
    why = why_alone(model, where)
    if why or where.counts is None:
        st.markdown(f"{why.capitalize()}, so there is nothing to rank by.")
        return
    report = describe_place(model, *where.counts, date=where.date, hour=where.hour)
    widgets.support_line(report)
    if report.extrapolates:
        st.warning("Too few training records stand near this place: the order is a guess.")
    rows = [(row.rank, row.taxon, row.common_name, row.value) for row in report.results]
    chart.one_column(rows[:PLACE_ROWS], "Place only", numbers=not report.extrapolates)


def headline(answer: PhotoAnswer, model: DualEncoder, where: Where) -> None:
    """Say what the picture most likely shows, and what the place changed."""
    first, alone = answer.combined[0], answer.image_only[0]
    st.subheader(f"{_name(first)}: {percent(first.value)}", anchor=False)
    if why := why_alone(model, where):
        st.markdown(f"By the image alone, as {why}.")
    elif first.taxon == alone.taxon:
        st.markdown(f"The image alone says the same, with {percent(alone.value)}.")
    else:
        st.markdown(
            f"**The place changes the answer**: the image alone says {_name(alone)},"
            f" {percent(alone.value)}."
        )


def why_alone(model: DualEncoder, where: Where) -> str:
    """Say why no place takes part in an answer; nothing where one does."""
    if model.classifier is None:
        return "this model knows nothing of places"
    if where.counts is None:
        return "the place is ignored" if where.place else "no place is known"
    return ""


def _name(row: RankedAnswer) -> str:
    return escape_markdown(row.common_name or row.taxon)


def truth_set(answer: PhotoAnswer, model: DualEncoder, where: Where) -> None:
    """Name the set that holds the truth 9 times in 10, as far as that is promised.

    Args:
        answer: What the model says.
        model: The model.
        where: Place and time.
    """
    if not answer.fits:
        st.caption(
            "No set that holds the truth 9 times in 10 is named: the promise is for pictures like"
            " those that the model learned from."
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
    if heard and _guesses(model, where):
        st.caption("The promise is not for places like this, with too few training records near.")


def _guesses(model: DualEncoder, where: Where) -> bool:
    """Tell whether the model is known to have learned nothing near the place that counts."""
    if where.counts is None or model.support is None:
        return False
    return describe_place(model, *where.counts, top=1).extrapolates


def _set_words(rows: Sequence[RankedAnswer], size: int | None) -> str:
    if size is None:
        return ""
    if size > MOST_NAMED:
        return f"the first {size} of {len(rows)}"
    return ", ".join(_name(row) for row in rows[:size])


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


def explain(answer: PhotoAnswer, model: DualEncoder, where: Where) -> None:
    """Say why ranks moved, and what the place's part rests on."""
    timed = (model.uses_date and where.date is not None) or (
        model.uses_hour and where.hour is not None
    )
    season = timed and where.counts is not None
    if where.counts is not None and model.classifier is not None:
        st.subheader("Why the ranking moved", anchor=False)
        chart.explanations(answer, season)
        report = describe_place(model, *where.counts)
        if model.support is None:
            st.caption("Support unknown: this model came without counts of its training records.")
        else:
            widgets.support_line(report)
            if report.extrapolates:
                st.warning(
                    "Too few training records stand near this place: what it adds is a guess."
                )
    chart.table(answer, season)


def downloads(answer: PhotoAnswer, view: PhotoView, where: Where, chosen: Chosen) -> None:
    """Offer the answer as JSON, and the address of an example's view."""
    with st.container(horizontal=True, gap="small"):
        st.download_button("Download JSON", lambda: to_json(answer, where), "photo.json",
                           "application/json", on_click="ignore")  # fmt: skip
        if chosen.example:
            with st.popover("Link to this view"):
                st.code(link_to(view, chosen.example), language=None, wrap_lines=True)


def to_json(answer: PhotoAnswer, where: Where) -> str:
    """Write an answer as JSON, with the place and date it holds for.

    Args:
        answer: What the model says.
        where: Place and time.

    Returns:
        The file's text.
    """
    lon, lat = where.counts or (None, None)
    content = {
        "model": answer.model,
        "lon": lon,
        "lat": lat,
        "radius_km": where.radius_km,
        "date": where.day.isoformat() if where.day else None,
        **answer.to_dict(),
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
