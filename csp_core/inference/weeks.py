"""Weeks of a year in 48 parts, four a month, as parts of the year."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.prior import location_prior
from csp_core.model import Prior

WEEKS = 48
# The week says next to nothing where the highest score of each of the first classes is at most this
# part above its lowest.
FIRST, ALIKE = 50, 0.1


def week_date(week: int) -> float:
    """Give the time of the year that stands for a week.

    Args:
        week: 1 to 48, four a month.

    Returns:
        The middle of the week, a part of the year in [0, 1).

    Raises:
        BadRecordError: If there is no such week.

    Example:
        >>> week_date(1), week_of(week_date(48))
        (0.010416666666666666, 48)
    """
    if not 1 <= week <= WEEKS:
        raise BadRecordError(
            f"There is no week {week}; give 1 to {WEEKS}, four a month, or none for the whole year."
        )
    return (week - 0.5) / WEEKS


def week_of(date: float) -> int:
    """Tell which week a time of the year lies in.

    Args:
        date: Part of the year in [0, 1).

    Returns:
        1 to 48.

    Raises:
        BadRecordError: If it is no part of the year.
    """
    if not 0 <= date < 1:
        raise BadRecordError(f"The date is {date}; give a part of the year in [0, 1).")
    return int(date * WEEKS) + 1


def knows_weeks(model: Prior) -> bool:
    """Tell whether a model answers about these weeks, all times of one of them alike."""
    time = getattr(getattr(model, "location", None), "time", None)
    return getattr(time, "weeks", None) == WEEKS


def through_the_year(model: Prior, lon: float, lat: float, taxon: str) -> tuple[float, ...]:
    """Ask a model about one class at one place, in each week.

    Args:
        model: A model that uses the date.
        lon: Longitude in [-180, 180], degrees.
        lat: Latitude in [-90, 90], degrees.
        taxon: Name of the class.

    Returns:
        48 shares, relative scores or probabilities.

    Raises:
        ConfigError: If the model does not use the date.
        UnknownNameError: If it does not know the class.
        BadRecordError: If the place is none.
    """
    if not getattr(model, "uses_date", False):
        raise ConfigError(f"Model {model.name!r} knows no seasons; the date changes nothing.")
    return tuple(_all_weeks(model, lon, lat)[:, model.classes.label(taxon)].tolist())


def alike_all_year(model: Prior, lon: float, lat: float) -> bool | None:
    """Tell whether the week changes next to nothing of what a model says of a place.

    A model of weeks that learned from hardly any records around a place cannot tell seasons there;
    where there are none, it need not.

    Args:
        model: A model or a baseline.
        lon: Longitude in [-180, 180], degrees.
        lat: Latitude in [-90, 90], degrees.

    Returns:
        Whether each of the 50 classes that are highest in any week has its lowest value less than a
        tenth below its highest; None for a model that does not know weeks.

    Raises:
        BadRecordError: If the place is none.
    """
    if not knows_weeks(model):
        return None
    values = _all_weeks(model, lon, lat)
    highest, first = values.amax(dim=0).topk(min(FIRST, values.shape[1]))
    return bool((values[:, first].amin(dim=0) > (1 - ALIKE) * highest).all())


def _all_weeks(model: Prior, lon: float, lat: float) -> Tensor:
    """Give (48, K) values of a place."""
    place = torch.tensor([[lon, lat]], dtype=torch.float32).expand(WEEKS, 2)
    dates = torch.tensor([week_date(week) for week in range(1, WEEKS + 1)])
    return location_prior(model, place, date=dates)
