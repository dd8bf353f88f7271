"""What two sets of records share, so that an evaluation can be trusted or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.data.groups import UNKNOWN_RECORDER, by_site
from csp_core.data.records import RecordDataset
from csp_core.errors import ConfigError
from csp_core.geo import cell_ids, nearest_km

BLOCK_DEGREES = 2.0
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class Shared:
    """One thing that two sets may share.

    Args:
        groups: How many places, sites, blocks or recorders stand in both.
        of_a: Records of the first set in them.
        of_b: Records of the second set in them.
    """

    groups: int
    of_a: int
    of_b: int


@dataclass(frozen=True)
class Leaks:
    """What two sets of records share; records without a place count for recorders alone.

    Args:
        name_a: What the first set is called.
        name_b: What the second set is called.
        n_a: Records of the first set.
        n_b: Records of the second set.
        places: Exactly equal coordinates.
        sites: Coordinates equal when rounded to 0.01°.
        blocks: Cells of 2°.
        recorders: Recorders by name; None if either set names none.
        distance_km: Quantile to the distance from records of the second set to the nearest of the
            first, km; empty if a set has no places.
    """

    name_a: str
    name_b: str
    n_a: int
    n_b: int
    places: Shared
    sites: Shared
    blocks: Shared
    recorders: Shared | None
    distance_km: dict[float, float]

    def __str__(self) -> str:
        """Return a table of some lines for people."""
        rows = {"exact places": self.places, "0.01° sites": self.sites, "2° blocks": self.blocks}
        lines = [f"{self.name_a} ({self.n_a} records) and {self.name_b} ({self.n_b}) share"]
        for what, shared in [*rows.items(), ("recorders", self.recorders)]:
            if shared is None:
                lines.append(f"  {what:<13} unknown: not named in both")
                continue
            parts = f"{_percent(shared.of_a, self.n_a)} and {_percent(shared.of_b, self.n_b)}"
            lines.append(f"  {what:<13} {shared.groups:>6} with {parts} of their records")
        if self.distance_km:
            steps = ", ".join(f"{q:.0%}: {km:.3g}" for q, km in self.distance_km.items())
            lines.append(f"  km from a record of {self.name_b} to the nearest of {self.name_a},")
            lines.append(f"  quantiles: {steps}")
        return "\n".join(lines)


def leak_check(a: RecordDataset, b: RecordDataset) -> Leaks:
    """Tell what two sets of records share.

    Args:
        a: The records learned from.
        b: The records held out.

    Returns:
        Counts of what stands in both, and how far they are apart.
    """
    here = [part.lonlat[~part.lonlat.isnan().any(dim=1)] for part in (a, b)]
    both = torch.cat(here).double()
    known = [part.recorder[part.recorder != UNKNOWN_RECORDER] for part in (a, b)]
    # -0.0 and 0.0 are one coordinate.
    exact = torch.unique(both + 0.0, dim=0, return_inverse=True)[1] if len(both) else both[:, 0]
    distance = nearest_km(here[1], here[0])
    quantiles = torch.tensor(QUANTILES, dtype=torch.float64)
    found = _quantile(distance, quantiles) if all(map(len, here)) else []
    return Leaks(
        name_a=_name(a),
        name_b=_name(b),
        n_a=len(a),
        n_b=len(b),
        places=_shared(exact[: len(here[0])], exact[len(here[0]) :]),
        sites=_shared(*map(by_site, here)),
        blocks=_shared(*(cell_ids(places, BLOCK_DEGREES) for places in here)),
        recorders=_shared(*known) if all(map(len, known)) else None,
        distance_km=dict(zip(QUANTILES, found, strict=False)),
    )


def check_apart(
    learned: RecordDataset, test: RecordDataset, block_degrees: float, buffer_km: float = 0.0
) -> None:
    """Make sure that records to learn from keep away from the blocks of a test.

    Args:
        learned: Records to learn from, with or without labels.
        test: Records held out.
        block_degrees: Side of a block.
        buffer_km: How far every record to learn from must be from every one of the test.

    Raises:
        ConfigError: If a block holds records of both, or a record is nearer than the buffer.
    """
    here, there = (part.lonlat[~part.lonlat.isnan().any(dim=1)] for part in (learned, test))
    if not len(here) or not len(there):
        return
    shared = _shared(cell_ids(here, block_degrees), cell_ids(there, block_degrees))
    near = int((nearest_km(here, there) <= buffer_km).sum()) if buffer_km else 0
    if shared.groups or near:
        raise ConfigError(
            f"{shared.of_a} of {len(here)} records to learn from lie in {shared.groups} of the"
            f" test's blocks of {block_degrees:g}° and {near} within {buffer_km:g} km of one of its"
            " places: what is learned without labels would have seen the test. Split by block, with"
            " one seed."
        )


def _shared(a: Tensor, b: Tensor) -> Shared:
    in_b, in_a = torch.isin(a, b), torch.isin(b, a)
    return Shared(len(torch.unique(a[in_b])), int(in_b.sum()), int(in_a.sum()))


def _quantile(values: Tensor, quantiles: Tensor) -> list[float]:
    """Take quantiles as values that occur; ``torch.quantile`` refuses millions of values."""
    rows = (quantiles * (len(values) - 1)).round().long()
    return [float(value) for value in values.sort().values[rows]]


def _name(dataset: RecordDataset) -> str:
    split = str(dataset.info.get("split", "")).split(" ")[0]
    return f"{dataset.name} {split}".strip()


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0.0%"
