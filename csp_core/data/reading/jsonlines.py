"""JSON Lines: one record, or one GeoJSON feature, a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from csp_core.data.reading.geojson import records_of_lines
from csp_core.data.reading.inaturalist import flat, is_observation, unpacked
from csp_core.data.reading.jsonrecords import JsonSource, check_expanded, nested, parse
from csp_core.data.reading.lines import LineReader
from csp_core.data.reading.source import (
    Chunk,
    Opener,
    Rejected,
    Source,
    check_columns,
    empty_table,
)
from csp_core.data.reading.twins import shown, twins_of
from csp_core.errors import BadRecordError

# So many objects without any value are no accident.
FEW = 1000
NO_OBJECT = "line is no JSON object"
# Text sequences begin each record with this sign.
MARK = "\x1e"
Numbered = list[tuple[int, dict[str, Any]]]


def is_json_lines(head: bytes) -> bool:
    r"""Tell JSON Lines from JSON by how a file begins.

    Args:
        head: Its first bytes.

    Returns:
        Whether the first line is an object by itself, with another behind it.

    Example:
        >>> is_json_lines(b'{"a": 1}\n{"a": 2}\n'), is_json_lines(b'{\n"a": 1}')
        (True, False)
    """
    lines = head.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
    filled = [line for line in map(_bare, lines) if line]
    if len(filled) < 2 or not filled[1].startswith("{"):
        return False
    try:
        return isinstance(json.loads(filled[0]), dict)
    except (ValueError, RecursionError):
        return False


def _bare(line: str) -> str:
    return line.strip(" \t\r" + MARK)


class JsonLinesSource(Source):
    """Records in JSON Lines; blank lines do not count, and what is no object is left out.

    Args:
        opener: Opens the text.

    Raises:
        BadRecordError: If it is nested beyond reason.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        header: dict[str, None] = {}
        known: dict[str, str] = {}
        notes: dict[str, None] = {}
        # A feature of several points is several records; then these are counted, and not lines.
        self._by_line = True
        # Any line may bring a column of its own, so that all are looked at before one is read.
        for numbered, _ in self._blocks():
            source = self._source(numbered)
            header |= dict.fromkeys(source.columns)
            check_columns(len(header))
            known |= source.known
            notes |= dict.fromkeys(source.notes)
            self._by_line &= len(source) == len(numbered)
        names = list(header)
        super().__init__("json lines", shown(names), encoding="utf-8", notes=list(notes))
        self.known, self.twins = known, twins_of(names)

    def _blocks(self) -> Iterator[tuple[Numbered, tuple[Rejected, ...]]]:
        """Parse some megabytes of lines at a time, each record with its line."""
        line = 1
        with self._opener() as stream:
            for block in LineReader(stream).blocks():
                check_expanded(block)
                some: Numbered = []
                bad: list[Rejected] = []
                lines = list(map(_bare, block.decode("utf-8").split("\n")[:-1]))
                filled = [(line + at, text) for at, text in enumerate(lines) if text]
                line += len(lines)
                for (at, text), record in zip(filled, _parsed(filled), strict=True):
                    if record is None:
                        bad.append(Rejected(at, text[:80], NO_OBJECT))
                    else:
                        some.append((at, record))
                if len(some) > FEW and not any(record for _, record in some):
                    raise BadRecordError("The JSON Lines hold objects without any name or value.")
                yield some, tuple(bad)

    @staticmethod
    def _source(numbered: Numbered) -> JsonSource:
        """Lay records out as rows."""
        records = [record for _, record in numbered]
        if any(record.get("type") == "Feature" for record in records):
            rows, counts, notes = records_of_lines(records)
            source = JsonSource("json lines", rows, notes)
            source.known = {"lon": "lon", "lat": "lat"}
            source.counts.update(counts)
            return source
        rows_of = flat if any(map(is_observation, records)) else unpacked
        return JsonSource("json lines", map(rows_of, records))

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the records.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            The records of some megabytes of text at a time.

        Raises:
            BadRecordError: If it is nested beyond reason.
        """
        done = 0
        for numbered, bad in self._blocks():
            source = self._source(numbered)
            self.counts.update(source.counts)
            numbers = [line for line, _ in numbered] if self._by_line else range(done + 2, 1 << 62)
            at = 0
            for chunk in source.chunks(columns):
                size = len(chunk.table)
                lines = pl.Series(list(numbers[at : at + size]), dtype=pl.Int64)
                at, done = at + size, done + size
                yield Chunk(chunk.table, lines)
            if bad:
                yield Chunk(empty_table(columns), pl.Series(dtype=pl.Int64), bad)


def _parsed(lines: list[tuple[int, str]]) -> list[dict[str, Any] | None]:
    """Parse lines, all at once where each is an object, else one by one; None is no object."""
    try:
        found = parse(f"[{','.join(text for _, text in lines)}]")
        if len(found) == len(lines) and all(isinstance(record, dict) for record in found):
            return list(found)
    except RecursionError as error:
        raise nested() from error
    except ValueError:
        pass
    return [_one(text) for _, text in lines]


def _one(text: str) -> dict[str, Any] | None:
    try:
        record = parse(text)
    except RecursionError as error:
        raise nested() from error
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
