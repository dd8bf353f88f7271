"""Weeks of a year in 48 parts, four a month, as parts of the year."""

from __future__ import annotations

from csp_core.errors import BadRecordError

WEEKS = 48


def week_date(week: int) -> float:
    """Give the time of the year that stands for a week.

    Args:
        week: 1 to 48, four a month.

    Returns:
        The middle of the week, a part of the year in [0, 1).

    Raises:
        BadRecordError: If there is no such week.

    Example:
        >>> week_date(1), week_of(week_date(48))
        (0.010416666666666666, 48)
    """
    if not 1 <= week <= WEEKS:
        raise BadRecordError(
            f"There is no week {week}; give 1 to {WEEKS}, four a month, or none for the whole year."
        )
    return (week - 0.5) / WEEKS


def week_of(date: float) -> int:
    """Tell which week a time of the year lies in.

    Args:
        date: Part of the year in [0, 1).

    Returns:
        1 to 48.

    Raises:
        BadRecordError: If it is no part of the year.
    """
    if not 0 <= date < 1:
        raise BadRecordError(f"The date is {date}; give a part of the year in [0, 1).")
    return int(date * WEEKS) + 1
