"""Records in JSON: read whole, handed on as text columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from csp_core.data.reading.source import Chunk, Opener, Source
from csp_core.errors import BadRecordError

ROWS = 50_000
Record = Mapping[str, Any]


class JsonSource(Source):
    """Records that stand in memory; record n counts as line n + 1.

    Args:
        format: What they were read as.
        records: One mapping of column to value each; columns may be absent.
        notes: As in ``Source``.
    """

    def __init__(self, format: str, records: Iterable[Record], notes: Sequence[str] = ()) -> None:
        self._records = list(records)
        header = list(dict.fromkeys(key for record in self._records for key in record))
        super().__init__(format, header, encoding="utf-8", notes=notes)

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Give the records.

        Args:
            columns: Those of ``header`` to give.

        Yields:
            50,000 records at a time, as text.
        """
        for start in range(0, len(self._records), ROWS):
            some = self._records[start : start + ROWS]
            data = {name: [as_text(record.get(name)) for record in some] for name in columns}
            table = pl.DataFrame(data, schema=dict.fromkeys(columns, pl.String))
            lines = pl.int_range(start + 2, start + 2 + len(some), dtype=pl.Int64, eager=True)
            yield Chunk(table, lines)


def as_text(value: Any) -> str | None:
    """Write a JSON value as a table would hold it.

    Args:
        value: What ``json`` returned.

    Returns:
        Its text, None for null.

    Example:
        >>> as_text(1.5), as_text("a"), as_text(True), as_text(None)
        ('1.5', 'a', 'true', None)
    """
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def load_json(opener: Opener) -> Any:
    """Read a JSON file.

    Args:
        opener: Opens it.

    Returns:
        Its content.

    Raises:
        BadRecordError: If it is cut short, damaged or nested beyond reason.
    """
    with opener() as stream:
        data = stream.read()
    try:
        return json.loads(data)
    except RecursionError as error:
        raise BadRecordError("The JSON is nested too deeply to be records.") from error
    except ValueError as error:
        raise BadRecordError(
            f"The JSON file is cut short or damaged ({error}); download it again."
        ) from error
