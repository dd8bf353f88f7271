"""Looking through a spreadsheet before it is read: how large its tables would become."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from csp_core.data.reading.archives import Members
from csp_core.errors import BadRecordError

# Bytes of all that a spreadsheet holds, once unpacked.
MAX_TABLES = 1 << 27
# A table is held as a rectangle, however few of its cells are filled; texts that many cells share
# are written out for each.
MAX_CELLS, MAX_TEXTS, MAX_WRITTEN, MAX_PARTS = 10_000_000, 2_000_000, 1 << 28, 1000
BLOCK = 1 << 22
INSTEAD = "export the sheet as CSV"
TEXTS = "xl/sharedstrings.xml"
DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
REFERENCE = re.compile(rb"\sr\s*=\s*[\"']([A-Za-z]*)([0-9]*)")
ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
TEXT = re.compile(rb"<(?:\w+:)?si[\s/>]")
SPACED = bytes.maketrans(b"\t\r\n", b"   ")
# Values that are whole numbers, as those of shared texts are, and those that hide what they are.
VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^<>]*)?>\s*([0-9]{1,7})\s*</")
ODD_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^<>]*)?>(?:[^<&]*&|\s*<!)")
CONTENT, MIMETYPE = "content.xml", "mimetype"
OPEN_DOCUMENT = b"application/vnd.oasis.opendocument.spreadsheet"
# White space between the parts of a table, cells and rows that only fill it up to its edge. Each
# pattern takes a whole run at once, so that none is looked at twice.
BETWEEN = re.compile(rb"(?<=>)(\s++)(</?table:)?")
LAST_CELLS = re.compile(
    rb"((?:<table:(?:covered-)?table-cell(?:\s[^<>]*)?/>)++)(</table:table-row>)?"
)
LAST_ROWS = re.compile(
    rb"((?:<table:table-row(?:\s[^<>]*)?(?:/>|></table:table-row>))++)(</table:table>)?"
)
CELL_START = re.compile(rb"<table:(?:covered-)?table-cell")
TABLE_START = re.compile(rb"<table:table[\s>]")
SPACES = re.compile(rb"text:c\s*=\s*[\"']([^\"']*)")
REPEATED = re.compile(rb"number-(rows|columns)-repeated\s*=\s*[\"']([^\"']*)")


def check_workbook(members: Members) -> None:
    """Refuse an Excel workbook whose tables would take too much memory.

    Args:
        members: The files of the workbook.

    Raises:
        BadRecordError: If they would, or one of its files is no plain XML.
    """
    # The list of files is read again for each of them.
    if len(members.names) > MAX_PARTS:
        raise BadRecordError(
            f"The spreadsheet has {len(members.names):,} parts, of sheets and pictures; up to"
            f" {MAX_PARTS:,} are read: give the sheet of records alone, or {INSTEAD}."
        )
    left = MAX_TABLES
    # The texts first, as the tables refer to them.
    sizes = np.zeros(1, np.int64)
    for name in sorted(members.names, key=lambda name: name.lower() != TEXTS):
        if name.lower() == TEXTS:
            sizes = _sizes_of_texts(members, name, left)
            left -= int(sizes.sum())
        else:
            # A workbook may keep its tables under any name.
            left -= _check_sheet(members, name, left, sizes)


def open_document(members: Members) -> bytes:
    """Give an OpenDocument spreadsheet without what only fills its tables up.

    Args:
        members: The files of the spreadsheet.

    Returns:
        A spreadsheet of the same tables.

    Raises:
        BadRecordError: If its tables would take too much memory.
    """
    data = b"".join(_blocks(members, CONTENT, MAX_TABLES))
    for pattern in (BETWEEN, LAST_CELLS, LAST_ROWS):
        data = pattern.sub(lambda run: run[2] or run[1], data)
    if sum(map(_number, SPACES.findall(data))) > MAX_TABLES:
        raise _too_large("repeats spaces without end")
    for table in TABLE_START.split(data)[1:]:
        _check_table(table)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(MIMETYPE, OPEN_DOCUMENT)
        archive.writestr("META-INF/manifest.xml", b"<manifest/>")
        archive.writestr(CONTENT, data)
    return packed.getvalue()


def _blocks(members: Members, name: str, most: int) -> Iterator[bytes]:
    """Read a file in blocks that end with a tag."""
    carry = b""
    with members.open(name) as stream:
        while block := stream.read(BLOCK):
            most -= len(block)
            if most < 0:
                raise _too_large("holds more than is read at once")
            block = carry + block
            if name.lower().endswith((".xml", ".rels")) and DTD.search(block):
                raise BadRecordError(
                    f"The spreadsheet's {name[:60]} holds a document type (DTD) or entities, which"
                    f" are refused; {INSTEAD}."
                )
            cut = block.rfind(b">") + 1
            carry = block[cut:]
            yield block[:cut]
    yield carry


def _check_sheet(members: Members, name: str, most: int, sizes: npt.NDArray[np.int64]) -> int:
    """Bound the rectangle that holds a table; return the bytes of its XML."""
    size = rows = columns = unnumbered = most_unnumbered = written = 0
    for block in _blocks(members, name, most):
        size += len(block)
        references = REFERENCE.findall(block)
        rows = max([rows, *map(_number, {digits for _, digits in references})])
        columns = max([columns, *map(_column, {letters for letters, _ in references})])
        # Writers may leave the references out; then rows and cells count one by one.
        if _elements(block) > len(references):
            parts = ROW.split(block)
            unnumbered += len(parts) - 1
            inside = max(len(CELL.findall(part)) for part in parts)
            most_unnumbered = max(most_unnumbered, 2 * inside)
        if (rows + unnumbered) * max(columns + most_unnumbered, 1) > MAX_CELLS:
            reach = f"{rows + unnumbered:,} rows and {columns + most_unnumbered:,} columns"
            raise _too_large(f"has a table that reaches over {reach}")
        written += _written(block, sizes)
        if written > MAX_WRITTEN:
            raise _too_large("repeats long texts in many cells")
    return size


def _elements(block: bytes) -> int:
    """Count rows and cells."""
    if b":c" in block or b":row" in block:
        return len(CELL.findall(block)) + len(ROW.findall(block))
    # Counting plain bytes is many times faster, which tables of millions of cells need.
    spaced = block.translate(SPACED)
    return sum(
        spaced.count(begin + end) for begin in (b"<c", b"<row") for end in (b" ", b">", b"/")
    )


def _written(block: bytes, sizes: npt.NDArray[np.int64]) -> int:
    """Bound the bytes of shared texts once they are written out, cell by cell."""
    most = int(sizes.max()) * block.count(b"</")
    if most < MAX_WRITTEN // 40:
        return most
    which = np.array(VALUE.findall(block), dtype="S7").astype(np.int64)
    known = sizes[which[which < len(sizes)]].sum()
    return int(known) + len(ODD_VALUE.findall(block)) * int(sizes.max())


def _sizes_of_texts(members: Members, name: str, most: int) -> npt.NDArray[np.int64]:
    """Give the bytes that each shared text takes in the file."""
    sizes: list[int] = [0]
    for block in _blocks(members, name, most):
        first, *others = TEXT.split(block)
        sizes[-1] += len(first)
        sizes += map(len, others)
        if len(sizes) > MAX_TEXTS:
            raise _too_large("holds more texts than are read at once")
    # What stands before the first text is none.
    return np.array(sizes[1:] or [0], np.int64)


def _check_table(table: bytes) -> None:
    """Bound the rectangle that holds a table of an OpenDocument spreadsheet."""
    rows = columns = written = 0
    for part in table.split(b"<table:table-row")[1:]:
        times, width = 1, part.count(b"table-cell")
        for what, number in REPEATED.findall(part):
            if what == b"rows":
                times = max(times, _number(number))
            else:
                width += _number(number)
        rows, columns = rows + times, max(columns, width)
        if rows * max(columns, 1) > MAX_CELLS:
            raise _too_large(f"has a table that reaches over {rows:,} rows and {columns:,} columns")
        written += times * _repeated_text(part)
        if written > MAX_WRITTEN:
            raise _too_large("repeats long texts in many cells")


def _repeated_text(row: bytes) -> int:
    """Bound the bytes of the cells of a row once repeated ones are written out."""
    if b"columns-repeated" not in row:
        return len(row)
    size = 0
    for cell in CELL_START.split(row)[1:]:
        times = max([1, *(_number(n) for what, n in REPEATED.findall(cell) if what == b"columns")])
        end = cell.find(b">")
        size += times * len(cell) if cell[max(end - 1, 0) : end] != b"/" else 0
    return size


def _number(digits: bytes) -> int:
    if not digits:
        return 0
    return int(digits) if digits.isdigit() and len(digits) < 10 else 1 << 40


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters.upper()[:8]:
        number = 26 * number + letter - 64
    return number


def _too_large(what: str) -> BadRecordError:
    return BadRecordError(
        f"The spreadsheet {what}; tables of up to {MAX_CELLS:,} cells and {MAX_TABLES / 1e6:.0f} MB"
        f" of XML are read: remove empty rows and columns, or {INSTEAD}."
    )
