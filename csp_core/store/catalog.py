"""Which models there are: bundled ones, those of a folder of yours, and what their cards say."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError, CspError, UnknownNameError
from csp_core.files import ASSETS, harmless, printable
from csp_core.model.compared import TOWERS, compared_sides
from csp_core.store.borrowing import lender
from csp_core.store.folder import entries, read_contents, read_front, read_own_text
from csp_core.store.hub.copies import fetched
from csp_core.store.hub.fetch import fetch_model
from csp_core.store.hub.names import is_hub_name
from csp_core.store.introduction import Introduction, read_introduction
from csp_core.store.kept import kept_folders

# Of a card's title or summary in a list, and of why a model cannot be loaded.
MOST_LINE, MOST_PROBLEM = 400, 1000
PICKLES = (".pt", ".pth", ".tar", ".pkl", ".pickle", ".ckpt", ".bin")


@dataclass(frozen=True)
class ModelInfo:
    """One line of the list of models.

    Args:
        name: What ``load_model`` takes.
        directory: Where it is.
        title: Title of its card.
        summary: One sentence of its card.
        kind: What it answers with: ``"share"``, ``"relative"`` or ``"probability"``; else
            ``"agreement"`` of one that compares, or ``"embedding"``.
        num_classes: Number of classes.
        license: Licence of the weights.
        problem: Why it cannot be loaded, or None.
        sees_images: Whether it says anything of a picture itself.
        knows_places: Whether it says anything of a place itself.
        maps_pixels: Whether it says what each pixel of a picture is.
        introduction: What its card says of it to people.
        sees_pixels: Whether it tells the class of each pixel of a picture.
        compares: Which of ``image``, ``location`` and ``text`` it compares with each other.
        reads_text: Whether it compares words with pictures or places.
        keeps_counts: Whether it counts the records that it learned from, by cell.
        borrows: Name of the model whose prior is heard beside its pictures, or ``""``.
    """

    name: str
    directory: Path
    title: str
    summary: str
    kind: str
    num_classes: int
    license: str
    problem: str | None = None
    sees_images: bool = False
    knows_places: bool = True
    maps_pixels: bool = False
    introduction: Introduction = field(default_factory=Introduction)
    sees_pixels: bool = False
    compares: tuple[str, ...] = ()
    reads_text: bool = False
    keeps_counts: bool = True
    borrows: str = ""


def made_folder() -> Path:
    """Return the folder of the models that the set-up makes: of the environment, or ``CSP_MADE``.

    Returns:
        The folder, which need not be there.
    """
    named = os.environ.get("CSP_MADE")
    return Path(named) if named else Path(sys.prefix) / "share" / "csp_core" / "models"


def find_listed(name: str) -> Path:
    """Find a model of the list by its name alone.

    Args:
        name: Its name.

    Returns:
        The directory.

    Raises:
        UnknownNameError: If no model is listed by that name.
    """
    known = dict(_model_folders())
    if name not in known:
        raise UnknownNameError("model", name, known)
    return known[name]


def find_model(name_or_path: str | Path) -> Path:
    """Find a model's directory.

    Args:
        name_or_path: A bundled name, a model directory, a run directory with a finished model, or
            ``hf:OWNER/NAME`` of a model on the hub, which is fetched.

    Returns:
        The directory that holds ``config.json``.

    Raises:
        UnknownNameError: If nothing is there.
        ConfigError: If it begins with ``hf:`` and is no name of a model on the hub.
        CheckpointError: If it is a file, or a folder without a model, or cannot be fetched.
    """
    if is_hub_name(name_or_path):
        return fetch_model(name_or_path)
    path = Path(name_or_path)
    known = dict(_model_folders())
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if "\0" in str(name_or_path):
        raise UnknownNameError("model", str(name_or_path), known)
    if path.is_file():
        pickled = path.suffix in PICKLES
        kind = "a pickle checkpoint" if pickled else "a file"
        way = " `csp import-model` makes one of a published checkpoint." if pickled else ""
        raise CheckpointError(
            f"{path} is {kind}; a model is a directory with config.json and model.safetensors, as"
            f" `csp train` writes it. Nothing was loaded from it.{way}"
        )
    if not path.is_dir():
        raise UnknownNameError("model", str(name_or_path), known)
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    raise CheckpointError(
        f"{path} holds no model: config.json is missing. A run writes its model when it ends."
    )


def list_models() -> list[ModelInfo]:
    """List the models: bundled, made at set-up, of ``CSP_MODELS``, runs kept, copies of the hub.

    Returns:
        One entry a model, damaged ones with their problem.
    """
    # A name stands once: the last one is what `find_model` finds.
    return [_describe(name, folder) for name, folder in dict(_model_folders()).items()]


def read_card(name_or_path: str | Path) -> str:
    """Read a model's card.

    Args:
        name_or_path: As for ``load_model``.

    Returns:
        Markdown without the front matter.

    Raises:
        UnknownNameError: If there is no such model.
        CspError: If it is not within bounds, or its front matter is no YAML.
    """
    return read_front(find_model(name_or_path))[1]


def class_names(folder: Path) -> tuple[str, ...]:
    """Read which classes a model knows, without loading it.

    Args:
        folder: The directory.

    Returns:
        Scientific names.

    Raises:
        CspError: If a file is missing, damaged, out of bounds, or does not fit the others.
    """
    return tuple(name for name, _, _ in read_contents(folder).classes)


def _model_folders() -> Iterator[tuple[str, Path]]:
    names: set[str] = set()
    roots = [
        ASSETS / "models",
        made_folder(),
        *map(Path, filter(None, [os.environ.get("CSP_MODELS")])),
    ]
    for root in roots:
        with contextlib.suppress(OSError):
            folders = sorted(folder for folder in root.iterdir() if _says_model(folder))
            yield from ((folder.name, folder) for folder in folders)
            names |= {folder.name for folder in folders}
    # A run does not take the place of a model of the same name.
    yield from (kept for kept in kept_folders() if kept[0] not in names)
    yield from fetched()


def _says_model(folder: Path) -> bool:
    """Tell whether a folder is to be listed: with any ``config.json``, or closed to this user."""
    if not folder.is_dir():
        return False
    return os.path.lexists(folder / "config.json") or not os.access(folder, os.R_OK | os.X_OK)


def _describe(given: str, folder: Path) -> ModelInfo:
    name = printable(given)
    try:
        if name != given:
            raise CheckpointError("The folder's name is no UTF-8; give it another.")
        contents, front = read_contents(folder), read_front(folder)[0]
    except (CspError, ArithmeticError, LookupError, OSError, TypeError, ValueError) as error:
        problem = printable(_line(str(error) or type(error).__name__, MOST_PROBLEM))
        return ModelInfo(name, folder, name, "", "", 0, "", problem=problem)
    compares = compared_sides(contents.heads, [one for one in TOWERS if contents.config.get(one)])
    answers = contents.config["prior_kind"] if contents.config["num_classes"] else "embedding"
    return ModelInfo(
        name=name,
        directory=folder,
        title=_line(front.get("title") or name),
        summary=_line(front.get("summary") or ""),
        kind="agreement" if compares else answers,
        num_classes=contents.config["num_classes"],
        license=_line(_license(front) or "unstated"),
        sees_images="image" in contents.heads.classifiers,
        knows_places=contents.config.get("location") is not None,
        maps_pixels=contents.heads.pixels,
        introduction=read_introduction(front),
        sees_pixels=contents.heads.pixels,
        compares=compares,
        reads_text=contents.config.get("text") is not None,
        keeps_counts=(folder / "support.safetensors").is_file(),
        borrows=lender(contents.config) or "",
    )


def _license(front: Mapping[str, Any]) -> Any:
    """Read the licence of a card; one that the hub does not know has its name beside it."""
    stated = front.get("license")
    return front.get("license_name") or stated if stated == "other" else stated


def _line(value: Any, most: int = MOST_LINE) -> str:
    """Write a value of a card as one line of bounded length."""
    line = harmless(" ".join(str(value).split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def model_size(folder: Path) -> int:
    """Sum up the files of a model directory.

    Args:
        folder: The directory.

    Returns:
        Bytes; 0 of a directory that cannot be read.
    """
    try:
        return sum(path.lstat().st_size for path in entries(folder) if path.is_file())
    except (CspError, OSError):
        return 0


def text_files(folder: Path) -> dict[str, str]:
    """Read the licence and attribution that come with a model.

    Args:
        folder: The directory.

    Returns:
        File name to text.

    Raises:
        CheckpointError: If one is no file of that directory, or too large.
    """
    named = [path for path in entries(folder) if path.stem in ("ATTRIBUTION", "LICENSE")]
    return {path.name: read_own_text(path) for path in named if not path.is_dir()}
