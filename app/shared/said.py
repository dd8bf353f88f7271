"""What is told of the last place that was typed, as long as the pin stays where it stood then."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from csp_core.gazetteer import Place
from shared import address
from shared.visits import own

# In the session's state, of each page.
SAID = "typed-place"


@dataclass(frozen=True)
class Said:
    """What is told of a typed place.

    Args:
        at: The place in the address as it was written there when this was said.
        text: What stands in the box for places.
        error: Why it was refused, or empty.
        notice: What was changed or is missing, or empty.
        swap: Longitude and latitude that may have been meant instead, or None.
        question: What to ask about ``places``.
        places: Those that may have been meant.
        bare: Names of ``lon`` and ``lat`` that were typed without saying which is which, since the
            pin was moved otherwise: if both were, they may be swapped.
        numbers: Whose boxes hold something else than the pin's numbers, and which longitude and
            latitude; None where they show the pin's.
    """

    at: tuple[str | None, str | None]
    text: str = ""
    error: str = ""
    notice: str = ""
    swap: tuple[float, float] | None = None
    question: str = ""
    places: tuple[Place, ...] = ()
    numbers: tuple[str, float | None, float | None] | None = None
    bare: frozenset[str] = frozenset()


def say(
    text: str = "",
    *,
    error: str = "",
    notice: str = "",
    swap: tuple[float, float] | None = None,
    question: str = "",
    places: tuple[Place, ...] = (),
    numbers: tuple[str, float | None, float | None] | None = None,
    bare: frozenset[str] = frozenset(),
) -> None:
    """Tell something instead of what was told before; the arguments are the fields of ``Said``.

    What the boxes hold, they keep until a place is chosen.
    """
    if (before := current()) is not None:
        text, numbers = text or before.text, numbers or before.numbers
    st.session_state[own(SAID)] = Said(
        address.place_params(), text, error, notice, swap, question, places, numbers, bare
    )


def current() -> Said | None:
    """Give what is told now; None where nothing is, or the pin has moved since."""
    said: Said | None = st.session_state.get(own(SAID))
    return said if said is not None and said.at == address.place_params() else None


def restore(told: Said) -> None:
    """Tell again what was told before; it is current only where the pin stands there again."""
    st.session_state[own(SAID)] = told


def forget() -> None:
    """Tell nothing any more."""
    st.session_state.pop(own(SAID), None)
