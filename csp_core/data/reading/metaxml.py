"""What meta.xml says of the files of a Darwin Core Archive."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.parsers import expat

from csp_core.errors import BadRecordError

# A description of columns is some kilobytes; more is no description.
MAX_XML = 1 << 24
# Files that count as one table; each costs time of its own.
MAX_FILES = 100
ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n", "&#9;": "\t"}


@dataclass(frozen=True)
class Part:
    """The core of an archive, or one extension.

    Args:
        row_type: Last part of what its rows are, such as ``Occurrence``.
        files: Where its rows are; several files count as one.
        delimiter: Between two fields.
        quote: Around a field, ``""`` where quotes are plain characters.
        encoding: Text encoding.
        skip_lines: Header lines.
        key: Field of the record's id (core) or of the core record's (extension), if stated.
        columns: Term to field.
        defaults: Term to the value that it has where its field is empty or absent.
    """

    row_type: str
    files: tuple[str, ...]
    delimiter: str
    quote: str
    encoding: str
    skip_lines: int
    key: int | None
    columns: dict[str, int]
    defaults: dict[str, str]


def parse_meta(data: bytes) -> tuple[Part, list[Part]]:
    """Read a meta.xml.

    Args:
        data: Its bytes.

    Returns:
        The core and the extensions.

    Raises:
        BadRecordError: If it is no such description, or holds a DTD or entities.
    """
    if len(data) > MAX_XML:
        raise BadRecordError("meta.xml is larger than 16 MB; it should describe some files.")
    _refuse_dtd(data)
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadRecordError(f"meta.xml is damaged ({error}).") from error
    core = next((e for e in root if _tag(e) == "core"), None)
    if core is None:
        raise BadRecordError("meta.xml describes no core file.")
    return _part(core, "id"), [_part(e, "coreid") for e in root if _tag(e) == "extension"]


def _refuse_dtd(data: bytes) -> None:
    """Stop at the first sign of a document type, before any entity could be expanded."""

    def refuse(*_: object) -> None:
        raise BadRecordError(
            "meta.xml holds a document type (DTD) or entities, which are refused; remove them."
        )

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except BadRecordError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadRecordError(f"meta.xml is damaged ({error}).") from error


def _part(element: ET.Element, key: str) -> Part:
    def attribute(name: str, default: str) -> str:
        value = element.get(name, default)
        return ESCAPES.get(value, value)

    delimiter, quote = attribute("fieldsTerminatedBy", ","), attribute("fieldsEnclosedBy", '"')
    if attribute("linesTerminatedBy", "\n") not in ("\n", "\r\n", "\r"):
        raise BadRecordError("meta.xml ends lines with something other than a line end.")
    if len(delimiter.encode()) != 1 or len(quote.encode()) > 1:
        raise BadRecordError(
            f"meta.xml separates fields by {delimiter!r} and encloses them in {quote!r}; only"
            " single characters can be read."
        )
    columns: dict[str, int] = {}
    defaults: dict[str, str] = {}
    for field in (e for e in element if _tag(e) == "field"):
        term = _term(field.get("term", ""))
        if not term or term in columns:
            continue
        if field.get("index") is not None:
            columns[term] = _number(field.get("index"), "index")
        if default := field.get("default"):
            defaults[term] = default
    ids = [e for e in element if _tag(e) == key]
    at = _number(ids[0].get("index"), "index") if ids else None
    files = [e.text.strip() for e in element.iter() if _tag(e) == "location" and e.text]
    if not files:
        raise BadRecordError("meta.xml names no file for its core or an extension.")
    if len(files) > MAX_FILES or len(set(files)) < len(files):
        raise BadRecordError(
            f"meta.xml names {len(files):,} files for one table; up to {MAX_FILES} are read, each"
            " once."
        )
    return Part(
        row_type=_last(element.get("rowType", "")),
        files=tuple(files),
        delimiter=delimiter,
        quote=quote,
        encoding=element.get("encoding", ""),
        skip_lines=_number(element.get("ignoreHeaderLines", "0"), "ignoreHeaderLines"),
        key=at,
        columns=columns,
        defaults=defaults,
    )


def _tag(element: ET.Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _term(uri: str) -> str:
    """Name a term by its last part; Dublin Core's date is that of an entry, not of a record."""
    term = _last(uri)
    return f"dcterms:{term}" if term == "date" and "purl.org/dc" in uri else term


def _last(term: str) -> str:
    return term.strip().rstrip("/").replace("#", "/").rsplit("/", 1)[-1].rsplit(":", 1)[-1]


def _number(text: str | None, what: str) -> int:
    try:
        number = int(text or "")
    except ValueError:
        number = -1
    if not 0 <= number < 10_000:
        raise BadRecordError(f"meta.xml has the {what} {text!r}, which is no count.")
    return number
