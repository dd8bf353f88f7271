"""Delimited text, read in blocks of whole lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from csp_core.data.reading.beginning import DELIMITERS, best_delimiter, find_beginning
from csp_core.data.reading.columns import listed
from csp_core.data.reading.lines import LineReader
from csp_core.data.reading.source import (
    Chunk,
    Opener,
    Rejected,
    Source,
    check_columns,
    empty_table,
)
from csp_core.data.reading.twins import put_together, set_apart, shown, with_twins
from csp_core.errors import BadRecordError

NEWLINE = 10
CACHED = 1 << 18
# Lines of one block that are no records, each of which would be told; beside as few that are.
MOST_MISFITS = 500_000
NEEDED = {"decimalLongitude", "decimalLatitude", "scientificName"}


@dataclass(frozen=True)
class Dialect:
    """How a text is cut where something other than the text itself says so.

    Args:
        delimiter: One character.
        quote: One character, or ``""`` where quotes are plain characters.
        encoding: A codec, or ``""`` to find it from the content.
        skip_lines: Lines before the first record.
        columns: Name to position of the field.
    """

    delimiter: str
    quote: str
    encoding: str
    skip_lines: int
    columns: dict[str, int]


class TextSource(Source):
    """Records in delimited text.

    Without a dialect the header is found by ``find_beginning``, and the delimiter is the one that
    it holds most of, unless a line before it names another. Quotes in tab-separated text are plain
    characters, as Darwin Core has it, unless the header itself is quoted.

    Args:
        opener: Opens the text.
        dialect: How it is cut, if that is known.

    Raises:
        BadRecordError: If the text is empty or its first record cannot be cut.
    """

    def __init__(self, opener: Opener, dialect: Dialect | None = None) -> None:
        self._opener = opener
        self._codec = dialect.encoding if dialect else ""
        with opener() as stream:
            reader = LineReader(stream, self._codec)
            block = next(iter(reader.blocks()), b"")
        if not block.strip():
            raise BadRecordError("The file is empty.")
        self._twins: dict[str, list[str]] = {}
        if dialect:
            self._separator, self._quote = dialect.delimiter, dialect.quote
            self._skip, self._positions = dialect.skip_lines, dict(dialect.columns)
            record, _ = self._first_record(block)
            notes = self._leave_out(len(record))
        else:
            record, notes = self._header(block)
            own, self._twins = set_apart([name.strip() for name in record])
            self._positions = {name: at for at, name in enumerate(own)}
        self._width = len(record)
        named = DELIMITERS.get(self._separator, repr(self._separator))
        header = shown(list(self._positions))
        super().__init__("text", header, delimiter=named, encoding=reader.encoding, notes=notes)

    def _header(self, block: bytes) -> tuple[list[str], list[str]]:
        """Find the header and how the text is cut; return also what stands before it."""
        start = find_beginning(_lines(block))
        rest = block.split(b"\n", start.skip)[-1]
        first = next((line for line in _lines(rest) if line.strip()), "")
        if not first:
            raise BadRecordError("The file has no header: its first lines are no table.")
        self._separator = start.delimiter or best_delimiter(first)
        self._quote = '"' if self._separator != "\t" or '"' in first else ""
        record, used = self._first_record(rest)
        check_columns(len(record))
        self._skip = start.skip + used
        return record, list(start.notes)

    def _leave_out(self, width: int) -> list[str]:
        """Forget columns that the file has no field for; return what to say of it."""
        beyond = [name for name, at in self._positions.items() if at >= width]
        for name in beyond:
            del self._positions[name]
        if not beyond:
            return []
        said = f"meta.xml puts {listed(beyond, most=8)} beyond the {width} fields of the first line"
        if NEEDED & set(beyond):
            raise BadRecordError(f"{said}: its fieldsTerminatedBy or its indices are wrong.")
        return [said]

    def _first_record(self, block: bytes) -> tuple[list[str], int]:
        """Cut the first record that is not blank; return it and the lines it ends after."""
        if not self._quote:
            at, line = next((i, line) for i, line in enumerate(_lines(block)) if line.strip())
            return line.rstrip("\n").split(self._separator), at + 1
        reader = csv.reader(
            _lines(block), delimiter=self._separator, quotechar=self._quote, strict=True
        )
        try:
            record = next(r for r in reader if any(f.strip() for f in r) or len(r) > 1)
        except (csv.Error, StopIteration) as error:
            raise _uncut(error) from error
        return record, reader.line_num

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the records.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            The records of about 4 MB of text at a time.

        Raises:
            BadRecordError: If a quotation never ends.
        """
        wanted = {name: self._positions[name] for name in with_twins(columns, self._twins)}
        skip, line, pending = self._skip, 1, b""
        with self._opener() as stream:
            reader = LineReader(stream, self._codec)
            for block, last in _with_last(reader.blocks()):
                while skip and block:
                    end = block.find(b"\n") + 1
                    block, skip, line = block[end:], skip - 1, line + 1
                if not block and not pending:
                    continue
                if pending or (self._quote and self._quote.encode() in block):
                    pending += block
                    chunk, used, taken = self._quoted(pending, line, wanted, last)
                    pending, line = pending[used:], line + taken
                else:
                    chunk, taken = self._plain(block, line, wanted)
                    line += taken
                self.encoding = reader.encoding
                if len(wanted) > len(columns):
                    table = put_together(chunk.table, columns, self._twins, self.counts)
                    chunk = Chunk(table, chunk.lines, chunk.rejected)
                yield chunk

    def _plain(self, block: bytes, line: int, wanted: dict[str, int]) -> tuple[Chunk, int]:
        """Cut lines without quotation marks, each of which is a record; return also their number.

        A block whose lines all fit goes to polars as it is, which is what makes this fast.
        """
        fields = _fields(block, self._separator)
        odd = np.flatnonzero(fields != self._width)
        numbers = np.arange(line, line + len(fields))
        rejected: list[Rejected] = []
        _check_misfits(len(odd), len(fields) - len(odd), self._width)
        if len(odd) or self._width == 1:
            rows = block.split(b"\n")[:-1]
            blank = np.array([not row.strip(b" ") for row in rows])
            # A line of nothing but delimiters is a record, if an empty one.
            for i in odd[~blank[odd]].tolist():
                rejected.append(Rejected(line + i, _misfit(int(fields[i]), self._width)))
            good = np.flatnonzero((fields == self._width) & ~blank)
            numbers = numbers[good]
            block = b"".join(rows[i] + b"\n" for i in good.tolist())
        table = self._cut(block, wanted) if len(numbers) else empty_table(list(wanted))
        return Chunk(table, pl.Series(numbers), tuple(rejected)), len(fields)

    def _cut(self, block: bytes, wanted: dict[str, int]) -> pl.DataFrame:
        # Every line fits by now, so polars can neither cut nor fill a record.
        order = sorted(set(wanted.values()))
        table = pl.read_csv(
            block,
            separator=self._separator,
            has_header=False,
            columns=order,
            quote_char=None,
            infer_schema=False,
        )
        names = dict(zip(order, table.columns, strict=True))
        return table.select(pl.col(names[at]).alias(name) for name, at in wanted.items())

    def _quoted(
        self, block: bytes, line: int, wanted: dict[str, int], last: bool
    ) -> tuple[Chunk, int, int]:
        """Cut records that may span lines; return also the bytes and the lines that they took."""
        raw = block.split(b"\n")[:-1]
        reader = csv.reader(
            _lines(block),
            delimiter=self._separator,
            quotechar=self._quote,
            strict=True,
        )
        at = list(wanted.values())
        kept: list[list[str]] = []
        lines: list[int] = []
        rejected: list[Rejected] = []
        done = 0
        try:
            for record in reader:
                if len(record) == self._width and record:
                    kept.append([record[i] for i in at])
                    lines.append(line + done)
                elif len(record) > 1 or any(field.strip() for field in record):
                    rejected.append(Rejected(line + done, _misfit(len(record), self._width)))
                    _check_misfits(len(rejected), len(kept), self._width)
                done = reader.line_num
        except csv.Error as error:
            # A record that this block cuts in two is read again with the next.
            if last or reader.line_num < len(raw):
                raise _uncut(error, line + done) from error
        used = sum(len(text) + 1 for text in raw[:done])
        table = empty_table(list(wanted))
        if kept:
            table = pl.DataFrame(kept, schema=table.schema, orient="row")
        return Chunk(table, pl.Series(lines, dtype=pl.Int64), tuple(rejected)), used, done


