"""Which column of a table holds what: the names that common exports use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from csp_core.data.reading.extras import DATE_PARTS, EXTRAS
from csp_core.data.reading.headings import (
    ALIASES,
    BESIDE,
    CANONICAL,
    EPITHET,
    GENUS,
    NOT_OURS,
    SIZES,
    SPECIES,
)
from csp_core.data.reading.units import UNIT_END, unit_column
from csp_core.errors import BadRecordError

__all__ = [
    "ALIASES",
    "CANONICAL",
    "EXTRAS",
    "competing",
    "find_columns",
    "guess_columns",
    "instead",
    "listed",
    "plain",
]
# Where another column could have been meant, a reader should know which was taken.
COMPETE = ("date", "lon", "lat", "uncertainty_m")
# A date, but not that on which somebody wrote the record down.
MAYBE_DATE = re.compile(
    r"^(?!.*(?:modif|updat|creat|import|identi|upload|interpret|crawl|geod|last|publi|entr|accessed))"
    r".*(?:date|datum|fecha|jahr|year|annee)"
)
# What two headings of one place differ in.
LONGITUDE = re.compile(r"longitude?|long|lng|lon")
LATITUDE = re.compile(r"latitude?|lat")
# How the remedy begins of what names no columns; whoever offers another one cuts it off there.
REMEDY = " Name them with mapping="


def plain(name: str) -> str:
    """Reduce a column name to what is compared: no case, accents, prefix or separators.

    Args:
        name: As it stands in the file.

    Returns:
        Letters and digits in lower case.

    Example:
        >>> plain("dwc:decimalLongitude"), plain("Nombre científico"), plain("dcterms:date")
        ('decimallongitude', 'nombrecientifico', 'dctermsdate')
    """
    folded = name.casefold().strip()
    if folded not in NOT_OURS:
        folded = folded.rsplit(":", 1)[-1]
    if not folded.isascii():
        folded = unicodedata.normalize("NFKD", folded)
    return re.sub(r"[^a-z0-9]", "", folded)


def find_columns(
    header: Sequence[str],
    mapping: Mapping[str, str] | None,
    known: Mapping[str, str] | None = None,
    fallback: Mapping[str, str] | None = None,
    *,
    named: bool = True,
) -> dict[str, str]:
    """Find the column of each canonical name.

    GBIF's ``species`` is preferred to its ``scientificName``, which carries the author. Where no
    column names the taxon, the two parts are returned as ``genus`` and ``epithet``.

    Args:
        header: The columns of the file.
        mapping: Canonical name to column, for what the aliases do not find or find wrongly.
        known: Canonical name to the column that holds it for certain.
        fallback: Canonical name to column, for what nothing else is found for.
        named: Whether there has to be a column of names.

    Returns:
        Canonical name to column, for the columns that exist, with those of ``EXTRAS``.

    Raises:
        BadRecordError: On a mapping that does not fit, or without coordinates or a needed name.
    """
    given = {key: _given(header, key, column) for key, column in (mapping or {}).items()}
    found = guess_columns(header, {**(known or {}), **given}, fallback)
    missing = [key for key in ("lon", "lat") if key not in found]
    missing += [] if not named or {"scientific_name", "genus"} & {*found} else ["scientific_name"]
    if missing:
        raise BadRecordError(
            f"No column for {', '.join(missing)}. The columns are: {listed(header)}.{REMEDY}"
            f"{{{missing[0]!r}: 'COLUMN'}} (`csp import-data --map {missing[0]}=COLUMN`)."
        )
    # What the user says a column holds, it does not hold something else beside it.
    names = {plain(name): name for name in reversed(header) if plain(name)}
    own = {key: _first(names, aliases) for key, aliases in EXTRAS.items()} | _parts(names)
    own["uncertainty_unit"] = _unit(names, found)
    return found | {
        key: first[0] for key, first in own.items() if first and first[0] not in given.values()
    }


def guess_columns(
    header: Sequence[str],
    sure: Mapping[str, str] | None = None,
    fallback: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Find what columns there are for, without asking that there be enough.

    Args:
        header: The columns of the file.
        sure: Canonical name to the column that holds it for certain.
        fallback: Canonical name to column, for what nothing else is found for.

    Returns:
        Canonical name to column, without those of ``EXTRAS``.

    Example:
        >>> guess_columns(["Latitude", "x", "eventDate"])
        {'lon': 'x', 'lat': 'Latitude', 'date': 'eventDate'}
    """
    sure = sure or {}
    # The first of several columns of one name counts.
    names = {plain(name): name for name in reversed(header) if plain(name)}
    found: dict[str, str] = {}
    for key, aliases in ALIASES.items():
        if column := sure.get(key) or next(iter(_first(names, aliases)), None):
            found[key] = column
    sizes = {key: key in found and plain(found[key]) == size for key, size in SIZES.items()}
    if any(sizes.values()) and not all(sizes.values()):
        found = {k: v for k, v in found.items() if k in sure or not sizes.get(k)}
    if "scientific_name" not in sure and "scientific_name" not in header:
        found |= _name_columns(names, found.pop("scientific_name", None))
    timed = [h for h, others in BESIDE.items() if h in names and any(o in names for o in others)]
    if timed:
        found.setdefault("date", names[timed[0]])
    named = "scientific_name" in found or "genus" in found
    for key, column in (fallback or {}).items():
        if not (key == "scientific_name" and named):
            found.setdefault(key, column)
    return found


