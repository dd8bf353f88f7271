"""The time of year on a page: the box that chooses it, and what it means to a model."""

from __future__ import annotations

import datetime

import streamlit as st

from csp_core.inference.weeks import WEEKS, week_date, week_of
from shared.address import WHOLE_YEAR, set_param

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
ANY_TIME = "Whole year"
# Of a month.
QUARTERS = ("1st", "2nd", "3rd", "4th")


def today() -> datetime.date:
    """Give the date of the machine that serves."""
    return datetime.date.today()


def this_week() -> int:
    """Give the present week, 1 to 48, four a month."""
    day = today()
    first = datetime.date(day.year, 1, 1)
    # As the commands take a date: 48 equal parts, so the first of a month may be the week before.
    return week_of((day - first).days / (datetime.date(day.year + 1, 1, 1) - first).days)


def week_name(week: int) -> str:
    """Name a week.

    Args:
        week: 1 to 48.

    Returns:
        Which quarter of which month it is.

    Example:
        >>> week_name(1), week_name(44)
        ('1st week of Jan', '4th week of Nov')
    """
    per_month = WEEKS // len(MONTHS)
    month, quarter = divmod(week - 1, per_month)
    return f"{QUARTERS[quarter]} week of {MONTHS[month]}"


def month_of(week: int) -> int:
    """Give the month, 1 to 12, that a week of 48 is in."""
    return (week - 1) // (WEEKS // len(MONTHS)) + 1


def month_picker(
    month: int | None, drops: tuple[str, ...] = (), *, week: int | None = None, weekly: bool = False
) -> None:
    """Draw the box that chooses a month, for a model that knows seasons.

    Args:
        month: 1 to 12 as the address says, or None.
        drops: Parts of the address that mean nothing in another month.
        week: 1 to 48, if it is a week that the page shows.
        weekly: Whether the model knows weeks: the page opens with the present one.
    """
    now = f"This week ({week_name(this_week())})" if weekly else None
    chosen = MONTHS[month - 1] if month else ANY_TIME
    if week is not None:
        chosen = now if now and week == this_week() else week_name(week)
    choices = [ANY_TIME, *MONTHS]
    choices = choices if now is None else [now, *choices]
    choices = choices if chosen in choices else [chosen, *choices]
    st.session_state["month_box"] = chosen
    st.selectbox(
        "Time of year",
        choices,
        key="month_box",
        on_change=_on_month,
        args=(drops, now),
        width=260 if weekly else 150,
    )


def _on_month(drops: tuple[str, ...], now: str | None) -> None:
    name = st.session_state["month_box"]
    for part in (*drops, "week"):
        set_param(part, None)
    if name == now:
        set_param("month", None)
    elif name == ANY_TIME:
        set_param("month", None if now is None else WHOLE_YEAR)
    elif name in MONTHS:
        set_param("month", str(MONTHS.index(name) + 1))


def date_of(month: int | None, week: int | None = None) -> float | None:
    """Give the middle of a month, or of a week, as a part of the year.

    Args:
        month: 1 to 12, or None.
        week: 1 to 48, which goes before a month, or None.

    Returns:
        A number in [0, 1), or None.
    """
    if week is not None:
        return week_date(week)
    return None if month is None else (month - 0.5) / 12
