"""Readers of table files: each turns a file into columns of text with line numbers."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from csp_core.errors import BadRecordError, DataNotFoundError

Choose = Callable[[Sequence[str]], Sequence[str]]
WORKS = "CSV or TSV text (.csv, .tsv, .txt, also .gz) and Parquet can be read"
RAGGED = "wrong number of fields"
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}


@dataclass(frozen=True, eq=False)
class RawTable:
    """The chosen columns of a file, before any of it is judged.

    Args:
        table: The columns that were chosen, in file order, one row per record.
        lines: ``(rows,)`` line of each record in the file, with the header as line 1.
        format: Name of the format in ``READERS``.
        delimiter: Name of the delimiter, ``""`` for formats without one.
        encoding: Text encoding, ``""`` for formats without one.
        rejected: (line, message) of each record whose fields do not fit the header.
    """

    table: pl.DataFrame
    lines: pl.Series
    format: str
    delimiter: str = ""
    encoding: str = ""
    rejected: tuple[tuple[int, str], ...] = field(default=())


def read_table(path: Path, choose: Choose) -> RawTable:
    """Read the columns that are asked for, by whichever reader fits the content of the file.

    Args:
        path: The file.
        choose: Takes the names of all columns and returns those to keep.

    Returns:
        The columns.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If the file is empty, damaged or of a format that no reader takes.
    """
    if path.is_dir():
        raise DataNotFoundError(f"{path} is a folder; give one file. {WORKS}.")
    if not path.exists():
        raise DataNotFoundError(f"No file {path}. {WORKS}.")
    try:
        packed = path.open("rb")
        with packed:
            zipped = packed.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as stream:
            found = sniff(stream.read(1 << 16))
        if found not in READERS:
            raise BadRecordError(f"This is {found}. {WORKS}.", file=path.name)
        return READERS[found](path, choose, zipped)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadRecordError(
            "The gzip file is cut short or damaged; copy it again.", file=path.name
        ) from error
    except PermissionError as error:
        raise BadRecordError(
            "The file may not be read; check its permissions.", file=path.name
        ) from error


def sniff(head: bytes) -> str:
    """Tell what a file holds from how it begins, whatever it is called.

    Args:
        head: Its first bytes, unpacked; a few thousand are enough.

    Returns:
        A key of ``READERS``, or words for a format that has no reader.

    Example:
        >>> sniff(b"PAR1...."), sniff(b"species,lon,lat"), sniff(b'{"type": "Feature"}')
        ('parquet', 'text', 'a JSON file')
    """
    for magic, name in SIGNATURES:
        if head.startswith(magic):
            return name
    if head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return "a JSON file"
    control = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return "a binary file of unknown format" if control * 100 > len(head) else "text"


def read_text(path: Path, choose: Choose, zipped: bool) -> RawTable:
    """Read delimited text.

    Args:
        path: The file.
        choose: Takes the names of all columns and returns those to keep.
        zipped: Whether it is packed with gzip.

    Returns:
        The columns, as text.

    Raises:
        BadRecordError: If it has no header, no rows, or a quotation that never ends.
    """
    data = gzip.decompress(path.read_bytes()) if zipped else path.read_bytes()
    text, encoding = decode(data)
    first = next((line for line in io.StringIO(text) if line.strip()), "")
    if not first:
        raise BadRecordError("The file is empty.", file=path.name)
    delimiter = max(DELIMITERS, key=first.count)
    # Darwin Core text is tab-separated and its quotes are plain characters.
    quoted = '"' in (first if delimiter == "\t" else text)
    parse = _parse_quoted if quoted else _parse_plain
    try:
        table, lines, rejected = parse(text, delimiter, choose)
    except (csv.Error, pl.exceptions.PolarsError) as error:
        raise BadRecordError(
            f"The text cannot be cut into fields ({error}). A quotation mark may be opened and"
            " never closed: close it, or double it inside a quoted field.",
            file=path.name,
        ) from error
    return RawTable(table, lines, "text", DELIMITERS[delimiter], encoding, tuple(rejected))


def decode(data: bytes) -> tuple[str, str]:
    r"""Turn bytes into text with plain line ends.

    Args:
        data: UTF-8 with or without a byte-order mark, UTF-16 with one, else Latin-1.

    Returns:
        The text, and the name of the encoding.

    Example:
        >>> decode("Pájaro\r\n".encode("latin-1"))
        ('Pájaro\n', 'latin-1')
    """
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    encoding = "utf-16" if utf16 else "utf-8"
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        text, encoding = data.decode("latin-1"), "latin-1"
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


Parsed = tuple[pl.DataFrame, pl.Series, list[tuple[int, str]]]


def _misfit(found: int, expected: int) -> str:
    return f"{found} fields where the header has {expected}"


def _parse_plain(text: str, delimiter: str, choose: Choose) -> Parsed:
    """Cut text without quotation marks, where every line is a record."""
    rows = pl.DataFrame({"text": text.split("\n")}).with_row_index("line", offset=1)
    # A line of nothing but delimiters is a record, if an empty one.
    rows = rows.filter(pl.col("text").str.strip_chars(" ") != "")
    header = [name.strip() for name in rows["text"][0].split(delimiter)]
    wanted = _positions(header, choose)
    found = pl.col("text").str.count_matches(delimiter, literal=True) + 1
    rows = rows[1:].with_columns(found=found)
    bad = rows.filter(pl.col("found") != len(header))
    rejected = [(line, _misfit(n, len(header))) for line, n in bad.select("line", "found").rows()]
    rows = rows.filter(pl.col("found") == len(header))
    table = _empty(wanted)
    if len(rows):
        # Every line fits by now, so polars can neither cut nor fill a record.
        found_columns = pl.read_csv(
            io.BytesIO("\n".join(rows["text"]).encode()),
            separator=delimiter,
            has_header=False,
            columns=sorted(wanted.values()),
            quote_char=None,
            infer_schema=False,
        )
        order = sorted(wanted, key=lambda name: wanted[name])
        table = found_columns.rename(dict(zip(found_columns.columns, order, strict=True)))
    return table, rows["line"].cast(pl.Int64), rejected


def _parse_quoted(text: str, delimiter: str, choose: Choose) -> Parsed:
    """Cut text with quotation marks, where a record may span lines."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    kept: list[list[str]] = []
    lines: list[int] = []
    rejected: list[tuple[int, str]] = []
    wanted: dict[str, int] = {}
    end = 0
    for record in reader:
        line, end = end + 1, reader.line_num
        if not any(field.strip() for field in record) and len(record) <= 1:
            continue
        if not header:
            header = [name.strip() for name in record]
            wanted = _positions(header, choose)
        elif len(record) != len(header):
            rejected.append((line, _misfit(len(record), len(header))))
        else:
            kept.append([record[i] for i in wanted.values()])
            lines.append(line)
    table = (
        pl.DataFrame(kept, schema=_empty(wanted).schema, orient="row") if kept else _empty(wanted)
    )
    return table, pl.Series(lines, dtype=pl.Int64), rejected


