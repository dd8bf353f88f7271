"""Precomputed features of images, and what classifiers said of them, read from the disk in rows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from csp_core.data.batch import Batch, Sample
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, DataNotFoundError

HASHED_ROWS = 64


@dataclass(frozen=True, eq=False)
class FeatureDataset(RecordDataset):
    """Records whose images are rows of files that stay on the disk.

    Args:
        files: Memory-mapped ``(n, F)`` arrays, as if one below the other.
        rows: ``(N,)`` int64 row of each record's features.
    """

    files: tuple[np.ndarray[Any, Any], ...] = ()
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        """Check that every record has its row."""
        super().__post_init__()
        if self.files and len(self.rows) != len(self.lonlat):
            raise BadRecordError(
                f"{len(self.rows)} rows of features for {len(self.lonlat)} records; give one each."
            )

    def __getitem__(self, index: int) -> Sample:
        """Return one record."""
        sample = super().__getitem__(index)
        if self.files:
            sample["image"] = self._take(self.rows[index : index + 1])[0]
        return sample

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return many records as a batch at once."""
        batch = super().__getitems__(indices)
        if self.files:
            batch["image"] = self._take(self.rows[torch.as_tensor(indices, dtype=torch.int64)])
        return batch

    def joined_columns(self, other: RecordDataset) -> dict[str, Any]:
        """Put the columns of two parts that read the same files one below the other."""
        rows = (
            torch.cat((self.rows, other.rows)) if isinstance(other, FeatureDataset) else self.rows
        )
        return {**super().joined_columns(other), "rows": rows}

    def _take(self, rows: Tensor) -> Tensor:
        """Read rows of features from the disk: ``(n, F)`` float32."""
        found, start = torch.empty(len(rows), self.files[0].shape[1]), 0
        for part in self.files:
            here = (rows >= start) & (rows < start + len(part))
            drawn = np.asarray(part[(rows[here] - start).numpy()], dtype=np.float32)
            if len(drawn) == len(rows):
                return torch.from_numpy(drawn)
            found[here] = torch.from_numpy(drawn)
            start += len(part)
        return found

    def content_hash(self) -> str:
        """Return a SHA-256 over places, dates, labels and class names, and a few rows of features.

        Returns:
            64 hexadecimal digits.
        """
        own = super().content_hash()
        if not self.files:
            return own
        # All of them would be gigabytes; 64 rows tell one file of features from another.
        few = self.rows[torch.linspace(0, len(self.rows) - 1, HASHED_ROWS).long()]
        return hashlib.sha256(own.encode() + self._take(few).numpy().tobytes()).hexdigest()


def map_features(path: Path, expected: int | None = None) -> np.ndarray[Any, Any]:
    """Map a file of features into memory, without reading it.

    Args:
        path: ``.npy``.
        expected: How many rows there must be, or None for any number.

    Returns:
        ``(n, F)`` floating-point numbers.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is of another form.
    """
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}: it should hold a row of features for each image.")
    try:
        array: np.ndarray[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise BadRecordError(f"not a NumPy array ({error})", file=path.name) from error
    if array.ndim != 2 or array.dtype.kind != "f" or len(array) != (expected or len(array)):
        images = "" if expected is None else f" for each of {expected} images"
        raise BadRecordError(
            f"{array.dtype} of shape {array.shape}; give a row of floating-point numbers{images}",
            file=path.name,
        )
    return array


def read_predictions(path: str | Path, rows: Tensor) -> Tensor:
    """Read what a published image classifier says of some images.

    Args:
        path: ``.npy`` of ``(n, K)`` probabilities, or ``.npz`` of their sparse rows, as SciPy saves
            a matrix in the form CSR.
        rows: ``(N,)`` int64 numbers of the images, as ``FeatureDataset.rows`` counts them in one
            file.

    Returns:
        ``(N, K)`` float32 P(class | image). ``posterior`` leaves them as they are where the prior
        is NaN because the place is unknown.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is of another form.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}.")
    try:
        if path.suffix != ".npz":
            said = map_features(path)[rows.numpy()]
            return torch.from_numpy(np.asarray(said, dtype=np.float32))
        with np.load(path, allow_pickle=False) as stored:
            start, column, value = (stored[key] for key in ("indptr", "indices", "data"))
            dense = np.zeros((len(rows), int(stored["shape"][1])), dtype=np.float32)
        for number, row in enumerate(rows.tolist()):
            here = slice(start[row], start[row + 1])
            dense[number, column[here]] = value[here]
    except (KeyError, ValueError, IndexError, OSError, BadZipFile) as error:
        raise BadRecordError(f"no predictions of these images ({error})", file=path.name) from error
    return torch.from_numpy(dense)
