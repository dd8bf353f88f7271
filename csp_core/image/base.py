"""What every image encoder has: the size of its embedding and the component that makes it again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from torch import Tensor, nn

from csp_core.errors import ConfigError


class FeatureMaps(list[Tensor]):
    """Maps of features, finest first, and what a transformer knows beside its patches.

    Args:
        maps: Each ``(N, C, H, W)``.
        prefix: ``(N, P, C)`` tokens of a transformer that belong to no place, such as the class
            token, which pooling may need; P may be 0. None for other networks.
    """

    def __init__(self, maps: Iterable[Tensor] = (), prefix: Tensor | None = None) -> None:
        super().__init__(maps)
        self.prefix = prefix


class ImageEncoder(nn.Module):
    """Base of the image encoders.

    Args:
        dim: Size of the embedding.
        bands: Channels of an image.

    Raises:
        ConfigError: If either is below 1.
    """

    # Whether it looks at pixels, whose bands ``fit_bands`` measures.
    sees_pixels = False
    # Whether it describes each pixel, by ``dense_maps``.
    dense = False
    # Whether it takes ``(N, T, C, H, W)``, images of several dates.
    takes_series = False

    def __init__(self, dim: int, bands: int) -> None:
        super().__init__()
        if dim < 1 or bands < 1:
            raise ConfigError(f"dim is {dim} and bands {bands}; give at least 1 of each.")
        self.out_dim, self.bands = dim, bands
        # Set by ``make_image_encoder``; None for an encoder that no name describes.
        self.spec: Mapping[str, Any] | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """Options that are components themselves, with their defaults written out."""
        return {}

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of each map that ``maps`` gives, finest first."""
        self._without_maps()

    @property
    def map_strides(self) -> tuple[int, ...]:
        """Pixels of the image for each step on each map, growing."""
        self._without_maps()

    def maps(self, image: Tensor) -> FeatureMaps:
        """Compute the maps of features that the encoder has before it pools them.

        Args:
            image: ``(N, bands, H, W)``.

        Returns:
            Maps ``(N, C, H, W)``, finest first.

        Raises:
            ConfigError: If the encoder has none.
        """
        self._without_maps()

    def pool(self, maps: FeatureMaps) -> Tensor:
        """Pool maps into the features of an image.

        Args:
            maps: As ``maps`` gives them.

        Returns:
            ``(N, num_features)``.

        Raises:
            ConfigError: If the encoder has no maps.
        """
        self._without_maps()

    def fit_bands(
        self, image: Tensor, days: Tensor | None = None, valid: Tensor | None = None
    ) -> None:
        """Take the mean and standard deviation of the bands from images; nothing without pixels.

        Args:
            image: ``(N, bands, H, W)``, or of series ``(N, T, bands, H, W)``.
            days: ``(N, T)`` part of the year, NaN where a series has no such date.
            valid: ``(N, H, W)`` where there are data; None for everywhere.
        """

    def _without_maps(self) -> NoReturn:
        raise ConfigError(
            f"The image encoder {type(self).__name__} gives no maps of features: take small_convnet"
            " or a model of timm that does."
        )
