"""Spreadsheets: the one sheet of a workbook that holds records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import polars as pl

from csp_core.data.reading.archives import Members
from csp_core.data.reading.beginning import COMMENT, SEARCHED, before_header, is_header
from csp_core.data.reading.columns import listed
from csp_core.data.reading.sheetscan import (
    CONTENT,
    INSTEAD,
    MIMETYPE,
    OPEN_DOCUMENT,
    check_workbook,
    open_document,
)
from csp_core.data.reading.source import Chunk, Opener, Source
from csp_core.data.reading.twins import put_together, set_apart, shown, with_twins
from csp_core.errors import BadRecordError

ROWS = 50_000
MAX_SHEETS = 100
MAX_BYTES = 1 << 27
WORKBOOK, BINARY = "xl/workbook.xml", "xl/workbook.bin"
Value = TypeVar("Value")


def kind_of_sheet(members: Members) -> str:
    """Tell what kind of office document an archive is.

    Args:
        members: Its files.

    Returns:
        ``xlsx``, ``ods``, or ``""`` where it is none.

    Raises:
        BadRecordError: If it is another office document.
    """
    if WORKBOOK in members.names:
        return "xlsx"
    if CONTENT in members.names and MIMETYPE in members.names:
        with members.open(MIMETYPE) as stream:
            kind = stream.read(200)
        if kind.strip().startswith(OPEN_DOCUMENT):
            return "ods"
        if b"opendocument" in kind:
            raise BadRecordError("This is an OpenDocument text or drawing, and no spreadsheet.")
    if BINARY in members.names:
        raise BadRecordError("This is a binary workbook (.xlsb); save it as .xlsx, or as CSV.")
    if "[Content_Types].xml" in members.names:
        raise BadRecordError("This is another office document than a spreadsheet; give a table.")
    return ""


class SheetSource(Source):
    """The records of a spreadsheet; lines are its rows.

    Of several sheets the first counts that has the columns of records, else the first that is not
    empty. Its header is the first row that names a place and a taxon, else the first of several
    cells.

    Args:
        kind: As ``kind_of_sheet`` returned.
        members: The files of the spreadsheet.
        opener: Opens the spreadsheet itself.

    Raises:
        BadRecordError: If it is damaged or too large, or no sheet holds a table.
    """

    def __init__(self, kind: str, members: Members, opener: Opener) -> None:
        if kind == "ods":
            data = open_document(members)
        else:
            check_workbook(members)
            with opener() as stream:
                data = stream.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise BadRecordError(
                    f"The spreadsheet has more than {MAX_BYTES / 1e6:.0f} MB; {INSTEAD}."
                )
        names, name, table = _choose(data)
        self._table, at = table, _header_row(table)
        cells = [str(cell or "").strip() for cell in table.row(at)]
        own, self._twins = set_apart(cells)
        self._columns = dict(zip(own, table.columns, strict=True))
        self._start = at + 1
        notes = []
        if others := [other for other in names if other != name]:
            notes.append(f"sheet {name!r} was read, not {listed([repr(o) for o in others], 8)}")
        if before := [r for r in table.head(at).rows() if any(r)]:
            first = " ".join(str(cell) for cell in before[0] if cell)
            notes.append(before_header(len(before), first))
        super().__init__(kind, [name for name in shown(own) if name], notes=notes)

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Give the records.

        Args:
            columns: Those of ``header`` to give.

        Yields:
            50,000 records at a time, as text; blank rows do not count.
        """
        read = with_twins(columns, self._twins)
        filled = pl.any_horizontal(pl.all().is_not_null())
        rows = self._table.with_row_index("\0line", 1).slice(self._start)
        for part in rows.iter_slices(ROWS):
            kept = part.filter(part.drop("\0line").select(filled).to_series())
            table = kept.select(pl.col(self._columns[name]).alias(name) for name in read)
            table = put_together(table, columns, self._twins, self.counts)
            yield Chunk(table, kept["\0line"].cast(pl.Int64))


def _choose(data: bytes) -> tuple[list[str], str, pl.DataFrame]:
    """Find the sheet to read; return also the names of all."""
    import fastexcel

    book = _plainly(lambda: fastexcel.read_excel(data))
    names: list[str] = list(book.sheet_names)
    first: tuple[str, pl.DataFrame] | None = None
    for name in names[:MAX_SHEETS]:
        table = _plainly(lambda name=name: _load(book, name))  # type: ignore[misc]
        if not table.width or not len(table):
            continue
        if any(is_header(_texts(row)) for row in table.head(SEARCHED).rows()):
            return names, name, table
        first = first or (name, table)
    if first is None:
        raise BadRecordError(f"No sheet of the spreadsheet holds a table; {INSTEAD}.")
    return names, *first


def _load(book: Any, name: str) -> pl.DataFrame:
    # Nothing is skipped, so that rows keep their numbers; all as text, as other tables are.
    sheet = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    table: pl.DataFrame = sheet.to_polars()
    blank = pl.col(pl.String).str.strip_chars() == ""
    return table.with_columns(pl.when(~blank).then(pl.col(pl.String)).name.keep())


def _plainly(work: Callable[[], Value]) -> Value:
    """Say in one sentence what goes wrong, a panic of the library too."""
    import fastexcel

    try:
        return work()
    except BadRecordError:
        raise
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, ValueError) as error:
        said = str(error).splitlines()[0][:120]
        raise BadRecordError(
            f"The spreadsheet is damaged ({said}); save it again, or {INSTEAD}."
        ) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise BadRecordError(f"The spreadsheet is damaged; save it again, or {INSTEAD}.") from error


def _texts(row: Sequence[Any]) -> list[str]:
    return [str(cell or "") for cell in row]


def _header_row(table: pl.DataFrame) -> int:
    """Find the row that names the columns."""
    rows = [_texts(row) for row in table.head(SEARCHED).rows()]
    named = next((at for at, row in enumerate(rows) if is_header(row)), None)
    if named is not None:
        return named
    wide = (at for at, row in enumerate(rows) if sum(map(bool, row)) > 1 and not _comment(row))
    return next(wide, next(at for at, row in enumerate(rows) if any(row)))


def _comment(row: Sequence[str]) -> bool:
    return next((cell for cell in row if cell), "").lstrip().startswith(COMMENT)
