"""Records whose images come from a store: files read when asked for, or one array in memory."""

from __future__ import annotations

import hashlib
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Protocol
from weakref import WeakValueDictionary
from zipfile import BadZipFile, ZipFile

import torch
from torch import Tensor

from csp_core.data.batch import Batch, Sample
from csp_core.data.pictures import open_picture, open_plain
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, CspError

HASHED_IMAGES = 64
# What a record may have beside its image.
COLUMNS = ("masks", "days", "valid")
# A member of an archive that unpacks to more is no picture that is read here.
MOST_BYTES = 500_000_000


class ImageStore(Protocol):
    """Images by number."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def take(self, rows: Tensor) -> Tensor:
        """Return ``(n, C, H, W)`` for ``(n,)`` numbers."""
        ...

    def digest(self) -> str:
        """Return a hash that tells these images from others."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryImages:
    """Images as one array; data sets that hold parts of it share it.

    Args:
        array: ``(n, C, H, W)``.
        refused: For the number of each image that could not be read, why; its pixels are 0.
    """

    array: Tensor
    refused: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.array)

    def take(self, rows: Tensor) -> Tensor:
        """Copy images out of the array.

        Args:
            rows: ``(n,)`` int64.

        Returns:
            ``(n, C, H, W)``.
        """
        return self.array[rows]

    def digest(self) -> str:
        """Hash all pixels.

        Returns:
            64 hexadecimal digits.
        """
        return hash_images(self.array)


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


def hash_images(images: Tensor) -> str:
    """Hash the pixels of images.

    Args:
        images: ``(n, C, H, W)``.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256(f"{images.dtype}{tuple(images.shape)}".encode())
    digest.update(images.contiguous().numpy().data)
    return digest.hexdigest()


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
    return MemoryImages(array, refused)


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


@dataclass(frozen=True, eq=False)
class ImageDataset(RecordDataset):
    """Records whose images are in a store.

    Args:
        store: The images of all parts of the data set, or None for records without images.
        rows: ``(N,)`` int64 number of each record's image in the store.
        masks: ``(N, H, W)`` class of each pixel, -1 where unknown or ignored, of any kind of whole
            number; None for data without masks.
        days: ``(N, T)`` part of the year of each date of a series, NaN where there is none; None
            for data of one date.
        valid: ``(N, H, W)`` bool, where the image has data; None where it has all.
    """

    store: ImageStore | None = None
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    masks: Tensor | None = None
    days: Tensor | None = None
    valid: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that every record has its image."""
        super().__post_init__()
        if self.store is not None and len(self.rows) != len(self.lonlat):
            raise BadRecordError(
                f"{len(self.rows)} images for {len(self.lonlat)} records; give one each."
            )
        for name in COLUMNS:
            column = getattr(self, name)
            if column is not None and len(column) != len(self.lonlat):
                raise BadRecordError(
                    f"{name} has {len(column)} rows for {len(self.lonlat)} records; give one each."
                )
        if self.masks is not None and (self.label >= 0).any():
            raise BadRecordError("A record has a label or a mask; leave label at -1.")

    def labelled(self) -> Tensor:
        """Tell which records have a label, or a mask in which some pixel has one.

        Returns:
            ``(N,)`` bool.
        """
        return super().labelled() if self.masks is None else (self.masks >= 0).flatten(1).any(dim=1)

    def __getitem__(self, index: int) -> Sample:
        """Return one record."""
        sample = super().__getitem__(index)
        if self.store is not None:
            sample["image"] = self.store.take(self.rows[index][None])[0]
        if self.masks is not None:
            sample["mask"] = self.masks[index].long()
        if self.days is not None:
            sample["days"] = self.days[index]
        if self.valid is not None:
            sample["valid"] = self.valid[index]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return many records as a batch at once."""
        batch = super().__getitems__(indices)
        if self.store is not None:
            batch["image"] = self.store.take(self.rows[torch.as_tensor(indices, dtype=torch.int64)])
        if self.masks is not None:
            batch["mask"] = self.masks[torch.as_tensor(indices, dtype=torch.int64)].long()
        if self.days is not None:
            batch["days"] = self.days[torch.as_tensor(indices, dtype=torch.int64)]
        if self.valid is not None:
            batch["valid"] = self.valid[torch.as_tensor(indices, dtype=torch.int64)]
        return batch

    def joined_columns(self, other: RecordDataset) -> dict[str, Any]:
        """Put the columns of two parts of one data set, with one store, one below the other."""
        joined = {**super().joined_columns(other), "rows": self.rows}
        if isinstance(other, ImageDataset):
            joined["rows"] = torch.cat((self.rows, other.rows))
            for name in COLUMNS:
                if (own := getattr(self, name)) is not None:
                    joined[name] = torch.cat((own, getattr(other, name)))
        return joined

    def content_hash(self) -> str:
        """Return a SHA-256 over places, dates, labels and class names, and a few of the images.

        Returns:
            64 hexadecimal digits.
        """
        own = super().content_hash()
        for name in COLUMNS:
            if (column := getattr(self, name)) is not None:
                told = own.encode() + column.contiguous().numpy().tobytes()
                own = hashlib.sha256(told).hexdigest()
        if self.store is None or not len(self.rows):
            return own
        # All of them may be gigabytes on a disk; 64 tell one set of images from another.
        few = self.rows[torch.linspace(0, len(self.rows) - 1, HASHED_IMAGES).long()]
        return hashlib.sha256(own.encode() + self.store.take(few).numpy().tobytes()).hexdigest()
