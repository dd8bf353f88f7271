"""The scale of an image's bands: about [0, 1] first, then shifted and divided band by band."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError

# What an integer image is divided by: 8 bits hold 0–255, 16 bits reflectance times 10,000 as
# Sentinel-2 products have it.
SCALES = {torch.uint8: 255.0, torch.int16: 10_000.0, torch.int32: 10_000.0}


def to_unit(image: Tensor) -> Tensor:
    """Bring the values of images to about [0, 1].

    Args:
        image: uint8 in 0–255, int16 or int32 in units of 1/10,000, or floating-point numbers, which
            pass unchanged.

    Returns:
        The same shape in floating-point numbers.

    Raises:
        ConfigError: If the numbers are of another kind.

    Example:
        >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist()
        [0.0, 0.20000000298023224, 1.0]
    """
    if image.is_floating_point():
        return image
    if image.dtype not in SCALES:
        raise ConfigError(f"Images are {image.dtype}; give uint8, int16, int32 or floating point.")
    return image.float() / SCALES[image.dtype]


def per_band(name: str, values: Sequence[float] | None, bands: int, usual: float) -> Tensor:
    """Give one number for each band.

    Args:
        name: What they are, for the error message.
        values: One for all or one for each; None for the usual.
        bands: How many bands.
        usual: What stands for None.

    Returns:
        ``(bands, 1, 1)``.

    Raises:
        ConfigError: If there are others.
    """
    given = [usual] if values is None else list(values)
    if len(given) not in (1, bands):
        raise ConfigError(f"{name} has {len(given)} numbers; give one, or one for each of {bands}.")
    return torch.tensor(given, dtype=torch.float32).expand(bands).clone().view(bands, 1, 1)


def measure_bands(image: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Measure the bands of images.

    Args:
        image: ``(N, bands, H, W)`` of any kind that ``to_unit`` takes.
        valid: ``(N, H, W)`` where there are data; None for everywhere.

    Returns:
        Mean and standard deviation of each band, ``(bands, 1, 1)`` each.

    Raises:
        ConfigError: If there are no data at all.
    """
    pixels = to_unit(image).transpose(0, 1).flatten(1).double()
    if valid is not None:
        pixels = pixels[:, valid.flatten()]
    if not pixels.shape[1]:
        raise ConfigError("The images have no pixel with data, so their bands cannot be measured.")
    mean = pixels.mean(dim=1).view(-1, 1, 1)
    # A band that never changes says nothing; it is left at its scale.
    spread = pixels.std(dim=1, correction=0).view(-1, 1, 1)
    return mean, torch.where(spread > 1e-6, spread, torch.ones_like(spread))


class Bands(nn.Module):
    """The mean and standard deviation of each band, kept with the weights.

    Args:
        bands: How many.
        mean: Mean of each band, one for all, or None for what ``fit_bands`` finds.
        std: Standard deviation of each band, likewise, above 0.

    Raises:
        ConfigError: If they do not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, bands: int, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.bands_known = mean is not None or std is not None
        self.register_buffer("mean", per_band("mean", mean, bands, 0.5))
        self.register_buffer("std", per_band("std", std, bands, 0.25))
        if not bool((self.std > 0).all()):
            raise ConfigError(f"std is {std}; give numbers above 0.")

    def fit_bands(self, image: Tensor, days: None = None, valid: Tensor | None = None) -> None:
        """Take the numbers from images, unless they were given.

        Args:
            image: ``(N, bands, H, W)``.
            days: Not used.
            valid: ``(N, H, W)`` where there are data; None for everywhere.
        """
        if not self.bands_known:
            mean, std = measure_bands(image, valid)
            self.mean.copy_(mean)
            self.std.copy_(std)

    def forward(self, image: Tensor) -> Tensor:
        """Shift and scale the bands.

        Args:
            image: ``(…, bands, H, W)``.

        Returns:
            The same shape, each band of about mean 0 and spread 1.
        """
        scaled: Tensor = (to_unit(image).to(self.mean.dtype) - self.mean) / self.std
        return scaled
