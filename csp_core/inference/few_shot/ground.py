"""What all species learned by one model have in common: its embedding, standardised on background.

The embedding is frozen. Each of its dimensions is brought to mean 0 and variance 1 over the
background, and what is left is turned to its principal axes, of which the first are kept: turning
changes no answer of a penalised classifier, and the axes left out hold little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.inference.few_shot.background import Background, draw_background
from csp_core.inference.prior import CHUNK
from csp_core.location import LocationEncoder
from csp_core.model import DualEncoder
from csp_core.model.parts import evaluating

AXES = 128
# What a page and the command line start from.
DEFAULT_ENCODER = "earth"
# Without a date a model that knows time is asked about all of the year.
MONTHS = tuple((month + 0.5) / 12 for month in range(12))


@dataclass(frozen=True, eq=False)
class Ground:
    """A model's embedding, ready to learn species from.

    Args:
        model: The model, whose location encoder is used and never changed.
        background: The background points.
        mean: ``(D,)`` float64 of the embedding over the background.
        axes: ``(D, R)`` float64: from the embedding less its mean to the features.
        features: ``(M, R)`` float64 features of the background points.
    """

    model: DualEncoder
    background: Background
    mean: Tensor
    axes: Tensor
    features: Tensor

    def see(self, lonlat: Tensor, date: float | None = None) -> Tensor:
        """Compute features of places.

        Args:
            lonlat: ``(N, 2)`` degrees, checked.
            date: Part of the year in [0, 1), or None.

        Returns:
            ``(N, R)`` float64.
        """
        return (_embed(self.model, lonlat, date) - self.mean) @ self.axes

    def through_year(self, lonlat: Tensor) -> Tensor:
        """Compute features of places at every time that an answer may be asked for.

        Args:
            lonlat: ``(N, 2)`` degrees, checked.

        Returns:
            ``(T, N, R)`` float64; T is 1 for a model without a date, else 13: without a date, and
            in the middle of each month.
        """
        times = (None, *MONTHS) if self.model.uses_date else (None,)
        return torch.stack([self.see(lonlat, date) for date in times])


def make_ground(
    model: Any,
    background: str | Background = "land",
    *,
    seed: int = 0,
    axes: int = AXES,
) -> Ground:
    """Prepare a model to learn species from a few places each.

    Args:
        model: Any model with a location encoder; it needs no classes.
        background: A key of ``BACKGROUNDS``, or points of your own.
        seed: Of the draw of the points.
        axes: How many axes of the standardised embedding are kept.

    Returns:
        What its species have in common, to be kept for the next one.

    Raises:
        UnknownNameError: If there is no such background.
        ConfigError: If the model has no location encoder, or the embedding is the same everywhere.
    """
    if not isinstance(model, DualEncoder) or model.location is None:
        raise ConfigError(
            f"Model {getattr(model, 'name', '')!r} has no location encoder, so it learns nothing of"
            " places: take a model of places, such as earth."
        )
    if isinstance(background, str):
        background = draw_background(model, background, seed=seed)
    seen = _at_any_time(model, background.lonlat, seed)
    mean, scale = seen.mean(dim=0), seen.std(dim=0)
    # A dimension that is the same everywhere tells nothing.
    scale = torch.where(scale > 1e-9 * scale.max(), scale, torch.inf)
    if not bool(scale.isfinite().any()):
        raise ConfigError(
            f"The embedding of model {model.name!r} is the same at all background points, so no"
            " species can be learned from it."
        )
    standard = (seen - mean) / scale
    _, _, turned = torch.linalg.svd(standard, full_matrices=False)
    turned = turned[:axes].T
    return Ground(model, background, mean, turned / scale[:, None], standard @ turned)


def _at_any_time(model: DualEncoder, lonlat: Tensor, seed: int) -> Tensor:
    """Embed background points, each at a time by chance where the model knows the year."""
    if not model.uses_date:
        return _embed(model, lonlat, None)
    generator = torch.Generator().manual_seed(seed + 1)
    which = torch.randint(len(MONTHS) + 1, (len(lonlat),), generator=generator)
    found = torch.empty(len(lonlat), _size(model), dtype=torch.float64)
    for number, date in enumerate((None, *MONTHS)):
        found[which == number] = _embed(model, lonlat[which == number], date)
    return found


def _size(model: DualEncoder) -> int:
    """Tell how much of an embedding counts: how near another species' places lie does not."""
    location = model.location
    return location.network_dim if isinstance(location, LocationEncoder) else model.dim


def _embed(model: DualEncoder, lonlat: Tensor, date: float | None) -> Tensor:
    first, size = next(model.parameters()), _size(model)
    parts = []
    with evaluating(model):
        for places in torch.split(lonlat.to(first.device, first.dtype), CHUNK):
            when = None if date is None else torch.full((len(places),), date).to(places)
            parts.append(model.embed_location(places, when)[:, :size].double().cpu())
    # Outside of inference mode a copy is a tensor like any other.
    return torch.cat(parts).clone() if parts else torch.empty(0, size, dtype=torch.float64)
