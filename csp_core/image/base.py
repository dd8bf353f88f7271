"""What every image encoder has: the size of its embedding and the component that makes it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from csp_core.errors import ConfigError


class ImageEncoder(nn.Module):
    """Base of the image encoders.

    Args:
        dim: Size of the embedding.
        bands: Channels of an image.

    Raises:
        ConfigError: If either is below 1.
    """

    def __init__(self, dim: int, bands: int) -> None:
        super().__init__()
        if dim < 1 or bands < 1:
            raise ConfigError(f"dim is {dim} and bands {bands}; give at least 1 of each.")
        self.out_dim, self.bands = dim, bands
        # Set by ``make_image_encoder``; None for an encoder that no name describes.
        self.spec: Mapping[str, Any] | None = None
