"""Where the pixels of scenes lie on a web map."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest

from csp_core.data.pictures.ground import Ground
from csp_core.errors import BadRecordError
from csp_core.raster.scenes import lay_out

UTM, LONLAT = "EPSG:32652", "EPSG:4326"
TURNED = (8.0, 3.0, 588_400.0, 3.0, -8.0, 4_150_700.0)
GROUNDS = {
    "north up": Ground(UTM, (10.0, 0.0, 588_400.0, 0.0, -10.0, 4_150_700.0), 60, 80),
    "turned": Ground(UTM, TURNED, 60, 80),
    "south up": Ground(UTM, (10.0, 0.0, 588_400.0, 0.0, 10.0, 4_150_700.0), 60, 80),
    "degrees": Ground(LONLAT, (0.01, 0.0, 5.0, 0.0, -0.01, 50.0), 60, 80),
    "over the antimeridian": Ground(LONLAT, (0.01, 0.0, 179.7, 0.0, -0.01, -16.0), 60, 80),
    "counted on from Greenwich": Ground(LONLAT, (0.01, 0.0, 200.0, 0.0, -0.01, 50.0), 60, 80),
    "sinusoidal": Ground(
        "+proj=sinu +R=6371007.181 +units=m", (463.3, 0.0, 1e6, 0.0, -463.3, 5e6), 60, 80
    ),
}


@pytest.mark.parametrize("name", GROUNDS)
def test_each_pixel_of_the_map_shows_the_one_below_it(name: str) -> None:
    ground = GROUNDS[name]
    layout = lay_out(ground, most=200)
    west, south, east, north = layout.bounds
    high, wide = layout.cells.shape
    assert west < east and south < north and max(high, wide) == 160
    to_mercator = pyproj.Transformer.from_crs(LONLAT, "EPSG:3857", always_xy=True)
    top, bottom = (to_mercator.transform(0, lat)[1] for lat in (north, south))
    found = 0
    for i in range(0, high, 7):
        for j in range(0, wide, 7):
            lon = west + (j + 0.5) * (east - west) / wide
            y = top + (i + 0.5) * (bottom - top) / high
            lat = to_mercator.transform(0, y, direction="INVERSE")[1]
            pixel = ground.pixel((lon + 180) % 360 - 180, lat)
            cell = int(layout.cells[i, j])
            assert (None if cell < 0 else divmod(cell, ground.width)) == pixel, (i, j)
            found += pixel is not None
    assert found > 100
    # All pixels of the scene are on the map, as it has twice as many.
    if name != "sinusoidal":
        assert len(np.unique(layout.cells[layout.cells >= 0])) == ground.height * ground.width


@pytest.mark.parametrize("name", GROUNDS)
def test_a_pixel_has_a_place_and_a_place_its_pixel(name: str) -> None:
    layout = lay_out(GROUNDS[name], most=50)
    for row, column in ((0, 0), (59, 79), (31, 7)):
        lon, lat = layout.place(row, column)
        assert -180 <= lon < 180
        # As the address of the page keeps it.
        assert layout.pixel(round(lon, 6), round(lat, 6)) == (row, column)
    assert layout.pixel(-40.0, 0.5) is None


def test_the_ratio_of_the_sides_is_that_of_the_map() -> None:
    layout = lay_out(Ground(LONLAT, (0.5, 0.0, -180.0, 0.0, -0.5, 90.0), 360, 720))
    assert layout.bounds == pytest.approx((-180, -85.05, 180, 85.05))
    high, wide = layout.cells.shape
    tall = math.asinh(math.tan(math.radians(85.05)))
    assert high / wide == pytest.approx(tall / math.pi, rel=0.01) and (layout.cells >= 0).all()


def test_what_lies_on_no_map_is_refused() -> None:
    with pytest.raises(BadRecordError, match=r"beyond 85\.05° of latitude"):
        lay_out(Ground(LONLAT, (0.1, 0.0, 0.0, 0.0, -0.1, 89.0), 10, 10))
    with pytest.raises(BadRecordError, match="not on Earth"):
        lay_out(Ground(LONLAT, (1.0, 0.0, 0.0, 0.0, -1.0, 300.0), 10, 10))
    with pytest.raises(BadRecordError, match="not on Earth"):
        lay_out(Ground(UTM, (10.0, 0.0, 9e9, 0.0, -10.0, 9e9), 10, 10))
