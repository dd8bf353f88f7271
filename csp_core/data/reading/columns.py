"""Which column of a table holds what: the names that common exports use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from csp_core.errors import BadRecordError

# Canonical column -> names it goes by, best first, in lower case without separators.
ALIASES: dict[str, tuple[str, ...]] = {
    "scientific_name": ("scientificname", "taxonname", "latinname", "taxon", "binomial"),
    "common_name": (
        *("commonname", "vernacularname", "preferredcommonname", "taxonpreferredcommonname"),
        "speciesguess",
    ),
    "lon": ("lon", "decimallongitude", "longitude", "lng", "long", "x"),
    "lat": ("lat", "decimallatitude", "latitude", "y"),
    "date": ("date", "eventdate", "observedon", "observationdate", "datecollected"),
    "recorder": ("recorder", "recordedby", "author", "userlogin", "observer", "recordist"),
    "uncertainty_m": (
        "uncertaintym",
        "coordinateuncertaintyinmeters",
        "publicpositionalaccuracy",
        "positionalaccuracy",
    ),
    "record_id": ("recordid", "gbifid", "occurrenceid", "xcid", "observationid", "id", "uuid"),
    "license": ("license", "licence", "licensecode"),
}
CANONICAL = tuple(ALIASES)
# What helps to judge a record and is not kept.
EXTRAS: dict[str, tuple[str, ...]] = {
    "status": ("occurrencestatus",),
    "rank": ("taxonrank",),
    "country": ("countrycode",),
    "captive": ("captive", "captivecultivated"),
    "obscured": ("obscured", "coordinatesobscured"),
}
GENUS = ("genus",)
EPITHET = ("specificepithet", "speciesepithet", "epithet")


def plain(name: str) -> str:
    """Reduce a column name to what is compared: no case, no prefix, no separators.

    Args:
        name: As it stands in the file.

    Returns:
        Letters and digits in lower case.

    Example:
        >>> plain("dwc:decimalLongitude"), plain("Scientific Name")
        ('decimallongitude', 'scientificname')
    """
    return re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].casefold())


def find_columns(header: Sequence[str], mapping: Mapping[str, str] | None) -> dict[str, str]:
    """Find the column of each canonical name.

    GBIF's ``species`` is preferred to its ``scientificName``, which carries the author. Where no
    column names the taxon, the two parts are returned as ``genus`` and ``epithet``.

    Args:
        header: The columns of the file.
        mapping: Canonical name to column, for what the aliases do not find or find wrongly.

    Returns:
        Canonical name to column, for the columns that exist, with those of ``EXTRAS``.

    Raises:
        BadRecordError: On a mapping that does not fit, or without coordinates or a name.
    """
    # The first of several columns of one name counts.
    known = {plain(name): name for name in reversed(header) if plain(name)}
    given = {key: _given(header, key, column) for key, column in (mapping or {}).items()}
    found: dict[str, str] = {}
    for key, aliases in ALIASES.items():
        # Our own spelling wins over every alias, so that what we wrote reads back as it was.
        names = (key,) if key in header else _first(known, aliases)
        if column := given.get(key) or next(iter(names), None):
            found[key] = column
    if "scientific_name" not in given and "scientific_name" not in header:
        found |= _name_columns(known, found.pop("scientific_name", None))
    named = "scientific_name" in found or "genus" in found
    missing = [key for key in ("lon", "lat") if key not in found]
    missing += [] if named else ["scientific_name"]
    if missing:
        raise BadRecordError(
            f"No column for {', '.join(missing)}. The columns are: {listed(header)}. Name them with"
            f" mapping={{{missing[0]!r}: 'COLUMN'}} (`csp import-data --map {missing[0]}=COLUMN`)."
        )
    return found | {
        key: names[0] for key, aliases in EXTRAS.items() if (names := _first(known, aliases))
    }


def _first(known: Mapping[str, str], aliases: Sequence[str]) -> tuple[str, ...]:
    return tuple(known[alias] for alias in aliases if alias in known)[:1]


def _name_columns(known: Mapping[str, str], fallback: str | None) -> dict[str, str]:
    """Choose what names the taxon; ``species`` beside ``genus`` may hold the epithet alone."""
    genus, epithet = _first(known, GENUS), _first(known, EPITHET)
    if "species" in known:
        both = {"genus": genus[0]} if genus else {}
        return {"scientific_name": known["species"], **both}
    if fallback:
        return {"scientific_name": fallback}
    return {"genus": genus[0], "epithet": epithet[0]} if genus and epithet else {}


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
