"""Files: atomic writes, hashes, safe tensor files, plain values, where the bundled assets are."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files.plain import (
    MOST_JSON,
    check_plain,
    harmless,
    parse_yaml,
    printable,
    read_json,
    read_text,
    read_yaml,
    spreadsheet_cell,
)
from csp_core.files.states import read_torch

__all__ = [
    "ASSETS",
    "MOST_JSON",
    "asset_path",
    "atomic_directory",
    "atomic_path",
    "cache_folder",
    "check_plain",
    "check_tensors",
    "harmless",
    "hash_file",
    "load_tensors",
    "parse_yaml",
    "printable",
    "read_json",
    "read_state",
    "read_text",
    "read_yaml",
    "save_tensors",
    "spreadsheet_cell",
    "write_json",
    "write_text",
]

ASSETS = Path(__file__).resolve().parents[2] / "assets"
# Of a safetensors file: a hundred thousand names of tensors.
MOST_HEADER = 4 << 20


def asset_path(*parts: str) -> Path:
    """Return the path of a bundled asset.

    Args:
        *parts: Path components below ``assets/``.

    Returns:
        The absolute path.

    Raises:
        DataNotFoundError: If the asset is missing (csp_core must be installed from a clone).
    """
    path = ASSETS.joinpath(*parts)
    if not path.exists():
        raise DataNotFoundError(
            f"Asset {'/'.join(parts)!r} not found in {ASSETS}. csp_core is used from a clone of its"
            " repository: install it with `pip install -e .` there."
        )
    return path


def cache_folder() -> Path:
    """Return the folder for what can be computed again: ``CSP_CACHE``, or a user's usual one.

    Returns:
        The folder, which need not be there yet.
    """
    named = os.environ.get("CSP_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "csp_core"


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that replaces it when the block ends without error.

    Args:
        path: Where the file shall stand in the end. Missing parent folders are made.

    Yields:
        The temporary path to write to.
    """
    path = Path(path)
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes private files; a finished file gets the permissions any other would.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_directory(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of ``path`` when the block ends without error.

    A folder that stood at ``path`` is set aside first and removed only once the new one stands
    there, so no half-written folder is ever seen.

    Args:
        path: Where the folder shall stand in the end.

    Yields:
        The temporary folder to fill.
    """
    path = Path(path)
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        fresh, old = holder / "new", holder / "old"
        try:
            fresh.mkdir()
            yield fresh
            if path.exists():
                os.replace(path, old)
            try:
                os.replace(fresh, path)
            except OSError:
                if old.exists():
                    os.replace(old, path)
                raise
        finally:
            _remove(holder)


def _remove(folder: Path) -> None:
    """Remove a folder, also while threads that nobody waits for still write their last to it."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(0.05)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Have errors of the file system name the path that was asked for, not a temporary one."""
    try:
        yield
    except OSError as error:
        named = str(error.filename or "")
        # A full disk names nothing; what else has a name, such as a file that is read, keeps it.
        if error.errno is not None and (not named or f".{path.name}." in named):
            error.filename, error.filename2 = str(path), None
        raise


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically.

    Args:
        path: File to write.
        text: Its content.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically.

    Args:
        path: File to write.
        value: Anything that JSON can hold.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, or of a folder's files one after another.

    Args:
        path: File to read, or a folder, whose files are taken in the order of their names.

    Returns:
        64 hexadecimal digits.
    """
    path = Path(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def save_tensors(path: str | Path, tensors: Mapping[str, Any]) -> None:
    """Write named tensors as safetensors, atomically.

    Args:
        path: File to write.
        tensors: Name to tensor; made contiguous and moved to the CPU here.

    Raises:
        OSError: If it cannot be written; names the path.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(plain, temporary)
        except SafetensorError as error:
            # It tells what the system said in words alone, which end in the number.
            said = re.search(r"\(os error (\d+)\)", str(error))
            if said is None:
                raise
            number = int(said[1])
            raise OSError(number, os.strerror(number), str(path)) from error


def load_tensors(path: str | Path) -> dict[str, Any]:
    """Read named tensors from a safetensors file; nothing in it is executed.

    Args:
        path: File to read.

    Returns:
        Name to CPU tensor.

    Raises:
        CheckpointError: If the file is missing, cut short or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_tensors(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a complete safetensors file ({error}). Copy it again, or train anew."
        ) from error


def read_state(path: str | Path) -> dict[str, Any]:
    """Read weights that another program may have written; nothing in the file is executed.

    Args:
        path: ``.safetensors``, or a file of torch that holds tensors alone.

    Returns:
        Name to CPU tensor, in single precision: half of it is none to start training from.

    Raises:
        ConfigError: If its name is not that of a file of weights.
        CheckpointError: If it cannot be read.
    """
    file = Path(path)
    tensors = load_tensors(file) if file.suffix == ".safetensors" else read_torch(file)
    return {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}


def check_tensors(path: str | Path) -> dict[str, tuple[int, ...]]:
    """Check that a safetensors file is whole, without reading its tensors.

    Args:
        path: The file.

    Returns:
        Name of each tensor to its shape.

    Raises:
        CheckpointError: If it is missing, cut short, of another format, or its header too large.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise CheckpointError(f"No file {path}: the directory it should be in is incomplete.")
    try:
        with open(path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8).ljust(8, b"\0"))
        if length > MOST_HEADER:
            raise ValueError(f"its header would have {length:,} bytes")
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a complete safetensors file ({error}).") from error