def _lines(block: bytes) -> Iterator[str]:
    """Give the lines; unlike ``str.splitlines``, a rare sign of Unicode ends none."""
    return (line.decode("utf-8") for line in io.BytesIO(block))


def _fields(block: bytes, separator: str) -> npt.NDArray[np.int64]:
    """Count the fields of each line of a block that ends with a line end."""
    data = np.frombuffer(block, np.uint8)
    ends: list[npt.NDArray[np.int64]] = []
    before = 0
    # Pieces that fit into the processor's cache are several times faster than the whole.
    for start in range(0, len(data), CACHED):
        piece = data[start : start + CACHED]
        marks = np.flatnonzero((piece == ord(separator)) | (piece == NEWLINE))
        ends.append(np.flatnonzero(piece[marks] == NEWLINE) + before)
        before += len(marks)
    last = np.concatenate([np.array([-1]), *ends])
    fields: npt.NDArray[np.int64] = np.diff(last)
    return fields


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Tell of each block whether it is the last."""
    held: bytes | None = None
    for block in blocks:
        if held is not None:
            yield held, False
        held = block
    if held is not None:
        yield held, True


def _check_misfits(number: int, records: int, width: int) -> None:
    """Refuse a text of which most is no table."""
    if number > max(MOST_MISFITS, records):
        raise BadRecordError(
            f"{number:,} lines are blank or hold another number of fields than the {width} of the"
            " header: give a table whose first line names its columns."
        )


def _misfit(found: int, expected: int) -> str:
    return f"{found} fields where the header has {expected}"


def _uncut(error: Exception, line: int | None = None) -> BadRecordError:
    return BadRecordError(
        f"The text cannot be cut into fields ({error}). A quotation mark may be opened and never"
        " closed: close it, or double it inside a quoted field.",
        line=line,
    )
