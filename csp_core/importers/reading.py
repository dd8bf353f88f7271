"""Reading a published file of weights without executing anything in it."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files import hash_file

# A bound against mistakes: these models take megabytes.
MAX_BYTES = 2 * 2**30
# How torch.save began every file before it wrote zip archives (2020).
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Args:
        file: Its name without folders.
        sha256: Hash of its bytes.
        tensors: Name to tensor, on the CPU.
        params: The settings stored beside them; empty where there are none.
    """

    file: str
    sha256: str
    tensors: Mapping[str, Tensor]
    params: Mapping[str, Any]

    def text(self, key: str) -> str | None:
        """Look a setting up that is a word.

        Args:
            key: Its name.

        Returns:
            The word, or None where there is none.
        """
        value = self.params.get(key)
        return value if isinstance(value, str) else None


class _NumberType:
    """Stands in for ``numpy.dtype``: notes how a number is written and makes nothing."""

    def __init__(self, code: str, *_: object) -> None:
        if not re.fullmatch("[biuf][1248]", code):
            raise ValueError(f"numbers of type {code!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">"}.get(state[1], "=")


def _number(kind: _NumberType, data: bytes) -> Any:
    """Stand in for NumPy's scalars: read one plain number."""
    return np.frombuffer(data, dtype=kind.order + kind.code, count=1)[0].item()


# NumPy numbers stand in the settings of some files; these two read them and do nothing else.
NUMBERS: list[Any] = [
    (_NumberType, "numpy.dtype"),
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
]


def read_file(path: str | Path) -> Checkpoint:
    """Read tensors and settings; nothing in the file is executed.

    Args:
        path: A file that ``torch.save`` wrote.

    Returns:
        Its content.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is no such file, damaged, too large, or asks for more than weights.
    """
    path = Path(path)
    _check(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(NUMBERS):
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    # A hostile or damaged file can fail in any way, and each means the same.
    except Exception as error:
        raise CheckpointError(f"{path.name} {_reason(error)}") from error
    tensors, params = _split(path.name, content)
    for name, tensor in tensors.items():
        _check_tensor(path.name, name, tensor)
    return Checkpoint(path.name, hash_file(path), tensors, params)


def _check(path: Path) -> None:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder; give the published file itself.")
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}.")
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise CheckpointError(
            f"{path.name} has {size:,} bytes; published files have some, and at most {MAX_BYTES:,}."
        )
    with path.open("rb") as stream:
        head = stream.read(len(LEGACY))
    if head == LEGACY:
        return
    if not head.startswith(ZIP):
        raise CheckpointError(
            f"{path.name} is no file that torch.save wrote; give the published file as it was"
            " downloaded. Nothing was loaded from it."
        )
    _check_archive(path)


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path.name} is cut short or damaged: get it again from its publisher."
        ) from error
    names = {entry.filename.rpartition("/")[2] for entry in entries}
    if "data.pkl" not in names or "constants.pkl" in names:
        raise CheckpointError(
            f"{path.name} is an archive, but not of weights; give the file of weights itself."
        )
    # torch.save stores without compression; what is compressed could unfold to any size.
    if any(e.compress_type != zipfile.ZIP_STORED or e.file_size > MAX_BYTES for e in entries):
        raise CheckpointError(f"{path.name} is compressed inside, which torch.save never does.")


def _reason(error: Exception) -> str:
    text = str(error)
    found = re.search(r"GLOBAL ([\w.]+)", text)
    if found or "unrecognized function" in text:
        what = f"asks for {found[1]}" if found else "asks to call a function"
        return (
            f"{what}, which no weights need: it was refused, nothing in it was executed and nothing"
            " was loaded."
        )
    return (
        f"cannot be read as weights ({type(error).__name__}): it is cut short, damaged or of"
        " another kind; get it again from its publisher."
    )


def _split(file: str, content: Any) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Tell weights from settings."""
    state, params = content, {}
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        state = content["state_dict"]
        stored = content.get("params", content.get("hyper_parameters"))
        params = dict(stored) if isinstance(stored, Mapping) else {}
    named = isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    if not named or not state:
        raise CheckpointError(
            f"{file} holds no weights by name (a state_dict), so it is no model of a known source."
        )
    return {name: value.detach() for name, value in state.items()}, params


def _check_tensor(file: str, name: str, tensor: Tensor) -> None:
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    # A stride of 0 lets a few bytes pass for a tensor of any size.
    if not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{file}: {name!r} is no plain tensor that the file holds in full.")
