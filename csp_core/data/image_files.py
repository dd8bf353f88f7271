"""Images in files or in a zip archive, read when they are asked for, or all at once."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any
from weakref import WeakValueDictionary
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from csp_core.data.images import MemoryImages
from csp_core.data.pictures import open_picture, open_plain
from csp_core.errors import BadRecordError, CspError

# A member of an archive that unpacks to more is no picture that is read here.
MOST_BYTES = 500_000_000


class FileImages:
    """Images read from files, or from the members of a zip archive, when they are asked for.

    Args:
        root: A folder, or a zip archive.
        names: Paths below the folder, or names of members.
        size: Side in pixels that the middle square of each is brought to.
    """

    def __init__(self, root: Path, names: Sequence[str], size: int) -> None:
        self.root, self.names, self.size = root, tuple(names), size
        self._local = threading.local()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open archive behind: every process opens its own."""
        return {"root": self.root, "names": self.names, "size": self.size}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over what ``__getstate__`` gave."""
        self.__init__(**state)  # type: ignore[misc]

    def read(self, row: int) -> Tensor:
        """Read one image.

        Args:
            row: Its number.

        Returns:
            ``(C, size, size)``.

        Raises:
            BadRecordError: If it cannot be read; one sentence.
        """
        name = self.names[row]
        content = self._bytes(name)
        plain = open_plain(content, self.size) if name.endswith(".jpg") else None
        if plain is not None:
            return plain
        return open_picture(content, name.rpartition("/")[2], size=self.size).image

    def _bytes(self, name: str) -> bytes:
        if self.root.is_dir():
            try:
                return (self.root / name).read_bytes()
            except OSError as error:
                raise BadRecordError(f"cannot be read ({error.strerror})", file=name) from error
        if not hasattr(self._local, "archive"):
            self._local.archive = ZipFile(self.root)
        try:
            size = self._local.archive.getinfo(name).file_size
            if size > MOST_BYTES:
                raise BadRecordError(
                    f"unpacks to {size:,} bytes; at most {MOST_BYTES:,} are read", file=name
                )
            found: bytes = self._local.archive.read(name)
        except (BadZipFile, KeyError, OSError, EOFError, RuntimeError, zlib.error) as error:
            raise BadRecordError(f"damaged in {self.root.name} ({error})", file=name) from error
        return found

    def take(self, rows: Tensor) -> Tensor:
        """Read images.

        Args:
            rows: ``(n,)`` int64.

        Returns:
            ``(n, C, size, size)``.

        Raises:
            BadRecordError: If one cannot be read.
        """
        return torch.stack([self.read(row) for row in rows.tolist()])

    def digest(self) -> str:
        """Hash names, sizes and times of change of the files, or of the archive, without reading.

        Returns:
            64 hexadecimal digits.
        """
        inside = self.root.is_dir()
        told = hashlib.sha256(f"{self.root.resolve()}/{self.size}".encode())
        told.update("\n".join(self.names).encode())
        for path in (self.root / name for name in self.names) if inside else (self.root,):
            try:
                state = path.stat()
                told.update(f"{state.st_mtime_ns}/{state.st_size}".encode())
            except OSError:
                told.update(b"absent")
        return told.hexdigest()


def is_below(name: str) -> bool:
    """Tell whether a path that a file names stays below the folder it is read from.

    Args:
        name: The path.

    Returns:
        Whether it does.

    Example:
        >>> is_below("a/b.jpg"), is_below("a/../../b.jpg"), is_below("/b.jpg")
        (True, False, False)
    """
    return not any(
        path.is_absolute() or path.drive or ".." in path.parts
        for path in (PurePosixPath(name), PureWindowsPath(name))
    )


def read_all(store: FileImages) -> MemoryImages:
    """Read all images of a store into memory; those that cannot be read are told, not raised.

    Args:
        store: The files.

    Returns:
        The images, and why some are not there.
    """
    array, refused = torch.empty(0), dict[int, str]()
    for row in range(len(store)):
        try:
            image = store.read(row)
            if not len(array):
                array = torch.zeros((len(store), *image.shape), dtype=image.dtype)
            if image.shape != array.shape[1:] or image.dtype != array.dtype:
                raise BadRecordError(
                    f"{image.shape[0]} bands of {image.dtype}, others have {array.shape[1]} of"
                    f" {array.dtype}",
                    file=store.names[row],
                )
            array[row] = image
        except CspError as error:
            refused[row] = str(error)
    return MemoryImages(array, refused, store.names)


# As long as one part of a data set lives, the next shares its images.
_SHARED: WeakValueDictionary[str, MemoryImages] = WeakValueDictionary()


def read_shared(store: FileImages) -> MemoryImages:
    """Read all images of a store into memory, or give those that another part holds already.

    Args:
        store: The files.

    Returns:
        The images, and why some are not there.

    Raises:
        BadRecordError: If not one can be read.
    """
    key = store.digest()
    found = _SHARED.get(key)
    if found is None:
        found = _SHARED[key] = read_all(store)
    if len(found.refused) == len(store):
        raise BadRecordError(f"No image can be read; the first: {found.refused[0]}")
    return found
