"""Features of a frozen backbone, computed once for a data set and kept on the disk."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.files import cache_folder, read_json, write_json
from csp_core.image.pixels import PixelEncoder

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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        array, done = _resume(partial, (count, encoder.num_features))
        was_training, saved = encoder.training, time.monotonic()
        encoder.eval()
        device = encoder.mean.device
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
        # A second process that does the same writes the same, so the last one to finish may win.
        os.replace(partial, done_file)
        _progress(partial).unlink(missing_ok=True)
        encoder.train(was_training)
    except OSError as error:
        raise CheckpointError(f"Cannot keep features in {folder} ({error}).") from error
    return done_file


def encoder_hash(encoder: PixelEncoder) -> str:
    """Hash what decides the features: the backbone's weights, the bands' scaling and the size.

    Args:
        encoder: The encoder.

    Returns:
        64 hexadecimal digits.
    """
    spec = {key: value for key, value in (encoder.spec or {}).items() if key != "dim"}
    digest = hashlib.sha256(f"{type(encoder).__name__}/{encoder.size}/{spec.get('model')}".encode())
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
        except (ValueError, OSError, KeyError, CheckpointError):
            pass  # begun again below
    return open_memmap(partial, mode="w+", dtype=np.float16, shape=shape), 0
