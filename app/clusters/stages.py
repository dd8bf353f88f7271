"""Stages of long work, each announced with a button that goes back and ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, Protocol

import streamlit as st

from clusters.kept import Kept
from shared.visits import own

# In the session's state: the address that was shown.
LAST = "last"
STAGES = 6
# Seconds until a stage is announced.
PATIENCE = 0.15


class Do(Protocol):
    """Does a stage, unless its result is known."""

    def __call__(
        self,
        number: int,
        words: str,
        store: Kept,
        key: Hashable,
        make: Callable[..., Any],
        *,
        ends: bool = False,
    ) -> Any:
        """Give the result: number and words of the stage, where it is kept, and what makes it.

        What ``ends`` is given a function that tells whether nobody waits for it any more.
        """
        ...


@contextmanager
def announced() -> Iterator[Do]:
    """Announce the stages of work that is not done yet, with a button that goes back.

    Yields:
        What does a stage: it is given its number, its words, where its result is kept, under which
        key, and how it is made.
    """
    box = st.empty()
    status: list[Any] = []

    def do(
        number: int,
        words: str,
        store: Kept,
        key: Hashable,
        make: Callable[..., Any],
        *,
        ends: bool = False,
    ) -> Any:
        if store.known(key):
            return store.get(key, make)
        start = time.monotonic()
        with store.waiting(key) as left:
            # Beside this run of the page, as nothing else lets it end while a stage goes on.
            worker = workers().submit(store.get, key, lambda: _make(make, left, ends=ends))
            wait([worker], timeout=PATIENCE)
            if not worker.done():
                if not status:
                    # Beside the status, which a new label folds up.
                    with box.container():
                        status.extend((st.status(words), st.empty()))
                        st.button("Cancel", key=f"clusters-cancel-{number}", on_click=_go_back)
                status[0].update(label=f"{words} …")
            while not worker.done():
                seconds = time.monotonic() - start
                status[1].caption(f"Stage {number} of {STAGES}, {seconds:.0f} s")
                wait([worker], timeout=0.5)
            return worker.result()

    try:
        yield do
    finally:
        if status:
            box.empty()


def _make(make: Callable[..., Any], left: Callable[[], bool], *, ends: bool) -> Any:
    """Make a result, unless everybody left while it stood in the queue."""
    if left():
        raise CancelledError
    return make(left) if ends else make()


@st.cache_resource(show_spinner=False)
def workers() -> ThreadPoolExecutor:
    """Give the threads in which stages are done."""
    return ThreadPoolExecutor(4, thread_name_prefix="clusters")


def _go_back() -> None:
    """Show what was shown before, or little where there was nothing."""
    last = st.session_state.get(own(LAST))
    if last:
        st.query_params.from_dict(last)
    else:
        st.query_params.update({"points": "500", "method": "kmeans", "projection": "pca"})
