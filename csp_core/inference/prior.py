"""The prior of a model or baseline, at places and around one, and what it means."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import BadRecordError
from csp_core.model import Prior

CHUNK = 16384
VALUE_MEANING = {
    "share": (
        "Of recordings of the listed species made here, the part that would be of this one;"
        " not the chance that the species is present."
    ),
    "relative": (
        "A relative score that ranks places and species; not a percentage and not the chance that"
        " the species is present."
    ),
    "probability": (
        "The probability that this class is in the label set of a patch here: each class by itself,"
        " so they need not sum to 100 %."
    ),
}
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
DISC_POINTS = 48


def write_score(value: float) -> str:
    """Write a relative score with two digits, or so many that less than 1 does not read as 1.

    Species that distance counts for score near 1 all over their range, and a threshold there is
    another one at 0.9997 than at 1.

    Args:
        value: In [0, 1].

    Returns:
        It, with up to seven digits, as single precision has.

    Example:
        >>> write_score(0.5), write_score(0.99966), write_score(1.0), write_score(1e-9)
        ('0.50', '0.9997', '1.00', '0.00')
    """
    written = (f"{value:.{digits}f}" for digits in range(2, 8))
    return next((text for text in written if float(text) < 1), f"{value:.2f}")


def location_prior(
    model: Prior, lonlat: Tensor, *, date: Tensor | None = None, hour: Tensor | None = None
) -> Tensor:
    """Compute the prior P(class | place) of a model or baseline.

    Assumes nothing about the model but the ``Prior`` protocol; ``model.prior_kind`` says whether
    rows are shares, relative scores or probabilities of label sets. Models without a time input
    ignore date and hour.

    Args:
        model: A model or a baseline.
        lonlat: ``(N, 2)`` longitude, latitude, degrees.
        date: ``(N,)`` part of the year in [0, 1), NaN where unknown, or None.
        hour: ``(N,)`` part of the day in [0, 1), on the clock of the training records, NaN where
            unknown, or None.

    Returns:
        ``(N, K)`` in [0, 1], float32 on the CPU; rows sum to 1 where the kind is ``"share"``.

    Raises:
        BadRecordError: If a coordinate, date or hour is out of range or a coordinate not a number.

    Example:
        >>> from csp_core import load_model
        >>> prior = location_prior(load_model("birds"), torch.tensor([[36.8, -1.3]]))
        >>> round(prior.sum().item(), 4)
        1.0
    """
    lonlat = geo.check_lonlat(lonlat)
    date = _checked_times(date, lonlat, "date", "year")
    hour = _checked_times(hour, lonlat, "hour", "day")
    if not len(lonlat):
        return torch.zeros(0, len(model.classes))
    answers = []
    for first in range(0, len(lonlat), CHUNK):
        rows = slice(first, first + CHUNK)
        when = None if date is None else date[rows]
        # Whoever knows no hours need not take any.
        hours = () if hour is None or not getattr(model, "uses_hour", False) else (hour[rows],)
        answers.append(model.prior(lonlat[rows], when, *hours))
    return torch.cat(answers)


def prior_around(
    model: Prior,
    lon: float,
    lat: float,
    radius_km: float = 0.0,
    *,
    date: float | None = None,
    hour: float | None = None,
    points: int = DISC_POINTS,
) -> Tensor:
    """Average the prior over a disc, where a place is known to a radius only.

    The points lie on a sunflower's spiral: evenly over the area and the same at every call.

    Args:
        model: A model or a baseline.
        lon: Longitude of the middle, degrees.
        lat: Latitude of the middle, degrees.
        radius_km: Radius, at least 0; 0 for the point itself.
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        points: How many points, at least 1.

    Returns:
        ``(K,)`` mean of the priors.

    Raises:
        BadRecordError: If place, radius or time are none.
    """
    if not 0 <= radius_km < math.inf or points < 1:
        raise BadRecordError(
            f"The radius is {radius_km} km with {points} points; give at least 0 and at least 1."
        )
    middle = geo.check_lonlat(torch.tensor([[lon, lat]], dtype=torch.float32))
    places = middle
    if radius_km:
        number = torch.arange(points, dtype=torch.float64)
        far = radius_km * ((number + 0.5) / points).sqrt()
        places = geo.displace(middle.double().expand(points, 2), far, number * GOLDEN_ANGLE).float()
    when = [None if t is None else torch.full((len(places),), t) for t in (date, hour)]
    return location_prior(model, places, date=when[0], hour=when[1]).mean(dim=0)


def _checked_times(time: Tensor | None, lonlat: Tensor, word: str, whole: str) -> Tensor | None:
    """Bring times to the form of the places and check their range."""
    if time is None:
        return None
    time = torch.as_tensor(time, dtype=lonlat.dtype).reshape(-1)
    if len(time) != len(lonlat):
        raise BadRecordError(f"{len(time)} {word}s for {len(lonlat)} places; give one each.")
    if bool(((time < 0) | (time >= 1)).any()):
        article = "An" if word == "hour" else "A"
        raise BadRecordError(
            f"{article} {word} is a part of the {whole} in [0, 1), or NaN when unknown."
        )
    return time
