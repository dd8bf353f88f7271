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

from csp_core.image.base import ImageEncoder
from csp_core.image.features import PrecomputedFeatures
from csp_core.tables import construct, option_names

__all__ = ["IMAGE_ENCODERS", "ImageEncoder", "make_image_encoder"]

IMAGE_ENCODERS: dict[str, Callable[..., ImageEncoder]] = {"features": PrecomputedFeatures}


def make_image_encoder(
    name: str, dim: int = 256, *, bands: int = 3, **options: Any
) -> ImageEncoder:
    """Make an image encoder.

    Args:
        name: A name in ``IMAGE_ENCODERS``.
        dim: Size of the embedding; for ``features``, how many there are.
        bands: Channels of an image.
        **options: Options of the encoder.

    Returns:
        The encoder: ``(N, C, H, W)``, or ``(N, F)`` for features → ``(N, dim)``.

    Raises:
        UnknownNameError: If there is no such encoder.
        ConfigError: If an option is unknown or out of range.
    """
    given = {"dim": dim, "bands": bands, **options}
    encoder = construct("image encoder", IMAGE_ENCODERS, name, **given)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    encoder.spec = {"name": name, **option_names(IMAGE_ENCODERS[name]), **given}
    return encoder