def spare_places(header: Sequence[str], found: Mapping[str, str]) -> list[tuple[str, str]]:
    """List other pairs of columns that hold a place, for records whose first pair is blank.

    Args:
        header: The columns of the file.
        found: What ``find_columns`` returned.

    Returns:
        Longitude and latitude of each pair.

    Example:
        >>> names = ["decimalLatitude", "decimalLongitude", "lat", "lon", "x"]
        >>> spare_places(names, {"lon": "decimalLongitude", "lat": "decimalLatitude"})
        [('lon', 'lat')]
    """
    known = {plain(name): name for name in reversed(header) if plain(name)}
    lats = {
        LATITUDE.sub("#", alias): known[alias] for alias in ALIASES["lat"][::-1] if alias in known
    }
    lons = [alias for alias in ALIASES["lon"] if alias in known and LONGITUDE.search(alias)]
    # Numbers called x and y may be of any map.
    stems = {known[alias]: LONGITUDE.sub("#", alias) for alias in lons}
    pairs = [(lon, lats[stem]) for lon, stem in stems.items() if stem in lats]
    used = {*found.values()}
    return [pair for pair in pairs if not used & {*pair}]


def competing(
    header: Sequence[str], found: Mapping[str, str], known: Mapping[str, str] | None = None
) -> list[str]:
    """Say where several columns could hold a value, of which one was taken.

    Args:
        header: The columns of the file.
        found: What ``find_columns`` returned.
        known: What it was given.

    Returns:
        A sentence for each such value.

    Example:
        >>> competing(["date", "eventDate"], {"date": "eventDate"})
        ["date is read from 'eventDate', not from 'date'"]
    """
    said = []
    for key in COMPETE:
        aliases = {*ALIASES[key], *(map(plain, NOT_OURS) if key == "date" else ())}
        same = plain(found.get(key, ""))
        # Columns of one name are put together, but for a place that was computed.
        sure = (known or {}).get(key)
        others = [
            n for n in header if (p := plain(n)) in aliases and (p != same or (sure and n != sure))
        ]
        if others and key in found:
            said.append(f"{key} is read from {found[key]!r}, not from {_quoted(others)}")
        elif others:
            said.append(f"{_quoted(others)} is not the date of a record and was not used")
    if "uncertainty_m" in found and "uncertainty_unit" not in found:
        units = [name for name in header if plain(name) in EXTRAS["uncertainty_unit"]]
        unit = f"is not taken as the unit of {found['uncertainty_m']!r}"
        said += [f"{_quoted(units)} {unit}"] if units else []
    used = {plain(column) for column in found.values()} | {*map(plain, NOT_OURS)}
    maybe = [n for n in header if plain(n) not in used and MAYBE_DATE.search(plain(n))]
    if maybe and not {"date", "year"} & {*found}:
        said.append(f"no column was found to hold the date; {_quoted(maybe)} may, and is not used")
    return said