def _positions(header: Sequence[str], choose: Choose) -> dict[str, int]:
    return {name: header.index(name) for name in choose(header)}


def _empty(columns: dict[str, int]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def read_parquet(path: Path, choose: Choose, zipped: bool) -> RawTable:
    """Read a Parquet file; its first row counts as line 2.

    Args:
        path: The file.
        choose: Takes the names of all columns and returns those to keep.
        zipped: Whether it is packed with gzip.

    Returns:
        The columns, in the types of the file.

    Raises:
        BadRecordError: If it is cut short or damaged.
    """
    source = io.BytesIO(gzip.decompress(path.read_bytes())) if zipped else path
    try:
        names = list(pl.read_parquet_schema(source))
        wanted = list(choose(names))
        table = pl.read_parquet(source, columns=wanted, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadRecordError(
            f"The Parquet file is cut short or damaged ({reason}); copy it again.", file=path.name
        ) from error
    return RawTable(table, pl.int_range(2, len(table) + 2, eager=True), "parquet")


Reader = Callable[[Path, Choose, bool], RawTable]

# A new format is one reader and one line here, with a line in SIGNATURES if bytes name it.
READERS: dict[str, Reader] = {"text": read_text, "parquet": read_parquet}

ARCHIVE = "a zip archive (perhaps a spreadsheet or a Darwin Core Archive: unpack it, or export CSV)"
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PAR1", "parquet"),
    (b"PK\x03\x04", ARCHIVE),
    (b"\xff\xfe", "text"),
    (b"\xfe\xff", "text"),
    (b"%PDF", "a PDF file"),
    (b"\xd0\xcf\x11\xe0", "an old spreadsheet (.xls); export CSV from it"),
    (b"<", "a web page or XML file"),
)
