"""Days that programs count from, which stand where a date was never set."""

from __future__ import annotations

import datetime

# Of spreadsheets, databases and systems: what they write where the number is 0.
COUNTED_FROM = (
    datetime.date(1899, 12, 30),
    datetime.date(1899, 12, 31),
    datetime.date(1900, 1, 1),
    datetime.date(1904, 1, 1),
    datetime.date(1970, 1, 1),
)
