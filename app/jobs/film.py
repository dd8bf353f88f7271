"""The range of one class as it forms while a run goes on, epoch by epoch."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from csp_core.errors import BadRecordError, CspError
from csp_core.geo import WORLD
from csp_core.raster import read_geotiff
from csp_core.runs import artifacts
from csp_core.runs.directory import RunDir
from csp_core.runs.jobs import Job
from jobs import listing
from mapping.small import png_bytes, small_map
from mapping.values import legend_steps, value_scale
from shared import resources, style
from shared.palette import Palette
from shared.words import escape_markdown

# A list of frames is taken for the newest for so many turns of a page that is drawn anew, as a
# frame is most of the work for a session that watches.
TURNS = 2.5
# Of the cells of a frame, degrees: finer ones take long to read and are not seen.
LEAST_STEP = 0.25
MOST_CELLS = int(360 / LEAST_STEP * 180 / LEAST_STEP)


def draw_film(job: Job, pace: float | None = None) -> None:
    """Draw the frames of a run with a slider; the newest until another is chosen.

    Args:
        job: The run.
        pace: Seconds from one drawing to the next; None if nothing changes any more.
    """
    path = str(job.path)
    listed = _frames_at(path, int(time.time() / (TURNS * pace))) if pace else _frames(path)
    frames = {_label(frame): frame for frame in listed}
    if not frames:
        return
    chosen = _choose(job.path.name, list(frames))
    colours = style.palette()
    try:
        stat = frames[chosen].path.stat()
        picture = _picture(str(frames[chosen].path), stat.st_mtime_ns, stat.st_size, colours)
    except OSError as error:
        picture = str(error)
    if isinstance(picture, str):
        st.caption(escape_markdown(f"This frame cannot be read ({picture})."))
        return
    st.markdown(f"**Range of {escape_markdown(picture.label)}, {chosen}**")
    # In the page itself: a file of its own may be gone before the browser asks for it.
    with st.container(key="train-film-picture"):  # drawn larger, its cells kept sharp
        st.image(picture.address, width="stretch", alt=f"Range, {chosen}")
    st.html(f'<div class="csp-legend">{picture.legend}</div>')
    st.caption(
        "Values by the weights at that epoch. Hatched: too few recordings lie near, so the"
        " model only continues what it learned elsewhere."
    )


@st.cache_resource(show_spinner=False, ttl=60.0, max_entries=16)
def _frames_at(path: str, turn: int) -> list[artifacts.RangeFrame]:
    """List the frames once for all sessions that look in the same turn."""
    return _frames(path)


def _frames(path: str) -> list[artifacts.RangeFrame]:
    run = RunDir(Path(path))
    return artifacts.range_frames(run, rows=listing.rows_of(run.path))


def _choose(name: str, labels: list[str]) -> str:
    """Draw the slider: it goes along with the newest frame until it is put on another."""
    if len(labels) < 2:
        return labels[-1]
    state, key, follow = st.session_state, f"train-film-{name}", f"train-newest-{name}"
    if state.get(follow, True) or state.get(key) not in labels:
        state[key] = labels[-1]

    def on_change() -> None:
        state[follow] = state[key] == labels[-1]

    return str(st.select_slider("Epoch", labels, key=key, on_change=on_change))


def _label(frame: artifacts.RangeFrame) -> str:
    stage = f"{frame.stage}, " if frame.stage != artifacts.MAIN else ""
    return f"{stage}before training" if frame.epoch == 0 else f"{stage}epoch {frame.epoch}"


@dataclass(frozen=True)
class Picture:
    """A frame as it stands in a page.

    Args:
        label: Name of the class.
        address: The picture as a ``data:`` address.
        legend: HTML of the colours and their values.
    """

    label: str
    address: str
    legend: str


@st.cache_resource(show_spinner=False, max_entries=64)
def _picture(path: str, modified: int, size: int, colours: Palette) -> Picture | str:
    """Draw a frame once for all sessions; one that cannot be read is the reason why, once too."""
    try:
        return _draw(path, colours)
    except (CspError, OSError) as error:
        return str(error)


def _draw(path: str, colours: Palette) -> Picture:
    raster = read_geotiff(path, most_cells=MOST_CELLS)
    if raster.bounds != WORLD or raster.step < LEAST_STEP:
        raise BadRecordError(f"{path} is no map of the whole world as a run draws it")
    scale = value_scale(raster.kind, colours)
    drawn = small_map(raster, scale, colours, resources.world("land"), guesses=False, hatch=True)
    coded = base64.b64encode(png_bytes(drawn)).decode("ascii")
    steps = "".join(
        f'<span><i style="background: {colour}"></i>{words}</span>'
        for colour, words in legend_steps(scale)
        if colour
    )
    return Picture(raster.label, f"data:image/png;base64,{coded}", steps)
