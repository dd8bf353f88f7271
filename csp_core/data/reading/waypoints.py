"""Places with names in KML and GPX, read as a stream, without document types and links."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from xml.parsers import expat

import numpy as np
import shapely

from csp_core.data.reading.jsonrecords import JsonSource
from csp_core.data.reading.source import RADIUS, Opener
from csp_core.data.shapes import places_of
from csp_core.errors import BadRecordError

# What is read whole, and what takes time and memory of its own.
MAX_BYTES, MAX_ELEMENTS, MAX_DEPTH = 1 << 26, 1_500_000, 200
MAX_CORNERS = 500_000
BLOCK = 1 << 20
# Elements of KML that hold a geometry's corners, and those that hold text of their own.
CORNERS = {"coordinates", "coord"}
SPANS = {"when", "begin", "end"}
# Where the two formats keep a name and a date, in case nothing says which taxon it is.
FALLBACK = {"scientific_name": "name", "date": "time"}
UNREAD = "tracks and routes were not read, only waypoints: {}"


def read_waypoints(opener: Opener) -> JsonSource:
    """Read the placemarks of a KML file, or the waypoints of a GPX file.

    Args:
        opener: Opens the file.

    Returns:
        The records, with what each says of itself and a column ``time``.

    Raises:
        BadRecordError: If it is damaged or too large, or holds a document type.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    left = MAX_BYTES
    try:
        with opener() as stream:
            while block := stream.read(BLOCK):
                left -= len(block)
                if left < 0:
                    raise BadRecordError(
                        f"The file has more than {MAX_BYTES / 1e6:.0f} MB of XML; give parts of it."
                    )
                parser.Parse(block, False)
        parser.Parse(b"", True)
    except BadRecordError:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadRecordError(
            f"The XML is cut short or damaged ({error}); copy it again."
        ) from error
    return reader.source()


def _refuse(*_: object) -> None:
    raise BadRecordError(
        "The file holds a document type (DTD) or entities, which are refused; remove them."
    )


class _Reader:
    """Gathers records while the elements of a file go by."""

    def __init__(self) -> None:
        self._stack: list[str] = []
        self._root = self._key = ""
        self._texts: list[str] = []
        self._record: dict[str, str] | None = None
        self._shapes: list[Any] = []
        self._rings: list[Any] = []
        self._track: list[list[float]] = []
        self._elements = self._unread = 0
        self._found: list[tuple[dict[str, str], Any]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """See an element begin."""
        tag = name.rsplit(":", 1)[-1]
        self._stack.append(tag)
        self._root = self._root or tag
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._stack) > MAX_DEPTH:
            raise BadRecordError(
                f"The file has more than {MAX_ELEMENTS:,} elements, or one inside the other over"
                f" {MAX_DEPTH} times: give parts of it."
            )
        self._texts = []
        if tag in ("Data", "SimpleData"):
            self._key = attributes.get("name", "")
        elif tag in ("Placemark", "wpt") and self._record is None:
            self._record, self._shapes = {}, []
            if tag == "wpt":
                self._shapes = [_point(attributes.get("lon"), attributes.get("lat"))]
        self._unread += tag in ("trk", "rte")

    def text(self, text: str) -> None:
        """See text."""
        if self._record is not None:
            self._texts.append(text)

    def end(self, _: str) -> None:
        """See an element end."""
        tag = self._stack.pop()
        if self._record is None:
            return
        if tag in ("Placemark", "wpt"):
            self._found.append((self._record, _together(self._shapes)))
            self._record = None
            return
        text = "".join(self._texts).strip()
        self._texts = []
        if tag in CORNERS:
            self._corners(tag, text)
        elif tag in ("Polygon", "Track"):
            self._shape(tag)
        elif text and tag in ("value", "SimpleData"):
            self._record.setdefault(self._key or tag, text)
        elif text:
            self._record.setdefault("time" if tag == "when" else tag, text)

    def _corners(self, tag: str, text: str) -> None:
        parent = self._stack[-1] if self._stack else ""
        if tag == "coord":
            self._track += _numbers(text.replace(" ", ","))
        elif parent == "LinearRing":
            self._rings.append(_numbers(text))
        else:
            corners = _numbers(text)
            self._shapes.append(_point(*corners[0]) if len(corners) == 1 else _line(corners))

    def _shape(self, tag: str) -> None:
        if tag == "Track":
            self._shapes.append(_line(self._track))
            self._track = []
            return
        rings, self._rings = self._rings, []
        rings = [ring for ring in rings if len(ring) > 3]
        if rings:
            self._shapes.append(shapely.Polygon(rings[0], rings[1:]))

    def source(self) -> JsonSource:
        """Give what was gathered."""
        shapes = np.full(len(self._found), None, dtype=object)
        single = [i for i, (_, shape) in enumerate(self._found) if isinstance(shape, tuple)]
        shapes[:] = [None if isinstance(shape, tuple) else shape for _, shape in self._found]
        if single:
            shapes[single] = shapely.points([self._found[i][1] for i in single])
        places = places_of(shapes, None)
        records = []
        for i, lon, lat, radius in places.each():
            record: dict[str, Any] = {**self._found[i][0]}
            if "begin" in record:
                # A span has two ends, one of which may be open.
                record.setdefault("time", f"{record['begin']}/{record.get('end', '..')}")
            here = not math.isnan(lon)
            record |= {"lon": lon if here else None, "lat": lat if here else None}
            records.append(record if math.isnan(radius) else record | {RADIUS: round(radius, 1)})
        source = JsonSource(self._root.lower(), records)
        source.known = {"lon": "lon", "lat": "lat"}
        source.fallback = {k: v for k, v in FALLBACK.items() if v in source.header}
        source.counts.update({**places.counts, UNREAD: self._unread})
        return source


def _numbers(text: str) -> list[list[float]]:
    """Read corners: longitude, latitude and perhaps height, with commas, apart by spaces."""
    if text.count(",") > 2 * MAX_CORNERS:
        raise BadRecordError(
            f"A line or area has more than {MAX_CORNERS:,} corners: simplify it, or leave it out."
        )
    try:
        corners = [[float(n) for n in corner.split(",")[:2]] for corner in text.split()]
    except ValueError:
        return []
    return [corner for corner in corners if len(corner) == 2]


def _point(lon: Any, lat: Any) -> tuple[float, float] | None:
    """Read a place; shapes are made of all of them at once, which is far quicker."""
    try:
        return float(lon), float(lat)
    except (TypeError, ValueError):
        return None


def _line(corners: list[list[float]]) -> Any:
    return shapely.LineString(corners) if len(corners) > 1 else None


def _together(shapes: list[Any]) -> Any:
    known = [shape for shape in shapes if shape is not None]
    if len(known) < 2:
        return next(iter(known), None)
    return shapely.GeometryCollection(
        [shapely.Point(shape) if isinstance(shape, tuple) else shape for shape in known]
    )
