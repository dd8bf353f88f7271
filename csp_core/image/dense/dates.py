"""Dates of a series: put in order, told to a network, weighed against each other."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image.dense.base import dates_there

HARMONICS = 2


def in_order(image: Tensor, days: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
    """Put the dates of series in order, those that there are not last.

    Args:
        image: ``(N, T, bands, H, W)``.
        days: ``(N, T)`` part of the year, NaN for a date that there is not; None for all there, in
            the order in which they stand.

    Returns:
        Images and days in order, and ``(N, T)`` which dates there are.

    Raises:
        ConfigError: If the days do not fit, or a series has no date at all.
    """
    present = dates_there(image, days)
    if days is None:
        return image, None, present
    order = days.nan_to_num(nan=math.inf).argsort(dim=1, stable=True)
    days, present = days.gather(1, order), present.gather(1, order)
    if not torch.equal(order, torch.arange(order.shape[1], device=order.device).expand_as(order)):
        image = image[torch.arange(len(image), device=order.device)[:, None], order]
    return image, days, present


def check_series(image: Tensor, bands: int, name: str) -> None:
    """Refuse images that are no series of the right bands.

    Args:
        image: Anything.
        bands: Channels of each date.
        name: Of the encoder, for the message.

    Raises:
        ConfigError: If they are others.
    """
    if image.ndim != 5 or image.shape[2] != bands:
        raise ConfigError(
            f"Images have shape {tuple(image.shape)}; the image encoder {name} takes series"
            f" (N, T, {bands}, H, W). For one date take unet; for another number of bands give"
            " model.image.bands."
        )


def day_waves(days: Tensor, harmonics: int = HARMONICS) -> Tensor:
    """Turn days into waves, so that the end of a year stands beside its beginning.

    Args:
        days: ``(…,)`` part of the year, NaN where unknown.
        harmonics: How many waves, of a year, half a year, and so on.

    Returns:
        ``(…, 2 · harmonics)``: the sine and cosine of each; 0 where unknown.

    Example:
        >>> day_waves(torch.tensor([0.25, float("nan")]), 1).round().tolist()
        [[1.0, -0.0], [0.0, 0.0]]
    """
    times = torch.arange(1, harmonics + 1, device=days.device, dtype=days.dtype)
    angle = 2 * math.pi * days.unsqueeze(-1) * times
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(-2).nan_to_num(nan=0.0)


class DateMean(nn.Module):
    """Weighs the dates of each series alike."""

    def forward(self, coarse: Tensor, present: Tensor) -> Tensor:
        """Weigh dates.

        Args:
            coarse: ``(N, T, C, h, w)``.
            present: ``(N, T)`` which dates there are.

        Returns:
            ``(N, T, 1, 1, 1)``, which sums to 1 over dates.
        """
        there = present.to(coarse.dtype)
        return (there / there.sum(dim=1, keepdim=True))[:, :, None, None, None]


class DateAttention(nn.Module):
    """Weighs the dates of each place by what is seen there, in several ways at once.

    Each head has one learned question, which the features of each date answer.

    Args:
        channels: Of the map that decides.
        heads: Ways to weigh.
        size: Of the questions.

    Source:
        Garnot and Landrieu 2020, lightweight temporal attention; 2021, U-TAE.
    """

    def __init__(self, channels: int, heads: int, size: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.key = nn.Conv2d(channels, heads * size, 1)
        self.query = nn.Parameter(torch.randn(heads, size) * size**-0.5)

    def forward(self, coarse: Tensor, present: Tensor) -> Tensor:
        """Weigh dates.

        Args:
            coarse: ``(N, T, C, h, w)``.
            present: ``(N, T)`` which dates there are.

        Returns:
            ``(N, T, heads, h, w)``, which sums to 1 over dates and is 0 where there is none.
        """
        keys: Tensor = self.key(coarse.flatten(0, 1))
        keys = keys.reshape(*coarse.shape[:2], *self.query.shape, *coarse.shape[-2:])
        scores = torch.einsum("ntkdhw,kd->ntkhw", keys, self.query).float()
        scores = scores.masked_fill(~present[:, :, None, None, None], -math.inf)
        return scores.softmax(dim=1).to(coarse.dtype)


def weigh(level: Tensor, weights: Tensor) -> Tensor:
    """Sum maps over dates, each head weighing its part of the channels.

    Args:
        level: ``(N, T, C, H, W)``.
        weights: ``(N, T, heads, h, w)`` of a coarser map, or of size 1.

    Returns:
        ``(N, C, H, W)``.
    """
    side = level.shape[-2:]
    if weights.shape[-2:] not in (side, (1, 1)):
        finer = F.interpolate(weights.flatten(0, 1), side, mode="bilinear")
        weights = finer.reshape(*weights.shape[:3], *side)
    parts = level.tensor_split(weights.shape[2], dim=2)
    heads = weights.tensor_split(weights.shape[2], dim=2)
    return torch.cat([(p * h).sum(dim=1) for p, h in zip(parts, heads, strict=True)], dim=1)
