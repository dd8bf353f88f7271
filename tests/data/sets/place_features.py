"""Makes a folder of places with two small families of features."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from csp_core import geo
from csp_core.data.sets.place_features import draw_places, write_place_features


def sines(lonlat: Tensor) -> Tensor:
    """Give ``(N, 3)``: the point on the unit sphere."""
    return geo.unit_vectors(lonlat)


def heights(lonlat: Tensor) -> Tensor:
    """Give ``(N, 2)``: numbers of another size, one of them the same everywhere."""
    return torch.stack((100 + 30 * lonlat[:, 1].abs(), torch.full((len(lonlat),), 7.0)), dim=1)


FAMILIES = {"sines": sines, "heights": heights}


def make(folder: Path, size: int = 80) -> Path:
    """Write the folder and return it."""
    made = folder / "places"
    if not made.is_dir():
        write_place_features(made, draw_places(size, seed=1), FAMILIES)
    return made


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads it."""
    return {"root": make(folder), "val_fraction": 0.2, "test_fraction": 0.2}
