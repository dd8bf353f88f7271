"""How the space of a model unfolded while its run learned, where the run kept it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow  # type: ignore[import-untyped]
import streamlit as st

from clusters import pixels
from clusters.address import View
from clusters.kept import kept
from clusters.scatter import number_of
from clusters.study import Study
from csp_core.geo import WORLD
from csp_core.inference.clusters import colour_of
from csp_core.inference.clusters.series import Series, SpaceFrame, find_frames, run_of, unfold
from csp_core.runs.artifacts import RangeFrame
from shared import style

KEY = "clusters-film"
HEIGHT = 330


def draw(view: View, found: Study) -> None:
    """Draw the frames with a slider, the last until another is chosen; nothing where none are kept.

    Args:
        view: What is asked for, with its number of clusters and seed.
        found: What is shown above, whose colours are taken.
    """
    kept_frames = _frames(str(view.info.directory))
    if len(kept_frames) < 2:
        return
    st.header("How this space unfolded", anchor=False)
    key = (*((str(one.path), _changed(one.path)) for one in kept_frames), view.count, view.seed)
    with st.spinner("Grouping the places of every epoch …"):
        film: Series = kept("films", 3).get(
            key, lambda: unfold(kept_frames, count=view.count, seed=view.seed)
        )
        cells = kept("film-cells", 3).get(
            key, lambda: pixels.nearest_points(film.lonlat, land=True)
        )
    if view.bounds == WORLD:  # the groups of a part of it are others
        near = pixels.nearest_of(found.sample.lonlat, film.lonlat)
        film = film.numbered_like(found.shown[near])
    frames = {frame.title: frame for frame in film.frames}
    titles = list(frames)
    if len(titles) < 2:  # the others see the places in another number of dimensions
        return
    if st.session_state.get(KEY) not in titles:
        st.session_state[KEY] = titles[-1]
    chosen = frames[st.select_slider("Epoch", titles, key=KEY)]
    colours = [colour_of(label) for label in chosen.labels.tolist()]
    left, right = st.container(key="film-view").columns([11, 9], gap="medium")
    with left:
        st.image(
            pixels.flat_picture(cells, colours),
            width="stretch",
            alt=f"Map of the clusters, {chosen.title}",
        )
    with right:
        _scatter(film, chosen, colours)
    st.caption(
        f"{len(film.lonlat):,} places by k-means with {view.count} clusters, whatever is chosen"
        " above. A colour follows its cluster from epoch to epoch, and the axes are those of the"
        f" last, so these frames compare. Agreement with the last: {chosen.agreement:.2f} (adjusted"
        " Rand index; 1 is the same, 0 is chance)."
    )


def _changed(path: Path) -> int:
    # A run may be deleted while its page is open; reading the frame then says so.
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


# The list of a run that goes on grows.
@st.cache_resource(show_spinner=False, ttl=5.0, max_entries=16)
def _frames(directory: str) -> list[RangeFrame]:
    return find_frames(run_of(Path(directory)))


def _scatter(film: Series, frame: SpaceFrame, colours: list[str]) -> None:
    points = pyarrow.table(
        {
            "x": pyarrow.array(frame.plane[:, 0].tolist(), pyarrow.float32()),
            "y": pyarrow.array(frame.plane[:, 1].tolist(), pyarrow.float32()),
            "cluster": pyarrow.array(map(number_of, frame.labels.tolist()), pyarrow.string()),
            "colour": pyarrow.array(colours),
        }
    )
    text = style.palette().text
    encoding: dict[str, Any] = {
        axis: {
            "field": axis,
            "type": "quantitative",
            "title": f"{words} direction of the last epoch",
            "scale": {"domain": list(film.ends[column]), "nice": False, "padding": 8},
            "axis": {"labels": False, "ticks": False, "grid": False, "titleColor": text},
        }
        for column, (axis, words) in enumerate((("x", "First"), ("y", "Second")))
    }
    encoding["color"] = {"field": "colour", "type": "nominal", "scale": None, "legend": None}
    encoding["tooltip"] = {"field": "cluster", "type": "nominal", "title": "Cluster"}
    spec = {
        "height": HEIGHT,
        "usermeta": {"embedOptions": {"renderer": "canvas"}},
        "mark": {"type": "circle", "size": 16, "opacity": 0.85},
        "encoding": encoding,
        "data": {"name": "points"},
        "datasets": {"points": points},
    }
    st.vega_lite_chart(spec, width="stretch", alt=f"Scatter of the places, {frame.title}")
