"""Weights of image encoders, from a file, a model directory of ours or one of another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files import read_state
from csp_core.image.base import ImageEncoder
from csp_core.image.pixels import PixelEncoder

HUB = "pretrained"
OWN = "image."


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
    tensors = read_state(file)
    own = {name[len(OWN) :]: value for name, value in tensors.items() if name.startswith(OWN)}
    return Weights(path, own or tensors, own=bool(own))
