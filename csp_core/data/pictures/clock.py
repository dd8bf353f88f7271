"""When a picture was taken, as programs write it: a time, a day, or what is neither."""

from __future__ import annotations

import datetime
import re

from csp_core.data.origins import COUNTED_FROM

# What may follow without making it another time: parts of a second, and the zone, from -12:00 to
# +14:00, whose first nought some programs leave out.
STAMP = re.compile(
    r"(\d{4})[:-](\d\d)[:-](\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)?"
    r"\s*(?:Z|UTC|GMT|-(?:0?\d|1[0-2]):?[0-5]\d|\+(?:0?\d|1[0-4]):?[0-5]\d)?"
)
BEGINS = re.compile(r"\d{4}[:-]\d\d[:-]\d\d")
# Where clocks begin that nobody set.
UNSET = (
    *COUNTED_FROM,
    datetime.date(1, 1, 1),
    datetime.date(1601, 1, 1),
    datetime.date(1980, 1, 1),
)
# Some begin here, but on that day people took pictures, too, if not in its first minute.
UNSET_MIDNIGHT = datetime.datetime(2000, 1, 1)
# A camera in the Far East is ahead of a computer in the West.
AHEAD = datetime.timedelta(days=1)


def read_time(text: str) -> tuple[datetime.datetime | None, bool]:
    """Read a time, year first.

    Args:
        text: Such as ``2024:05:17 09:30:00``.

    Returns:
        The time without a zone, or None, and whether the hour is known and not the date alone.

    Example:
        >>> read_time("2024-05-17T09:30:00.25+02:00")
        (datetime.datetime(2024, 5, 17, 9, 30), True)
        >>> read_time("2019-05-01/2019-12-31")
        (None, False)
    """
    time, has_hour, _ = _read(text.strip())
    return time, has_hour


def why_no_time(text: str) -> str:
    """Say why what begins as a time is none.

    Args:
        text: What stands there.

    Returns:
        The end of a sentence that begins with the text; ``""`` where it is a time, or nothing like
        one.

    Example:
        >>> why_no_time("1980:01:01 00:00:00")
        'is what a clock shows that was never set'
    """
    return _read(text.strip())[2]


def _read(text: str) -> tuple[datetime.datetime | None, bool, str]:
    match = STAMP.fullmatch(text)
    if match is None:
        return None, False, "is no single time" if BEGINS.match(text) else ""
    try:
        year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
        time = datetime.datetime(year, month, day, hour, minute, second)
    except ValueError:  # such as 0000:00:00, which cameras write for an unset clock
        return None, False, ""
    if time > datetime.datetime.now() + AHEAD:
        return None, False, "lies in the future"
    if time.date() in UNSET or (match[4] and time.replace(second=0) == UNSET_MIDNIGHT):
        return None, False, "is what a clock shows that was never set"
    return time, bool(match[4]), ""
