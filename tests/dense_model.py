"""The smallest image encoder that gives a map of cells, for tests of what compares them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from csp_core.image import IMAGE_ENCODERS, ImageEncoder, to_unit


class TinyDense(ImageEncoder):
    """Three convolutions; of a series, their mean over the dates that there are.

    Args:
        dim: Size of a cell's embedding.
        bands: Channels of an image.
        stride: Side of a cell in pixels.
        takes_series: Whether images are series.
    """

    dense = True

    def __init__(
        self, dim: int = 16, bands: int = 3, *, stride: int = 1, takes_series: bool = False
    ) -> None:
        super().__init__(dim, bands)
        self.stride, self.takes_series = stride, takes_series
        self.net = nn.Sequential(
            nn.Conv2d(bands, dim, 3, 1, 1),
            nn.GroupNorm(4, dim),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 3, 1, 1),
            nn.ReLU(),
            nn.AvgPool2d(stride),
            nn.Conv2d(dim, dim, 1),
        )

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Embed pixels: ``(N, C, H, W)`` or ``(N, T, C, H, W)`` → ``(N, dim, H, W)``."""
        if not self.takes_series:
            found: Tensor = self.net(to_unit(image) - 0.5)
            return found
        maps = self.net(to_unit(image).flatten(0, 1) - 0.5)
        maps = maps.view(*image.shape[:2], *maps.shape[1:])
        here = torch.ones(maps.shape[:2]) if days is None else (~days.isnan()).float()
        weight = here[:, :, None, None, None]
        return (maps * weight).sum(dim=1) / weight.sum(dim=1)

    def forward(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Embed images, as the mean of their cells."""
        return self.dense_maps(image, days).mean(dim=(2, 3))


@contextmanager
def in_the_table() -> Iterator[None]:
    """Let configurations name it for a while."""
    IMAGE_ENCODERS["tiny_dense"] = TinyDense
    try:
        yield
    finally:
        del IMAGE_ENCODERS["tiny_dense"]
