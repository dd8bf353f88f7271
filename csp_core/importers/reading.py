"""Reading a published file of weights without executing anything in it."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files import hash_file
from csp_core.importers.labels import labels_beside
from csp_core.importers.names import plain_names
from csp_core.importers.onnx_file import is_onnx, read_onnx
from csp_core.importers.tflite import is_tflite, read_tflite

# A bound against mistakes: these models take megabytes.
MAX_BYTES = 2 * 2**30
# How torch.save began every file before it wrote zip archives (2020).
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
ZIP = b"PK\x03\x04"
# Where programs put weights and settings into a file, the usual one first.
WEIGHTS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights",
           "location_encoder", "module", "ema_state_dict", "model_ema", "ema")  # fmt: skip
# A model of parts may keep the weights of each apart.
DEEPEST = 4
EXTRA = "_extra_state"
SETTINGS = ("params", "hyper_parameters", "config", "hparams")
# Settings beside the safetensors file of a hub.
HUB_SETTINGS, MAX_SETTINGS = "config.json", 1 << 20


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Args:
        file: Its name without folders.
        sha256: Hash of its bytes.
        tensors: Name to tensor, on the CPU.
        params: The settings stored beside them; empty where there are none.
        notes: Where they stood, if not where they were published.
    """

    file: str
    sha256: str
    tensors: Mapping[str, Tensor]
    params: Mapping[str, Any]
    notes: tuple[str, ...] = ()

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
        path: A file that ``torch.save`` wrote, one of safetensors, of TensorFlow Lite or of ONNX.

    Returns:
        Its content.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is no such file, damaged, too large, or asks for more than weights.
    """
    path = Path(path)
    if (graph := _computed(path)) is not None:
        return graph
    if _check(path):
        tensors, params, notes = _read_safetensors(path)
    else:
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals(NUMBERS):
                warnings.simplefilter("ignore")
                content = torch.load(path, map_location="cpu", weights_only=True)
        # A hostile or damaged file can fail in any way, and each means the same.
        except Exception as error:
            raise CheckpointError(f"{path.name} {_reason(error)}") from error
        tensors, params = _split(path.name, content)
        notes = _other_weights(content)
    for name, tensor in tensors.items():
        _check_tensor(path.name, name, tensor)
    tensors, told = plain_names(tensors, path.name)
    return Checkpoint(path.name, hash_file(path), tensors, params, (*notes, *told))


def _computed(path: Path) -> Checkpoint | None:
    """Read a file that holds what is computed beside the weights; None of any other."""
    if not path.is_file() or not 0 < path.stat().st_size <= MAX_BYTES:
        return None
    with path.open("rb") as stream:
        head = stream.read(len(LEGACY))
    params: dict[str, Any] = {"labels": labels_beside(path)}
    if is_onnx(path, head):
        tensors, notes = plain_names(read_onnx(path), path.name)
        return Checkpoint(path.name, hash_file(path), tensors, params, notes)
    if not is_tflite(head):
        return None
    return Checkpoint(path.name, hash_file(path), {}, {**params, "graph": read_tflite(path)})


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any], tuple[str, ...]]:
    """Read a file of a hub, with the settings in its head or in ``config.json`` beside it."""
    try:
        with safe_open(path, framework="pt") as file:
            head = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path.name} is cut short or damaged: get it again from its publisher."
        ) from error
    params = next((found for key in SETTINGS if (found := _settings(head.get(key)))), {})
    beside = path.with_name(HUB_SETTINGS)
    if params or not beside.is_file() or beside.stat().st_size > MAX_SETTINGS:
        return tensors, params, ()
    params = _settings(beside.read_text(encoding="utf-8", errors="replace"))
    inner = next((params[key] for key in SETTINGS if isinstance(params.get(key), dict)), params)
    return tensors, inner, (f"The settings are those of {HUB_SETTINGS} beside it.",) * bool(inner)


def _settings(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _check(path: Path) -> bool:
    """Refuse what is no file of weights; tell whether it is one of safetensors."""
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
    # A safetensors file begins with the length of its head, which is JSON.
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size:
        return True
    if head == LEGACY:
        return False
    if not head.startswith(ZIP):
        raise CheckpointError(
            f"{path.name} is no file that torch.save wrote, nor one of safetensors; give the"
            " published file as it was downloaded. Nothing was loaded from it."
        )
    _check_archive(path)
    return False


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
    state: Any = content
    params: dict[str, Any] = {}
    if isinstance(content, Mapping):
        inner = (content[key] for key in WEIGHTS if isinstance(content.get(key), Mapping))
        state = next((found for found in inner if found), content)
        stored = [content[key] for key in SETTINGS if isinstance(content.get(key), Mapping)]
        params = dict(stored[0]) if stored and state is not content else {}
    # Weights in weights: a program that trains saved the file of another.
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if isinstance(state, Mapping):  # what parts keep beside their weights is of any kind
        state = _flat(state)
    named = isinstance(state, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )
    if not named or not state:
        raise CheckpointError(
            f"{file} holds no weights by name (a state_dict), so it is no model of a known source."
        )
    return {name: value.detach() for name, value in state.items()}, params


def _other_weights(content: Any) -> tuple[str, ...]:
    """Say which weights a file holds beside those that are read, such as averaged ones."""
    if not isinstance(content, Mapping):
        return ()
    held = [key for key in WEIGHTS if isinstance(content.get(key), Mapping) and content[key]]
    some = [
        key for key in held
        if any(isinstance(value, Tensor) for value in _flat(content[key]).values())
    ]  # fmt: skip
    if len(some) < 2 or some[0] != held[0]:
        return ()
    others = ", ".join(map(repr, some[1:]))
    return (f"The weights are those of {some[0]!r} in the file; {others} beside it was not read.",)


def _flat(state: Mapping[Any, Any], depth: int = 0) -> dict[Any, Any]:
    """Name weights that stand within parts by the way to them, as PyTorch does."""
    found: dict[Any, Any] = {}
    for name, value in state.items():
        if str(name).endswith(EXTRA):
            continue
        if isinstance(value, Mapping) and value and depth < DEEPEST:
            found |= {f"{name}.{inner}": held for inner, held in _flat(value, depth + 1).items()}
        else:
            found[name] = value
    return found


def _check_tensor(file: str, name: str, tensor: Tensor) -> None:
    plain = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    # A stride of 0 lets a few bytes pass for a tensor of any size.
    if not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise CheckpointError(f"{file}: {name!r} is no plain tensor that the file holds in full.")
