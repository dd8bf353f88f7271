"""A tiny image encoder that keeps pixels, and invented pictures with masks that it can learn."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from csp_core.data.images import ImageDataset, MemoryImages
from csp_core.data.records import ClassTable
from csp_core.image import ImageEncoder, to_unit
from csp_core.model import DualEncoder, Heads

NAMES = ("ground", "water", "wood", "roof")


class TinyDense(ImageEncoder):
    """Two 3×3 convolutions, which keep height and width; of series, the mean over their dates."""

    dense = True
    takes_series = True

    def __init__(self, dim: int = 8, bands: int = 3) -> None:
        super().__init__(dim, bands)
        self.net = nn.Sequential(
            nn.Conv2d(bands, dim, 3, 1, 1),
            nn.GroupNorm(2, dim),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 3, 1, 1),
        )

    def dense_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Give ``(N, dim, H, W)``."""
        if image.ndim == 5:
            known = torch.ones(image.shape[:2]) if days is None else (~days.isnan()).float()
            each = self.net(to_unit(image).flatten(0, 1)).unflatten(0, image.shape[:2])
            return (each * known[:, :, None, None, None]).sum(dim=1) / known.sum(dim=1)[
                :, None, None, None
            ]
        return self.net(to_unit(image))

    def forward(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Give ``(N, dim)``, the mean over the pixels."""
        return self.dense_maps(image, days).mean(dim=(2, 3))


def model(classes: Sequence[str] = NAMES) -> DualEncoder:
    """Make a model that tells the class of each pixel, and has learned nothing."""
    torch.manual_seed(0)
    heads = Heads(image=None, classifiers=(), pixels=True)
    return DualEncoder(TinyDense(8), None, dim=8, classes=classes, heads=heads, name="fields")


def pictures(
    number: int = 24, side: int = 16, *, seed: int = 0, unknown: bool = True
) -> ImageDataset:
    """Draw fields of four classes, each of its own colour under noise, a fifth of it unknown."""
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 4, (number, side // 4, side // 4), generator=draws)
    mask = coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)
    colours = torch.tensor([[0.5, 0.4, 0.3], [0.1, 0.2, 0.7], [0.1, 0.5, 0.1], [0.8, 0.3, 0.3]])
    clean = colours[mask].permute(0, 3, 1, 2)
    noise = torch.randn(clean.shape, generator=draws)
    image = (clean + 0.05 * noise).clamp(0, 1).mul(255).round().to(torch.uint8)
    if unknown:
        mask = mask.masked_fill(torch.rand(mask.shape, generator=draws) < 0.2, -1)
    counts = tuple(torch.bincount(mask[mask >= 0], minlength=4).tolist())
    return ImageDataset(
        lonlat=torch.rand(number, 2, generator=draws) * 4 + torch.tensor([127.0, 36.0]),
        label=torch.full((number,), -1),
        classes=ClassTable(NAMES, counts=counts),
        store=MemoryImages(image),
        rows=torch.arange(number),
        masks=mask.to(torch.int16),
        name="fields",
        info={"background": "ground"},
    )
