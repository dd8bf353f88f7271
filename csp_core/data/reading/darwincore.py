"""Darwin Core Archives: the rows that are occurrences, joined to their events where need be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import polars as pl

from csp_core.data.reading.archives import Members
from csp_core.data.reading.columns import listed
from csp_core.data.reading.events import own_or_theirs, with_parents
from csp_core.data.reading.metaxml import MAX_XML, Part, parse_meta
from csp_core.data.reading.source import Chunk, Source
from csp_core.data.reading.text import Dialect, TextSource
from csp_core.errors import BadRecordError

META = "meta.xml"
EVENT, PARENT = "eventID", "parentEventID"
# A name that no term can have.
KEY = "\0key"


def find_meta(members: Members) -> str | None:
    """Find the description of an archive, which may lie in a folder of its own.

    Args:
        members: The files.

    Returns:
        Its name, None if there is none.
    """
    found = [name for name in members.names if PurePosixPath(name).name == META]
    return min(found, key=lambda name: (name.count("/"), name), default=None)


class ArchiveSource(Source):
    """The occurrences of a Darwin Core Archive.

    They are the rows of the core, or, where the core holds events or taxa, those of the extension
    that holds occurrences, each with what its core row says. Lines count within each file.

    Args:
        members: The files.
        meta: Name of the description among them.

    Raises:
        BadRecordError: If the description is damaged or names files that are not there.
    """

    def __init__(self, members: Members, meta: str) -> None:
        with members.open(meta) as stream:
            core, extensions = parse_meta(stream.read(MAX_XML + 1))
        rows = core
        if core.row_type != "Occurrence":
            rows = next((e for e in extensions if e.row_type == "Occurrence"), core)
        folder = str(PurePosixPath(meta).parent)
        prefix = "" if folder == "." else f"{folder}/"
        self._members, self._prefix = members, prefix
        self._rows, self._core = rows, core if rows is not core else None
        if self._core and (self._core.key is None or rows.key is None):
            raise BadRecordError(
                "meta.xml joins its occurrences by no id: id or coreid is missing."
            )
        self._texts = self._open(rows)
        unused = [e.row_type for e in extensions if e is not rows]
        notes = [f"extensions not used: {listed(unused)}"] if unused else []
        if self._core:
            notes.append(f"each occurrence joined to its {self._core.row_type}")
        header = _terms(rows) + (_terms(self._core) if self._core else [])
        # The id of a core row is the record's own; that of an extension row is its core's.
        header += [] if self._core or rows.key is None else ["id"]
        first = self._texts[0]
        notes += first.notes
        # A column that the file has no field for may still have a default.
        held = {*first.header, *rows.defaults, *(_terms(self._core) if self._core else ())}
        header = [name for name in header if name in held]
        super().__init__(
            "darwin core archive",
            list(dict.fromkeys(header)),
            delimiter=first.delimiter,
            encoding=first.encoding,
            notes=notes,
        )

    def _open(self, part: Part) -> list[TextSource]:
        """Open the files of the core or an extension."""
        columns = dict(part.columns)
        if part.key is not None:
            columns[KEY] = part.key
            if part is not self._rows or self._core is None:
                columns.setdefault("id", part.key)
        texts = []
        for file in part.files:
            name = self._prefix + file.removeprefix("./")
            if name not in self._members.names:
                held = listed(self._members.names, most=8) or "nothing"
                raise BadRecordError(
                    f"meta.xml names {file[:80]!r}, which is not in the archive; it holds: {held}."
                )
            dialect = Dialect(part.delimiter, part.quote, part.encoding, part.skip_lines, columns)
            try:
                texts.append(TextSource(self._members.opener(name), dialect))
            except BadRecordError as error:
                raise BadRecordError(f"{name[:80]}: {error}") from error
        return texts

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the occurrences.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            Some records at a time.

        Raises:
            BadRecordError: If a file is damaged.
        """
        about = self._core_table(self._core, columns) if self._core else None
        for text in self._texts:
            stored = [name for name in columns if name in text.header]
            stored += [KEY] if about is not None else []
            for chunk in text.chunks(list(dict.fromkeys(stored))):
                self.encoding = text.encoding
                table = _with_defaults(chunk, self._rows, columns)
                if about is not None:
                    table = _joined(table, about, columns)
                yield Chunk(table.select(columns), chunk.lines, chunk.rejected)

    def _core_table(self, core: Part, columns: Sequence[str]) -> pl.DataFrame:
        """Read what the core says of each id; of rows of one id the first counts."""
        terms = _terms(core)
        wanted = [name for name in columns if name in terms and name != "id"]
        # Which event is whose is said by identifiers of their own, or by those that join the rows.
        about = [PARENT, *([EVENT] if EVENT in terms else [])] if PARENT in terms else []
        read = list(dict.fromkeys([*wanted, *about]))
        tables = []
        for text in self._open(core):
            stored = [name for name in read if name in text.header]
            for chunk in text.chunks([*stored, KEY]):
                table = _with_defaults(chunk, core, read)
                tables.append(table.select(*read, KEY))
        held = pl.concat(tables).unique(KEY, keep="first", maintain_order=True).drop_nulls(KEY)
        if about:
            event = EVENT if EVENT in about else KEY
            held = with_parents(held, event, PARENT, wanted, self.counts)
        return held.select(*wanted, KEY)


def _terms(part: Part) -> list[str]:
    """List the terms that a part can give."""
    return list(dict.fromkeys([*part.columns, *part.defaults]))


def _with_defaults(chunk: Chunk, part: Part, columns: Sequence[str]) -> pl.DataFrame:
    """Fill empty fields and absent columns with the values that meta.xml gives for them."""
    table = chunk.table
    for name in columns:
        if name not in part.defaults:
            continue
        value = pl.lit(part.defaults[name])
        if name in table.columns:
            given = pl.col(name)
            value = pl.when(given.str.strip_chars() != "").then(given).otherwise(value)
        # A table without columns has no rows to fill.
        table = table.with_columns(value.alias(name))
    return table


def _joined(table: pl.DataFrame, about: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Add what the core says; what the occurrence says of itself comes first."""
    both = table.join(about, on=KEY, how="left", suffix="\0core", maintain_order="left")
    return both.with_columns(own_or_theirs(both, table.columns, columns, "\0core"))
