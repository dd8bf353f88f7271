"""Sharing a model on the hub: the files of its directory and nothing else, in one commit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import csp_core
from csp_core.errors import CheckpointError
from csp_core.store.catalog import find_model
from csp_core.store.checkpoint import load_model
from csp_core.store.folder import check_entry, entries
from csp_core.store.hub.card import hub_card
from csp_core.store.hub.client import LOG_IN, client, has_token, told
from csp_core.store.hub.fetch import check_ours, forget, look
from csp_core.store.hub.names import KNOWN, MAIN, HubName, parse_hub_name

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"


@dataclass(frozen=True)
class Shared:
    """What was sent.

    Args:
        name: What to load the model by.
        address: Its page.
        commit: The commit, 40 hexadecimal digits.
        files: The files of the model.
        left: Names of what else lies in its folder and was not sent.
        num_bytes: Size of the files.
        license: What the card says of the licence, as the hub reads it.
    """

    name: str
    address: str
    commit: str
    files: tuple[str, ...]
    left: tuple[str, ...]
    num_bytes: int
    license: str


def share_model(name_or_path: str | Path, target: str, *, private: bool = False) -> Shared:
    """Send a model to the hub, in one commit; a repository that is missing is made.

    The model is loaded first, so that what is sent is whole. Of its folder only the files of a
    model are sent: never records, and nothing else that lies there. Files of an earlier version
    that this one does not have are taken away in the same commit.

    Args:
        name_or_path: As for ``load_model``.
        target: ``hf:OWNER/NAME``, with ``@BRANCH`` for another branch than main.
        private: Whether a repository that is made is seen by its owner alone.

    Returns:
        What was sent.

    Raises:
        ConfigError: If the target is no name on the hub.
        CspError: If the model cannot be loaded.
        CheckpointError: If there is no token, it may not write there, what is there is not a model
            of ours, or the hub cannot be reached.
    """
    model = parse_hub_name(target)
    if model.is_commit:
        raise CheckpointError(f"{model} is a commit, which never changes; give a branch or none.")
    folder = find_model(name_or_path)
    load_model(folder)
    card, stated = hub_card(folder)
    contents = {**_contents(folder), CARD: card.encode()}
    if not has_token():
        raise CheckpointError(f"Sharing {model} needs a token with the right to write; {LOG_IN}.")
    api = client()
    there = _prepare(model, api, private)
    address, commit = _commit(model, api, contents, there)
    forget(model)
    return Shared(
        name=str(model),
        address=address,
        commit=commit,
        files=tuple(contents),
        left=tuple(path.name for path in entries(folder) if path.name not in contents),
        num_bytes=sum(_size(part) for part in contents.values()),
        license=stated,
    )


def _contents(folder: Path) -> dict[str, Path | bytes]:
    """Give where the files of a model lie, by name."""
    found: dict[str, Path | bytes] = {}
    for path in entries(folder):
        if path.name in KNOWN:
            check_entry(path)
            if (size := path.stat().st_size) > KNOWN[path.name]:
                raise CheckpointError(
                    f"{path} has {size:,} bytes, where {KNOWN[path.name]:,} are the most."
                )
            found[path.name] = path
    return found


def _prepare(model: HubName, api: HfApi, private: bool) -> tuple[str, Mapping[str, int]]:
    """Make the repository if it is missing, and check that it holds nothing of another program."""
    with told(model, api, writes=True):
        api.create_repo(model.repository, private=private or None, exist_ok=True)
    commit, sizes = look(model, api)
    if "config.json" in sizes:
        with tempfile.TemporaryDirectory() as folder:
            check_ours(model, api, commit, Path(folder))
    return commit, sizes


def _commit(
    model: HubName,
    api: HfApi,
    contents: Mapping[str, Path | bytes],
    there: tuple[str, Mapping[str, int]],
) -> tuple[str, str]:
    """Send the files, and take away those of an earlier version, in one commit."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    before, sizes = there
    old = sorted((sizes.keys() & KNOWN.keys()) - contents.keys())
    steps: list[Any] = [
        *(CommitOperationDelete(path_in_repo=name) for name in old),
        *(CommitOperationAdd(path_in_repo=n, path_or_fileobj=c) for n, c in contents.items()),
    ]
    with told(model, api, writes=True, bars=True):
        done = api.create_commit(
            model.repository,
            steps,
            commit_message=f"Share a model of csp_core {csp_core.__version__}",
            revision=None if model.revision == MAIN else model.revision,
            # Whoever changed it in between is not overwritten.
            parent_commit=before,
        )
        return f"{api.endpoint}/{model.repository}", str(done.oid)


def _size(part: Path | bytes) -> int:
    return len(part) if isinstance(part, bytes) else part.stat().st_size
