"""What is computed once for all sessions: each stage under what it depends on, the latest few."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import streamlit as st

from csp_core.errors import CspError

Result = TypeVar("Result")
# Seconds: whoever clicks while a stage goes on comes back for it at once.
GRACE = 2.0


class Waits:
    """Who waits for a result while it is made."""

    def __init__(self) -> None:
        self.count, self.since = 0, time.monotonic()

    def over(self) -> bool:
        """Tell whether nobody waits any more, nor came back in the time that a click takes."""
        return not self.count and time.monotonic() - self.since > GRACE


class Kept:
    """The latest results under their keys, refusals too; none is made twice at the same time.

    Streamlit's own cache cannot tell whether a result is there already, nor have a stage of the
    work announced outside of it.

    Args:
        most: How many results are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._results: OrderedDict[Hashable, Any] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._waits: dict[Hashable, Waits] = {}
        self._lock = threading.Lock()

    @contextmanager
    def waiting(self, key: Hashable) -> Iterator[Callable[[], bool]]:
        """Count as one who waits for a result, so that what makes it can end when nobody does.

        Args:
            key: Of the result.

        Yields:
            Tells whether nobody waits for it any more; to be asked by what makes it.
        """
        with self._lock:
            self._waits = {other: one for other, one in self._waits.items() if not one.over()}
            waits = self._waits.setdefault(key, Waits())
            waits.count += 1
        try:
            yield waits.over
        finally:
            with self._lock:
                waits.count -= 1
                waits.since = time.monotonic()

    def known(self, key: Hashable) -> bool:
        """Tell whether a result is there."""
        return key in self._results

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Give a result, and make it if it is not there.

        Args:
            key: All that it depends on.
            make: Makes it. That it cannot (``CspError``) is kept as well, as finding out may take
                as long; of anything else that it raises nothing is kept.

        Returns:
            The result, shared: read it, never change it.

        Raises:
            CspError: If it cannot be made.
        """
        found = self._find(key, make)
        if isinstance(found, CspError):
            raise found.with_traceback(None)
        result: Result = found
        return result

    def _find(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            if key not in self._results:
                try:
                    made = make()
                except CspError as error:
                    made = error
                with self._lock:
                    self._results[key] = made
                    self._making.pop(key, None)
                    while len(self._results) > self._most:
                        self._results.popitem(last=False)
                return made
            return self._results[key]


@st.cache_resource(show_spinner=False)
def kept(name: str, most: int) -> Kept:
    """Give the results of one kind.

    Args:
        name: The kind.
        most: How many of it are kept.

    Returns:
        They, the same for all sessions.
    """
    return Kept(most)
