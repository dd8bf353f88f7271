"""Fetching a model of the hub: only when it is asked for by name, and only the files of a model."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from csp_core.errors import CheckpointError
from csp_core.files import atomic_directory, harmless
from csp_core.store.folder import read_model_config
from csp_core.store.hub.client import PATIENCE, UnreachableError, client, told
from csp_core.store.hub.copies import copy_of, keep_revision, kept_copy
from csp_core.store.hub.names import COMMIT, KNOWN, NEEDED, HubName, parse_hub_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi

log = logging.getLogger(__name__)
# A command asks for a model several times, which the hub is asked for once.
FRESH_SECONDS = 60.0
LONG_AGO = 24 * 3600.0
_asked: dict[Path, float] = {}


def fetch_model(name: str | Path) -> Path:
    """Fetch a model of the hub, unless its present revision was fetched before.

    Of its files only those of a model directory are taken, each up to a size; none is a pickle,
    and ``config.json`` must say that it is one of ours before any other is fetched. Where the hub
    cannot be reached, the copy that was fetched last answers, and a warning says so.

    Args:
        name: ``hf:OWNER/NAME`` or ``hf:OWNER/NAME@REVISION``.

    Returns:
        The directory of the copy.

    Raises:
        ConfigError: If it is no such name.
        CheckpointError: If there is no such model or revision, it is not one of ours, or the hub
            cannot be reached and there is no copy.
    """
    model = parse_hub_name(name)
    kept = kept_copy(model)
    if kept is not None and (model.is_commit or _is_fresh(model)):
        return kept
    api = client()
    try:
        commit, sizes = look(model, api)
    except UnreachableError as error:
        if kept is None:
            raise UnreachableError(f"{error} No copy of it was fetched before.") from error
        day = datetime.fromtimestamp(kept.stat().st_mtime).date()
        log.warning("%s The copy fetched on %s answers (revision %s).", error, day, kept.name[:12])
        _asked[_key(model)] = time.monotonic()
        return kept
    folder = copy_of(model, commit)
    try:
        if not (folder / "config.json").is_file():
            _check_files(model, sizes)
            _download(model, api, commit, sorted(sizes.keys() & KNOWN.keys()), folder)
        keep_revision(model, commit)
    except OSError as error:
        raise CheckpointError(
            f"Cannot write the copy of {model} to {folder} ({error.strerror or error}); CSP_CACHE"
            " names another folder for copies."
        ) from error
    _asked[_key(model)] = time.monotonic()
    return folder


def forget(model: HubName) -> None:
    """Have the hub asked anew for a model that has just changed there.

    Args:
        model: The model.
    """
    _asked.pop(_key(model), None)


def look(model: HubName, api: HfApi) -> tuple[str, dict[str, int]]:
    """Ask the hub what a revision of a model is now.

    Args:
        model: The model.
        api: The client.

    Returns:
        Its commit, and the name of each file to its size; -1 where the hub does not say.

    Raises:
        CheckpointError: If there is no such repository or revision, or the hub cannot be reached.
    """
    with told(model, api):
        info = api.model_info(
            model.repository, revision=model.revision, files_metadata=True, timeout=PATIENCE
        )
        files = {file.rfilename: file.size for file in info.siblings or ()}
        sizes = {name: -1 if size is None else int(size) for name, size in files.items()}
    if not COMMIT.fullmatch(info.sha or ""):
        raise CheckpointError(f"{api.endpoint} names no commit of {model}; it is no hub.")
    return str(info.sha), sizes


def check_ours(model: HubName, api: HfApi, commit: str, folder: Path) -> None:
    """Fetch ``config.json`` and check that it is that of a model of this program.

    Args:
        model: The model.
        api: The client.
        commit: Which one to fetch.
        folder: Where to write it.

    Raises:
        CheckpointError: If it is not.
    """
    _fetch(model, api, commit, "config.json", folder)
    try:
        read_model_config(folder)
    except CheckpointError as error:
        raise CheckpointError(
            f"{model} is no model of csp_core: its config.json is of another program or version."
        ) from error


def _check_files(model: HubName, sizes: Mapping[str, int]) -> None:
    """Check by their names and sizes that the files are those of a model."""
    missing = [name for name in NEEDED if name not in sizes]
    if missing:
        shown = ", ".join(sorted(sizes)[:8]) or "nothing"
        more = f" and {len(sizes) - 8} more" if len(sizes) > 8 else ""
        raise CheckpointError(
            f"{model} is no model of csp_core: it holds {harmless(shown[:400])}{more}, and"
            f" {', '.join(missing)} would be needed."
        )
    for name in sorted(sizes.keys() & KNOWN.keys()):
        if sizes[name] > KNOWN[name]:
            raise CheckpointError(
                f"{name} of {model} has {sizes[name]:,} bytes, where {KNOWN[name]:,} are the most;"
                " nothing was fetched."
            )


def _download(model: HubName, api: HfApi, commit: str, files: list[str], folder: Path) -> None:
    """Fetch the files of a model, all of them or none."""
    _clear(folder.parent)
    with atomic_directory(folder) as fresh:
        check_ours(model, api, commit, fresh)
        for file in files:
            if file != "config.json":
                _fetch(model, api, commit, file, fresh)
        # What the client keeps beside what it fetches.
        shutil.rmtree(fresh / ".cache", ignore_errors=True)


def _clear(folder: Path) -> None:
    """Remove what fetching left that was killed long ago."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LONG_AGO:
                shutil.rmtree(path, ignore_errors=True)


def _fetch(model: HubName, api: HfApi, commit: str, file: str, folder: Path) -> None:
    # Of the small files a bar each would be noise.
    with told(model, api, bars=file == "model.safetensors"):
        api.hf_hub_download(
            model.repository, file, revision=commit, local_dir=folder, etag_timeout=PATIENCE
        )
    found = (folder / file).stat().st_size
    if found > KNOWN[file]:
        raise CheckpointError(
            f"{file} of {model} has {found:,} bytes, where {KNOWN[file]:,} are the most."
        )


def _key(model: HubName) -> Path:
    return copy_of(model, model.revision)


def _is_fresh(model: HubName) -> bool:
    asked = _asked.get(_key(model))
    return asked is not None and time.monotonic() - asked < FRESH_SECONDS
