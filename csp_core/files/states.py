"""Weights of other programs: names and tensors in a file, read without executing any of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError, ConfigError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def read_torch(file: Path) -> dict[str, Any]:
    """Read a file that torch wrote, as long as it holds tensors alone.

    Args:
        file: The file.

    Returns:
        Name to CPU tensor.

    Raises:
        ConfigError: If its name is not that of a file of weights.
        CheckpointError: If it cannot be read, or holds more than tensors.
    """
    import torch

    if file.suffix not in SUFFIXES:
        raise ConfigError(f"{file} is no file of weights; give one of {', '.join(SUFFIXES)}.")
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises errors of many kinds on files that are cut short or hold more than tensors.
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"{file} cannot be read as tensors alone ({said[:120]}): save the state_dict, best as"
            " .safetensors."
        ) from error
    for key in ("state_dict", "model"):
        found = found.get(key, found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise CheckpointError(f"{file} holds no state_dict: save names and tensors, nothing else.")
    return {str(name).removeprefix("module."): value for name, value in found.items()}
