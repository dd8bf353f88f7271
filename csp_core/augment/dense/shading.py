"""What light, air and sensors do to views: gains, offsets, noise, clouds, softness, lost bands.

Values are in parts of white, which is 255 in 8 bits, 3,558 of reflectances in 1/10,000 and 1 of
floating-point numbers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Radius of a cloud in sides of the view, how hard its edge is, and how much it covers.
LEAST_RADIUS, MOST_RADIUS = 0.1, 0.3
EDGE, COVER = 2.0, 0.95
CLOUD_NUMBERS = 4


def scale_bands(pixels: Tensor, uniform: Tensor, *, gain: float, offset: float) -> Tensor:
    """Multiply each band by a number about 1 and shift it.

    Args:
        pixels: ``(N, T, C, H, W)`` in parts of white.
        uniform: ``(N, 2, C)`` in [0, 1).
        gain: How far from 1 a band's factor may be.
        offset: How far from 0 a band's shift may be, in parts of white.

    Returns:
        The same shape.
    """
    factor, shift = (2 * uniform - 1)[:, :, None, :, None, None].unbind(1)
    return pixels * (1 + gain * factor) + offset * shift


def add_clouds(pixels: Tensor, uniform: Tensor, share: float) -> Tensor:
    """Put one white disc with soft edges on some of the dates.

    Args:
        pixels: ``(N, T, C, H, W)`` in parts of white.
        uniform: ``(N, T, 4)`` in [0, 1): whether, row, column, radius.
        share: How often there is one.

    Returns:
        The same shape.
    """
    height, width = pixels.shape[3:]
    whether, down, right, size = uniform.unbind(2)
    rows = torch.arange(height) + 0.5 - (down * height)[..., None]
    columns = torch.arange(width) + 0.5 - (right * width)[..., None]
    radius = (LEAST_RADIUS + (MOST_RADIUS - LEAST_RADIUS) * size) * max(height, width)
    squared = rows.square()[..., None] + columns.square()[..., None, :]
    cover = COVER * (EDGE * (1 - squared / radius.square()[..., None, None])).clamp(0, 1)
    cover = cover * (whether < share)[..., None, None]
    return pixels + cover[:, :, None] * (1 - pixels)


def soften(pixels: Tensor, uniform: Tensor, share: float) -> Tensor:
    """Replace pixels of some views by means over 3×3 of them.

    Args:
        pixels: ``(N, T, C, H, W)``.
        uniform: ``(N,)`` in [0, 1).
        share: How often.

    Returns:
        The same shape.
    """
    frames = F.pad(pixels.flatten(0, 1), (1, 1, 1, 1), mode="replicate")
    soft = F.avg_pool2d(frames, 3, stride=1).view_as(pixels)
    return torch.where((uniform < share).view(-1, 1, 1, 1, 1), soft, pixels)


def lose_bands(pixels: Tensor, lost: Tensor) -> Tensor:
    """Fill bands with their mean over the view, which then tell no places apart.

    Args:
        pixels: ``(N, T, C, H, W)``.
        lost: ``(C,)`` bool.

    Returns:
        The same shape.
    """
    mean = pixels.mean(dim=(1, 3, 4), keepdim=True)
    return torch.where(lost.view(-1, 1, 1), mean, pixels)
