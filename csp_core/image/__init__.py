"""Image encoders: one table, one function that makes them.

Example:
    >>> import torch
    >>> encoder = make_image_encoder("features", dim=2048)
    >>> encoder(torch.zeros(5, 2048)).shape
    torch.Size([5, 2048])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp_core.image.backbones import TimmBackbone
from csp_core.image.bands import to_unit
from csp_core.image.base import FeatureMaps, ImageEncoder
from csp_core.image.features import PrecomputedFeatures
from csp_core.image.pixels import PixelEncoder
from csp_core.image.small import SmallConvnet
from csp_core.tables import construct, option_names

__all__ = [
    "IMAGE_ENCODERS",
    "FeatureMaps",
    "ImageEncoder",
    "PixelEncoder",
    "make_image_encoder",
    "to_unit",
]

IMAGE_ENCODERS: dict[str, Callable[..., ImageEncoder]] = {
    "features": PrecomputedFeatures,
    "small_convnet": SmallConvnet,
    "timm": TimmBackbone,
}


def make_image_encoder(
    name: str, dim: int | None = 256, *, bands: int = 3, **options: Any
) -> ImageEncoder:
    """Make an image encoder.

    Args:
        name: A name in ``IMAGE_ENCODERS``.
        dim: Size of the embedding; for ``features``, how many there are; None for the encoder's own
            size, without a linear layer behind it.
        bands: Channels of an image.
        **options: Options of the encoder.

    Returns:
        The encoder: ``(N, C, H, W)``, or ``(N, F)`` for features → ``(N, dim)``.

    Raises:
        UnknownNameError: If there is no such encoder.
        ConfigError: If an option is unknown or out of range.
    """
    given = {**({} if dim is None else {"dim": dim}), "bands": bands, **options}
    encoder = construct("image encoder", IMAGE_ENCODERS, name, **given)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    encoder.spec = {"name": name, **option_names(IMAGE_ENCODERS[name]), **given}
    if "weights" in encoder.spec:
        # A saved model holds all its weights: it is made again without the files it started from.
        encoder.spec = {**encoder.spec, "weights": None}
    return encoder
