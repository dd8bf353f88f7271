"""Readers of record files: what a file is, told from its content."""

from __future__ import annotations

import contextlib
import gzip
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from csp_core.data.reading.archives import Folder, Members, Zip, open_gzip
from csp_core.data.reading.camtrap import CamtrapSource, find_package
from csp_core.data.reading.columns import listed
from csp_core.data.reading.darwincore import META, ArchiveSource, find_meta
from csp_core.data.reading.geojson import KINDS, read_geojson
from csp_core.data.reading.inaturalist import read_observations
from csp_core.data.reading.jsonlines import JsonLinesSource, is_json_lines
from csp_core.data.reading.jsonrecords import load_json
from csp_core.data.reading.lines import BLOCK
from csp_core.data.reading.ondisk import find_shapefile, read_geopackage, read_shapefile
from csp_core.data.reading.source import Opener, Source
from csp_core.data.reading.spreadsheets import SheetSource, kind_of_sheet
from csp_core.data.reading.tabular import ParquetSource
from csp_core.data.reading.text import TextSource
from csp_core.data.reading.waypoints import read_waypoints
from csp_core.errors import BadRecordError, CspError, DataNotFoundError

WORKS = (
    "CSV and TSV text (also .gz or .zip), Darwin Core Archives, Camtrap DP, spreadsheets (.xlsx,"
    " .ods), GeoJSON, JSON, JSON Lines, Parquet, GeoParquet, GeoPackage, Shapefile (.zip), KML and"
    " GPX can be read"
)
HEAD = 1 << 16
PLACEMARKS = re.compile(rb"<(?:\w+:)?(?:kml|gpx)[\s/>]")
BEFORE_ELEMENTS = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!", b">"))
SHP = b"\x00\x00\x27\x0a"
TABLES = (
    *(".csv", ".tsv", ".txt", ".tab", ".json", ".geojson", ".parquet", ".jsonl", ".ndjson"),
    *(".geojsonl", ".geojsons", ".kml", ".gpx", ".gpkg"),
)


def open_source(path: Path) -> Source:
    """Open a file of records with whichever reader fits its content.

    Args:
        path: The file, or the folder of a Darwin Core Archive.

    Returns:
        Its columns, ready to be read.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is empty, damaged or of a format that no reader takes.
    """
    if path.is_dir():
        folder = Folder(path)
        if META in folder.names:
            return ArchiveSource(folder, META)
        if package := find_package(folder):
            return CamtrapSource(folder, package)
        raise DataNotFoundError(
            f"{path} is a folder without a meta.xml; give one file, or a Darwin Core Archive."
            f" {WORKS}."
        )
    if not path.exists():
        raise DataNotFoundError(f"No file {path}. {WORKS}.")
    with path.open("rb") as packed:
        zipped = packed.read(2) == b"\x1f\x8b"
    opener: Opener = (lambda: open_gzip(path)) if zipped else (lambda: path.open("rb"))
    kind = _kind(opener)
    if kind.startswith("a part of a Shapefile") and not zipped:
        return read_shapefile(Folder(path.parent), path.name)
    if zipped and kind == "zip":
        raise BadRecordError("This is an archive inside a gzip file; unpack it once.")
    return _read(kind, opener)


def sniff(head: bytes) -> str:
    """Tell what a file holds from how it begins, whatever it is called.

    Args:
        head: Its first bytes, unpacked; a few thousand are enough.

    Returns:
        A key of ``READERS``, or words for a format that has no reader.

    Example:
        >>> sniff(b"PAR1...."), sniff(b"species,lon,lat"), sniff(b'{"type": "Feature"}')
        ('parquet', 'text', 'json')
    """
    for magic, name in SIGNATURES:
        if head.startswith(magic) and not _holds_placemarks(head):
            return name
    if _holds_placemarks(head):
        return "kml or gpx"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it and give its folder or file"
    if head.lstrip(b"\xef\xbb\xbf\x1e \t\r\n")[:1] in (b"{", b"["):
        return "json"
    control = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return "a binary file of unknown format" if control * 100 > len(head) else "text"


def _holds_placemarks(head: bytes) -> bool:
    """Tell whether the first element is that of KML or GPX, after what may stand before it."""
    left = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for _ in range(20):
        end = next((e for begin, e in BEFORE_ELEMENTS if left.startswith(begin)), None)
        if end is None:
            break
        left = left.partition(end)[2].lstrip()
    return PLACEMARKS.match(left) is not None


