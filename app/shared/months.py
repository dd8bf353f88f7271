"""The time of year on a page: the box that chooses a month, and what a month means to a model."""

from __future__ import annotations

import streamlit as st

from shared.address import set_param

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ANY_TIME = "Whole year"


def month_picker(month: int | None, drops: tuple[str, ...] = ()) -> None:
    """Draw the box that chooses a month, for a model that knows seasons.

    Args:
        month: 1 to 12 as the address says, or None.
        drops: Parts of the address that mean nothing in another month.
    """
    st.session_state["month_box"] = MONTHS[month - 1] if month else ANY_TIME
    choices = [ANY_TIME, *MONTHS]
    st.selectbox(
        "Time of year", choices, key="month_box", on_change=_on_month, args=(drops,), width=150
    )


def _on_month(drops: tuple[str, ...]) -> None:
    name = st.session_state["month_box"]
    for part in drops:
        set_param(part, None)
    set_param("month", str(MONTHS.index(name) + 1) if name != ANY_TIME else None)


def date_of(month: int | None) -> float | None:
    """Give the middle of a month as a part of the year.

    Args:
        month: 1 to 12, or None.

    Returns:
        A number in [0, 1), or None.
    """
    return None if month is None else (month - 0.5) / 12