def instead(found: Mapping[str, str], fallback: Mapping[str, str]) -> list[str]:
    """Say where a value is taken from a column that is not named for it.

    Args:
        found: What ``find_columns`` returned.
        fallback: What it was given.

    Returns:
        A sentence for each.

    Example:
        >>> instead({"scientific_name": "name"}, {"scientific_name": "name"})
        ["no column names the scientific_name, so that 'name' is taken for it"]
    """
    return [
        f"no column names the {key}, so that {column!r} is taken for it"
        for key, column in fallback.items()
        if found.get(key) == column
    ]


def _quoted(names: Sequence[str]) -> str:
    return listed([repr(name) for name in dict.fromkeys(names)], most=4)


def _first(known: Mapping[str, str], aliases: Sequence[str]) -> tuple[str, ...]:
    return tuple(known[alias] for alias in aliases if alias in known)[:1]


def _unit(known: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, ...]:
    """Find the column of the unit of the distances that were chosen, and of no others."""
    aliases = EXTRAS["uncertainty_unit"]
    units = [name for name in aliases if name in known]
    units += [name for name in known if name not in aliases and UNIT_END.search(name)]
    unit = unit_column(plain(found.get("uncertainty_m", "")), units, known)
    return (known[unit],) if unit else ()


def _parts(known: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Choose year, month and day of one language, those that are all there before others."""
    whole = [parts for parts in DATE_PARTS if all(part in known for part in parts)]
    # The days of a span are no single day, unless the file says where it ends.
    whole = [parts for parts in whole if parts[0] != "startyear" or "endyear" not in known]
    chosen = whole[0] if whole else DATE_PARTS[0]
    return {
        key: _first(known, (name,))
        for key, name in zip(("year", "month", "day"), chosen, strict=True)
    }


def _name_columns(known: Mapping[str, str], fallback: str | None) -> dict[str, str]:
    """Choose what names the taxon; ``species`` beside ``genus`` may hold the epithet alone."""
    genus, epithet = _first(known, GENUS), _first(known, EPITHET)
    if "species" in known:
        both = {"genus": genus[0]} if genus else {}
        return {"scientific_name": known["species"], **both}
    parts = {"genus": genus[0], "epithet": epithet[0]} if genus and epithet else {}
    if fallback and plain(fallback) in SPECIES:
        # Beside both parts it is a common name; beside a genus it may be the second of them.
        return parts or {"scientific_name": fallback, **({"genus": genus[0]} if genus else {})}
    return {"scientific_name": fallback} if fallback else parts


def _given(header: Sequence[str], key: str, column: str) -> str:
    if key not in ALIASES:
        raise BadRecordError(f"Unknown key {key!r} in mapping; the keys are: {listed(CANONICAL)}.")
    if column in header:
        return column
    same = [name for name in header if name.strip().casefold() == str(column).strip().casefold()]
    if len(same) == 1:
        return same[0]
    raise BadRecordError(
        f"Mapping gives {key!r} the column {column!r}, which is not there. The columns are:"
        f" {listed(header)}."
    )


def listed(names: Sequence[str], most: int = 40) -> str:
    """Name columns in a message without filling the screen.

    Args:
        names: What to list.
        most: How many to name.

    Returns:
        The names, with a count of those left out.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        'a, b, … (3 in all)'
    """
    more = f", … ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more
