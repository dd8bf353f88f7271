"""The photos of the Photo page: uploaded, taken with the camera, or one of the examples."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import streamlit as st
from starlette.formparsers import MultiPartParser

from csp_core.data import pictures
from csp_core.data.pictures import ENDINGS, LONGEST, MAX_MEGAPIXELS, READABLE, Photo, thumbnail
from csp_core.errors import CspError
from csp_core.files import ASSETS
from shared import address, uploads
from shared.quota import MOST_FILES, MOST_MEGABYTES, TOLD
from shared.uploads import read_photo
from shared.words import escape_markdown

MEGABYTES = 50
# Above this, bytes, a photo more may have no room.
ROOM = (MOST_MEGABYTES - MEGABYTES) << 20
EXAMPLES = ASSETS / "examples"
# Sides in pixels: what a session keeps of a photo, what the page shows of it, and of several.
KEPT, SHOWN, SMALL = 1024, 480, 130
TYPES = tuple(ending.removeprefix(".") for ending in ENDINGS)
# In the session's state: what was read of the files that are uploaded now.
READ = "photo-read"
# Whether any are, which outlasts a visit elsewhere; and that they were lost on one.
HAD, LOST = "photo-had", "photo-lost"
# Which of several is shown.
PICKED = "photo-picked"


@dataclass(frozen=True, eq=False)
class Chosen:
    """A photo to be looked at.

    Args:
        key: Tells it from all others of the session.
        name: The file's name, or the example's label.
        photo: What was read, or None where it cannot be.
        thumbnail: PNG or JPEG to show.
        problem: Why it cannot be read.
        example: File name of an example, or ``""``.
    """

    key: str
    name: str
    photo: Photo | None
    thumbnail: bytes = b""
    problem: str = ""
    example: str = ""

    def width_in(self, side: int) -> int:
        """Give how wide the photo is when it is fitted into a square, pixels."""
        if self.photo is None:
            return side
        height, width = self.photo.image.shape[1:]
        return max(1, round(side * min(1.0, max(width / height, 1 / LONGEST))))


@dataclass(frozen=True)
class Example:
    """A line of the list of examples.

    Args:
        file: Its name in ``assets/examples``.
        label: What to call it.
    """

    file: str
    label: str


def keep_uploads_in_memory() -> None:
    """Have the server hold uploads in memory alone, which it would spill to a file past 1 MB."""
    MultiPartParser.spool_max_size = 2 * MEGABYTES << 20


@st.cache_data(show_spinner=False, max_entries=2)
def examples() -> list[Example]:
    """List the example photos, empty where the clone has none."""
    path = EXAMPLES / "examples.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [Example(row["file"], row["label"]) for row in csv.DictReader(stream)]


def choose(asked: str | None, problems: list[str]) -> Chosen | None:
    """Draw what chooses a photo.

    Args:
        asked: File name of an example, as the address says.
        problems: A sentence is added where there is no such example.

    Returns:
        The photo, or None where there is none yet.
    """
    keep_uploads_in_memory()
    with st.container(horizontal=True, gap="medium", key="photo-input"):
        given = st.file_uploader(
            f"Photos: {READABLE}, up to {MEGABYTES} MB and {MAX_MEGAPIXELS} megapixels each,"
            f" {TOLD}",
            type=list(TYPES),
            accept_multiple_files=True,
            max_upload_size=MEGABYTES,
            key="photo_files",
            help="They stay in this server's memory and are never written to its disk. A phone may"
            " take the place out of a photo before it sends it: on an iPhone choose Options and"
            " Include Location, or upload from Files.",
            width=430,
        )
        with st.container(width="stretch"):
            example = _choose_example(asked, problems, own=bool(given))
            shot = None
            # The browser asks for the camera as soon as its widget is drawn.
            if st.toggle("Use the camera", key="camera_on"):
                shot = st.camera_input("Take a photo", key="photo_shot", width=320)
    files = {upload.file_id: (upload.name, upload) for upload in given}
    if shot is not None:
        files[shot.file_id] = ("Camera", shot)
    if not files:
        if _lost():
            st.info("Your photos were not kept while you were on another page; give them again.")
        return _read_example(example) if example else None
    st.session_state.pop(LOST, None)
    st.session_state[HAD] = True
    # What was refused for want of room is not among them, and the browser gives no reason.
    if len(files) >= MOST_FILES or sum(file.size for file in given) >= ROOM:
        st.warning(f"There is room for {TOLD}; more are not taken until you remove some.")
    found = _read_all(files)
    for bad in (one for one in found if one.problem):
        st.error(f"**{escape_markdown(bad.name)}**: {escape_markdown(bad.problem)}")
    return _pick([one for one in found if not one.problem])


def _lost() -> bool:
    """Tell, where there are no files, whether a visit to another page took them away."""
    state = st.session_state
    had, read = state.pop(HAD, False), state.pop(READ, None)
    # What the user took out is still known as read.
    if had and read is None:
        state[LOST] = True
    return LOST in state


def _choose_example(asked: str | None, problems: list[str], *, own: bool) -> Example | None:
    """Draw the row of examples, which rests while there are photos of one's own."""
    known = {example.file: example for example in examples()}
    if not known:
        return None
    chosen = known.get(asked or "")
    if asked and not chosen:
        problems.append(f"There is no example {asked}. Examples: {', '.join(known)}.")
    chosen = chosen or next(iter(known.values()))
    st.session_state["example_box"] = chosen.file
    st.pills(
        f"Or an invented example{': first remove your photos' if own else ''}",
        list(known),
        format_func=lambda file: known[file].label,
        key="example_box",
        required=True,
        disabled=own,
        on_change=_on_example,
    )
    return chosen


