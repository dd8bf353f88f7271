"""The 3D U-Net over the dates, rows and columns of a series."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image.bands import Bands
from csp_core.image.dense.base import DenseEncoder
from csp_core.image.dense.dates import check_series, day_waves, in_order
from csp_core.image.dense.start import start_from
from csp_core.image.weights import read_weights

# Two levels of pooling halve dates, rows and columns twice.
STEP = 4
MOST_DATES = 512


class UNet3D(DenseEncoder):
    """UNet3Df: convolutions over dates, rows and columns alike, and last a weight for each date.

    It is made for one number of dates; a series with fewer is filled up with dates whose day is
    NaN, which count as noughts behind the others, as published. Days are in the input as the sine
    and cosine of the year.

    Args:
        dim: Numbers for each pixel; None for twice the width.
        bands: Channels of each date.
        dates: How many dates a series has, a multiple of 4.
        width: Channels of the finest level; twice and four times as many on the coarser ones.
        with_days: Whether days are in the input.
        mean: Mean of each band, on the scale [0, 1]; None for that of the training images.
        std: Standard deviation of each band, likewise.
        weights: None to start from chance; a model directory of ours.

    Raises:
        ConfigError: If an option is out of range.
        CheckpointError: If the weights cannot be read or do not fit.

    Source:
        Tarasiou et al. 2022, context-self contrastive pretraining, UNet3Df; Rustowicz et al. 2019.
    """

    takes_series = True

    def __init__(
        self,
        dim: int | None = None,
        bands: int = 3,
        *,
        dates: int = 16,
        width: int = 64,
        with_days: bool = True,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__(2 * width if dim is None else dim, bands)
        if width < 1 or not STEP <= dates <= MOST_DATES or dates % STEP:
            raise ConfigError(
                f"width is {width} and dates {dates}; give at least 1, and a multiple of {STEP} to"
                f" {MOST_DATES}, as the dates of a series are halved twice."
            )
        self.dates, self.with_days = dates, with_days
        self.bands_scale = Bands(bands, mean, std)
        entering = bands + (2 if with_days else 0)
        self.down = _block(entering, width, width)
        self.deeper = _block(width, 2 * width, 2 * width)
        self.centre = nn.Sequential(
            *_layer(2 * width, 4 * width), *_layer(4 * width, 4 * width), _doubling(4 * width)
        )
        self.up = _block(4 * width, 2 * width, 2 * width)
        self.doubled = nn.Sequential(
            _doubling(2 * width), nn.BatchNorm3d(width), nn.LeakyReLU(inplace=True)
        )
        self.fine = _block(2 * width, 2 * width, 2 * width)
        self.project = nn.Conv3d(2 * width, self.out_dim, 3, padding=1)
        self.over_dates = nn.Linear(dates, 1)
        if weights is not None:
            start_from(self, read_weights(weights))

    @property
    def scale(self) -> Bands:
        """The scale of the bands."""
        return self.bands_scale

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Describe each pixel of series.

        Args:
            image: ``(N, dates, bands, H, W)``.
            days: ``(N, dates)`` part of the year, NaN for a date that there is not; None where all
                are there, in order, and nothing is known of their days.

        Returns:
            ``(N, dim, H, W)``.

        Raises:
            ConfigError: If images or days do not fit, or a series has no date at all.
        """
        check_series(image, self.bands, "unet3d")
        self._check_dates(image.shape[1])
        image, days, present = in_order(image, days)
        pixels = self.bands_scale(image)
        # Whatever stands in the pixels of a date that there is not, it counts as nought.
        pixels = torch.where(present[:, :, None, None, None], pixels, pixels.new_zeros(()))
        if self.with_days:
            pixels = torch.cat((pixels, _day_bands(pixels, days)), dim=2)
        side = pixels.shape[-2:]
        found = self._run(_padded(pixels.transpose(1, 2)))[..., : side[0], : side[1]]
        weighed: Tensor = self.over_dates(found.movedim(2, -1))
        return weighed.squeeze(-1)

    def _check_dates(self, dates: int) -> None:
        if dates % STEP:
            raise ConfigError(
                f"The series have {dates} dates, and the 3D network halves them twice: give a"
                f" multiple of {STEP}, filled up with dates whose day is unknown."
            )
        if dates != self.dates:
            raise ConfigError(
                f"The series have {dates} dates, and the 3D network is made for {self.dates}: give"
                f" model.image.dates: {dates}, or series of {self.dates}."
            )

    def _run(self, pixels: Tensor) -> Tensor:
        fine = self.down(pixels)
        coarse = self.deeper(F.max_pool3d(fine, 2))
        middle = self.centre(F.max_pool3d(coarse, 2))
        back = self.up(torch.cat((middle, coarse), dim=1))
        found = self.fine(torch.cat((self.doubled(back), fine), dim=1))
        projected: Tensor = self.project(found)
        return projected


def _day_bands(pixels: Tensor, days: Tensor | None) -> Tensor:
    """Lay the waves of days out as two more bands; noughts where nothing is known."""
    count, dates, _, height, width = pixels.shape
    if days is None:
        return pixels.new_zeros(count, dates, 2, height, width)
    waves = day_waves(days.to(pixels.dtype), 1)
    return waves[..., None, None].expand(-1, -1, -1, height, width)


def _padded(pixels: Tensor) -> Tensor:
    """Go on at the lower and right edge to multiples of 4, as in a mirror where there is room."""
    down, right = (-side % STEP for side in pixels.shape[-2:])
    if not (down or right):
        return pixels
    room = down < pixels.shape[-2] and right < pixels.shape[-1]
    return F.pad(pixels, (0, right, 0, down, 0, 0), mode="reflect" if room else "replicate")


def _layer(before: int, after: int) -> list[nn.Module]:
    return [
        nn.Conv3d(before, after, 3, padding=1),
        nn.BatchNorm3d(after),
        nn.LeakyReLU(inplace=True),
    ]


def _block(before: int, middle: int, after: int) -> nn.Sequential:
    return nn.Sequential(*_layer(before, middle), *_layer(middle, after))


def _doubling(channels: int) -> nn.ConvTranspose3d:
    """Double dates, rows and columns and halve the channels."""
    return nn.ConvTranspose3d(channels, channels // 2, 3, 2, padding=1, output_padding=1)
