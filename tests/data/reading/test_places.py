"""Shapes that are no single points: how many records they are, where, and how precisely."""

from __future__ import annotations

import json

import numpy as np
import pyproj
import pytest
import shapely

from csp_core.data import read_occurrences
from csp_core.data.shapes import places_of
from tests.data.reading import exports

POINTS = [[13.4, 52.5], [11.5, 48.1], [2.3, 48.8]]


def read(tmp_path, *features, **more):
    path = tmp_path / "x.geojson"
    path.write_text(exports.collection(*features, **more))
    records, report = read_occurrences(path)
    return records.table, report


def box(west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "MultiPoint", "coordinates": POINTS},
        {
            "type": "GeometryCollection",
            "geometries": [{"type": "Point", "coordinates": p} for p in POINTS],
        },
    ],
)
def test_several_points_are_several_records(tmp_path, geometry):
    one = {"type": "Point", "coordinates": [1, 2]}
    features = [exports.feature(g, species="Aus bus", id=n) for n, g in enumerate([one, geometry])]
    table, report = read(tmp_path, *features)
    assert table.select("lon", "lat").rows() == [(1, 2), *map(tuple, POINTS)]
    assert table["record_id"].to_list() == ["0", "1", "1", "1"] and report.rows_read == 4
    assert any(note.endswith("several points: 3") for note in report.notes)


def test_several_points_in_geoparquet_and_json_lines(tmp_path):
    shapes = [shapely.Point(1, 2), shapely.MultiPoint(POINTS), None]
    path = exports.geoparquet(tmp_path / "x.parquet", shapes, species=["Aus bus", "Cus dus", "E f"])
    records, report = read_occurrences(path)
    assert records.table["scientific_name"].to_list() == ["Aus bus"] + ["Cus dus"] * 3
    assert report.dropped == {"coordinates are missing": 1} and report.rows_read == 5
    features = [
        exports.feature({"type": "MultiPoint", "coordinates": POINTS}, species="Aus bus"),
        exports.feature({"type": "Point", "coordinates": [1, 2]}, species="Cus dus"),
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, features)))
    records, report = read_occurrences(tmp_path / "x.jsonl")
    assert len(records) == 4 and any("several points: 3" in note for note in report.notes)


@pytest.mark.parametrize(
    ("geometry", "place"),
    [
        (box(179, -17, -179, -16), (180, -16.5)),
        (box(179, -17, 181, -16), (180, -16.5)),
        (box(178, 10, -178.5, 11), (179.75, 10.5)),
        (box(-100, -1, -90, 1), (-95, 0)),
        (box(-60, 1, 62, 3), (1, 2)),
        (
            {
                "type": "MultiPolygon",
                "coordinates": [
                    box(179, -17, 180, -16)["coordinates"],
                    box(-180, -17, -179, -16)["coordinates"],
                ],
            },
            (180, -16.5),
        ),
    ],
)
def test_an_area_stands_at_its_middle_with_the_way_to_its_farthest_corner(
    tmp_path, geometry, place
):
    table, report = read(tmp_path, exports.feature(geometry, species="Aus bus"))
    lon, lat = table.select("lon", "lat").row(0)
    assert (lon, lat) == pytest.approx(place, abs=0.01) and abs(lon) <= 180
    corners = np.concatenate(shapely.get_coordinates(shapely.geometry.shape(geometry))).reshape(
        -1, 2
    )
    geod = pyproj.Geod(ellps="WGS84")
    far = max(geod.inv(lon, lat, x, y)[2] for x, y in corners)
    assert table["uncertainty_m"].to_list() == pytest.approx([far], abs=0.1)
    assert any("areas or lines: 1, each at a point of it" in note for note in report.notes)


def test_a_line_stands_on_itself(tmp_path):
    line = {"type": "LineString", "coordinates": [[0, 0], [1, 0], [1, 1]]}
    table, report = read(tmp_path, exports.feature(line, species="Aus bus"))
    place = shapely.Point(table.select("lon", "lat").row(0))
    assert shapely.geometry.shape(line).distance(place) < 1e-9
    assert table["uncertainty_m"][0] > 100_000 and "areas or lines: 1" in " ".join(report.notes)


def test_a_ring_and_a_crescent_stand_inside(tmp_path):
    hole = [[1, 1], [9, 1], [9, 9], [1, 9], [1, 1]]
    ring = box(0, 0, 10, 10)
    ring["coordinates"].append(hole)
    table, _ = read(tmp_path, exports.feature(ring, species="Aus bus"))
    assert shapely.geometry.shape(ring).covers(shapely.Point(table.select("lon", "lat").row(0)))


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        *((5, None), (900_000, 900_000), ("x", None), ("900 km", 900_000), ("5 km", None)),
        *(("900,000.5", 900_000.5), ("900 000", 900_000), ("1,5", None)),
    ],
)
def test_the_larger_of_two_uncertainties_counts(tmp_path, own, expected):
    point = {"type": "Point", "coordinates": [1, 2]}
    table, _ = read(
        tmp_path,
        exports.feature(box(0, 0, 1, 1), species="Aus bus", coordinateUncertaintyInMeters=own),
        exports.feature(point, species="Aus bus", coordinateUncertaintyInMeters=7),
    )
    far = pyproj.Geod(ellps="WGS84").inv(0.5, 0.5, 0, 0)[2]
    assert table["uncertainty_m"].to_list() == pytest.approx([expected or far, 7], abs=0.1)


