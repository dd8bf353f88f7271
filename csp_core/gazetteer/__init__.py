"""Places that people type or point at: coordinates, codes, names in any language, and towns."""

from __future__ import annotations

from csp_core.gazetteer.codes import parse_code
from csp_core.gazetteer.coordinates import (
    FORMATS,
    format_coordinates,
    parse_coordinates,
    tidy_coordinates,
)
from csp_core.gazetteer.index import build_index, index_path, start_building
from csp_core.gazetteer.many import Named, name_points
from csp_core.gazetteer.naming import country_at, nearest_place, swapped
from csp_core.gazetteer.places import Lookup, Place, load_places
from csp_core.gazetteer.search import look_up, suggest

__all__ = [
    "FORMATS",
    "Lookup",
    "Named",
    "Place",
    "build_index",
    "country_at",
    "format_coordinates",
    "index_path",
    "load_places",
    "look_up",
    "name_points",
    "nearest_place",
    "parse_code",
    "parse_coordinates",
    "start_building",
    "suggest",
    "swapped",
    "tidy_coordinates",
]
