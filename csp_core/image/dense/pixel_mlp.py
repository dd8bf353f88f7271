"""A network that sees one pixel at a time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image.bands import Bands
from csp_core.image.dense.base import PictureEncoder
from csp_core.image.dense.start import start_from
from csp_core.image.weights import read_weights

DEEPEST = 16


class PixelMlp(PictureEncoder):
    """A small network of layers over the bands of each pixel alone, blind to what is beside it.

    So a table of pixels, or of series of pixels below ``over_dates``, is learned as images of one
    pixel. It is also what a network that sees the surroundings has to beat.

    Args:
        dim: Numbers for each pixel; None for ``width``, with no layer behind.
        bands: Channels of an image.
        width: Numbers of each layer.
        depth: How many layers come before the last, 1 to 16.
        mean: Mean of each band, on the scale [0, 1]; None for that of the training images.
        std: Standard deviation of each band, likewise.
        weights: None to start from chance; a model directory of ours.

    Raises:
        ConfigError: If an option is out of range.
        CheckpointError: If the weights cannot be read or do not fit.
    """

    def __init__(
        self,
        dim: int | None = None,
        bands: int = 3,
        *,
        width: int = 64,
        depth: int = 2,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__(width if dim is None else dim, bands)
        if width < 1 or not 1 <= depth <= DEEPEST:
            raise ConfigError(f"width is {width} and depth {depth}; give 1 or more, and 1 to 16.")
        self.width = width
        self.bands_scale = Bands(bands, mean, std)
        sizes = [bands, *[width] * depth]
        self.layers = nn.Sequential(*(_PixelLayer(i, o) for i, o in itertools.pairwise(sizes)))
        self.last = _PixelLayer(width, width)
        self.project = None if dim is None else nn.Conv2d(width, dim, 1)
        if weights is not None:
            start_from(self, read_weights(weights))

    @property
    def scale(self) -> Bands:
        """The scale of the bands."""
        return self.bands_scale

    @property
    def level_channels(self) -> tuple[int, ...]:
        """One map, of the image's own size."""
        return (self.width,)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Run all layers but the last.

        Args:
            image: ``(N, bands, H, W)``.

        Returns:
            One map ``(N, width, H, W)``.

        Raises:
            ConfigError: If the images have another number of bands.
        """
        if image.ndim != 4 or image.shape[1] != self.bands:
            raise ConfigError(
                f"Images have shape {tuple(image.shape)}; the image encoder takes (N, {self.bands},"
                " H, W). For another number of bands give model.image.bands."
            )
        return [self.layers(self.bands_scale(image))]

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Run the last layer.

        Args:
            levels: As of ``encode``.

        Returns:
            ``(N, dim, H, W)``.
        """
        found: Tensor = self.last(levels[0])
        return found if self.project is None else self.project(found)


class _PixelLayer(nn.Module):
    """A linear layer over the channels of each pixel, normalised over these alone."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(before, after), nn.LayerNorm(after)

    def forward(self, image: Tensor) -> Tensor:
        rows = self.norm(self.linear(image.movedim(1, -1))).relu()
        found: Tensor = rows.movedim(-1, 1)
        return found
