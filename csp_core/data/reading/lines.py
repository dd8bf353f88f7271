"""Bytes of any encoding as blocks of whole UTF-8 lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

from csp_core.errors import BadRecordError

BLOCK = 1 << 22
# No record of an honest file is longer; what is may be a bomb.
LONGEST_LINE = 1 << 26
UTF8_NAMES = ("utf-8", "utf-8-sig")


class LineReader:
    """Reads a stream as UTF-8 with plain line ends, in blocks of whole lines.

    Args:
        stream: The bytes.
        codec: Their encoding, or ``""`` to find it: UTF-16 with a byte-order mark, else UTF-8,
            where a line that is not UTF-8 is taken as Latin-1.

    Raises:
        BadRecordError: If there is no such encoding.
    """

    def __init__(self, stream: BinaryIO, codec: str = "") -> None:
        self._stream = stream
        try:
            self._codec = codecs.lookup(codec).name if codec else ""
        except LookupError as error:
            raise BadRecordError(f"There is no text encoding {codec!r}; try UTF-8.") from error
        self.encoding = self._codec or "utf-8"

    def blocks(self) -> Iterator[bytes]:
        """Read the lines.

        Yields:
            Whole lines, each with its line end, about 4 MB at a time.

        Raises:
            BadRecordError: If a line is too long to be a record, or not of the encoding.
        """
        carry = b""
        for piece in self._pieces():
            if b"\r" in piece or carry.endswith(b"\r"):
                # The two signs of one line end may come in two pieces.
                piece, carry = carry + piece, b""
                held = piece[-1:] if piece.endswith(b"\r") else b""
                piece = _plain_ends(piece[: len(piece) - len(held)]) + held
            cut = piece.rfind(b"\n") + 1
            if cut:
                # Joining views copies these megabytes once instead of twice.
                yield self._utf8(b"".join((carry, memoryview(piece)[:cut])))
                carry = piece[cut:]
            else:
                carry += piece
            if len(carry) > LONGEST_LINE:
                raise BadRecordError("A line is longer than 64 MB: this is no table of records.")
        carry = _plain_ends(carry)
        if carry:
            yield self._utf8(carry if carry.endswith(b"\n") else carry + b"\n")

    def _pieces(self) -> Iterator[bytes]:
        """Read the stream without its byte-order mark; 16-bit text is recoded."""
        piece = self._stream.read(BLOCK)
        if not self._codec and piece[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            self._codec = self.encoding = "utf-16"
        if not self._codec or self._codec in UTF8_NAMES:
            piece = piece.removeprefix(codecs.BOM_UTF8)
            while piece:
                yield piece
                piece = self._stream.read(BLOCK)
            return
        decoder = codecs.getincrementaldecoder(self._codec)()
        try:
            while piece:
                yield decoder.decode(piece).encode()
                piece = self._stream.read(BLOCK)
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise BadRecordError(
                f"The text is not {self._codec} as it says of itself ({error})."
            ) from error

    def _utf8(self, block: bytes) -> bytes:
        if block.isascii():
            return block
        try:
            block.decode("utf-8")
            return block
        except UnicodeDecodeError:
            # Line by line, so that what is read does not depend on where blocks end.
            self.encoding = "latin-1"
            return b"".join(_recode(line) for line in block.splitlines(keepends=True))


def _plain_ends(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _recode(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
        return line
    except UnicodeDecodeError:
        return line.decode("latin-1").encode()
