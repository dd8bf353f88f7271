"""Records whose images come from a store: files read when asked for, or one array in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from csp_core.data.batch import Batch, Sample
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError

HASHED_IMAGES = 64
# Columns of a data set that have a value for each pixel, with their dimensions.
PIXELS = (("masks", 3), ("valid", 3))


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
        names: Names of the files that they were read from; empty where they come from none.
    """

    array: Tensor
    refused: Mapping[int, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

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


@dataclass(frozen=True, eq=False)
class ImageDataset(RecordDataset):
    """Records whose images are in a store.

    Args:
        store: The images of all parts of the data set, or None for records without images.
        rows: ``(N,)`` int64 number of each record's image in the store.
        masks: ``(N, H, W)`` whole numbers of any width, the class of each pixel of a record's
            image, -1 where it is unknown or ignored; None for data without masks. Where there are
            masks, every ``label`` is -1, there are no label sets, and ``classes.counts`` are of
            pixels.
        days: ``(N, T)`` float32 part of the year of each date of a series, NaN where a series has
            fewer; None where images have one date.
        valid: ``(N, H, W)`` bool, where an image has data; None where it has everywhere.
    """

    store: ImageStore | None = None
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    masks: Tensor | None = None
    days: Tensor | None = None
    valid: Tensor | None = None

    def __post_init__(self) -> None:
        """Check that every record has its image, and its mask where there are masks."""
        super().__post_init__()
        if self.store is not None and len(self.rows) != len(self.lonlat):
            raise BadRecordError(
                f"{len(self.rows)} images for {len(self.lonlat)} records; give one each."
            )
        for name, rank in (*PIXELS, ("days", 2)):
            found = getattr(self, name)
            if found is not None and (found.ndim != rank or len(found) != len(self.lonlat)):
                raise BadRecordError(
                    f"{name} has shape {tuple(found.shape)} for {len(self.lonlat)} records; give"
                    f" {rank} dimensions, the first of them the records."
                )
        if self.masks is None:
            return
        if self.labels is not None or (self.label >= 0).any():
            raise BadRecordError("A record has a mask, a label set or a label; give one of them.")
        if self.valid is not None and self.valid.shape != self.masks.shape:
            raise BadRecordError(
                f"valid has shape {tuple(self.valid.shape)}, masks have {tuple(self.masks.shape)}."
            )
        if len(self.masks) and int(self.masks.max()) >= len(self.classes):
            raise BadRecordError(
                f"A mask holds class {int(self.masks.max())}, but there are {len(self.classes)}."
            )

    @cached_property
    def _masked(self) -> Tensor:
        assert self.masks is not None  # whoever asks has looked
        return has_pixels(self.masks)

    def labelled(self) -> Tensor:
        """Tell which records have a label, a label set or a pixel whose class is known.

        Returns:
            ``(N,)`` bool.
        """
        return super().labelled() if self.masks is None else self._masked

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
        rows = torch.as_tensor(indices, dtype=torch.int64)
        if self.store is not None:
            batch["image"] = self.store.take(self.rows[rows])
        if self.masks is not None:
            batch["mask"] = self.masks[rows].long()
        if self.days is not None:
            batch["days"] = self.days[rows]
        if self.valid is not None:
            batch["valid"] = self.valid[rows]
        return batch

    def joined_columns(self, other: RecordDataset) -> dict[str, Any]:
        """Put the columns of two parts of one data set, with one store, one below the other."""
        if not isinstance(other, ImageDataset):
            return {**super().joined_columns(other), "rows": self.rows}
        columns = {**super().joined_columns(other), "rows": torch.cat((self.rows, other.rows))}
        for name in ("masks", "days", "valid"):
            own, others = getattr(self, name), getattr(other, name)
            if (own is None) != (others is None):
                raise BadRecordError(
                    f"Only parts of one data set can be joined: one alone has {name}."
                )
            if own is not None:
                columns[name] = torch.cat((own, others))
        return columns

    def content_hash(self) -> str:
        """Return a SHA-256 over places, dates, labels and class names, and a few of the images.

        Masks, days and where there is data are hashed in whole where there are such.

        Returns:
            64 hexadecimal digits.
        """
        own = super().content_hash()
        found = [getattr(self, name) for name in ("masks", "days", "valid")]
        for tensor in (each for each in found if each is not None):
            pixels = hashlib.sha256(f"{own}{tuple(tensor.shape)}".encode())
            pixels.update(tensor.contiguous().numpy().data)
            own = pixels.hexdigest()
        if self.store is None or not len(self.rows):
            return own
        # All of them may be gigabytes on a disk; 64 tell one set of images from another.
        few = self.rows[torch.linspace(0, len(self.rows) - 1, HASHED_IMAGES).long()]
        return hashlib.sha256(own.encode() + self.store.take(few).numpy().tobytes()).hexdigest()


def has_pixels(masks: Tensor) -> Tensor:
    """Tell which masks know the class of a pixel.

    Args:
        masks: ``(N, H, W)`` whole numbers, -1 where unknown or ignored.

    Returns:
        ``(N,)`` bool.
    """
    return (masks >= 0).flatten(1).any(dim=1)


def has_masks(dataset: RecordDataset) -> bool:
    """Tell whether the records of a data set have masks, in place of labels.

    Args:
        dataset: The records.

    Returns:
        Whether they do.
    """
    return getattr(dataset, "masks", None) is not None
