"""What encoders that describe each pixel have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.image.bands import Bands
from csp_core.image.base import ImageEncoder
from csp_core.image.pixels import PixelEncoder

# Images that are described at a time where only their means are wanted and no gradient is.
CHUNK = 32


class DenseEncoder(ImageEncoder):
    """Base of the encoders that give a row of numbers for each pixel.

    As an image encoder like any other it gives the mean of these rows over an image.

    Args:
        dim: Numbers for each pixel.
        bands: Channels of an image.

    Raises:
        ConfigError: If either is below 1.
    """

    dense = True
    sees_pixels = True

    @property
    def scale(self) -> Bands | PixelEncoder:
        """Whatever holds the mean and standard deviation of the bands."""
        raise TypeError(f"{type(self).__name__} must define scale.")

    @property
    def mean(self) -> Tensor:
        """Mean of each band on the scale [0, 1], ``(bands, 1, 1)``."""
        return self.scale.mean

    @property
    def std(self) -> Tensor:
        """Standard deviation of each band, likewise."""
        return self.scale.std

    def fit_bands(
        self, image: Tensor, days: Tensor | None = None, valid: Tensor | None = None
    ) -> None:
        """Take the mean and standard deviation of the bands from images, unless they were given.

        Args:
            image: ``(N, bands, H, W)``, or of series ``(N, T, bands, H, W)``.
            days: ``(N, T)`` part of the year; where it is NaN a series has no such date.
            valid: ``(N, H, W)`` where there are data; None for everywhere.
        """
        if image.ndim == 5:
            present = dates_there(image, days)
            if valid is not None:
                valid = valid[:, None].expand(*image.shape[:2], *valid.shape[1:])[present]
            image = image[present]
        self.scale.fit_bands(image, valid=valid)

    def start_inside(self) -> None:
        """Hear that what this is built on has learned before, and this has not."""

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Describe each pixel.

        Args:
            image: ``(N, bands, H, W)``; for an encoder that ``takes_series`` ``(N, T, bands, H,
                W)``. The numbers are as any image encoder takes them.
            days: ``(N, T)`` part of the year in [0, 1), NaN where a series has no such date; None
                where all dates are there and nothing is known of their days.

        Returns:
            ``(N, dim, H, W)``.

        Raises:
            ConfigError: If images or days do not fit.
        """
        raise TypeError(f"{type(self).__name__} must define dense_maps.")

    def forward(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Average over the pixels of images.

        Args:
            image: As for ``dense_maps``.
            days: Likewise.

        Returns:
            ``(N, dim)``.
        """
        if not torch.is_grad_enabled() and len(image) > CHUNK:
            parts = [None] * len(image) if days is None else torch.split(days, CHUNK)
            images = torch.split(image, CHUNK)
            return torch.cat([self(*both) for both in zip(images, parts, strict=False)])
        return self.dense_maps(image, days).mean(dim=(2, 3))


class PictureEncoder(DenseEncoder):
    """Base of the dense encoders of one date, in two halves with maps of features between them."""

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of each map that ``encode`` gives, finest first."""
        raise TypeError(f"{type(self).__name__} must define level_channels.")

    def encode(self, image: Tensor) -> list[Tensor]:
        """Compute maps of features.

        Args:
            image: ``(N, bands, H, W)``.

        Returns:
            Maps ``(N, C, H', W')``, finest first, the first of them of the image's own size.
        """
        raise TypeError(f"{type(self).__name__} must define encode.")

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Turn maps of features into what is known of each pixel.

        Args:
            levels: As of ``encode``.

        Returns:
            ``(N, dim, H, W)``.
        """
        raise TypeError(f"{type(self).__name__} must define decode.")

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Describe each pixel of images of one date; their days do not matter.

        Args:
            image: ``(N, bands, H, W)``.
            days: Not used.

        Returns:
            ``(N, dim, H, W)``.

        Raises:
            ConfigError: If images are series, or have other bands.
        """
        if image.ndim == 5:
            raise ConfigError(
                f"The images are series of {image.shape[1]} dates, and this image encoder takes one"
                " date: give model.image: {name: over_dates} or unet3d."
            )
        return self.decode(self.encode(image))


def dates_there(image: Tensor, days: Tensor | None) -> Tensor:
    """Tell which dates of series there are.

    Args:
        image: ``(N, T, bands, H, W)``.
        days: ``(N, T)`` part of the year, NaN for a date that there is not; None for all there.

    Returns:
        ``(N, T)`` bool.

    Raises:
        ConfigError: If the days do not fit, or a series has no date at all.
    """
    if days is None:
        return torch.ones(image.shape[:2], dtype=torch.bool, device=image.device)
    if days.shape != image.shape[:2]:
        raise ConfigError(
            f"Series have shape {tuple(image.shape)} and their days {tuple(days.shape)}; give one"
            f" day for each date, {tuple(image.shape[:2])}."
        )
    present = ~days.isnan()
    if not bool(present.any(dim=1).all()):
        empty = (~present.any(dim=1)).nonzero().flatten().tolist()
        raise ConfigError(
            f"{len(empty)} of {len(image)} series have no date at all, the first of them number"
            f" {empty[0]} of its batch: leave out series whose days are all unknown."
        )
    return present
