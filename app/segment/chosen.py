"""The scene of the Segment page: uploaded, or the invented example."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import streamlit as st

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import HeldScene, open_scene
from csp_core.errors import CspError
from csp_core.files import ASSETS
from csp_core.raster.scenes import Layout, lay_out
from shared import uploads
from shared.quota import release
from shared.visits import UPLOADS, own
from shared.words import escape_markdown

MEGABYTES, MOST_PIXELS = 100, 4_200_000
EXAMPLE = ASSETS / "examples" / "invented-valley.tif"
TYPES = ("tif", "tiff", "png", "jpg", "jpeg", "jp2")
TOLD = (
    "Shown until you give one: an **invented** valley. A script drew it to look like a picture of"
    " Sentinel-2, and laid it into the open sea, where there is no such land."
)
# In the session's state: the scene that was read of the box, and how often the box was emptied.
READ, ROUND = "read-scene", "round"


@dataclass(frozen=True, eq=False)
class Chosen:
    """A scene to be looked at.

    Args:
        key: Tells it from all others.
        name: The file's name, or what the example is called.
        scene: What was read.
        layout: Where it lies; None where it is on no map.
        why_no_map: Why not, in a sentence.
        example: Whether it is the example.
    """

    key: str
    name: str
    scene: HeldScene
    layout: Layout | None
    why_no_map: str = ""
    example: bool = False

    @property
    def ground(self) -> Ground | None:
        """Its grid, or None where nobody knows where it lies."""
        return None if self.layout is None else self.layout.ground


def choose() -> Chosen | None:
    """Draw the box for a scene, and give what is to be looked at.

    Returns:
        The upload; of none, the example; None where neither can be looked at.
    """
    uploads.keep_in_memory(MEGABYTES)
    state = st.session_state
    emptied = state.get(own(ROUND), 0)
    with st.container(key="segment-input", horizontal=True, gap="medium"):
        with st.container(width=520, gap="small"):
            given = st.file_uploader(
                f"A picture from above: GeoTIFF, PNG, JPEG or JPEG 2000, up to {MEGABYTES} MB and"
                f" {MOST_PIXELS / 1e6:.1f} million pixels",
                type=list(TYPES),
                max_upload_size=MEGABYTES,
                key=f"segment_file{emptied or ''}",
                help="It stays in this server's memory, is never written to its disk, and is"
                " forgotten when you leave this page. `csp segment` takes scenes of any size.",
            )
        with st.container(width="stretch", gap="small"):
            state[own(UPLOADS)] = [] if given is None else [given.file_id]
            if given is None:
                state.pop(own(READ), None)
                return _say_example()
            chosen = _read(given.file_id, given.name, given.getvalue())
            if isinstance(chosen, str):
                st.error(f"**{escape_markdown(given.name)}**: {escape_markdown(chosen)}")
            st.button("Back to the example", key="segment-remove", on_click=_remove)
    return None if isinstance(chosen, str) else chosen


def _remove() -> None:
    state = st.session_state
    release(state.get(own(UPLOADS), ()))
    state.pop(own(READ), None)
    # What the box holds cannot be changed, so another takes its place.
    state[own(ROUND)] = state.get(own(ROUND), 0) + 1


def _say_example() -> Chosen | None:
    if not EXAMPLE.is_file():
        st.markdown("Give a scene to begin.")
        return None
    st.caption(TOLD)
    return _example()


def _read(file: str, name: str, content: bytes) -> Chosen | str:
    """Read an upload once; a sentence where it cannot be read."""
    state = st.session_state
    kept: tuple[str, Chosen | str] | None = state.get(own(READ))
    if kept and kept[0] == file:
        return kept[1]
    found: Chosen | str
    try:
        uploads.check_length(len(content), MEGABYTES)
        key = hashlib.sha256(content).hexdigest()
        found = placed(key, name, uploads.read_scene(content, name, MOST_PIXELS))
    except CspError as error:
        found = str(error).removeprefix(f"{name}: ")
    state[own(READ)] = (file, found)
    return found


@st.cache_resource(show_spinner=False, max_entries=1)
def _example() -> Chosen:
    # One of our own, so that no other process need read it.
    with open_scene(EXAMPLE) as scene:
        return placed("example", "Invented valley", scene.hold(MOST_PIXELS), example=True)


def placed(key: str, name: str, scene: HeldScene, *, example: bool = False) -> Chosen:
    """Find where a scene lies, or why it is on no map.

    Args:
        key: Tells it from all others.
        name: What it is called.
        scene: The scene.
        example: Whether it is the example.

    Returns:
        The scene to be looked at.
    """
    why = scene.facts.unplaced
    try:
        ground = Ground.of(scene.facts)
        layout = None if ground is None else lay_out(ground)
    except CspError as error:
        layout, why = None, str(error)
    return Chosen(key, name, scene, layout, why, example)
