"""What the address of the Range map page says: species, models, threshold, place and month."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import streamlit as st

from csp_core.store import ModelInfo
from shared.address import (
    CENTRE,
    full_address,
    place_of,
    read_centre,
    read_model,
    read_month,
    read_number,
    read_word,
    read_zoom,
    tidy,
)

# Words that ``threshold`` may be, beside a value.
NO_LINE, OVERALL, FITTED = "none", "overall", ("max_tss", "recall_90")


@dataclass
class RangeView:
    """What the address of the Range map page asks for, and what is wrong with it.

    Args:
        info: The model.
        taxon: The species, or None for one that the page chooses.
        other_info: The second model; the first one where only a species is compared.
        other_taxon: The species to compare with, or None.
        difference: Whether a comparison is one map of differences.
        threshold: A value, a word of this module, or None for the page's choice.
        lon: Longitude as asked for.
        lat: Latitude as asked for.
        place: Where the value is read, or None.
        zoom: Zoom of the map, or None for the whole world.
        month: 1 to 12, or None.
        guesses: Whether values are shown where the model extrapolates.
        sea: Whether values are shown at sea.
        dots: Whether dots stand where the species was recorded.
        notices: What was changed of the place.
        problems: What cannot be used.
        beside: The same of the place, to be said beside its boxes.
    """

    info: ModelInfo
    taxon: str | None
    other_info: ModelInfo
    other_taxon: str | None
    difference: bool
    threshold: str | float | None
    lon: float | None
    lat: float | None
    place: tuple[float, float] | None
    zoom: float | None
    month: int | None
    guesses: bool
    sea: bool
    dots: bool
    notices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)

    @property
    def compares(self) -> bool:
        """Whether a second map is asked for."""
        return self.other_taxon is not None or self.other_info is not self.info


def read_range(known: list[ModelInfo]) -> RangeView:
    """Read the address of the Range map page; what cannot be used becomes a sentence.

    Args:
        known: The models, of which at least one is usable.

    Returns:
        What to show; species are not looked up yet.
    """
    problems: list[str] = []
    notices: list[str] = []
    beside: list[str] = []
    given = st.query_params
    lon, lat = (read_number(name, None, beside) for name in ("lon", "lat"))
    place = None if lon is None or lat is None else tidy(lon, lat, notices, beside)
    if ("lon" in given) != ("lat" in given):
        alone, other = ("lon", "lat") if "lon" in given else ("lat", "lon")
        beside.append(
            f"{alone}={given.get(alone)} in the address is half a place; give {other} beside it."
        )
        lon = lat = None
    lon, lat = place or (lon, lat)
    month = read_month(problems)
    info = read_model("model", known, problems)
    return RangeView(
        info=info,
        taxon=given.get("taxon") or None,
        other_info=read_model("compare_model", known, problems, info),
        other_taxon=given.get("compare") or None,
        difference=read_word("show", ("", "difference"), problems) == "difference",
        threshold=_read_threshold(problems),
        lon=lon,
        lat=lat,
        place=place,
        zoom=read_zoom(None, problems),
        month=month,
        sea=read_word("sea", ("", "shown"), problems) == "shown",
        dots=read_word("dots", ("", "hidden"), problems) != "hidden",
        guesses=read_word("guesses", ("", "shown"), problems) == "shown",
        notices=notices,
        problems=problems,
        beside=beside,
    )


def link_to(view: RangeView, taxon: str) -> str:
    """Give the full address of a view, with what the page chose itself.

    Args:
        view: What is shown.
        taxon: The species that is drawn.

    Returns:
        The address, without what was refused.
    """
    looks = st.query_params.get(CENTRE) if read_centre() else None
    params = {
        "model": view.info.name,
        "taxon": taxon,
        "compare": view.other_taxon,
        "compare_model": view.other_info.name if view.other_info is not view.info else None,
        "show": "difference" if view.difference else None,
        "threshold": None if view.threshold is None else str(view.threshold),
        **(place_of(*view.place) if view.place else {}),
        CENTRE: looks,
        "zoom": None if view.zoom is None else f"{view.zoom:g}",
        "month": None if view.month is None else str(view.month),
        "guesses": "shown" if view.guesses else None,
        "sea": "shown" if view.sea else None,
        "dots": None if view.dots else "hidden",
    }
    return full_address({name: value for name, value in params.items() if value is not None})


def _read_threshold(problems: list[str]) -> str | float | None:
    given = st.query_params.get("threshold", "")
    words = (NO_LINE, OVERALL, *FITTED)
    if not given or given in words:
        return given or None
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if 0 < value <= 1:
        return value
    problems.append(
        f"threshold={given} in the address is no threshold; give a value above 0 and up to 1, or"
        f" one of {', '.join(words)}."
    )
    return None
