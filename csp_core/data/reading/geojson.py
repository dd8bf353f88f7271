"""GeoJSON features as records."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from csp_core.data.reading.jsonrecords import JsonSource, Record
from csp_core.data.shapes import places_of, to_wgs84
from csp_core.errors import BadRecordError

KINDS = ("FeatureCollection", "Feature")


def read_geojson(content: dict[str, Any]) -> JsonSource:
    """Turn features into records with the columns ``lon`` and ``lat``.

    Args:
        content: A feature or a collection of features.

    Returns:
        The records; features that are no points stand at a point on their surface.

    Raises:
        BadRecordError: If there are no features, or their reference system is unknown.
    """
    features = content.get("features") if content["type"] == KINDS[0] else [content]
    if not isinstance(features, list) or not all(isinstance(f, dict) for f in features):
        raise BadRecordError("The GeoJSON has no list of features.")
    crs = _crs(content)
    transform = to_wgs84(crs)
    points = [_point(feature.get("geometry")) for feature in features]
    if transform is not None or any(not isinstance(p, tuple) for p in points if p is not None):
        points = _converted(points, transform)
    records = [_record(f, p) for f, p in zip(features, points, strict=True)]
    notes = [f"places converted to WGS84 from {crs}"] if transform is not None else []
    return JsonSource("geojson", records, notes)


def _crs(content: dict[str, Any]) -> Any:
    """Read the reference system; old files may name one, new ones are always in WGS84."""
    about = content.get("crs")
    if about is None:
        return None
    try:
        return about["properties"]["name"]
    except (KeyError, TypeError) as error:
        raise BadRecordError(f"The GeoJSON's crs {str(about)[:60]!r} names no system.") from error


def _point(geometry: Any) -> Any:
    """Give (x, y) of a point, a shapely geometry of another shape, None of nothing."""
    if not isinstance(geometry, dict):
        return None
    place = geometry.get("coordinates")
    if geometry.get("type") == "Point":
        if isinstance(place, list) and len(place) >= 2:
            return tuple(place[:2])
        return None
    try:
        shape = shapely.geometry.shape(geometry)
    except (
        shapely.errors.ShapelyError,
        ValueError,
        TypeError,
        AttributeError,
        KeyError,
        IndexError,
        RecursionError,
    ):
        return None
    return None if shape.is_empty else shape


def _converted(points: list[Any], transform: Any) -> list[Any]:
    """Bring shapes to points, and all to WGS84; what has no place stays None."""
    shapes = np.full(len(points), None, dtype=object)
    for i, point in enumerate(points):
        if isinstance(point, tuple):
            numbers = all(isinstance(value, int | float) for value in point)
            shapes[i] = shapely.Point(point) if numbers else None
        else:
            shapes[i] = point
    lon, lat = places_of(shapes, transform)
    return [
        None if np.isnan(x) or np.isnan(y) else (x, y)
        for x, y in zip(lon.tolist(), lat.tolist(), strict=True)
    ]


def _record(feature: dict[str, Any], point: Any) -> Record:
    about = feature.get("properties")
    record = dict(about) if isinstance(about, dict) else {}
    if feature.get("id") is not None:
        record.setdefault("id", feature["id"])
    lon, lat = point if point is not None else (None, None)
    return {**record, "lon": lon, "lat": lat}
