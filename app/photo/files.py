"""The photos of the Photo page: uploaded, taken with the camera, or one of the examples."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from csp_core.data import pictures
from csp_core.data.pictures import ENDINGS, LONGEST, MAX_MEGAPIXELS, READABLE, Photo, thumbnail
from csp_core.errors import CspError
from csp_core.files import ASSETS
from shared import address, uploads
from shared.quota import MOST_FILES, MOST_MEGABYTES, TOLD, release
from shared.uploads import read_photo
from shared.words import escape_markdown

MEGABYTES = 50
# Above this, bytes, a photo more may have no room.
ROOM = (MOST_MEGABYTES - MEGABYTES) << 20
EXAMPLES = ASSETS / "examples"
# Sides in pixels: what a session keeps of a photo, and what the page shows of it.
KEPT, SHOWN = 1024, 480
TYPES = tuple(ending.removeprefix(".") for ending in ENDINGS)
# By the model that knows them, what leads to examples of another look, and what is said of them.
OTHER_LOOK = {"butterflies": "Butterflies", "demo": "How we know that it works"}
WORLD = {
    "": "An invented world in which the truth is known.",
    "demo": "How we know that it works: known patterns under noise of known size, at known places,"
    " so the best possible answer can be computed. The model's card, on the page About, says how"
    " near it comes.",
}
# In the session's state: what was read of the photos, and which of them is shown.
READ, PICKED = "photo-read", "photo-picked"
# Which of them the boxes of this visit hold, and how often those were emptied.
HERE, ROUND = "photo-uploads", "photo-round"
NO_ROOM = f"There is no room for it beside the others: {TOLD} are kept."


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
class Given:
    """The photos that a page has.

    Args:
        shown: The one that is looked at, or None where none can be.
        own: All of one's own that can be looked at.
        refused: Those that cannot, with why.
    """

    shown: Chosen | None
    own: tuple[Chosen, ...] = ()
    refused: tuple[Chosen, ...] = ()


@dataclass(frozen=True)
class Example:
    """A line of the list of examples.

    Args:
        file: Its name in ``assets/examples``.
        label: What to call it.
        truth: Common name of what it shows.
        model: The bundled model that knows it.
    """

    file: str
    label: str
    truth: str
    model: str


def keep_uploads_in_memory() -> None:
    """Have the server hold uploads in memory alone, which it would spill to a file past 1 MB."""
    uploads.keep_in_memory(MEGABYTES)


@st.cache_data(show_spinner=False, max_entries=2)
def examples() -> list[Example]:
    """List the example photos, empty where the clone has none."""
    path = EXAMPLES / "examples.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            Example(row["file"], row["label"], row["common_name"], row["model"])
            for row in csv.DictReader(stream)
        ]


def model_of(example: str | None) -> str | None:
    """Name the model that knows an example; of none, the one that knows the first."""
    known = {each.file: each.model for each in examples()}
    return known.get(example or "", next(iter(known.values()), None))


def choose(
    asked: str | None,
    problems: list[str],
    model: str,
    others: Collection[str],
    *,
    empty: bool = False,
) -> Given:
    """Draw what chooses a photo.

    Args:
        asked: File name of an example, as the address says.
        problems: A sentence is added where there is no such example.
        model: Name of the model that is asked; its own examples come first.
        others: Names of all models that can be asked.
        empty: Whether no example is shown until one is asked for, as none is for the model.

    Returns:
        The photos; of none of one's own, the example.
    """
    keep_uploads_in_memory()
    shot = None
    with st.container(horizontal=True, gap="medium", key="photo-input"):
        with st.container(width=430, gap="small"):
            given = _box()
            beside = st.container(gap="small", key="photo-said-of-files")
        with st.container(width="stretch"):
            own = bool(given) or _has_kept()
            example = _choose_example(asked, problems, model, others, own=own, empty=empty)
            # The browser asks for the camera as soon as its widget is drawn.
            if st.toggle("Use the camera", key="camera_on"):
                shot = st.camera_input("Take a photo", key="photo_shot", width=320)
    files = {upload.file_id: (upload.name, upload) for upload in given}
    if shot is not None:
        files[shot.file_id] = ("Camera", shot)
    with beside:
        found = _read_all(files)
        bad = [one for one in found if one.problem]
        for one in bad:
            st.error(f"**{escape_markdown(one.name)}**: {escape_markdown(one.problem)}")
        # What the server refused is not among them, and the browser gives no reason.
        if len(found) >= MOST_FILES or sum(file.size for file in given) >= ROOM:
            st.warning(f"There is room for {TOLD}; more are not taken until you remove some.")
        if found:
            st.button("Remove all photos", key="photo-remove-all", on_click=_remove_all)
    if not found:
        return Given(_read_example(example) if example else None)
    good = [one for one in found if not one.problem]
    return Given(_picked(good), tuple(good), tuple(bad))


def _box() -> list[UploadedFile]:
    """Draw the box that files are dropped on; another one where all were removed."""
    emptied = st.session_state.get(ROUND, 0)
    return st.file_uploader(
        f"Photos: {READABLE}, up to {MEGABYTES} MB and {MAX_MEGAPIXELS} megapixels each, {TOLD}",
        type=list(TYPES),
        accept_multiple_files=True,
        max_upload_size=MEGABYTES,
        key=f"photo_files{emptied or ''}",
        help="They stay in this server's memory, and are never written to its disk. They are there"
        " when you come back from another page; what is kept then is a smaller copy. A phone may"
        " take the place out of a photo before it sends it: on an iPhone choose Options and"
        " Include Location, or upload from Files.",
    )


def _has_kept() -> bool:
    return any(not one.problem for one in st.session_state.get(READ, {}).values())


def _remove_all() -> None:
    state = st.session_state
    release(state.get(HERE, ()))
    for name in (READ, HERE, PICKED):
        state.pop(name, None)
    # What the boxes hold cannot be changed, so others take their place.
    state[ROUND] = state.get(ROUND, 0) + 1
    state["camera_on"] = False


def remove_button(chosen: Chosen) -> None:
    """Offer to remove a photo of an earlier visit, which no box holds any more.

    Args:
        chosen: The photo.
    """
    state = st.session_state
    if chosen.key in state.get(READ, {}) and chosen.key not in state.get(HERE, ()):
        st.button("Remove this photo", key="photo-remove", on_click=state[READ].pop,
                  args=(chosen.key, None))  # fmt: skip


def _choose_example(
    asked: str | None,
    problems: list[str],
    model: str,
    others: Collection[str],
    *,
    own: bool,
    empty: bool,
) -> Example | None:
    """Draw the row of examples, which rests while there are photos of one's own."""
    known = {example.file: example for example in examples()}
    if not known:
        return None
    chosen = known.get(asked or "")
    if asked and not chosen:
        problems.append(f"There is no example {asked}. Examples: {', '.join(known)}.")
    firsts = {each.model: each for each in reversed(known.values())}
    shown = chosen or firsts.get(model) or next(iter(known.values()))
    chosen = None if empty and chosen is None else shown
    listed = {file: each.label for file, each in known.items() if each.model == shown.model}
    listed |= {
        firsts[name].file: label
        for name, label in OTHER_LOOK.items()
        if name != shown.model and name in firsts and name in others
    }
    st.session_state["example_box"] = None if chosen is None else chosen.file
    st.pills(
        f"Or an invented example{': first remove your photos' if own else ''}",
        list(listed),
        format_func=lambda file: listed.get(file, file),
        key="example_box",
        required=chosen is not None,
        disabled=own,
        on_change=_on_example,
        args=(model if chosen is None else chosen.model,),
    )
    return chosen