def test_a_unit_of_other_distances_is_not_that_of_a_computed_one(tmp_path):
    about = {"species": "Aus bus", "max_error_units": "km"}
    table, _ = read(tmp_path, exports.feature(box(0, 0, 1, 1), **about))
    far = pyproj.Geod(ellps="WGS84").inv(0.5, 0.5, 0, 0)[2]
    assert table["uncertainty_m"].to_list() == pytest.approx([far], abs=0.1)


def test_an_area_in_another_reference_system(tmp_path):
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}}
    area = box(391_000, 5_817_000, 392_000, 5_818_000)
    table, report = read(tmp_path, exports.feature(area, species="Aus bus"), crs=crs)
    lon, lat = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(
        391_500, 5_817_500
    )
    assert table.select("lon", "lat").row(0) == pytest.approx((lon, lat), abs=1e-6)
    assert table["uncertainty_m"][0] == pytest.approx(np.hypot(500, 500), rel=1e-3)
    assert "EPSG::32633" in report.notes[0]


def test_shapes_that_are_broken_have_no_place_or_a_large_uncertainty():
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2), (0, 0)])
    beyond = shapely.Polygon([(0, 80), (1, 95), (2, 80), (0, 80)])
    both = shapely.GeometryCollection([bow, shapely.Point(3, 3)])
    empty = shapely.Polygon()
    shapes = np.array([bow, beyond, both, empty, None, shapely.Point(1, 2)], dtype=object)
    found = places_of(shapes, None)
    assert found.row.tolist() == [0, 1, 2, 3, 4, 5]
    assert (found.lon[0], found.lat[0]) == pytest.approx((1, 1)) and found.radius_m[0] > 150_000
    assert np.isnan(found.lon[[1, 3, 4]]).all() and (found.lon[5], found.lat[5]) == (1, 2)
    assert (
        np.isfinite(found.radius_m[[0, 2]]).all() and np.isnan(found.radius_m[[1, 3, 4, 5]]).all()
    )
    assert places_of(np.array([], dtype=object), None).row.tolist() == []


@pytest.mark.parametrize(
    ("datum", "marked"),
    [("Tokyo", 1), ("EPSG:27700", 1), ("WGS84", 0), ("EPSG:4326", 0), (None, 0)],
)
def test_a_geometry_is_in_wgs84_whatever_datum_its_properties_name(tmp_path, datum, marked):
    point = {"type": "Point", "coordinates": [139.7, 35.6]}
    table, report = read(
        tmp_path, exports.feature(point, species="Aus bus", geodeticDatum=datum, decimalLatitude=35)
    )
    assert table.select("lon", "lat").row(0) == (139.7, 35.6) and not report.changed
    assert sum(n for why, n in report.flagged.items() if why.startswith("datum")) == marked


@pytest.mark.parametrize(
    ("header", "rows", "places"),
    [
        ("decimalLatitude,decimalLongitude,latitude,longitude", [",,2,1", "4,3,9,9"],
         [(1.0, 2.0), (3.0, 4.0)]),
        ("decimalLatitude,decimalLongitude,lat,lng", ["NA,NA,2,1", "4,3,,"],
         [(1.0, 2.0), (3.0, 4.0)]),
        # Half a place is not put together with another, and what is called x may be anything.
        ("decimalLatitude,decimalLongitude,lat,lon", ["5,,2,1", "4,3,9,9"], [(3.0, 4.0)]),
        ("decimalLatitude,decimalLongitude,y,x", [",,2,1", "4,3,9,9"], [(3.0, 4.0)]),
    ],
)  # fmt: skip
def test_a_blank_place_is_taken_from_the_next_columns(tmp_path, header, rows, places):
    path = tmp_path / "p.csv"
    path.write_text("\n".join([f"species,{header}", *(f"Aus bus,{row}" for row in rows)]) + "\n")
    records, report = read_occurrences(path)
    assert records.table.select("lon", "lat").rows() == places
    told = [why for why in report.changed if why.startswith("place taken from")]
    assert len(told) == len(places) - 1


@pytest.mark.parametrize("systems", [("EPSG:25833", "EPSG:25833"), ("EPSG:25833", None)])
def test_lines_of_features_may_name_their_systems(tmp_path, systems):
    places = {"EPSG:25833": (390000, 5820000), None: (13.378812, 52.518995)}
    features = []
    for crs in systems:
        point = {"type": "Point", "coordinates": places[crs]}
        feature = {"type": "Feature", "properties": {"species": "Aus bus"}, "geometry": point}
        features.append(feature | ({"crs": {"properties": {"name": crs}}} if crs else {}))
    path = tmp_path / "f.jsonl"
    path.write_text("".join(json.dumps(feature) + "\n" for feature in features))
    records, report = read_occurrences(path)
    for place in records.table.select("lon", "lat").rows():
        assert place == pytest.approx((13.378812, 52.518995), abs=1e-5)
    assert "places converted to WGS84 from EPSG:25833" in report.notes
