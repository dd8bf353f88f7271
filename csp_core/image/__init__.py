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

from csp_core.image.bands import to_unit
from csp_core.image.base import FeatureMaps, ImageEncoder
from csp_core.image.dense import DENSE, DenseEncoder
from csp_core.image.features import PrecomputedFeatures
from csp_core.image.making import make_from
from csp_core.image.pixels import PixelEncoder
from csp_core.image.pooled import POOLED

__all__ = [
    "IMAGE_ENCODERS",
    "DenseEncoder",
    "FeatureMaps",
    "ImageEncoder",
    "PixelEncoder",
    "make_image_encoder",
    "to_unit",
]

IMAGE_ENCODERS: dict[str, Callable[..., ImageEncoder]] = {
    "features": PrecomputedFeatures,
    **POOLED,
    **DENSE,
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
    return make_from(IMAGE_ENCODERS, name, dim=dim, bands=bands, **options)
