"""Weights of image encoders, from a file, a model directory of ours or one of another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError
from csp_core.files import load_tensors
from csp_core.image.base import ImageEncoder
from csp_core.image.pixels import PixelEncoder

HUB = "pretrained"
OWN = "image."
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True)
class Weights:
    """Weights as they were read.

    Args:
        path: Where from.
        tensors: Name to tensor.
        own: Whether they are those of an image encoder of ours, in a model directory.
    """

    path: Path
    tensors: dict[str, Tensor]
    own: bool

    def into(self, encoder: ImageEncoder) -> None:
        """Load the weights of an encoder of ours: the backbone, its bands and the layer behind it.

        Args:
            encoder: An encoder of the same kind; a linear layer of another size is left as it is.

        Raises:
            CheckpointError: If they are of another encoder.
        """
        wanted = encoder.state_dict()
        kept = {
            name: tensor
            for name, tensor in self.tensors.items()
            if not _is_behind(name) or (name in wanted and wanted[name].shape == tensor.shape)
        }
        missing = [n for n in wanted if n not in kept and not _is_behind(n)]
        extra = [name for name in kept if name not in wanted]
        wrong = [n for n in kept if n in wanted and kept[n].shape != wanted[n].shape]
        if missing or extra or wrong:
            name = (missing + extra + wrong)[0]
            raise CheckpointError(
                f"The weights in {self.path} are of another image encoder ({name!r} does not fit):"
                " give model.image the name and options in that model's config.json."
            )
        encoder.load_state_dict(kept, strict=False)
        if isinstance(encoder, PixelEncoder):
            encoder.bands_known = True


def _is_behind(name: str) -> bool:
    """Tell whether a tensor is of the layer behind the backbone, whose size anybody chooses."""
    return name.replace("backbone.", "").startswith("project.")


def read_weights(path: str | Path) -> Weights:
    """Read weights; nothing in the file is executed.

    Args:
        path: ``.safetensors``, or ``.pth`` of tensors alone; a model directory of ours; or a folder
            that holds ``model.safetensors``, as models are published on the Hugging Face hub.

    Returns:
        The weights.

    Raises:
        DataNotFoundError: If there is nothing there.
        CheckpointError: If they cannot be read.
    """
    path = Path(path)
    file = path / "model.safetensors" if path.is_dir() else path
    if path.is_dir() and not file.is_file() and (path / "model" / file.name).is_file():
        file = path / "model" / file.name  # a run directory
    if not file.is_file():
        raise DataNotFoundError(
            f"No weights at {file}: give a .safetensors or .pth file, or a folder that holds"
            " model.safetensors."
        )
    tensors = load_tensors(file) if file.suffix == ".safetensors" else _load_torch(file)
    # Half precision saves space on the disk, and is no precision to start training from.
    tensors = {n: t.float() if t.is_floating_point() else t for n, t in tensors.items()}
    own = {name[len(OWN) :]: value for name, value in tensors.items() if name.startswith(OWN)}
    return Weights(path, own or tensors, own=bool(own))


def _load_torch(file: Path) -> dict[str, Tensor]:
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
    if not isinstance(found, dict) or not all(isinstance(v, Tensor) for v in found.values()):
        raise CheckpointError(f"{file} holds no state_dict: save names and tensors, nothing else.")
    return {str(name).removeprefix("module."): value for name, value in found.items()}
