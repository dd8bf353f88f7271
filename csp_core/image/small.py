"""A small convolutional network of our own, for patches of 64 pixels on a CPU."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image.base import FeatureMaps
from csp_core.image.layers import check_width, norm_layer
from csp_core.image.pixels import PixelEncoder, Trainable
from csp_core.image.weights import read_weights


class SmallConvnet(PixelEncoder):
    """Three residual blocks, each halving the side and doubling the width, and means over places.

    With the default width and ``dim`` 128 it has 318,928 weights; with width 24, 704,120. Images of
    any size of at least 16 pixels go in; strides are made for about 64.

    Args:
        dim: Size of the embedding; None for ``8 · width · cells²`` with no layer behind
            the features.
        bands: Channels of an image.
        width: Channels after the first layer, a multiple of 8.
        cells: The features are means over a grid of this many cells a side: 1 for images in which
            it does not matter where something stands, up to 4 where it does.
        norm: ``batch`` normalisation, or ``group``, where an image's features do not depend on the
            others of its batch.
        weights: None to start from chance; a model directory, or a file, to start from there.
        mean: Mean of each band, on the scale [0, 1]; None for that of the training images.
        std: Standard deviation of each band, likewise.
        size: Side in pixels that images are brought to, or None to take them as they are.
        trainable: ``all``, ``last`` (the last blocks) or ``none`` of the backbone.
        last_blocks: How many blocks are the last.

    Raises:
        ConfigError: If an option is out of range.
        CheckpointError: If the weights cannot be read or do not fit.

    Source:
        He et al. 2016, residual networks, in the small.
    """

    def __init__(
        self,
        dim: int | None = None,
        bands: int = 3,
        *,
        width: int = 16,
        cells: int = 1,
        norm: Literal["batch", "group"] = "batch",
        weights: str | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        size: int | None = None,
        trainable: Trainable = "all",
        last_blocks: int = 1,
    ) -> None:
        check_width(width, norm)
        if not 1 <= cells <= 4:
            raise ConfigError(f"cells is {cells}; give 1 to 4.")
        stem = nn.Sequential(
            nn.Conv2d(bands, width, 3, 2, 1, bias=False),
            norm_layer(norm, width),
            nn.ReLU(inplace=True),
        )
        widths = [width * 2**power for power in range(4)]
        blocks = [_Block(i, o, norm) for i, o in itertools.pairwise(widths)]
        net = nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(cells), nn.Flatten())
        super().__init__(
            net,
            widths[-1] * cells**2,
            [list(part.parameters()) for part in (stem, *blocks)],
            dim=dim,
            bands=bands,
            mean=mean,
            std=std,
            size=size,
            trainable=trainable,
            last_blocks=last_blocks,
        )
        self._widths = tuple(widths)
        if weights is not None:
            read_weights(weights).into(self)

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the maps behind the first layer and behind each block."""
        return self._widths

    @property
    def map_strides(self) -> tuple[int, ...]:
        """Pixels for each step on a map."""
        return tuple(2 ** (power + 1) for power in range(len(self._widths)))

    def _net_maps(self, pixels: Tensor) -> FeatureMaps:
        found = FeatureMaps()
        for layer in list(self.net.children())[: len(self._widths)]:
            pixels = layer(pixels)
            found.append(pixels)
        return found

    def pool(self, maps: FeatureMaps) -> Tensor:
        """Average the last map over the cells.

        Args:
            maps: As ``maps`` gives them.

        Returns:
            ``(N, num_features)``.
        """
        found = maps[-1]
        for layer in list(self.net.children())[len(self._widths) :]:
            found = layer(found)
        return found


class _Block(nn.Module):
    """Two 3×3 convolutions beside a 1×1 one; the side is halved."""

    def __init__(self, before: int, after: int, norm: str) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, 2, 1, bias=False),
            norm_layer(norm, after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            norm_layer(norm, after),
        )
        pool = nn.AvgPool2d(2, ceil_mode=True)
        self.skip = nn.Sequential(pool, nn.Conv2d(before, after, 1, bias=False))

    def forward(self, image: Tensor) -> Tensor:
        found: Tensor = (self.body(image) + self.skip(image)).relu()
        return found
