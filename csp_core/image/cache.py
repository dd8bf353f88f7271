"""Features of a frozen backbone, computed once for a data set and kept on the disk."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.files import cache_folder, read_json, write_json
from csp_core.image.pixels import PixelEncoder

if sys.platform != "win32":
    import fcntl

BATCH = 256
SAVE_SECONDS = 10.0
LARGEST = 65_504.0


def cache_features(
    encoder: PixelEncoder,
    fetch: Callable[[Tensor], Tensor],
    count: int,
    *,
    data_hash: str,
    folder: str | Path | None = None,
    batch_size: int = BATCH,
    report: Callable[[int, int], None] | None = None,
) -> Path:
    """Compute the features of a backbone for all images of a data set, unless they are kept.

    What was computed before a run was stopped is not computed again. Features of other data, of
    other weights or of another scaling of the bands have another name.

    Args:
        encoder: The encoder; its backbone is run in evaluation mode, on the device it is on.
        fetch: Gives the images ``(n, bands, H, W)`` of row numbers ``(n,)``.
        count: How many rows there are.
        data_hash: What tells the images from others.
        folder: Where to keep the features; ``features`` in the cache folder if omitted.
        batch_size: Images at a time.
        report: Called with how many rows are done, and with ``count``.

    Returns:
        The path of a ``.npy`` file, ``(count, num_features)`` float16, to be mapped into memory.

    Raises:
        CheckpointError: If the file cannot be written, or features are not finite.
    """
    folder = Path(folder) if folder is not None else cache_folder() / "features"
    name = hashlib.sha256(f"{data_hash}/{encoder_hash(encoder)}/{count}".encode()).hexdigest()[:32]
    done_file, partial = folder / f"{name}.npy", folder / f"{name}.partial.npy"
    if done_file.is_file():
        return done_file
    was_training = encoder.training
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{name}.lock"):
            if not done_file.is_file():
                _compute(encoder.eval(), fetch, count, partial, batch_size, report)
                os.replace(partial, done_file)
                _progress(partial).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"Cannot keep features in {folder} ({error}).") from error
    finally:
        encoder.train(was_training)
    return done_file


def _compute(
    encoder: PixelEncoder,
    fetch: Callable[[Tensor], Tensor],
    count: int,
    partial: Path,
    batch_size: int,
    report: Callable[[int, int], None] | None,
) -> None:
    """Fill the file from where an earlier process stopped."""
    array, done = _resume(partial, (count, encoder.num_features))
    saved, device = time.monotonic(), encoder.mean.device
    for start in range(done, count, batch_size):
        rows = torch.arange(start, min(start + batch_size, count))
        with torch.no_grad():
            found = encoder.features(fetch(rows).to(device)).float().cpu()
        if not found.isfinite().all():
            raise CheckpointError("The image encoder gives features that are no finite numbers")
        array[start : start + len(rows)] = found.clamp(-LARGEST, LARGEST).half().numpy()
        if time.monotonic() - saved > SAVE_SECONDS:
            array.flush()
            write_json(_progress(partial), {"done": start + len(rows)})
            saved = time.monotonic()
        if report is not None:
            report(start + len(rows), count)
    array.flush()


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Wait until no other process computes the same, as all processes of one run would at once."""
    with lock.open("w") as stream:
        if sys.platform != "win32":
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
        # What was waited for is there now, so whoever makes the lock anew finds it.
        lock.unlink(missing_ok=True)


def encoder_hash(encoder: PixelEncoder) -> str:
    """Hash what decides the features: the backbone's weights, the bands' scaling and the size.

    Args:
        encoder: The encoder.

    Returns:
        64 hexadecimal digits.
    """
    spec = {key: value for key, value in (encoder.spec or {}).items() if key != "dim"}
    told = (type(encoder).__name__, encoder.size, encoder.num_features, spec.get("model"))
    digest = hashlib.sha256("/".join(map(str, told)).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        if not name.startswith("project."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _progress(partial: Path) -> Path:
    return partial.with_suffix(".json")


def _resume(
    partial: Path, shape: tuple[int, int]
) -> tuple[np.memmap[tuple[int, int], np.dtype[np.float16]], int]:
    """Open the file that an earlier process began, or begin one: it and how many rows it holds."""
    open_memmap = np.lib.format.open_memmap
    if partial.is_file() and _progress(partial).is_file():
        try:
            found = open_memmap(partial, mode="r+")
            if found.shape == shape and found.dtype == np.float16:
                return found, int(read_json(_progress(partial))["done"])
        except (ValueError, TypeError, OSError, KeyError, CheckpointError):
            pass  # begun again below
    # It counts the rows of the file before: a stop soon after would leave noughts taken for done.
    _progress(partial).unlink(missing_ok=True)
    return open_memmap(partial, mode="w+", dtype=np.float16, shape=shape), 0