def say_truth(chosen: Chosen | None) -> None:
    """Say of an example what it is; of a photo of one's own nothing is known."""
    shown = next((each for each in examples() if chosen and each.file == chosen.example), None)
    if shown:
        line = WORLD.get(shown.model, WORLD[""])
        st.markdown(f"{line} This is a **{escape_markdown(shown.truth)}**.")


def _on_example(known_to: str) -> None:
    """Show another example; one that another model knows is shown to that one."""
    file = st.session_state["example_box"]
    address.set_param("example", file)
    if file is None:
        return
    if (model := model_of(file)) != known_to:
        address.set_param("model", model)
        address.set_param("weight", None)


def _picked(good: Sequence[Chosen]) -> Chosen | None:
    """Give the one that is shown."""
    if not good:
        return None
    state, keys = st.session_state, [one.key for one in good]
    if state.get(PICKED) not in keys:
        state[PICKED] = keys[0]
    return good[keys.index(state[PICKED])]


def pick(key: str) -> None:
    """Have another photo shown.

    Args:
        key: Its key.
    """
    st.session_state[PICKED] = key


def _read_all(files: Mapping[str, tuple[str, io.BytesIO]]) -> list[Chosen]:
    """Read files, each once, and give them with those of earlier visits.

    This session alone keeps them, smaller than they came, until they are removed.
    """
    state = st.session_state
    read: dict[str, Chosen] = state.setdefault(READ, {})
    gone = [key for key in state.get(HERE, ()) if key not in files]
    gone += [key for key, one in read.items() if one.problem and key not in files]
    for key in gone:
        read.pop(key, None)
    state[HERE] = list(files)
    refused = []
    for key, (name, file) in files.items():
        if key in read:
            continue
        if len(read) >= MOST_FILES or _held(read) >= MOST_MEGABYTES << 20:
            refused.append(Chosen(key, name, None, problem=NO_ROOM))
            continue
        # One by one, so that what is read stays read if the page runs anew meanwhile.
        read[key] = _read(key, name, file.getvalue())
    return [*read.values(), *refused]


def _held(read: Mapping[str, Chosen]) -> int:
    """Measure the pixels that are kept, bytes."""
    return sum(one.photo.image.nbytes for one in read.values() if one.photo)


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
