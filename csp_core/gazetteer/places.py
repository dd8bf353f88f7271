"""Named places, how far they are, and how their names are compared."""

from __future__ import annotations

import csv
import functools
import math
import re
import unicodedata
from dataclasses import dataclass

from csp_core.files import asset_path
from csp_core.geo import EARTH_RADIUS_KM

SETTLEMENT = "town"
# A lake or a park is looked for as much as a town of so many.
_FEATURE = 200_000


@dataclass(frozen=True)
class Place:
    """A named place.

    Args:
        name: What it is called.
        country: The country it lies in; empty if not known or if it is one.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
        region: A part of the country that tells it from others of the name; may be empty.
        kind: ``town``, ``country``, ``lake``, ``park``, ``island``, ``mountain`` or ``region``.
        population: People who live there; 0 if not known.
    """

    name: str
    country: str
    lon: float
    lat: float
    region: str = ""
    kind: str = SETTLEMENT
    population: int = 0

    @property
    def weight(self) -> int:
        """How often it is meant, in people: its own, or what a lake or a park counts."""
        return self.population if self.kind in (SETTLEMENT, "country") else _FEATURE

    @property
    def label(self) -> str:
        """The name with its region and country; what is no town says what it is."""
        parts = [self.name, self.region, self.country]
        what = "" if self.kind == SETTLEMENT else f" · {self.kind}"
        return ", ".join(part for part in parts if part) + what


@dataclass(frozen=True)
class Lookup:
    """What was found for a typed place.

    Args:
        places: The candidates, best first; never empty.
        certain: Whether the first is what was typed, so that nobody needs to choose.
    """

    places: tuple[Place, ...]
    certain: bool


@functools.cache
def load_places() -> tuple[Place, ...]:
    """Read the bundled list of large cities.

    Returns:
        The places in the order of the file.

    Raises:
        DataNotFoundError: If the list is missing.
    """
    with asset_path("world", "places.csv").open(encoding="utf-8", newline="") as stream:
        return tuple(
            Place(row["name"], row["country"], float(row["lon"]), float(row["lat"]))
            for row in csv.DictReader(stream)
        )


def fold(text: str) -> str:
    """Bring a name to the form in which names are compared: no case, accents or punctuation.

    Args:
        text: A name in any script.

    Returns:
        Its words, single spaces between them.

    Example:
        >>> fold("São  Tomé & Príncipe")
        'sao tome principe'
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", plain))


def distance_km(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """Give the great-circle distance of two places.

    Args:
        lon_a: Longitude of one, degrees.
        lat_a: Its latitude, degrees.
        lon_b: Longitude of the other, degrees.
        lat_b: Its latitude, degrees.

    Returns:
        Kilometres.
    """
    # Scalar on purpose: a tensor per city would cost more than the whole page.
    phi_a, phi_b = math.radians(lat_a), math.radians(lat_b)
    half = math.sin((phi_a - phi_b) / 2) ** 2
    half += math.cos(phi_a) * math.cos(phi_b) * math.sin(math.radians(lon_a - lon_b) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))
