"""Files inside archives and folders, read as streams and never unpacked to disk."""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from csp_core.data.reading.source import Opener
from csp_core.errors import BadRecordError

# Tables of records shrink five to fiftyfold; what shrinks more and is large is a bomb.
MAX_RATIO = 200
RATIO_COUNTS_FROM = 1 << 25
# A stream is never held as a whole, so one packed file may unpack to more before it is doubted.
GZIP_RATIO_COUNTS_FROM = 1 << 27
MAX_UNPACKED = 1 << 38
# What is copied to disk out of an archive, because it must be read from its end.
MAX_COPIED = 1 << 31


def copy_to(copy: IO[bytes], stream: IO[bytes]) -> None:
    """Unpack a stream to a file on disk.

    Args:
        copy: The file.
        stream: What to read to its end.

    Raises:
        BadRecordError: If it holds more than ``MAX_COPIED`` bytes.
    """
    left = MAX_COPIED
    while block := stream.read(1 << 20):
        left -= len(block)
        if left < 0:
            raise BadRecordError(
                f"It unpacks to more than {MAX_COPIED / 1e9:.1f} GB; unpack it yourself."
            )
        copy.write(block)


MAX_MEMBERS = 100_000
BOMB = "a zip bomb, or no table of records"


class Limited(io.RawIOBase):
    """A stream that ends in an error where more comes out of it than should.

    Args:
        stream: Where the bytes come from.
        limit: The most bytes that may come.
        held: What to close with it, such as the archive around it.
    """

    def __init__(self, stream: BinaryIO, limit: int, held: contextlib.ExitStack) -> None:
        self._stream, self._left, self._held = stream, limit, held

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill a buffer; return how much came."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise BadRecordError(f"It unpacks to more than it should: {BOMB}.")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the stream and what is held for it."""
        self._held.close()
        super().close()


def open_gzip(path: Path) -> BinaryIO:
    """Open a file packed with gzip.

    Args:
        path: The file.

    Returns:
        Its unpacked bytes, as a stream that stops at a bomb.

    Raises:
        BadRecordError: If it is one, and says so itself.
    """
    size = path.stat().st_size
    limit = max(GZIP_RATIO_COUNTS_FROM, size * MAX_RATIO)
    with path.open("rb") as packed:
        packed.seek(max(size - 4, 0))
        # Its last four bytes say how much comes out, unless it is cut short: if too much, a look
        # at what does come is sooner done than the reading of rows up to there.
        if int.from_bytes(packed.read(), "little") > limit:
            _check_unpacked(path, limit)
    with contextlib.ExitStack() as stack:
        stream = cast(BinaryIO, stack.enter_context(gzip.open(path)))
        held = Limited(stream, min(limit, MAX_UNPACKED), stack.pop_all())
    return cast(BinaryIO, io.BufferedReader(held, 1 << 20))


def _check_unpacked(path: Path, limit: int) -> None:
    # What is damaged is told by whoever reads it.
    with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as stream:
        while block := stream.read(1 << 20):
            limit -= len(block)
            if limit < 0:
                raise BadRecordError(f"It unpacks to more than it should: {BOMB}.")


class Members(ABC):
    """The files of an archive or a folder, by name."""

    names: tuple[str, ...]

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """Open a file.

        Args:
            name: One of ``names``.

        Returns:
            A stream of its bytes.
        """

    def opener(self, name: str) -> Opener:
        """Return what opens a file.

        Args:
            name: One of ``names``.

        Returns:
            A function that gives a stream of its bytes.
        """
        return lambda: self.open(name)


class Folder(Members):
    """The files directly in a folder.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A link may point anywhere, so only real files count.
        self.names = tuple(
            sorted(p.name for p in path.iterdir() if p.is_file() and not p.is_symlink())
        )

    def open(self, name: str) -> BinaryIO:
        """Open a file.

        Args:
            name: One of ``names``.

        Returns:
            A stream of its bytes.
        """
        return (self._path / name).open("rb")


class Zip(Members):
    """The files of a zip archive, checked before anything is unpacked.

    Args:
        opener: Opens the archive.

    Raises:
        BadRecordError: If a path leaves the archive, or it would unpack to more than it should.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        with opener() as stream, zipfile.ZipFile(stream) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(entries) > MAX_MEMBERS:
            raise BadRecordError(f"The archive holds {len(entries):,} files: {BOMB}.")
        for entry in entries:
            _check_path(entry.filename)
        size = sum(entry.file_size for entry in entries)
        packed = sum(entry.compress_size for entry in entries)
        for out, into in ((size, packed), *((e.file_size, e.compress_size) for e in entries)):
            if out > MAX_UNPACKED or (out > RATIO_COUNTS_FROM and out > MAX_RATIO * into):
                raise BadRecordError(
                    f"The archive unpacks {into:,} bytes to {out:,}: {BOMB}. Nothing was unpacked."
                )
        self._sizes = {entry.filename: entry.file_size for entry in entries}
        if len(self._sizes) < len(entries):
            raise BadRecordError("The archive holds two files of one name; pack it again.")
        # Copies that one operating system adds beside each file are not data.
        self.names = tuple(
            name
            for name in self._sizes
            if "__MACOSX" not in name.split("/") and not PurePosixPath(name).name.startswith(".")
        )

    def open(self, name: str) -> BinaryIO:
        """Open a file.

        Args:
            name: One of ``names``.

        Returns:
            A stream of its bytes that stops at its stated size.
        """
        with contextlib.ExitStack() as stack:
            outer = stack.enter_context(self._opener())
            archive = stack.enter_context(zipfile.ZipFile(outer))
            try:
                stream = stack.enter_context(archive.open(name))
            except (RuntimeError, NotImplementedError) as error:
                raise BadRecordError(f"{name} cannot be unpacked ({error}).") from error
            held = Limited(cast(BinaryIO, stream), self._sizes[name], stack.pop_all())
        return cast(BinaryIO, io.BufferedReader(held, 1 << 20))


def _check_path(name: str) -> None:
    """Refuse names that would be written outside, although nothing is ever written."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or ".." in plain.split("/") or ":" in plain.split("/")[0]:
        raise BadRecordError(
            f"The archive holds a path that leaves it ({name[:80]!r}); nothing was unpacked."
        )
