"""Small invented scenes as files, and a model that tells their pixels apart by colour."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rasterio import Affine
from rasterio import open as open_raster
from rasterio.errors import NotGeoreferencedWarning
from torch import Tensor, nn

from csp_core.data.records import ClassTable

NAMES = ("field", "road", "wood")
# Middle brightness of each class in three bands, of 255.
COLOURS = np.array([[200, 180, 60], [120, 120, 120], [20, 100, 30]])
UTM = "EPSG:32652"


class ColourModel:
    """Answers for each pixel by its colour alone, so that windows change nothing.

    Of series it takes the mean over the dates.
    """

    name = "colours"

    def __init__(self, *, series: bool = False, sharpness: float = 20.0) -> None:
        self.classes = ClassTable(NAMES)
        self.sharpness = sharpness
        self.image = nn.Module()
        self.image.bands, self.image.out_dim, self.image.takes_series = 3, 3, series  # type: ignore[assignment]
        self.image.register_buffer("mean", torch.tensor([0.45, 0.5, 0.25]).view(3, 1, 1))
        self.image.register_buffer("std", torch.tensor([0.3, 0.15, 0.15]).view(3, 1, 1))
        self.asked = 0
        self.days: Tensor | None = None

    def pixel_prior(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Give ``(N, 3, H, W)``: the nearer the colour of a class, the more probable."""
        self.asked, self.days = self.asked + len(image), days
        pixels = self.embed_pixels(image, days)
        centres = torch.from_numpy(COLOURS).float() / 255
        far = (pixels[:, None] - centres[None, :, :, None, None]).square().sum(dim=2)
        return (-self.sharpness * far).softmax(dim=1)

    def embed_pixels(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Give the colours themselves."""
        pixels = image.float() / 255
        return pixels.mean(dim=1) if image.ndim == 5 else pixels


def blocks(rows: int, columns: int, size: int = 24, seed: int = 0) -> Any:
    """Draw ``(H, W)`` classes in squares."""
    draws = np.random.default_rng(seed)
    coarse = draws.integers(0, 3, (-(-rows // size), -(-columns // size)))
    return coarse.repeat(size, 0).repeat(size, 1)[:rows, :columns]


def colours(classes: Any, seed: int = 0) -> Any:
    """Give classes ``(3, H, W)`` uint8 their colours under a little noise."""
    noise = np.random.default_rng(seed).normal(0, 3, (3, *classes.shape))
    return (COLOURS[classes].transpose(2, 0, 1) + noise).clip(1, 255).round().astype(np.uint8)


def write(
    path: Path,
    values: Any,
    *,
    crs: str | None = UTM,
    grid: tuple[float, ...] | None = (10.0, 0.0, 340_000.0, 0.0, -10.0, 3_830_000.0),
    **options: Any,
) -> Path:
    """Write ``(bands, H, W)`` as a GeoTIFF, or as what the ending says."""
    profile = {"driver": "PNG" if path.suffix == ".png" else "GTiff", "count": len(values)}
    profile |= {"height": values.shape[1], "width": values.shape[2], "dtype": values.dtype}
    if grid is not None:
        profile["transform"] = Affine(*grid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with open_raster(path, "w", crs=crs, **{**profile, **options}) as file:
            file.write(values)
    return path
