"""Models that somebody makes of another one and keeps: where they go, under which licence."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from csp_core.errors import CheckpointError, ConfigError
from csp_core.files import harmless, write_text
from csp_core.model.dual import DualEncoder
from csp_core.runs import RunDir
from csp_core.runs.jobs import runs_home
from csp_core.store.catalog import find_model, text_files
from csp_core.store.checkpoint import save_model
from csp_core.store.folder import read_front
from csp_core.store.kept import MARK, taken_names

MOST_NAME = 60


def folder_name(name: str) -> str:
    """Make a model's name of what people call it.

    Args:
        name: Any text.

    Returns:
        Lower-case letters, digits, ``-`` and ``_``.

    Raises:
        ConfigError: If nothing is left of it.

    Example:
        >>> folder_name("Turdus merula L.")
        'turdus-merula-l'
    """
    words = re.sub(r"[^\w-]+", "-", name.casefold()).strip("-_")[:MOST_NAME].rstrip("-_")
    if not words:
        raise ConfigError(f"{name!r} has no letter or digit, so it names no model; give a name.")
    return words


def keep_derived(
    model: DualEncoder,
    name: str,
    *,
    base: str | Path,
    card: Mapping[str, Any],
    body: str,
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> tuple[str, Path]:
    """Save a model where models are listed: in the folder of ``CSP_MODELS``, else among the runs.

    Args:
        model: The model.
        name: What to call it, of which ``folder_name`` makes the name of its folder.
        base: As for ``save_derived``.
        card: As for ``save_derived``.
        body: As for ``save_derived``.
        metrics: As for ``save_model``.
        provenance: As for ``save_model``.

    Returns:
        The name that ``load_model`` takes, and its folder.

    Raises:
        CheckpointError: If a model of that name is there, or it cannot be written.
        ConfigError: If the name is none.
    """
    called, home = folder_name(name), os.environ.get("CSP_MODELS")
    if called in taken_names() or (runs_home() / called).exists():
        raise CheckpointError(
            f"A model named {called!r} is there already, and it stays as it is: give another name."
        )
    run = RunDir(runs_home() / called)
    folder = Path(home) / called if home else run.model
    told = {"metrics": metrics, "provenance": provenance}
    save_derived(model, folder, base=base, card=card, body=body, **told)
    if not home:
        try:
            write_text(run.path / MARK, "This model is listed among the others.\n")
        except OSError as error:
            raise CheckpointError(f"Cannot write to {run.path} ({error.strerror}).") from error
    return called, folder


def save_derived(
    model: DualEncoder,
    folder: str | Path,
    *,
    base: str | Path,
    card: Mapping[str, Any],
    body: str,
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Save a model that was made of another, with that one's licence and attribution.

    Args:
        model: The model.
        folder: Where it shall stand; nothing may be there.
        base: The model that it was made of, as for ``load_model``.
        card: Front matter of its card beside the licence, such as ``title`` and ``summary``.
        body: Its card without front matter and title, Markdown.
        metrics: As for ``save_model``.
        provenance: As for ``save_model``.

    Returns:
        The folder.

    Raises:
        CheckpointError: If something is there, or it cannot be written.
    """
    folder = Path(folder)
    if folder.exists():
        raise CheckpointError(f"{folder} is there already, and it stays as it is: give another.")
    origin = find_model(base)
    licence = str(read_front(origin)[0].get("license") or "unstated")
    front = yaml.safe_dump({**card, "license": licence}, sort_keys=False, allow_unicode=True)
    title = harmless(str(card["title"]))
    texts = {"README.md": f"---\n{front}---\n\n# {title}\n\n{body}", **text_files(origin)}
    return save_model(model, folder, texts=texts, metrics=metrics, provenance=provenance)
