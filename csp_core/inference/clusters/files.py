"""Clusters as files: tables of points, polygons, rasters and a picture."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csp_core.errors import ConfigError
from csp_core.files import spreadsheet_cell
from csp_core.files.writing import writing

if TYPE_CHECKING:
    from csp_core.inference.clusters.result import Clusters


def columns(clusters: Clusters) -> dict[str, list[Any]]:
    """Give the points of clusters as columns of plain values.

    Args:
        clusters: The clusters.

    Returns:
        Name to values: place, area, cluster with its name and colour, projection.
    """
    names = {fact.label: fact.name for fact in clusters.facts}
    colours, labels = clusters.colours, clusters.labels.tolist()
    lon, lat = (column.tolist() for column in clusters.sample.lonlat.double().unbind(1))
    x, y = (column.tolist() for column in clusters.projection.unbind(1))
    return {
        "lon": [round(value, 6) for value in lon],
        "lat": [round(value, 6) for value in lat],
        "cluster": labels,
        "name": [names[label] for label in labels],
        "colour": [colours[label] for label in labels],
        "area_km2": [round(area, 3) for area in clusters.sample.area_km2.tolist()],
        "x": x,
        "y": y,
    }


def _write_csv(clusters: Clusters, path: Path) -> None:
    table = columns(clusters)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table)
        for row in zip(*table.values(), strict=True):
            writer.writerow([spreadsheet_cell(value) for value in row])


WRITERS: Mapping[str, Callable[[Any, Path], None]] = {".csv": _write_csv}


def write_clusters(clusters: Clusters, path: str | Path) -> None:
    """Write clusters to a file, whole or not at all.

    Args:
        clusters: The clusters.
        path: File to write, its kind told by its ending.

    Raises:
        ConfigError: If the ending is not known.
        BadRecordError: If the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise ConfigError(f"{path} has no known ending; give one of {', '.join(WRITERS)}.")
    with writing(path) as temporary:
        WRITERS[suffix](clusters, temporary)
