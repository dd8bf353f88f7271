"""How many files a session may have on the server at once, and how large they may be together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Scope
from streamlit.runtime.scriptrunner import get_script_run_ctx

UPLOADS = "/_stcore/upload_file/"
# Streamlit holds what was uploaded in memory until it is removed or its session ends.
MOST_FILES, MOST_MEGABYTES = 30, 300
TOLD = f"up to {MOST_FILES} files and {MOST_MEGABYTES} MB together"


class Quota:
    """Counts what each session has on the server, with what is on its way."""

    def __init__(self) -> None:
        self._coming: dict[str, list[int]] = defaultdict(list)

    def refusal(self, scope: Scope) -> PlainTextResponse | None:
        """Refuse an upload for which its session has no room.

        Args:
            scope: A request.

        Returns:
            The answer, or None where there is room or nothing is uploaded.
        """
        session = _session(scope)
        if not session:
            return None
        sizes = [*_held(session), *self._coming.get(session, ()), _size(scope)]
        if len(sizes) <= MOST_FILES and sum(sizes) <= MOST_MEGABYTES << 20:
            return None
        return PlainTextResponse(
            f"There is room for {TOLD}: remove some of yours first.\n", status_code=413
        )

    @contextmanager
    def arriving(self, scope: Scope) -> Iterator[None]:
        """Count an upload while it comes in.

        Args:
            scope: A request.

        Yields:
            Nothing.
        """
        session = _session(scope)
        if not session:
            yield
            return
        size = _size(scope)
        self._coming[session].append(size)
        try:
            yield
        finally:
            self._coming[session].remove(size)
            if not self._coming[session]:
                del self._coming[session]


def _session(scope: Scope) -> str:
    """Name the session that uploads a file, ``""`` where none does."""
    if scope["type"] != "http" or scope["method"] != "PUT" or UPLOADS not in scope["path"]:
        return ""
    return str(scope["path"].partition(UPLOADS)[2].partition("/")[0])


def _size(scope: Scope) -> int:
    told = Headers(scope=scope).get("content-length", "")
    # Who does not say how much comes may send as much as there is room for.
    return int(told) if told.isdecimal() and len(told) < 20 else MOST_MEGABYTES << 20


def _held(session: str) -> list[int]:
    """Give the sizes of the files that a session has, bytes."""
    if not st.runtime.exists():
        return []
    manager = st.runtime.get_instance().uploaded_file_mgr
    # The manager that keeps them elsewhere has no such attribute, and its own limits.
    files: dict[str, dict[str, object]] = getattr(manager, "file_storage", {})
    held = [getattr(file, "data", b"") for file in list(files.get(session, {}).values())]
    return [len(data) for data in held if isinstance(data, Sized)]


def release(files: Iterable[str]) -> None:
    """Have the server let go of files of the session in use, so that there is room for others.

    Streamlit itself keeps what a box held until the session ends, where the page was left.

    Args:
        files: Their ids, as the box gave them; those that are gone do no harm.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    # The manager that keeps them elsewhere has no such method.
    remove = getattr(context.uploaded_file_mgr, "remove_file", None)
    if remove is None:
        return
    for file in files:
        remove(context.session_id, file)
