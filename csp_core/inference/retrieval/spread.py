"""How far to trust the best place of an answer: the error on places that a model had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from csp_core.geo import lonlat_of, unit_vectors

# The pair of sides whose numbers tell of a picture's place, where a model has several.
PAIR = "image-place"
UNKNOWN = (
    "How far off it usually is, nobody has measured: take the colours as a hint, and no single"
    " place as an answer."
)


@dataclass(frozen=True)
class Spread:
    """How far the best place of a gallery usually lies from the true one.

    Args:
        median_km: Half of the records held out lie nearer, half farther.
        within_200_km: Part of them within 200 km.
        centre_median_km: The median of always naming the middle of the training records, or None.
        n: Records that this was measured on.
        blocks: Whether whole blocks of ground around them had been kept from the model.
    """

    median_km: float
    within_200_km: float
    centre_median_km: float | None
    n: int
    blocks: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    def sentence(self) -> str:
        """Say it in words.

        Returns:
            One or two sentences.
        """
        where = (
            "on blocks of ground that the model had not seen"
            if self.blocks
            else "on pictures held out at random, whose neighbours it had seen, so that elsewhere"
            " it is farther off"
        )
        said = (
            f"Half of the time the best place is more than {self.median_km:,.0f} km off, and"
            f" {self.within_200_km:.0%} lie within 200 km: measured {where} ({self.n:,} pictures)."
        )
        if self.centre_median_km is None:
            return said
        worse = self.median_km >= self.centre_median_km
        better = ", so the best place tells no more" if worse else ""
        return (
            f"{said} Always naming the middle of the training records is off by"
            f" {self.centre_median_km:,.0f} km in the median{better}."
        )


def spread_of(metrics: Mapping[str, Any], config: Mapping[str, Any]) -> Spread | None:
    """Read how far off a model's places are.

    Args:
        metrics: Content of its ``metrics.json``.
        config: Content of its ``config.json``, which says how records were held out.

    Returns:
        The numbers of the test, or of the records held out for choosing among epochs; None where
        it has none, or they are no numbers.
    """
    for split in ("test", "val"):
        values = metrics.get(split)
        values = values.get(PAIR, values) if isinstance(values, Mapping) else {}
        median, within, n = (values.get(name) for name in ("median_km", "within_200_km", "n"))
        if median is None or not all(map(_is_number, (median, within, n))):
            continue
        centre = values.get("centre_median_km")
        known = None if centre is None or not _is_number(centre) else float(centre)
        return Spread(float(median), float(within or 0), known, int(n or 0), _by_blocks(config))
    return None


def learned_centre(model: Any) -> tuple[float, float] | None:
    """Find the middle of a model's training records on the sphere.

    Args:
        model: The model.

    Returns:
        Longitude and latitude, degrees; None where it does not tell where its records lie.
    """
    support = getattr(model, "support", None)
    if support is None:
        return None
    centres, records = support.cells()
    if not len(centres):
        return None
    middle = (unit_vectors(centres.double()) * records.double()[:, None]).sum(dim=0)
    if float(middle.norm()) == 0:
        return None
    lon, lat = lonlat_of(torch.as_tensor(middle)).tolist()
    return lon, lat


def _is_number(value: Any) -> bool:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and 0 <= value < 1e9


def _by_blocks(config: Mapping[str, Any]) -> bool:
    try:
        return bool(config["provenance"]["config"]["data"]["split_method"] == "block")
    except (KeyError, TypeError):
        return False
