"""Events within events: what a part does not say, the whole says of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import polars as pl

from csp_core.data.reading.columns import plain

# Terms that say one thing together, so that they are taken together or not at all; the first ones
# decide whether an event says it.
PLACE = (
    ("decimallatitude", "decimallongitude"),
    ("coordinateuncertaintyinmeters", "geodeticdatum", "coordinateprecision", "footprintwkt"),
)
DATE = (
    ("eventdate", "year", "month", "day", "verbatimeventdate"),
    ("startdayofyear", "enddayofyear", "eventtime"),
)
COUNTRY = (("countrycode", "country"), ())
UNITS = {"places": PLACE, "dates": DATE, "countries": COUNTRY}
INHERITED = "{what} of events taken from the event that they are part of: {{}}"
# Cruise, station, haul, sample: more levels than this are a circle.
LEVELS = 32
# Columns of our own, by names that no term can have.
ID, UP, AT, ROW = "\0id", "\0up", "\0at", "\0row"


def filled(name: str) -> pl.Expr:
    """Give a column of text without what is blank."""
    text = pl.col(name)
    return pl.when(text.cast(pl.String).str.strip_chars() != "").then(text)


def own_or_theirs(
    table: pl.DataFrame, own: Sequence[str], columns: Sequence[str], mark: str
) -> list[pl.Expr]:
    """Take what a record says of itself, else what its event says, in units of one meaning.

    A record with a place of its own takes no datum and no uncertainty of its event's.

    Args:
        table: Columns of the record, and those of the event with a mark behind their names.
        own: Those of the record.
        columns: Those to give, where both have them.
        mark: What stands behind the names of the event's.

    Returns:
        Expressions, named as the columns.
    """
    both = [name for name in columns if f"{name}{mark}" in table.columns]
    found = {name: pl.coalesce(filled(name), f"{name}{mark}") for name in both}
    for decide, also in UNITS.values():
        first = [name for name in own if plain(name) in decide]
        if not first:
            continue
        says = pl.any_horizontal(filled(name).is_not_null() for name in first)
        for name in both:
            if plain(name) in decide + also:
                theirs = pl.when(~says).then(f"{name}{mark}")
                found[name] = pl.coalesce(filled(name), theirs)
    return [value.alias(name) for name, value in found.items()]


def with_parents(
    events: pl.DataFrame, event: str, parent: str, columns: Sequence[str], counts: Counter[str]
) -> pl.DataFrame:
    """Fill the places and dates that events leave to the event that they are part of.

    Args:
        events: A row for each event, as text.
        event: Column of its identifier.
        parent: Column of the identifier of the event that it is part of.
        columns: Those that may be filled.
        counts: Where to count the events that were filled.

    Returns:
        The events; what no event above says either stays empty.

    Example:
        >>> table = {"id": ["a", "b"], "up": [None, "a"], "eventDate": ["2019", ""]}
        >>> with_parents(pl.DataFrame(table), "id", "up", ["eventDate"], Counter())["eventDate"]
        shape: (2,)
        Series: 'eventDate' [str]
        [
            "2019"
            "2019"
        ]
    """
    above = _by_identifier(events, event, parent, columns)
    for what, (decide, also) in UNITS.items():
        first = [name for name in columns if plain(name) in decide]
        unit = [*first, *(name for name in columns if plain(name) in also)]
        taken = _found_above(events, above, parent, first, unit) if first else None
        if taken is not None and len(taken):
            counts[INHERITED.format(what=what)] += len(taken)
            events = _filled_with(events, taken, first, unit)
    return events


def _by_identifier(
    events: pl.DataFrame, event: str, parent: str, columns: Sequence[str]
) -> pl.DataFrame:
    """Give each event by its identifier; of rows of one identifier the first counts."""
    ids, up = filled(event).str.strip_chars(), filled(parent).str.strip_chars()
    above = events.select(ids.alias(ID), up.alias(UP), *columns)
    return above.unique(ID, keep="first", maintain_order=True).drop_nulls(ID)


def _found_above(
    events: pl.DataFrame,
    above: pl.DataFrame,
    parent: str,
    first: Sequence[str],
    unit: Sequence[str],
) -> pl.DataFrame | None:
    """Go up level by level, until no event lacks what one above it says."""
    says = pl.any_horizontal(filled(name).is_not_null() for name in first)
    start = filled(parent).str.strip_chars().alias(AT)
    wanting = events.with_row_index(ROW).filter(~says).select(ROW, start)
    found = []
    for _ in range(LEVELS):
        wanting = wanting.drop_nulls(AT)
        if not len(wanting):
            break
        met = wanting.join(above, left_on=AT, right_on=ID, how="inner")
        found.append(met.filter(says).select(ROW, *unit))
        wanting = met.filter(~says).select(ROW, pl.col(UP).alias(AT))
    return pl.concat(found) if found else None


def _filled_with(
    events: pl.DataFrame, taken: pl.DataFrame, first: Sequence[str], unit: Sequence[str]
) -> pl.DataFrame:
    """Write what was found into its events."""
    numbered = events.with_row_index(ROW)
    both = numbered.join(taken, on=ROW, how="left", suffix=UP, maintain_order="left")
    given = pl.any_horizontal(pl.col(f"{name}{UP}").is_not_null() for name in first)
    values = [pl.when(given).then(pl.col(f"{n}{UP}")).otherwise(pl.col(n)).alias(n) for n in unit]
    return both.with_columns(values).select(events.columns)
