"""What a model makes of the places: kept for all sessions, as far as species have it in common."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from csp_core.inference.few_shot import FewShot, Ground, few_shot, make_ground
from csp_core.model import DualEncoder
from csp_core.raster import FewShotGrid, Raster, Threshold, given_threshold, quick_step
from few_shot.address import PlacesView
from shared import resources

NAMELESS = "Unnamed species"


@dataclass(frozen=True, eq=False)
class Answer:
    """A species learned from the places of a page.

    Args:
        found: The species.
        raster: Its map.
        threshold: From which score on a cell counts as in its range.
    """

    found: FewShot
    raster: Raster
    threshold: Threshold


def learn(view: PlacesView) -> Answer | None:
    """Learn the species of a page.

    Args:
        view: What is asked for.

    Returns:
        The answer; None where no place is given at all.

    Raises:
        CspError: If the places or the model cannot be used; one sentence.
    """
    if not view.spots:
        return None
    content = resources.content_hash(view.info)
    model, asked = resources.model(view.info), (content, view.background)
    seen, missed = view.places(True), view.places(False)
    ground = _ground(*asked, model)
    name = view.name or NAMELESS
    found, raster = _learned(*asked, seen, missed, view.distance, name, ground, model)
    return Answer(found, raster, given_threshold(found.chosen.threshold))


def prepare(view: PlacesView) -> None:
    """Compute what the first map would wait for, while somebody still looks for a place to click.

    Args:
        view: What is asked for.
    """
    model, asked = resources.model(view.info), (resources.content_hash(view.info), view.background)
    _grid(*asked, _ground(*asked, model), model)


@st.cache_resource(show_spinner="Looking at the world as the model does …", max_entries=2)
def _ground(content: str, background: str, _model: DualEncoder) -> Ground:
    return make_ground(_model, background)


@st.cache_resource(show_spinner="Preparing the map, once for this model …", max_entries=2)
def _grid(content: str, background: str, _ground: Ground, _model: DualEncoder) -> FewShotGrid:
    return FewShotGrid(_ground, step=quick_step(_model), land_only=background != "world")


Places = tuple[tuple[float, float], ...]


@st.cache_resource(show_spinner=False, max_entries=32)
def _learned(
    content: str,
    background: str,
    seen: Places,
    missed: Places,
    distance: bool,
    name: str,
    _ground: Ground,
    _model: DualEncoder,
) -> tuple[FewShot, Raster]:
    found = few_shot(_model, seen, missed, name=name, distance=distance, ground=_ground)
    return found, _grid(content, background, _ground, _model).heatmap(found)
