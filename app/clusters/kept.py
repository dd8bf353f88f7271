"""What is computed once for all sessions: each stage under what it depends on, the latest few."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import streamlit as st

from csp_core.errors import CspError

Result = TypeVar("Result")


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
        self._lock = threading.Lock()

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