def _kind(opener: Opener) -> str:
    with opener() as stream:
        return sniff(stream.read(HEAD))


def _read(kind: str, opener: Opener) -> Source:
    if kind not in READERS:
        raise BadRecordError(f"This is {kind}. {WORKS}.")
    return READERS[kind](opener)


def read_json(opener: Opener) -> Source:
    """Read GeoJSON, observations of iNaturalist, other lists of records, or JSON Lines.

    Args:
        opener: Opens the file.

    Returns:
        The records.

    Raises:
        BadRecordError: If it is damaged, or holds neither.
    """
    with opener() as stream:
        if is_json_lines(stream.read(BLOCK)):
            return JsonLinesSource(opener)
    content = load_json(opener)
    if isinstance(content, dict) and content.get("type") in KINDS:
        return read_geojson(content)
    return read_observations(content)


def read_zip(opener: Opener) -> Source:
    """Read a Darwin Core Archive, or the one table of another zip archive.

    Args:
        opener: Opens the archive.

    Returns:
        The records.

    Raises:
        BadRecordError: If the archive is unsafe, or holds no table or several.
    """
    members = Zip(opener)
    if kind := kind_of_sheet(members):
        return SheetSource(kind, members, opener)
    meta = find_meta(members)
    if meta:
        return ArchiveSource(members, meta)
    if package := find_package(members):
        return CamtrapSource(members, package)
    if shape := find_shapefile(members):
        return read_shapefile(members, shape)
    name = _only_table(members)
    kind = _kind(members.opener(name))
    if kind == "zip":
        raise BadRecordError(f"{name} is an archive inside the archive; unpack it once.")
    source = _read(kind, members.opener(name))
    source.notes.append(f"the archive has no meta.xml; {name} was read by its own header")
    return source


def _only_table(members: Members) -> str:
    tables = [n for n in members.names if PurePosixPath(n).suffix.lower() in TABLES]
    named = [n for n in tables if PurePosixPath(n).stem.lower() in ("occurrence", "occurrences")]
    found = named or tables
    if len(found) != 1:
        held = listed(members.names, most=8) or "nothing"
        raise BadRecordError(
            "The zip archive has no meta.xml and not one table alone, so what to read is unknown;"
            f" it holds: {held}. {WORKS}."
        )
    return found[0]


@contextlib.contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Say in one sentence, with the name of the file, what goes wrong while it is read.

    Args:
        path: The file.

    Yields:
        Nothing.

    Raises:
        BadRecordError: For all that damaged or unreadable files cause.
    """
    try:
        yield
    except BadRecordError as error:
        if error.file is not None:
            raise
        raise BadRecordError(str(error), file=path.name) from error
    except zipfile.BadZipFile as error:
        raise BadRecordError(
            f"The zip archive is cut short or damaged; copy it again. {WORKS}.", file=path.name
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadRecordError(
            "The gzip file is cut short or damaged; copy it again.", file=path.name
        ) from error
    except CspError:
        raise
    except (MemoryError, RecursionError) as error:
        raise BadRecordError(
            "The file takes more memory than there is for it; give parts of it.", file=path.name
        ) from error
    except PermissionError as error:
        raise BadRecordError(
            "The file may not be read; check its permissions.", file=path.name
        ) from error
    except OSError as error:
        raise BadRecordError(
            f"The file cannot be read ({error.strerror or error}).", file=path.name
        ) from error


# A new format is one reader and one line here, with a line in SIGNATURES if bytes name it.
READERS: dict[str, Callable[[Opener], Source]] = {
    "text": TextSource,
    "parquet": ParquetSource,
    "json": read_json,
    "zip": read_zip,
    "geopackage": read_geopackage,
    "kml or gpx": read_waypoints,
}

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\xff\xfe", "text"),
    (b"\xfe\xff", "text"),
    (b"%PDF", "a PDF file"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls); export CSV from it"),
    (b"SQLite format 3\0", "geopackage"),
    (SHP, "a part of a Shapefile; give it with its .dbf, .shx and .prj, in one zip archive"),
    (b"<", "a web page or XML file"),
)