def _on_example() -> None:
    address.set_param("example", st.session_state["example_box"])


def _pick(good: list[Chosen]) -> Chosen | None:
    """Draw the row of photos where there are several."""
    if not good:
        st.info("None of these files can be looked at. Give another.")
        return None
    state, keys = st.session_state, [one.key for one in good]
    if state.get(PICKED) not in keys:
        state[PICKED] = keys[0]
    if len(good) == 1:
        return good[0]
    with st.container(horizontal=True, gap="small", key="photo-row"):
        for number, one in enumerate(good):
            with st.container(width=SMALL, gap="small"):
                st.image(one.thumbnail, width=one.width_in(SMALL), alt=f"The photo {one.name}")
                st.button(
                    escape_markdown(one.name),
                    key=f"photo-{number}",
                    type="primary" if one.key == state[PICKED] else "secondary",
                    on_click=partial(state.__setitem__, PICKED, one.key),
                    width="stretch",
                )
    return good[keys.index(state[PICKED])]


def _read_all(files: Mapping[str, tuple[str, io.BytesIO]]) -> list[Chosen]:
    """Read files, each once as long as it is there; this session alone keeps what was read."""
    kept: dict[str, Chosen] = st.session_state.get(READ, {})
    fresh = {key: kept[key] for key in files if key in kept}
    st.session_state[READ] = fresh
    for key, (name, file) in files.items():
        if key not in fresh:
            # One by one, so that what is read stays read if the page runs anew meanwhile.
            fresh[key] = _read(key, name, file.getvalue())
    return [fresh[key] for key in files]


def _read(key: str, name: str, content: bytes) -> Chosen:
    try:
        uploads.check_length(len(content), MEGABYTES)
        return _chosen(key, read_photo(content, name, KEPT))
    except CspError as error:
        return Chosen(key, name, None, problem=str(error).removeprefix(f"{name}: "))


def _chosen(key: str, photo: Photo) -> Chosen:
    return Chosen(key, photo.name, photo, thumbnail(photo.image, SHOWN))


@st.cache_resource(show_spinner=False, max_entries=8)
def _read_example(example: Example) -> Chosen:
    key = f"example:{example.file}"
    try:
        # One of our own, so that no other process need read it.
        chosen = _chosen(key, pictures.read_photo(EXAMPLES / example.file, fit=KEPT))
    except CspError as error:
        return Chosen(key, example.label, None, problem=str(error), example=example.file)
    return replace(chosen, name=example.label, example=example.file)
