"""Copies of models of the hub on this machine: one folder a commit, and which is which."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from csp_core.errors import CspError
from csp_core.files import cache_folder, read_json, write_json
from csp_core.store.hub.names import COMMIT, MAIN, HubName

REVISIONS = "revisions.json"


def home() -> Path:
    """Return the folder of copies, which need not be there yet."""
    return cache_folder() / "hub"


def copy_of(name: HubName, commit: str) -> Path:
    """Return where the copy of a commit stands; it is there whole or not at all.

    Args:
        name: The model.
        commit: 40 hexadecimal digits.

    Returns:
        The folder.
    """
    return _folder(name) / commit


def kept_copy(name: HubName) -> Path | None:
    """Find the copy that was fetched last of a revision.

    Args:
        name: The model.

    Returns:
        Its folder, or None.
    """
    commit = name.revision if name.is_commit else _revisions(_folder(name)).get(name.revision, "")
    folder = copy_of(name, commit)
    return folder if commit and (folder / "config.json").is_file() else None


def keep_revision(name: HubName, commit: str) -> None:
    """Write down which commit a revision was.

    Args:
        name: The model.
        commit: 40 hexadecimal digits.
    """
    known = _revisions(_folder(name))
    if not name.is_commit and known.get(name.revision) != commit:
        write_json(_folder(name) / REVISIONS, known | {name.revision: commit})


def fetched() -> Iterator[tuple[str, Path]]:
    """List the models that were fetched, as their main branch was then.

    Yields:
        The name to ask for one by, and its folder.
    """
    with contextlib.suppress(OSError):
        for folder in sorted(home().iterdir()):
            owner, _, name = folder.name.partition("--")
            if name and re.fullmatch(r"[\w.-]+", folder.name):
                found = HubName(owner, name, MAIN)
                if (copy := kept_copy(found)) is not None:
                    yield str(found), copy


def _folder(name: HubName) -> Path:
    # A name of the hub has no two hyphens in a row.
    return home() / f"{name.owner}--{name.name}"


def _revisions(folder: Path) -> dict[str, str]:
    try:
        found = read_json(folder / REVISIONS)
    except (CspError, OSError):
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {k: v for k, v in pairs if isinstance(v, str) and COMMIT.fullmatch(v)}
