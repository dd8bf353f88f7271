"""Maps of scenes: the class of every pixel, as GeoTIFF, polygons and areas."""

from __future__ import annotations

from csp_core.raster.scenes.display import Layout, lay_out
from csp_core.raster.scenes.draw import draw_map
from csp_core.raster.scenes.legend import MapLegend, legend_of, make_legend, told_of_data
from csp_core.raster.scenes.many import MapsReport, Wanted, draw_maps, list_scenes
from csp_core.raster.scenes.outlines import Outlines, outline, write_outlines
from csp_core.raster.scenes.report import Drawing, MapReport
from csp_core.raster.scenes.seen import (
    PROBABILITIES,
    LearnedScene,
    SeenScene,
    check_takes,
    learn,
    see,
    unlike,
    write_seen,
)
from csp_core.raster.scenes.table import area_rows, write_areas

__all__ = [
    "PROBABILITIES",
    "Drawing",
    "Layout",
    "LearnedScene",
    "MapLegend",
    "MapReport",
    "MapsReport",
    "Outlines",
    "SeenScene",
    "Wanted",
    "area_rows",
    "check_takes",
    "draw_map",
    "draw_maps",
    "lay_out",
    "learn",
    "legend_of",
    "list_scenes",
    "make_legend",
    "outline",
    "see",
    "told_of_data",
    "unlike",
    "write_areas",
    "write_outlines",
    "write_seen",
]
