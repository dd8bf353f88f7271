"""GeoJSON features as records."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import shapely

from csp_core.data.reading.jsonrecords import JsonSource, Record
from csp_core.data.reading.pages import page_notes
from csp_core.data.reading.source import RADIUS
from csp_core.data.shapes import check_points, places_of, to_wgs84
from csp_core.errors import BadRecordError

DIFFER = "features whose properties name another place than their geometry, which counts: {}"
KINDS = ("FeatureCollection", "Feature")


def read_geojson(content: dict[str, Any]) -> JsonSource:
    """Turn features into records with the columns ``lon`` and ``lat``.

    Args:
        content: A feature or a collection of features.

    Returns:
        The records; a feature of several points is as many records, and one that is an area or a
        line stands at a point of it.

    Raises:
        BadRecordError: If there are no features, or their reference system is unknown.
    """
    features = content.get("features") if content["type"] == KINDS[0] else [content]
    if not isinstance(features, list) or not all(isinstance(f, dict) for f in features):
        raise BadRecordError("The GeoJSON has no list of features.")
    crs = _crs(content)
    transform = to_wgs84(crs)
    records, counts = records_of(features, transform)
    notes = [f"places converted to WGS84 from {crs}"] if transform is not None else []
    source = JsonSource("geojson", records, [*notes, *page_notes(content, len(features))])
    source.known = {"lon": "lon", "lat": "lat"}
    source.counts.update(counts)
    return source


def records_of(
    features: list[dict[str, Any]], transform: Any = None
) -> tuple[list[Record], dict[str, int]]:
    """Turn features into flat records.

    Args:
        features: The features.
        transform: As ``to_wgs84`` returned.

    Returns:
        The records, and sentences with the numbers of what happened to them.
    """
    points = [_point(feature.get("geometry")) for feature in features]
    if transform is None and all(p is None or isinstance(p, tuple) for p in points):
        count = sum(map(_differs, features, points))
        return [_record(f, p) for f, p in zip(features, points, strict=True)], {DIFFER: count}
    found = places_of(_shapes(points), transform)
    records = [
        _record(features[i], None if np.isnan(x) or np.isnan(y) else (x, y), r)
        for i, x, y, r in found.each()
    ]
    return records, found.counts


def records_of_lines(
    features: list[dict[str, Any]],
) -> tuple[list[Record], Counter[str], list[str]]:
    """Turn features into records that each may name a reference system of its own.

    Args:
        features: The features.

    Returns:
        The records, sentences with the numbers of what happened to them, and what else there is to
        say.

    Raises:
        BadRecordError: If a reference system is unknown.
    """
    records: list[Record] = []
    counts: Counter[str] = Counter()
    notes: dict[str, None] = {}
    for crs, some in itertools.groupby(features, _crs):
        transform = to_wgs84(crs)
        found, said = records_of(list(some), transform)
        records += found
        counts.update(said)
        if transform is not None:
            notes[f"places converted to WGS84 from {crs}"] = None
    return records, counts, list(notes)


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
    if isinstance(place, list):
        # Making a shape of many corners takes long, so that they are counted before.
        check_points(len(place))
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


def _differs(feature: dict[str, Any], point: Any) -> bool:
    """Tell whether the properties put a point more than some hundred metres elsewhere."""
    about = feature.get("properties")
    own = [about.get(key) for key in ("lon", "lat")] if isinstance(about, dict) else []
    if point is None or not all(isinstance(n, int | float) for n in (*own, *point)):
        return False
    return any(abs(a - b) > 1e-3 for a, b in zip(own, point, strict=False))


def _shapes(points: list[Any]) -> Any:
    """Make shapes of all; what has no place is None."""
    shapes = np.full(len(points), None, dtype=object)
    for i, point in enumerate(points):
        if isinstance(point, tuple):
            numbers = all(isinstance(value, int | float) for value in point)
            shapes[i] = shapely.Point(point) if numbers else None
        else:
            shapes[i] = point
    return shapes


def _record(feature: dict[str, Any], point: Any, radius: float = math.nan) -> Record:
    about = feature.get("properties")
    record = dict(about) if isinstance(about, dict) else {}
    if feature.get("id") is not None:
        record.setdefault("id", feature["id"])
    lon, lat = point if point is not None else (None, None)
    record |= {"lon": lon, "lat": lat}
    return record if math.isnan(radius) else record | {RADIUS: round(radius, 1)}
