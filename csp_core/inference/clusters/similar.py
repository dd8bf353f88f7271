"""Places that a model sees like a given one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.geo import great_circle_km
from csp_core.inference.clusters.countries import place_names
from csp_core.inference.clusters.sampling import Sample
from csp_core.inference.clusters.vectors import embed

FAR_KM, LISTED = 1000.0, 10


@dataclass(frozen=True)
class SimilarPlace:
    """A place far from here that a model sees alike.

    Args:
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        cosine: Of the angle between the two embeddings, in [-1, 1].
        km: How far it is from here.
        name: Where it is, in words.
    """

    lon: float
    lat: float
    cosine: float
    km: float
    name: str


@dataclass(frozen=True, eq=False)
class Similar:
    """How alike a model sees the places of a sample to one place.

    Args:
        lon: Longitude of the one place, degrees.
        lat: Latitude, degrees.
        cosine: ``(N,)`` float32 in [-1, 1], in the order of the sample.
        places: Up to ten of the most alike, at least 1000 km from here and from each other.
        threshold: The least cosine of ``above``, or None.
        area_km2: Area of the sample at or above the threshold; None without one.
    """

    lon: float
    lat: float
    cosine: Tensor
    places: tuple[SimilarPlace, ...]
    threshold: float | None
    area_km2: float | None


def similar(
    model: Any,
    lon: float,
    lat: float,
    *,
    sample: Sample,
    threshold: float | None = None,
    date: float | None = None,
    vectors: Tensor | None = None,
) -> Similar:
    """Compare a place with those of a sample, by the cosine of their embeddings.

    Args:
        model: Any model with a location side.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        sample: The places to compare with.
        threshold: List only places of at least this cosine, and measure their area.
        date: Part of the year in [0, 1), or None.
        vectors: ``(N, D)`` embeddings of the sample, if they are at hand.

    Returns:
        The cosines and the most similar places that are far away.

    Raises:
        ConfigError: If the model has no location encoder, or the threshold is none.
        BadRecordError: If the place is none.
    """
    if threshold is not None and not -1 <= threshold <= 1:
        raise ConfigError(f"The threshold is {threshold}; a cosine goes from -1 to 1.")
    here = torch.tensor([[lon, lat]], dtype=torch.float32)
    own = embed(model, here, date=date)
    vectors = embed(model, sample.lonlat, date=date) if vectors is None else vectors
    if vectors.shape != (len(sample), own.shape[1]):
        raise ConfigError(
            f"There are vectors of shape {tuple(vectors.shape)} for {len(sample)} places of"
            f" {own.shape[1]} dimensions; give the model's own of this sample."
        )
    cosine = (vectors @ own[0]).clamp(-1, 1)
    least = -1.0 if threshold is None else threshold
    chosen = _far_apart(sample.lonlat, cosine, here[0], least)
    names = place_names(sample.lonlat[chosen])
    km = great_circle_km(sample.lonlat[chosen].double(), here[0].double()).tolist()
    places_at = {i: (float(sample.lonlat[i, 0]), float(sample.lonlat[i, 1])) for i in chosen}
    places = tuple(
        SimilarPlace(*places_at[i], cosine[i].item(), away, name)
        for i, away, name in zip(chosen, km, names, strict=True)
    )
    area = None if threshold is None else float(sample.area_km2[cosine >= threshold].sum())
    return Similar(lon, lat, cosine, places, threshold, area)


def _far_apart(lonlat: Tensor, cosine: Tensor, here: Tensor, least: float) -> list[int]:
    """Take the most similar place, then the next that is far from all taken, and so on."""
    places = lonlat.double()
    allowed = (cosine >= least) & (great_circle_km(places, here.double()) >= FAR_KM)
    chosen: list[int] = []
    for _ in range(LISTED):
        if not bool(allowed.any()):
            break
        best = int(cosine.masked_fill(~allowed, -2).argmax())
        chosen.append(best)
        allowed &= great_circle_km(places, places[best]) >= FAR_KM
    return chosen
