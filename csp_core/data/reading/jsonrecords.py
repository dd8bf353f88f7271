"""Records in JSON: read whole, handed on as text columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from csp_core.data.reading.source import Chunk, Opener, Source
from csp_core.data.reading.twins import set_apart, shown, twins_of
from csp_core.errors import BadRecordError

ROWS = 50_000
# JSON is read whole. Bytes of text that are read, and what its values may take in memory then.
MAX_BYTES, MAX_EXPANDED = 1 << 28, 1 << 30
# Bytes that one object or list takes in memory, and any other value, beside its text.
CONTAINER, VALUE = 150, 50
LONE = "text holds halves of characters (lone surrogates), which were replaced"
Record = Mapping[str, Any]


class JsonSource(Source):
    """Records that stand in memory; record n counts as line n + 1.

    Args:
        format: What they were read as.
        records: One mapping of column to value each; columns may be absent.
        notes: As in ``Source``.

    Attributes:
        columns: Those of ``header``, and what objects name twice.
    """

    def __init__(self, format: str, records: Iterable[Record], notes: Sequence[str] = ()) -> None:
        self._records = list(records)
        header = list(dict.fromkeys(key for record in self._records for key in record))
        odd = {name: plain for name in header if (plain := whole(name)) != name}
        if odd:
            self._records = [{odd.get(k, k): v for k, v in r.items()} for r in self._records]
            header = list(dict.fromkeys(odd.get(name, name) for name in header))
        super().__init__(format, shown(header), encoding="utf-8", notes=notes)
        self.columns, self.twins = header, twins_of(header)

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self._records)

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Give the records.

        Args:
            columns: Those of ``header`` to give.

        Yields:
            50,000 records at a time, as text.
        """
        for start in range(0, len(self._records), ROWS):
            some = self._records[start : start + ROWS]
            try:
                data = {name: [as_text(record.get(name)) for record in some] for name in columns}
            except RecursionError as error:
                raise nested() from error
            schema = dict.fromkeys(columns, pl.String)
            try:
                table = pl.DataFrame(data, schema=schema)
            except UnicodeEncodeError:
                plain = {
                    k: [v if v is None else whole(v) for v in values] for k, values in data.items()
                }
                table = pl.DataFrame(plain, schema=schema)
                self.notes += [] if LONE in self.notes else [LONE]
            lines = pl.int_range(start + 2, start + 2 + len(some), dtype=pl.Int64, eager=True)
            yield Chunk(table, lines)


def parse(text: str | bytes) -> Any:
    """Parse JSON as ``json.loads`` does, and keep what an object names twice.

    Args:
        text: The JSON.

    Returns:
        Its content; a name that an object repeats has a hidden mark, as in ``set_apart``.

    Raises:
        ValueError: If it is none.
        RecursionError: If it is nested too deeply.

    Example:
        >>> list(parse('{"lat": 1, "lat": 2}').values())
        [1, 2]
    """
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    own, _ = set_apart([name for name, _ in pairs])
    return dict(zip(own, (value for _, value in pairs), strict=True))


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


def whole(text: str) -> str:
    r"""Replace halves of characters (lone surrogates), which JSON can hold and no file may.

    Args:
        text: Any text.

    Returns:
        The text as it can be written.

    Example:
        >>> whole("Alauda"), whole("Alauda \ud800")
        ('Alauda', 'Alauda �')
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def nested() -> BadRecordError:
    """Say that JSON is nested too deeply."""
    return BadRecordError("The JSON is nested too deeply to be records.")


def check_expanded(data: bytes) -> None:
    """Refuse JSON whose values would take too much memory, by the signs that part them.

    Args:
        data: Its text.

    Raises:
        BadRecordError: If it would.
    """
    containers = data.count(b"{") + data.count(b"[")
    values = data.count(b",") + data.count(b":")
    size = len(data) + CONTAINER * containers + VALUE * values
    if len(data) > MAX_BYTES or size > MAX_EXPANDED:
        raise BadRecordError(
            f"The JSON has {'more than ' if len(data) > MAX_BYTES else ''}{len(data) / 1e6:.0f} MB"
            f" of text, which would take {size / 1e9:.1f} GB; JSON that takes up to"
            f" {MAX_EXPANDED / 1e9:.1f} GB is read: give parts of it, or CSV or Parquet."
        )


def load_json(opener: Opener) -> Any:
    """Read a JSON file.

    Args:
        opener: Opens it.

    Returns:
        Its content.

    Raises:
        BadRecordError: If it is cut short, damaged, too large or nested beyond reason.
    """
    with opener() as stream:
        data = stream.read(MAX_BYTES + 1)
    check_expanded(data)
    try:
        return parse(data)
    except RecursionError as error:
        raise nested() from error
    except ValueError as error:
        raise BadRecordError(
            f"The JSON file is cut short or damaged ({error}); download it again."
        ) from error
