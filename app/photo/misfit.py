"""A picture that the model is not for: what would be, and what the place says by itself."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from csp_core.data.pictures import Photo
from csp_core.errors import CspError
from csp_core.inference import describe_place, image_fits
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo
from photo import chart
from photo.address import set_model
from photo.place import Where
from photo.verdict import why_alone
from shared import address, resources, widgets
from shared.words import escape_markdown, place_title, plural, reworded, value_meaning

PLACE_ROWS, MOST_BUTTONS = 10, 2
# The one of docs/photos.md, which says how to ask it.
SPECIES_MODEL = "hf-hub:timm/convnext_large_mlp.laion2b_ft_augreg_inat21"
HOW = (
    "A model can be added: one that learns from photos of the kinds that you want named, some"
    " dozens of each, sorted into a folder for each kind. Whoever runs this app can have it"
    " trained, and it is offered here once it is ready."
)
RECIPE = (
    "One of your own photos: `csp train configs/presets/photos-small.yaml data.root=FOLDER"
    " --run-dir runs/mine`, with a sub-folder for each kind; or *New run* of the Train page, with"
    " the data set `photos`.\n\n"
    f"For animals and plants, a species classifier of timm, such as `{SPECIES_MODEL}` (10,000"
    " species of iNat21, file `model.safetensors`, 856 MB, fetched once where there is a network):"
    " give its probabilities to `csp_core.rerank(probs, lonlat, model=…, names=…)`; any model here"
    " can be the prior. The steps stand in `docs/photos.md`."
)


def caution(name: str, reason: str) -> str:
    """Say why an answer is not to be relied on, for files that hold it all the same.

    Args:
        name: Of the model.
        reason: Why the picture does not fit.

    Returns:
        One or two sentences.
    """
    return f"Not to be relied on: this is not a picture that {name} is for. {reason}"


def verdict(info: ModelInfo, reason: str) -> None:
    """Say as the photo's heading that a model does not name it, what it is for, and why.

    Args:
        info: The model's line in the list.
        reason: Why the picture does not fit.
    """
    st.header(f"{escape_markdown(info.name)} does not name this picture", anchor=False)
    st.warning(
        f"This is not a picture that it was made for. {escape_markdown(reason)} So no"
        f" {plural(info)} are named."
    )


def what_fits(info: ModelInfo, known: Sequence[ModelInfo], photo: Photo) -> None:
    """Say what a model is for, which one here fits a picture, and how to get one.

    Args:
        info: The model's line in the list.
        known: All models.
        photo: The photo.
    """
    st.subheader("Which model would", anchor=False)
    about = " ".join(filter(None, (f"{info.title}.", info.summary)))
    st.markdown(f"**{escape_markdown(info.name)}** is for: {escape_markdown(about)}")
    others = [other for other in known if other.problem is None and other.name != info.name]
    fitting = [other for other in others if other.sees_images and _fits(other, photo)]
    for other in fitting[:MOST_BUTTONS]:
        label = f"Ask {escape_markdown(other.name)}, which learned from pictures like it"
        args = (other.name,)
        st.button(label, key=f"ask-{other.name}", on_click=set_model, args=args)
    if not fitting:
        st.markdown("No model here is made for pictures like it.")
    how_to_get_one()


def how_to_get_one() -> None:
    """Say how another model comes here, with the commands folded."""
    st.markdown(HOW)
    with st.expander("For those who run this app: the commands"):
        st.markdown(RECIPE)


def _fits(info: ModelInfo, photo: Photo) -> bool:
    try:
        return image_fits(resources.model(info), photo.image)[0]
    except CspError:
        return False


def place_by_itself(known: Sequence[ModelInfo], where: Where) -> None:
    """Draw what the Explore page's model says of the place, whatever the picture shows.

    Args:
        known: All models.
        where: Place and time.
    """
    if where.counts is None:
        return
    info = address.model_of_places(list(known))
    st.subheader("What the place says by itself", anchor=False)
    model = resources.model(info)
    recorded = reworded("recorded", info)
    st.markdown(
        f"{place_title(*where.counts)[0]}: the {plural(info)} that are {recorded} there, by"
        f" **{escape_markdown(info.title)}**, the model of the Explore page. The picture has no"
        " part in it."
    )
    try:
        place_list(model, info, where)
    except CspError as error:  # such as of a model that knows images alone
        st.error(escape_markdown(str(error)))
        return
    link = {"model": info.name, **address.place_of(*where.counts)}
    if model.uses_date and where.day:
        link["month"] = str(where.day.month)
    st.page_link(widgets.EXPLORE_PAGE, label="See this place on the Explore page",
                 query_params=link)  # fmt: skip


def place_list(model: DualEncoder, info: ModelInfo, where: Where) -> None:
    """Draw the ranking of a place that counts.

    Args:
        model: A model.
        info: Its line in the list.
        where: Place and time.
    """
    assert where.counts is not None
    report = describe_place(model, *where.counts, date=where.date, hour=where.hour)
    widgets.support_line(report, info)
    if report.extrapolates:
        st.warning(reworded("Too few recordings lie near this place: the order is a guess.", info))
    else:
        st.caption(value_meaning(info, report.kind))
    rows = [(row.rank, row.taxon, row.common_name, row.value) for row in report.results]
    chart.one_column(rows[:PLACE_ROWS], kind=None if report.extrapolates else report.kind)


def without_image_model(
    info: ModelInfo, model: DualEncoder, known: Sequence[ModelInfo], where: Where
) -> None:
    """Draw what a model that does not look at pictures says of the place, and which would look.

    Args:
        info: The model's line in the list.
        model: The model.
        known: All models.
        where: Place and time.
    """
    st.subheader("What the place says", anchor=False)
    if where.counts is None:
        st.markdown(f"{why_alone(model, where).capitalize()}, so there is nothing to rank by.")
    else:
        place_list(model, info, where)
    st.subheader("Which model would look at it", anchor=False)
    able = [other.name for other in known if other.problem is None and other.sees_images]
    if able:
        st.markdown(f"Models here that look at pictures: {escape_markdown(', '.join(able))}.")
    how_to_get_one()
