"""One network shared by all dates of a series, and what it saw weighed over the dates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image.bands import Bands
from csp_core.image.dense.base import DenseEncoder, PictureEncoder
from csp_core.image.dense.dates import (
    HARMONICS,
    DateAttention,
    DateMean,
    check_series,
    day_waves,
    in_order,
    weigh,
)
from csp_core.image.dense.pictures import PICTURES
from csp_core.image.dense.start import own_weights, start_from
from csp_core.image.making import make_inside, told_inside
from csp_core.image.pixels import PixelEncoder

MOST_HEADS = 64


class OverDates(DenseEncoder):
    """A network of one date runs over each date of a series, and its maps are summed over dates.

    The weights of the dates are decided on the coarsest map and hold for the finer ones, so that
    the way back up to the pixels is gone once and not for each date. The day of the year is mixed
    into the coarsest map before. Dates come in any order and number, one alone too; one that there
    is not (its day is NaN) changes nothing, whatever stands in its pixels.

    Args:
        dim: Numbers for each pixel; None for those of the backbone.
        bands: Channels of each date.
        backbone: The dense encoder of one date, with its options: ``unet``, or ``pixel_mlp`` for
            series of single pixels.
        pool: ``attention``, or ``mean``, where all dates of a series weigh alike.
        heads: In how many ways attention weighs the dates, each for its part of the channels.
        weights: None to start from chance; a model directory of ours, of series, of one date, or of
            pooled images; or whatever the backbone takes.

    Raises:
        UnknownNameError: If there is no such backbone.
        ConfigError: If an option is out of range.
        CheckpointError: If the weights cannot be read or do not fit.

    Source:
        Garnot and Landrieu 2021, U-TAE: attention over dates, upsampled.
    """

    takes_series = True

    def __init__(
        self,
        dim: int | None = None,
        bands: int = 3,
        *,
        backbone: Mapping[str, Any] | str = "unet",
        pool: Literal["attention", "mean"] = "attention",
        heads: int = 4,
        weights: str | None = None,
    ) -> None:
        if pool not in ("attention", "mean") or not 1 <= heads <= MOST_HEADS:
            raise ConfigError(
                f"pool is {pool!r} and heads {heads}; give 'attention' or 'mean', and 1 to"
                f" {MOST_HEADS}."
            )
        own = own_weights(weights)
        inside = weights if own is None else None
        inner = make_inside(PICTURES, backbone, dim=dim, bands=bands, weights=inside)
        super().__init__(inner.out_dim, bands)
        self.backbone: PictureEncoder = inner
        coarsest = inner.level_channels[-1]
        self.dated = nn.Sequential(
            nn.Conv2d(coarsest + 2 * HARMONICS, coarsest, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(coarsest, coarsest, 1),
        )
        self.weigh_dates = DateMean() if pool == "mean" else DateAttention(coarsest, heads)
        if inside is not None:
            self.start_inside()
        if own is not None:
            start_from(self, own)

    def start_inside(self) -> None:
        """Give at first what the network of one date gives, which has learned before.

        One from chance hears of the days from the first step on: left to find them, some trainings
        never do.
        """
        for values in self.dated[-1].parameters():
            nn.init.zeros_(values)

    @property
    def parts(self) -> dict[str, Any]:
        """The network of one date with its defaults written out."""
        return {"backbone": told_inside(self.backbone)}

    @property
    def scale(self) -> Bands | PixelEncoder:
        """What holds the scale of the bands in the network of one date."""
        return self.backbone.scale

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Describe each pixel of series.

        Args:
            image: ``(N, T, bands, H, W)``, or ``(N, bands, H, W)`` of one date.
            days: ``(N, T)`` part of the year, NaN for a date that there is not; None where all
                are there and nothing is known of their days.

        Returns:
            ``(N, dim, H, W)``.

        Raises:
            ConfigError: If images or days do not fit, or a series has no date at all.
        """
        if image.ndim == 4:
            image = image[:, None]
            days = None if days is None else days.reshape(len(image), -1)
        check_series(image, self.bands, "over_dates")
        image, days, present = in_order(image, days)
        # Dates that no series has cost nothing.
        most = int(present.sum(dim=1).max())
        image, present = image[:, :most], present[:, :most]
        levels = self.backbone.encode(image[present])
        levels[-1] = levels[-1] + self._dated(levels[-1], days, present)
        series = [_laid_out(level, present) for level in levels]
        weights = self.weigh_dates(series[-1], present)
        return self.backbone.decode([weigh(level, weights) for level in series])

    def _dated(self, coarse: Tensor, days: Tensor | None, present: Tensor) -> Tensor:
        """Mix the days of all dates that there are into what is seen on them."""
        known = None if days is None else days[:, : present.shape[1]][present]
        if known is None:
            known = coarse.new_full((len(coarse),), torch.nan)
        waves = day_waves(known.to(coarse.dtype))[:, :, None, None]
        waves = waves.expand(-1, -1, *coarse.shape[-2:])
        found: Tensor = self.dated(torch.cat((coarse, waves), dim=1))
        return found


def _laid_out(rows: Tensor, present: Tensor) -> Tensor:
    """Lay rows of dates out by series, noughts where there is no date: ``(N, T, C, h, w)``."""
    if bool(present.all()):
        return rows.reshape(*present.shape, *rows.shape[1:])
    found = rows.new_zeros(*present.shape, *rows.shape[1:])
    found[present] = rows
    return found
