"""What every reader of records gives: a header, then chunks of the columns that are asked for."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import polars as pl

from csp_core.data.reading.twins import put_together, with_twins
from csp_core.errors import BadRecordError

# Darwin Core has some 200 terms, and exports with measurements a few hundred columns.
MAX_COLUMNS = 5_000
RAGGED = "wrong number of fields"
# Gives columns of the whole file again, from its beginning.
Rereader = Callable[[Sequence[str]], Iterator[pl.DataFrame]]
# Key and value in the metadata of a Parquet file that an import wrote.
IMPORTED = (b"csp_core", b"import")
# The column of a place that stands for an area or a line, in metres.
RADIUS = "distance to the farthest corner"
# Gives a fresh stream of a file's unpacked bytes, from their beginning.
Opener = Callable[[], BinaryIO]


class Rejected(NamedTuple):
    """A record that a reader leaves out before any is judged.

    Args:
        line: Where it stands.
        detail: What stands there.
        reason: Why it is left out.
    """

    line: int
    detail: str
    reason: str = RAGGED


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some records in file order, before any of them is judged.

    Args:
        table: The columns that were asked for, one row per record, as text or as typed in the file.
        lines: ``(rows,)`` line of each record in the file, with the header as line 1.
        rejected: Those that are no records, such as lines whose fields do not fit the header.
    """

    table: pl.DataFrame
    lines: pl.Series
    rejected: tuple[Rejected, ...] = ()


class Source(abc.ABC):
    """A file of records, opened far enough to know its columns.

    Args:
        format: What it is read as.
        header: Names of its columns.
        delimiter: Name of the delimiter, ``""`` for formats without one.
        encoding: Text encoding, ``""`` for formats without one; may change while chunks are read.
        notes: Sentences about what the file lacks or what of it is not used.

    Attributes:
        known: Canonical column to the column that holds it for certain, such as a place that was
            computed from a geometry; no other column of the file is asked.
        fallback: The same for columns that hold it if nothing better does.
        twins: Name of a column to the others of its name, which fill what it leaves empty, where
            ``chunks`` does not put them together itself.
        counts: Sentences with ``{}`` for a number, and the numbers, which grow while chunks are
            read.

    Raises:
        BadRecordError: If it has more columns than a table of records.
    """

    # Columns of lists or structures, from which no plain value can be read.
    nested: frozenset[str] = frozenset()
    # Whether an import wrote it, which has brought all names to one spelling.
    imported: bool = False

    def __init__(
        self,
        format: str,
        header: Sequence[str],
        *,
        delimiter: str = "",
        encoding: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        check_columns(len(header))
        self.format = format
        self.header = list(header)
        self.delimiter = delimiter
        self.encoding = encoding
        self.notes = list(notes)
        self.known: dict[str, str] = {}
        self.fallback: dict[str, str] = {}
        self.twins: dict[str, list[str]] = {}
        self.counts: Counter[str] = Counter()

    def told(self) -> list[str]:
        """Say what there is to say so far.

        Returns:
            The notes, and what was counted.
        """
        counted = [said.format(f"{number:,}") for said, number in self.counts.items() if number]
        return [*self.notes, *counted]

    def together(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the records, each column filled from the others of its name.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            As ``chunks`` does.
        """
        # A place that was computed is the only one.
        sure = {*self.known.values()}
        twins = {name: others for name, others in self.twins.items() if name not in sure}
        for chunk in self.chunks(with_twins(columns, twins)):
            table = put_together(chunk.table, columns, twins, self.counts)
            yield Chunk(table, chunk.lines, chunk.rejected)

    @abc.abstractmethod
    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the records.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            The records, some at a time, each with every one of the columns.
        """


def check_columns(number: int) -> None:
    """Refuse a table of too many columns, each of which costs time in every block of records.

    Args:
        number: Of columns.

    Raises:
        BadRecordError: If there are more than 5,000.
    """
    if number > MAX_COLUMNS:
        raise BadRecordError(
            f"The file has {number:,} columns; up to {MAX_COLUMNS:,} are read: give those of name,"
            " place and date."
        )


def empty_table(columns: Sequence[str]) -> pl.DataFrame:
    """Give a table of text without rows.

    Args:
        columns: Its columns.

    Returns:
        The table.
    """
    return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
