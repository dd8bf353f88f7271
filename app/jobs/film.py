"""The range of one class as it forms while a run goes on, epoch by epoch."""

from __future__ import annotations

import base64

import streamlit as st

from csp_core.errors import CspError
from csp_core.raster import Raster, read_geotiff
from csp_core.runs import artifacts
from csp_core.runs.directory import RunDir
from jobs import listing
from mapping.small import enlarged, small_map
from mapping.values import legend_steps, value_scale
from shared import resources, style
from shared.words import escape_markdown

ZOOM = 2


def draw_film(name: str) -> None:
    """Draw the frames of a run with a slider; the newest until another is chosen."""
    job = listing.find(name)
    if job is None:
        return
    try:
        frames = artifacts.range_frames(RunDir(job.path))
    except CspError as error:
        st.caption(escape_markdown(str(error)))
        return
    if not frames:
        return
    labels = [_label(frame) for frame in frames]
    chosen = len(frames) - 1
    if len(frames) > 1:
        # A slider of its own for each number of frames, so that the newest shows while it grows.
        picked = st.select_slider(
            "Epoch", labels, labels[-1], key=f"train-film-{name}-{len(frames)}"
        )
        chosen = labels.index(picked)
    try:
        raster = _read(str(frames[chosen].path), frames[chosen].path.stat().st_mtime_ns)
    except (CspError, OSError) as error:
        st.caption(escape_markdown(f"This frame cannot be read ({error})."))
        return
    st.markdown(f"**Range of {escape_markdown(raster.label)}, {labels[chosen]}**")
    colours = style.palette()
    scale = value_scale(raster.kind, colours)
    picture = enlarged(
        small_map(raster, scale, colours, resources.world("land"), guesses=False, hatch=True), ZOOM
    )
    # In the page itself: a file of its own may be gone before the browser asks for it.
    coded = base64.b64encode(picture).decode("ascii")
    st.image(f"data:image/png;base64,{coded}", width="stretch", alt=f"Range, {labels[chosen]}")
    _draw_legend(scale)


def _label(frame: artifacts.RangeFrame) -> str:
    stage = f"{frame.stage}, " if frame.stage != artifacts.MAIN else ""
    return f"{stage}before training" if frame.epoch == 0 else f"{stage}epoch {frame.epoch}"


@st.cache_resource(show_spinner=False, max_entries=64)
def _read(path: str, modified: int) -> Raster:
    return read_geotiff(path)


def _draw_legend(scale: object) -> None:
    steps = "".join(
        f'<span><i style="background: {colour}"></i>{words}</span>'
        for colour, words in legend_steps(scale)  # type: ignore[arg-type]
        if colour
    )
    st.html(f'<div class="csp-legend">{steps}</div>')
    st.caption(
        "Values by the weights at that epoch. Hatched: too few training records stand near, so the"
        " model only continues what it learned elsewhere."
    )
