"""Files that a library wants to have by a path: GeoPackages and Shapefiles, looked at before."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from csp_core.data.reading.archives import Members, copy_to
from csp_core.data.reading.columns import listed
from csp_core.data.reading.source import Opener
from csp_core.data.reading.vectors import VectorSource
from csp_core.errors import BadRecordError

# What a Shapefile consists of.
NEEDED, MAY_LACK = (".shp", ".dbf", ".shx"), (".prj", ".cpg")
APPLICATION = {b"GPKG", b"GP10", b"GP11"}
MAX_OBJECTS = 10_000
# Steps of SQLite's machine that looking at the list of tables may take.
STEPS, MAX_STEPS = 10_000, 500
# What is computed while a table is read may go on for ever.
COMPUTED = (
    "SELECT t.name FROM sqlite_master AS t, pragma_table_xinfo(t.name) AS c"
    " WHERE t.type = 'table' AND t.sql NOT LIKE 'create virtual%' AND c.hidden IN (2, 3)"
)


def read_geopackage(opener: Opener) -> VectorSource:
    """Read a GeoPackage.

    Args:
        opener: Opens it.

    Returns:
        The records.

    Raises:
        BadRecordError: If it is damaged, another database, or computes what it holds.
    """

    @contextlib.contextmanager
    def on_disk() -> Iterator[Path]:
        with _path_of(opener, "records.gpkg") as path:
            yield path

    with opener() as stream:
        head = stream.read(100)
    if head[68:72] not in APPLICATION:
        raise BadRecordError(
            "This is a database (SQLite) and no GeoPackage; export CSV or GeoJSON from it."
        )
    with on_disk() as path:
        _check_database(path)
    return VectorSource("geopackage", on_disk)


def find_shapefile(members: Members) -> str | None:
    """Find the Shapefile of an archive or folder.

    Args:
        members: The files.

    Returns:
        The name of its ``.shp``; None if there is none.

    Raises:
        BadRecordError: If there are several.
    """
    found = [name for name in members.names if name.lower().endswith(".shp")]
    if len(found) > 1:
        raise BadRecordError(
            f"There are several Shapefiles: {listed(found, 8)}; give one, with its .dbf and .prj."
        )
    return found[0] if found else None


def read_shapefile(members: Members, name: str) -> VectorSource:
    """Read a Shapefile.

    Args:
        members: The files that it is among.
        name: That of its ``.shp``.

    Returns:
        The records.

    Raises:
        BadRecordError: If a part is missing, or it is damaged.
    """
    stem = str(PurePosixPath(name).with_suffix(""))
    held = {n.lower(): n for n in members.names}
    parts = {ending: held.get(f"{stem}{ending}".lower()) for ending in (*NEEDED, *MAY_LACK)}
    if missing := [ending for ending in NEEDED if not parts[ending]]:
        raise BadRecordError(
            f"{name[:80]} lies there without its {' and '.join(missing)}: give all parts of the"
            " Shapefile in one zip archive."
        )

    @contextlib.contextmanager
    def on_disk() -> Iterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            for ending, part in parts.items():
                if part:
                    # Names of the archive are not used, whatever they are.
                    _copy(members.opener(part), Path(folder, f"records{ending}"))
            yield Path(folder, "records.shp")

    return VectorSource("shapefile", on_disk)


@contextlib.contextmanager
def _path_of(opener: Opener, name: str) -> Iterator[Path]:
    """Give the path of a file, that of a copy where it comes out of an archive."""
    with opener() as stream:
        own = getattr(stream, "name", None)
        plain = Path(own) if isinstance(own, str) and stream.seekable() else None
    # A file of another ending would be taken for something else.
    if plain is not None and plain.suffix.lower() == Path(name).suffix:
        yield plain
        return
    with tempfile.TemporaryDirectory() as folder:
        _copy(opener, Path(folder, name))
        yield Path(folder, name)


def _copy(opener: Opener, path: Path) -> None:
    with opener() as stream, path.open("wb") as copy:
        copy_to(copy, stream)


def _check_database(path: Path) -> None:
    """Refuse a database that computes what it holds, before anything of it is read."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return int(steps > MAX_STEPS)

    try:
        address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
            database.set_progress_handler(count, STEPS)
            listing = database.execute("SELECT type, name, sql FROM sqlite_master")
            objects = listing.fetchmany(MAX_OBJECTS + 1)
            computed = database.execute(COMPUTED).fetchmany(1)
    except (sqlite3.Error, UnicodeError) as error:
        raise BadRecordError(f"The GeoPackage is cut short or damaged ({error}).") from error
    tables = {str(name).lower() for kind, name, _ in objects if kind == "table"}
    if len(objects) > MAX_OBJECTS or "gpkg_contents" not in tables:
        raise BadRecordError("The GeoPackage is damaged: it holds no plain list of its contents.")
    for kind, name, sql in objects:
        text = str(sql or "")
        virtual = re.match(r"\s*create\s+virtual", text, re.IGNORECASE)
        if virtual and not re.search(r"\busing\s+\"?rtree\b", text, re.IGNORECASE):
            raise _computes(str(name))
        if kind == "view":
            raise _computes(str(name))
    if computed:
        raise _computes(str(computed[0][0]))


def _computes(name: str) -> BadRecordError:
    return BadRecordError(
        f"The GeoPackage computes {name[:60]!r} while it is read (a view or a computed column);"
        " save the layer as a table of its own."
    )
