"""The way back up in a U-Net: from the coarsest map to the pixels, with the finer maps beside."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csp_core.image.layers import norm_layer

# The coarsest steps are at most this many times as wide as the finest.
WIDEST = 8


class Decoder(nn.Module):
    """Doubles the side step by step, with the map of that side beside, where there is one.

    Each step is what ``segmentation_models_pytorch`` has as a block of its U-Net: nearest
    neighbours, both maps stacked, two 3×3 convolutions. Maps wider than the step that takes them
    are brought to its width first, so that a wide backbone does not make a heavy decoder.

    Args:
        channels: Of each map, finest first; the first map has the size of the image.
        strides: Pixels of the image for each step on each map, from 1.
        width: Channels at the image's own size, a multiple of 8.
        norm: ``batch`` or ``group``.

    Source:
        Ronneberger et al. 2015, U-Net.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], width: int, norm: str
    ) -> None:
        super().__init__()
        narrow = [min(c, _width_at(s, width)) for c, s in zip(channels, strides, strict=True)]
        self.lateral = nn.ModuleList(
            nn.Identity() if wide == slim else nn.Conv2d(wide, slim, 1, bias=False)
            for wide, slim in zip(channels, narrow, strict=True)
        )
        self.steps = plan_steps(strides)
        blocks, before = [], narrow[-1]
        for stride, beside in self.steps:
            after = _width_at(stride, width)
            skip = 0 if beside is None else narrow[beside]
            blocks.append(_block(before + skip, after, norm))
            before = after
        self.blocks = nn.ModuleList(blocks)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Go from the coarsest map to the finest.

        Args:
            levels: Maps, finest first.

        Returns:
            ``(N, width, H, W)``, the size of the first.
        """
        maps = [layer(level) for layer, level in zip(self.lateral, levels, strict=True)]
        found: Tensor = maps[-1]
        whole = levels[0].shape[-2:]
        for (stride, beside), block in zip(self.steps, self.blocks, strict=True):
            skip = None if beside is None else maps[beside]
            side = [-(-pixels // stride) for pixels in whole] if skip is None else skip.shape[-2:]
            # Of the middle of a pixel, so that a mirrored image has a mirrored map.
            found = F.interpolate(found, tuple(side), mode="nearest-exact")
            found = block(found if skip is None else torch.cat((found, skip), dim=1))
        return found


def plan_steps(strides: Sequence[int]) -> list[tuple[int, int | None]]:
    """Plan the steps from the coarsest map to the finest, each at most about a doubling.

    Args:
        strides: Of the maps, finest first.

    Returns:
        For each step the stride it leads to, and the number of the map beside it, if any.

    Example:
        >>> plan_steps((1, 4, 8))
        [(4, 1), (2, None), (1, 0)]
    """
    steps: list[tuple[int, int | None]] = []
    here = strides[-1]
    for number in range(len(strides) - 2, -1, -1):
        there = strides[number]
        while here > 2 * there and here // 2 > there:
            here //= 2
            steps.append((here, None))
        steps.append((there, number))
        here = there
    return steps


def _width_at(stride: int, width: int) -> int:
    return width * min(max(stride // 2, 1), WIDEST)


def _block(before: int, after: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for entering in (before, after):
        layers += [
            nn.Conv2d(entering, after, 3, padding=1, bias=False),
            norm_layer(norm, after),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
