"""What every file of a raster has in common: how it is written, and whom it credits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.errors import BadRecordError, CspError
from csp_core.files import atomic_path
from csp_core.inference import VALUE_MEANING
from csp_core.model import LEVEL_MEANING, LEVELS
from csp_core.raster.raster import Raster
from csp_core.raster.thresholds import Threshold
from csp_core.store import find_model, read_front, text_files

SUPPORT_MEANING: str = LEVEL_MEANING[LEVELS[-1][0]]


@dataclass(frozen=True)
class Credit:
    """Whom a file names, and under which licence it may be passed on.

    Args:
        license: Licence of the model, or ``""``.
        attribution: Whose records it learned from, in a sentence or two, or ``""``.
    """

    license: str = ""
    attribution: str = ""


NO_CREDIT = Credit()


def read_credit(model: str | Path) -> Credit:
    """Read the licence and the first paragraph of the attribution that come with a model.

    Args:
        model: As for ``load_model``.

    Returns:
        What is there; empty texts where nothing is.

    Raises:
        UnknownNameError: If there is no such model.
    """
    folder = find_model(model)
    try:
        licence = " ".join(str(read_front(folder)[0].get("license") or "").split())
        texts = text_files(folder)
    except CspError:  # a card that cannot be read names nobody, and ends no map
        licence, texts = "", {}
    text = texts.get("ATTRIBUTION.md") or texts.get("ATTRIBUTION") or ""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    plain = [part for part in paragraphs if not part.startswith("#")]
    return Credit("" if licence == "unstated" else licence, plain[0] if plain else "")


def describe(raster: Raster, threshold: Threshold | None, credit: Credit) -> dict[str, Any]:
    """Say what a file holds, in the words that all formats share.

    Args:
        raster: The raster.
        threshold: The threshold that goes with it, or None.
        credit: Whom to name.

    Returns:
        Plain values; what is not known is left out.
    """
    facts: dict[str, Any] = {
        **raster.to_dict(),
        "meaning": VALUE_MEANING[raster.kind],
        "license": credit.license,
        "attribution": credit.attribution,
    }
    if threshold is not None:
        facts["threshold"] = threshold.value
        facts["threshold_method"] = threshold.method
    return {name: value for name, value in facts.items() if value not in (None, "")}


def check_writable(path: str | Path) -> None:
    """Check that a file can be written before much is computed for it.

    Args:
        path: The file, or the folder of a Zarr group. Missing folders above it can be made.

    Raises:
        BadRecordError: If it cannot.
    """
    path = Path(path)
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise BadRecordError(f"Cannot write {path}: {above} is a file, not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise BadRecordError(f"Cannot write {path}: nothing may be written to {above}.")
    if path.suffix.lower() != ".zarr" and path.is_dir():
        raise BadRecordError(f"Cannot write {path}: it is a folder; give the name of a file.")


@contextmanager
def writing(
    path: str | Path,
    place: Callable[[str | Path], AbstractContextManager[Path]] = atomic_path,
) -> Iterator[Path]:
    """Give a temporary path that takes the place of ``path`` when the block ends without error.

    Args:
        path: Where the file shall stand in the end.
        place: ``files.atomic_path`` or ``files.atomic_directory``.

    Yields:
        The temporary path.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    check_writable(path)
    try:
        with place(path) as temporary:
            yield temporary
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise BadRecordError(f"Cannot write {path} ({reason}).") from error
