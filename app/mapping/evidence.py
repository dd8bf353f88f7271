"""Training records per cell as maps draw them: the cells, their colour classes and outlines."""

from __future__ import annotations

import json
from dataclasses import dataclass

from csp_core.model import DualEncoder

# The latitude where the map's projection ends.
EDGE = 85.05
# Upper ends of the record counts that share a colour; the last class is open.
STEPS = (1, 5, 20, 100)


@dataclass(frozen=True)
class Evidence:
    """Training records of one class per cell.

    Args:
        cells: ``(lon, lat, records)`` of each cell's centre.
        degrees: Side of a cell.
    """

    cells: tuple[tuple[float, float, int], ...]
    degrees: float


def read_evidence(model: DualEncoder, taxon: str | None) -> Evidence | None:
    """Collect the records per cell of a class; None where the model keeps no counts of them."""
    if taxon is None or model.support is None:
        return None
    centres, counts = model.support.taxon_cells(model.classes.label(taxon))
    rows = zip(centres.tolist(), counts.tolist(), strict=True)
    cells = tuple((lon, lat, count) for (lon, lat), count in rows)
    return Evidence(cells, model.support.cell_degrees)


def step_of(records: int) -> int:
    """Give the colour class of a number of records."""
    return next((i for i, top in enumerate(STEPS) if records <= top), len(STEPS))


def step_labels() -> list[str]:
    """Name the colour classes."""
    starts = (1, *(top + 1 for top in STEPS))
    labels = [str(a) if a == b else f"{a}–{b}" for a, b in zip(starts, STEPS, strict=False)]
    return [*labels, f"over {STEPS[-1]}"]


def square(lon: float, lat: float, half: float) -> list[list[float]]:
    """Give the ring of a cell around its centre, degrees."""
    west, east, south, north = lon - half, lon + half, lat - half, lat + half
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def dots_geojson(evidence: Evidence) -> str:
    """Write the middles of the cells in which a species was recorded as GeoJSON text."""
    places = [[lon, lat] for lon, lat, _ in evidence.cells if abs(lat) <= EDGE]
    return json.dumps({"type": "MultiPoint", "coordinates": places})
