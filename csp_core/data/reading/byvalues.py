"""Columns under names that may mean anything, read where all that stands in them has one meaning.

A column called `number` may count animals or records, and `presence` may be a remark: such names
are asked only together with the values of the whole column, and the report says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from csp_core.data.reading.columns import ALIASES, plain
from csp_core.data.reading.hemispheres import SIDES
from csp_core.data.reading.presence import is_absent, is_present
from csp_core.data.reading.source import Rereader

# So many different values tell what a column is; a number for each record is a list's numbering.
MOST_VALUES, FEW_RECORDS = 10_000, 4
NUMBER = r"^\d+(?:[.,]\d+)?\+?$|^x$"
DATE = r"^(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})(?:[t ].*)?$"
SIDED = re.compile(r"^(?:gps)?(?:lat|lon|lng)|hemi")
STATUS = (
    *("presence", "present", "detected", "detection", "presenceabsence", "pa", "presabs"),
    *("occurrence", "occ", "estado", "wasdetected", "observed", "sighted", "presenza"),
    *("presenca", "vorkommen"),
    *("presente", "presencia", "anwesend", "vorhanden", "aanwezig", "nachgewiesen"),
)
DAYS = ("datum", "data", "dato", "jour", "dia", "day", "pvm")
COUNT = (
    *("number", "abundance", "individuals", "numberofindividuals", "noofindividuals", "howmany"),
    *("total", "totalcount", "numindividuals", "anzahl", "aantal", "nombre", "effectif"),
    *("menge", "bestand", "count", "counts", "catch", "catchnumber", "conteo", "contagem"),
    *("numeroindividuos", "numberobserved", "numberseen", "numobserved", "obscount", "individus"),
    *("cantidad", "antal", "quantidade", "numero"),
)


def _sides(key: str) -> Callable[[pl.Expr], pl.Expr]:
    # "O" is east to some and west to others, so that such records are marked.
    words = [*(word for side in SIDES[key] for word in side), *["o"] * (key == "lon_side")]
    return lambda text: text.str.strip_chars(". ").is_in(words)


@dataclass(frozen=True)
class _Kind:
    """What a column may be: which headings ask for it, what all values have to be, in words."""

    key: str
    asked: Callable[[str], bool]
    fits: Callable[[pl.Expr], pl.Expr]
    words: str
    numbers: bool = False


# The first that fits is taken: zeros and ones say whether it was there, other numbers how many.
KINDS = (
    _Kind("status", lambda n: n in STATUS, lambda t: is_absent(t) | is_present(t),
          "whether the species was there"),
    _Kind("count", lambda n: n in STATUS + COUNT, lambda t: t.str.contains(NUMBER),
          "how many there were", numbers=True),
    _Kind("lat_side", lambda n: bool(SIDED.search(n)), _sides("lat_side"), "north or south"),
    _Kind("lon_side", lambda n: bool(SIDED.search(n)), _sides("lon_side"), "east or west"),
    _Kind("date", lambda n: n in DAYS, lambda t: t.str.contains(DATE), "the date"),
)  # fmt: skip
KNOWN = frozenset(alias for aliases in ALIASES.values() for alias in aliases)


@dataclass
class _Seen:
    """What was seen of a column: records with a value, and different ones of these."""

    records: int = 0
    values: set[str] = field(default_factory=set)
    kinds: tuple[_Kind, ...] = ()


def by_values(
    header: Sequence[str], columns: Mapping[str, str], reread: Rereader
) -> tuple[dict[str, str], list[str]]:
    """Find columns whose names alone do not say what they hold, by all their values.

    Args:
        header: The columns of the file that hold plain values.
        columns: Canonical name to column, as far as names tell.
        reread: Gives columns of the whole file; asked once, if there are such names.

    Returns:
        Canonical name to column with what was found, and a sentence for each of those.
    """
    found, notes = dict(columns), []
    # A column that names alone took for a datum may be one of dates.
    used = {column for key, column in columns.items() if key != "datum"}
    seen: dict[str, _Seen] = {}
    for name in dict.fromkeys(header):
        kinds = tuple(k for k in KINDS if k.key not in columns and k.asked(plain(name)))
        if kinds and name not in used and plain(name) not in KNOWN:
            seen[name] = _Seen(kinds=kinds)
    if seen:
        _look(seen, reread)
    for name, about in seen.items():
        for kind in about.kinds:
            if kind.key in found or not about.records or (kind.numbers and _numbering(about)):
                continue
            found[kind.key] = name
            if kind.key == "date" and found.get("datum") == name:
                del found["datum"]
            some = " and ".join(map(repr, sorted(about.values)[:2]))
            notes.append(
                f"{name!r} is read as {kind.words}, as all its {about.records:,} values are"
                f" such, like {some}"
            )
            break
    return found, notes


def _look(seen: dict[str, _Seen], reread: Rereader) -> None:
    """Read the columns until each is known to be none of its kinds, or to the end."""
    for table in reread(list(seen)):
        left = False
        for name, about in seen.items():
            if not about.kinds:
                continue
            # The values repeat, so that looking at each once is enough.
            text = table[name].cast(pl.String).str.strip_chars().str.to_lowercase()
            text = text.filter(text != "").alias("t")
            about.records += len(text)
            values = text.unique().to_frame()
            fits = values.select(
                kind.fits(pl.col("t")).fill_null(False).all().alias(str(i))
                for i, kind in enumerate(about.kinds)
            ).row(0)
            about.kinds = tuple(k for k, good in zip(about.kinds, fits, strict=True) if good)
            if len(about.values) < MOST_VALUES:
                about.values.update(values["t"].to_list())
            left |= bool(about.kinds)
        if not left:
            return


def _numbering(about: _Seen) -> bool:
    """Tell whether no number stands twice, as those of a list's lines do not."""
    return about.records >= FEW_RECORDS and len(about.values) >= min(about.records, MOST_VALUES)
