"""Places of other datums and map projections, brought to WGS84 record by record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

# Within two metres of WGS84, which is less than any record knows.
SAME = frozenset(
    "wgs84 wgs1984 wgs84g wgs worldgeodeticsystem1984 worldgeodeticsystem84 epsg4326 4326 crs84"
    " ogccrs84 gps gpswgs84 wgs84gps wgs84epsg4326 epsg4326wgs84 etrs89 etrs1989 epsg4258 4258"
    " europeanterrestrialreferencesystem1989 nad83 nad1983 northamericandatum1983 epsg4269 4269"
    " gda94 gda1994 epsg4283 4283 gda2020 epsg7844 sirgas2000 epsg4674 4674 jgd2000 jgd2011"
    " nzgd2000 nzgd2000epsg4167 epsg4167 4167 cgcs2000 china2000 itrf itrf2000 itrf2008 itrf2014"
    " rgf93 hartebeesthoek94 sweref99 epsg3857wgs84 urnogcdefcrsogc13crs84".split()
)
NAMES = {
    "northamericandatum1927": "NAD27",
    "nad1927": "NAD27",
    "europeandatum1950": "ED50",
    "europeandatum50": "ED50",
    "europeandatum1979": "ED79",
    "tokyodatum": "Tokyo",
    "tokyo1918": "Tokyo",
    "osgb1936": "OSGB36",
    "ordnancesurveyofgreatbritain1936": "OSGB36",
    "southamericandatum1969": "SAD69",
    "southamerican1969": "SAD69",
    "australiangeodeticdatum1966": "AGD66",
    "australiangeodetic1966": "AGD66",
    "australiangeodeticdatum1984": "AGD84",
    "australiangeodetic1984": "AGD84",
    "worldgeodeticsystem1972": "WGS 72",
    "wgs1972": "WGS 72",
    "provisionalsouthamericandatum1956": "PSAD56",
    "pulkovo42": "Pulkovo 1942",
    "potsdam": "DHDN",
    "bessel": "",
    "ch1903": "CH1903",
}
UNKNOWN = "datum is not known, place taken as WGS84"
BEYOND = "datum is not used where the place lies, place taken as WGS84"
DATES = "datum holds a date; if it is that of the record, name it with --map date=COLUMN"
# "Datum" is a date in several languages.
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}\b|\d{8}$")
OF_GEOMETRY = "datum differs from that of the geometry, whose place is in WGS84 already"
PROJECTED = "datum names a map projection, place taken as the degrees that it looks like"


# A datum is not used this far from where it is defined, in degrees: ships and shelves are.
MARGIN = 3.0


@dataclass
class _System:
    """What one text in the column of datums means."""

    text: str
    problem: str = ""
    name: str = ""
    projected: bool = False
    transform: Any = None
    # West, south, east and north of where it is in use, degrees; west is above east over 180.
    area: tuple[float, float, float, float] = (-180.0, -90.0, 180.0, 90.0)
    records: int = 0
    how: str = ""


class Datums:
    """Brings places to WGS84, one piece of a file after the other.

    Args:
        columns: Canonical name to column of the file.
        of_geometry: Whether places come from geometries, which a reader brought to WGS84: what the
            file says of the datum of its other columns moves them no second time.
    """

    def __init__(self, columns: Mapping[str, str], of_geometry: bool = False) -> None:
        self._column, self._of_geometry = columns.get("datum"), of_geometry
        self._known: dict[str, _System | None] = {}

    def convert(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Bring places to WGS84.

        Args:
            rows: ``lon`` and ``lat`` as numbers; the column ``datum`` as text.

        Returns:
            The rows with places in WGS84, ``datum_change``, what was done, and ``datum_flag``, why
            a place was left as it stands; null where nothing is to be said.
        """
        none = pl.lit(None, pl.String)
        rows = rows.with_columns(datum_change=none, datum_flag=none)
        if self._column is None:
            return rows
        texts = rows["datum"].drop_nulls().unique().to_list()
        for text in sorted(set(texts) - self._known.keys()):
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[text] = _system(text)
        others = {t: s for t in sorted(texts) if (s := self._known[t]) is not None}
        for text, system in others.items():
            rows = self._one(rows, text, system)
        return rows

    def _one(self, rows: pl.DataFrame, text: str, system: _System) -> pl.DataFrame:
        here = (rows["datum"] == text).fill_null(False)
        if problem := system.problem or (OF_GEOMETRY if self._of_geometry else ""):
            return rows.with_columns(
                datum_flag=pl.when(here).then(pl.lit(problem)).otherwise("datum_flag")
            )
        lon, lat = rows["lon"].to_numpy().copy(), rows["lat"].to_numpy().copy()
        degrees = (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
        usable = here.to_numpy() & np.isfinite(lon) & np.isfinite(lat)
        moved = usable & ~degrees if system.projected else usable & degrees
        # Far from where it is defined, a conversion gives any place, and no warning.
        beyond = moved & degrees & ~_within(lon, lat, system.area)
        moved = moved & ~beyond
        if moved.any():
            lon_was, lat_was = lon[moved], lat[moved]
            x, y = system.transform.transform(lon[moved], lat[moved])
            good = np.isfinite(x) & np.isfinite(y)
            lon[moved], lat[moved] = np.where(good, x, lon[moved]), np.where(good, y, lat[moved])
            # Where no conversion reaches, the numbers come back as they were.
            same = good & (np.abs(x - lon_was) < 1e-9) & (np.abs(y - lat_was) < 1e-9)
            unsure = same & (system.transform.get_last_used_operation().accuracy < 0)
            beyond[moved] |= unsure
            moved[moved] = good & ~unsure
            system.records += int(moved.sum())
            system.how = system.how or _how(system.transform)
        known = rows["lon"].is_not_null() & rows["lat"].is_not_null()
        said = pl.Series(moved)
        odd = pl.Series(usable & degrees if system.projected else beyond)
        why = PROJECTED if system.projected else BEYOND
        return rows.with_columns(
            lon=pl.when(known).then(pl.Series(lon)),
            lat=pl.when(known).then(pl.Series(lat)),
            datum_change=pl.when(said)
            .then(pl.lit(f"place brought to WGS84 from {system.name}"))
            .otherwise("datum_change"),
            datum_flag=pl.when(odd).then(pl.lit(why)).otherwise("datum_flag"),
        )

    def notes(self) -> list[str]:
        """Say which datums were found, and how well they are known in WGS84.

        Returns:
            Sentences.
        """
        return [
            f"`{self._column}` says {system.text[:60]!r} of {system.records:,} records: places"
            f" brought to WGS84 from {system.name}{system.how}"
            for system in self._known.values()
            if system is not None and system.records
        ]


def _within(
    lon: npt.NDArray[Any], lat: npt.NDArray[Any], area: tuple[float, float, float, float]
) -> npt.NDArray[Any]:
    """Tell which places lie in an area, or near it."""
    west, south, east, north = area
    wide = (east - west) % 360 or 360
    across = (lon - west + MARGIN) % 360 <= min(wide + 2 * MARGIN, 360)
    inside: npt.NDArray[Any] = across & (lat >= south - MARGIN) & (lat <= north + MARGIN)
    return inside


def _how(transform: Any) -> str:
    """Say how good a conversion is."""
    used = transform.get_last_used_operation()
    accuracy = used.accuracy
    return f", good to {accuracy:g} m" if accuracy > 0 else ", how well is not known"


def _system(text: str) -> _System | None:
    """Find what a text in the column of datums means; None for WGS84 and what is as good."""
    plain = re.sub(r"[^a-z0-9]", "", text.casefold())
    if not plain or plain in SAME:
        return None
    if _DATE.match(text):
        return _System(text, problem=DATES)
    import pyproj

    code = re.fullmatch(r"(?:epsg|httpwwwopengisnetdefcrsepsg0|urnogcdefcrsepsg)?(\d{4,6})", plain)
    name = f"EPSG:{code[1]}" if code else NAMES.get(plain, text[:100])
    try:
        crs = pyproj.CRS.from_user_input(name)
        # A search by name may give the next best one.
        found = re.sub(r"[^a-z0-9]", "", crs.name.casefold())
        asked = re.sub(r"[^a-z0-9]", "", name.casefold())
        if not code and found != asked:
            return _System(text, problem=UNKNOWN)
        if not (crs.is_geographic or crs.is_projected):
            return _System(text, problem=UNKNOWN)
        transform = pyproj.Transformer.from_crs(crs, "OGC:CRS84", always_xy=True)
    except (pyproj.exceptions.ProjError, ValueError, TypeError):
        return _System(text, problem=UNKNOWN)
    system = _System(text, name=crs.name, projected=crs.is_projected, transform=transform)
    if crs.area_of_use is not None and not crs.is_projected:
        system.area = crs.area_of_use.bounds
    return system
