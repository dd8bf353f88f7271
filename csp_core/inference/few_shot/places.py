"""Places that somebody gives of a species: checked, each once, with what to say of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core import geo
from csp_core.errors import BadRecordError
from csp_core.land import on_land

MOST_PLACES = 2000
# Digits of a degree in which two places are one: about ten metres.
DECIMALS = 4
# Places in one cell of this side say the same of where a species lives, and are left out together.
CELL_DEGREES = 1.0
# So far from land a place is at sea; the bundled shores are good to some tens of kilometres.
SHORE_KM, BEARINGS = 50.0, 8


Places = Tensor | Sequence[tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Given:
    """Places of one species, each once.

    Args:
        seen: ``(N, 2)`` float32 degrees, N at least 1.
        missed: ``(M, 2)`` float32 degrees where it was looked for and not seen.
        cell: ``(N + M,)`` int64 cells of both, of ``CELL_DEGREES``.
        notes: What has to be known of them, in sentences.
    """

    seen: Tensor
    missed: Tensor
    cell: Tensor
    notes: tuple[str, ...]


def check_places(seen: Places, missed: Places | None = None) -> Given:
    """Check places and bring each to stand once.

    Args:
        seen: ``(N, 2)`` longitude, latitude, degrees, where it was seen; a tensor or pairs.
        missed: ``(M, 2)`` where it was not, or None.

    Returns:
        The places.

    Raises:
        BadRecordError: If none is one where it was seen, there are too many, or a coordinate is
            out of range.
    """
    seen, missed = _tensor(seen), _tensor(() if missed is None else missed)
    if not len(seen):
        only = f"Only places where it was not seen are given ({len(missed)})"
        none = "No place is given"
        raise BadRecordError(
            f"{only if len(missed) else none}: give at least one where it was seen."
        )
    if len(seen) + len(missed) > MOST_PLACES:
        raise BadRecordError(
            f"{len(seen) + len(missed):,} places are given and up to {MOST_PLACES:,} are taken:"
            " leave some out, or train a model on them by csp train."
        )
    both = [_once(geo.check_lonlat(places)) for places in (seen, missed)]
    notes = []
    again = len(seen) - len(both[0]) + len(missed) - len(both[1])
    if again:
        notes.append(
            f"{_count(again)} repeated: places that are equal to about ten metres count once."
        )
    there = (both[1][:, None] == both[0][None]).all(dim=2).any(dim=1)
    if there.any():
        notes.append(
            f"{_count(int(there.sum()))} given both as seen and as not seen: what counts is that"
            " it was seen."
        )
    seen, missed = both[0], both[1][~there]
    cell = geo.cell_ids(torch.cat((seen, missed)), CELL_DEGREES)
    return Given(seen, missed, cell, (*notes, *_guess(cell[: len(seen)])))


def _tensor(places: Places) -> Tensor:
    try:
        found = torch.as_tensor(places, dtype=torch.float32, device="cpu")
        return found if len(found) else torch.empty(0, 2)
    except (TypeError, ValueError) as error:
        raise BadRecordError(
            f"Places are {str(places)[:80]!r}; give (N, 2) numbers: longitude, latitude, degrees."
        ) from error


def _once(places: Tensor) -> Tensor:
    """Leave each place once, in the order in which they were given.

    180° east is 180° west, and at a pole all longitudes are one.
    """
    whole = (places.double() * 10**DECIMALS).round().long()
    lon, lat = whole.unbind(dim=1)
    lon = torch.where(lon == 180 * 10**DECIMALS, -lon, lon)
    lon = torch.where(lat.abs() == 90 * 10**DECIMALS, 0, lon)
    whole = torch.stack((lon, lat), dim=1)
    _, which = torch.unique(whole, dim=0, return_inverse=True)
    first = torch.full((int(which.max()) + 1 if len(which) else 0,), len(places))
    first = first.scatter_reduce(0, which, torch.arange(len(places)), "amin")
    kept = first.sort().values
    degrees: Tensor = whole[kept].double() / 10**DECIMALS
    return degrees.float()


def _guess(cell: Tensor) -> tuple[str, ...]:
    if len(cell) == 1:
        return (
            "One place alone cannot say what else the species bears: the map is a guess at where"
            " it is like there.",
        )
    if len(torch.unique(cell)) == 1:
        return (
            f"All {len(cell)} places where it was seen lie in one cell of {CELL_DEGREES:g}°, so"
            " they say little more than one of them: the map is a guess.",
        )
    return ()


def at_sea(lonlat: Tensor) -> Tensor:
    """Tell which places lie at sea, farther from land than ``SHORE_KM``.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N,)`` bool.

    Example:
        >>> at_sea(torch.tensor([[-30.0, 0.0], [4.0, 52.0]])).tolist()
        [True, False]
    """
    dry = on_land(lonlat)
    far = torch.full((len(lonlat),), SHORE_KM, dtype=torch.float64)
    for number in range(BEARINGS):
        bearing = torch.full_like(far, 2 * math.pi * number / BEARINGS)
        dry = dry | on_land(geo.displace(lonlat.double(), far, bearing))
    return ~dry


def _count(number: int) -> str:
    return "1 place is" if number == 1 else f"{number:,} places are"
