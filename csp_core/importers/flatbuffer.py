"""Reading FlatBuffers: tables, vectors and texts by their numbers, each within the file."""

from __future__ import annotations

import struct
from collections.abc import Sequence

SIZES = {"b": 1, "B": 1, "H": 2, "i": 4, "I": 4, "Q": 8}
# No table of ours has a vector of tables this long; a damaged length stops here.
MOST_ROWS = 100_000


class Table:
    """A table of a FlatBuffer: fields that may be absent, found by their number in the schema.

    Nothing is copied until it is asked for. What points outside the file, as in a file that is cut
    short, raises ``struct.error`` or ``ValueError``.

    Args:
        data: The whole file.
        at: Where the table stands.

    Source:
        The published layout of FlatBuffers: a table begins with the distance back to its list of
        fields, which holds its own size, the table's size and the place of each field, 0 if absent.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, at
        self._fields = at - _read(data, "i", at)
        self._size = _read(data, "H", self._fields)

    @classmethod
    def root(cls, data: memoryview) -> Table:
        """Find the outermost table of a file.

        Args:
            data: The whole file.

        Returns:
            The table.
        """
        return cls(data, _read(data, "I", 0))

    def _place(self, field: int) -> int | None:
        place = 4 + 2 * field
        if place + 2 > self._size:
            return None
        offset = _read(self.data, "H", self._fields + place)
        return self.at + offset if offset else None

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Read a whole number.

        Args:
            field: Its number in the schema.
            kind: How it is written, a key of ``SIZES``.
            default: What an absent field means.

        Returns:
            The number.
        """
        place = self._place(field)
        return default if place is None else _read(self.data, kind, place)

    def nested(self, field: int) -> Table | None:
        """Give a table within this one.

        Args:
            field: Its number in the schema.

        Returns:
            The table, or None where there is none.
        """
        place = self._place(field)
        return None if place is None else Table(self.data, place + _read(self.data, "I", place))

    def _inside(self, field: int) -> tuple[int, int]:
        """Find a vector: where it begins, and its length; length 0 where there is none."""
        place = self._place(field)
        if place is None:
            return 0, 0
        start = place + _read(self.data, "I", place)
        return start + 4, _read(self.data, "I", start)

    def octets(self, field: int) -> memoryview:
        """Give a vector of bytes.

        Args:
            field: Its number in the schema.

        Returns:
            The bytes, not copied; empty where there are none.
        """
        start, length = self._inside(field)
        if start + length > len(self.data):
            raise ValueError("bytes beyond the end")
        return self.data[start : start + length]

    def text(self, field: int) -> str:
        """Read a text.

        Args:
            field: Its number in the schema.

        Returns:
            The text, ``""`` where there is none.
        """
        return bytes(self.octets(field)).decode("utf-8", "replace")

    def numbers(self, field: int, kind: str = "i") -> tuple[int, ...]:
        """Read a vector of whole numbers.

        Args:
            field: Its number in the schema.
            kind: How they are written, a key of ``SIZES``.

        Returns:
            The numbers.
        """
        start, length = self._inside(field)
        if length > MOST_ROWS:
            raise ValueError("a vector too long to be one")
        return struct.unpack_from(f"<{length}{kind}", self.data, start)

    def tables(self, field: int) -> Sequence[Table]:
        """Read a vector of tables.

        Args:
            field: Its number in the schema.

        Returns:
            The tables.
        """
        start, length = self._inside(field)
        if length > MOST_ROWS:
            raise ValueError("a vector too long to be one")
        places = (start + 4 * row for row in range(length))
        return [Table(self.data, at + _read(self.data, "I", at)) for at in places]


def _read(data: memoryview, kind: str, at: int) -> int:
    if not 0 <= at <= len(data) - SIZES[kind]:
        raise ValueError("a place outside the file")
    number: int = struct.unpack_from(f"<{kind}", data, at)[0]
    return number
