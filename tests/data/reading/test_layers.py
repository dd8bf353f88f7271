"""Layers of GeoPackages and Shapefiles, and the placemarks of KML and GPX."""

from __future__ import annotations

import datetime
import gzip
import sqlite3
import warnings
import zipfile
from pathlib import Path

import geopandas as gpd
import pyproj
import pytest
import shapely

from csp_core.data import read_occurrences
from csp_core.data.reading import import_records, waypoints
from csp_core.errors import BadRecordError, CspError
from tests.data.reading import exports

PLACES = [("Turdus merula", 13.4, 52.5), ("Parus major", 11.5, 48.1)]
DAYS = [datetime.date(2020, 5, 1), None]
NAMES = [name for name, *_ in PLACES]
POINTS = [shapely.Point(lon, lat) for _, lon, lat in PLACES]


UNDATED = "1 of 2 records have no date"


def birds(crs=4326, shapes=POINTS):
    about = {"species": NAMES, "eventDate": ["2020-05-01", None]}
    return gpd.GeoDataFrame(about, geometry=shapes, crs=4326).to_crs(crs)


def read(path, **options):
    records, report = read_occurrences(path, **options)
    assert records.table["date"].to_list() == DAYS
    rows = records.table.select("scientific_name", "lon", "lat").rows()
    # A place that was converted comes back within a millimetre.
    return [(name, round(lon, 8), round(lat, 8)) for name, lon, lat in rows], report


def shapefile(folder: Path, crs=4326, leave_out=(), name="birds", **more: bytes) -> Path:
    birds(crs).to_file(folder / f"{name}.shp")
    files = {p.name: p.read_bytes() for p in sorted(folder.glob(f"{name}.*"))}
    held = {n: b for n, b in files.items() if Path(n).suffix not in leave_out}
    return exports.pack(folder / "shape.zip", {f"data/{n}": b for n, b in held.items()} | more)


@pytest.mark.parametrize("crs", [4326, 32633, 3857, 3035, 4267])
@pytest.mark.parametrize("kind", ["gpkg", "gpkg.gz", "shp", "zip", "zipped gpkg"])
def test_places_are_brought_to_wgs84_and_told(tmp_path, crs, kind):
    path = tmp_path / f"birds.{kind.removeprefix('zipped ')}"
    if "gpkg" in kind:
        plain = tmp_path / "birds.gpkg"
        birds(crs).to_file(plain)
        if kind.endswith("gz"):
            path.write_bytes(gzip.compress(plain.read_bytes()))
        elif kind.startswith("zipped"):
            path = exports.pack(tmp_path / "a.zip", {"birds.gpkg": plain.read_bytes()})
    else:
        path = shapefile(tmp_path, crs)
        path = path if kind == "zip" else tmp_path / "birds.shp"
    places, report = read(path)
    for found, right in zip(places, PLACES, strict=True):
        assert found[0] == right[0] and found[1:] == pytest.approx(right[1:], abs=1e-6)
    assert report.format == ("geopackage" if "gpkg" in kind else "shapefile")
    told = [note for note in report.notes if note.startswith("places converted to WGS84 from")]
    assert len(told) == (crs != 4326)
    assert "uncertainty_m" not in report.mapping


def test_the_layer_of_records_is_found_and_told(tmp_path):
    path = tmp_path / "a.gpkg"
    other = gpd.GeoDataFrame({"k": [1]}, geometry=[shapely.Point(0, 0)], crs=4326)
    other.to_file(path, layer="paths")
    birds().to_file(path, layer="sightings")
    places, report = read(path)
    assert places == PLACES
    assert report.notes == ("layer 'sightings' was read, not 'paths'", UNDATED)


def test_areas_and_several_points_in_a_layer(tmp_path):
    path = tmp_path / "a.gpkg"
    shapes = [shapely.MultiPoint([(13.4, 52.5), (1, 2)]), shapely.box(11, 48, 12, 48.2)]
    birds(32633, shapes).to_file(path)
    records, report = read_occurrences(path)
    rows = records.table.select("scientific_name", "uncertainty_m").rows()
    assert [name for name, _ in rows] == [NAMES[0], NAMES[0], NAMES[1]]
    far = pyproj.Geod(ellps="WGS84").inv(11.5, 48.1, 11, 48)[2]
    assert rows[2][1] == pytest.approx(far, rel=1e-2) and rows[0][1] is None
    assert any("several points: 2" in note for note in report.notes)
    assert any("areas or lines: 1" in note for note in report.notes)


def test_a_table_without_geometry(tmp_path):
    path = tmp_path / "a.gpkg"
    table = birds().drop(columns="geometry")
    table["lon"], table["lat"] = [p.x for p in POINTS], [p.y for p in POINTS]
    import pyogrio

    pyogrio.write_dataframe(table, path, driver="GPKG")
    assert read(path)[0] == PLACES


def test_a_shapefile_without_its_reference_system(tmp_path):
    places, report = read(shapefile(tmp_path, leave_out=(".prj",)))
    assert places == PLACES and "taken as WGS84" in report.notes[0]
    with pytest.raises(BadRecordError, match=r"without its \.dbf"):
        read_occurrences(shapefile(tmp_path, leave_out=(".dbf",)))
    with pytest.raises(BadRecordError, match=r"without its \.shx"):
        read_occurrences(shapefile(tmp_path, leave_out=(".shx",)))
    assert read(shapefile(tmp_path, leave_out=(".cpg",)))[0] == PLACES


def test_names_that_a_shapefile_cuts_are_told(tmp_path):
    table = birds().rename(columns={"species": "scientificName"})
    table["occurrenceStatus"] = "present"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table.to_file(tmp_path / "birds.shp")
    places, report = read(tmp_path / "birds.shp")
    assert places == PLACES and report.mapping["scientific_name"] == "scientific"
    assert report.notes == (
        "a Shapefile cuts names at 10 signs; these columns were not known: 'occurrence'",
        "'occurrence' is read as whether the species was there, as all its 2 values are such, like"
        " 'present'",
        UNDATED,
    )


def test_a_shapefile_of_names_in_capitals_and_with_companions(tmp_path):
    path = shapefile(tmp_path, **{"data/readme.pdf": b"x", "data/birds.shp.xml": b"<x/>"})
    with zipfile.ZipFile(path) as archive:
        files = {n.upper(): archive.read(n) for n in archive.namelist()}
    assert read(exports.pack(tmp_path / "up.zip", files))[0] == PLACES
    twice = {**files, "OTHER.SHP": b"x"}
    with pytest.raises(BadRecordError, match="several Shapefiles"):
        read_occurrences(exports.pack(tmp_path / "two.zip", twice))


def database(path: Path, *statements: str, application: int = 0x47504B47) -> Path:
    with sqlite3.connect(path) as open_database:
        open_database.execute(f"PRAGMA application_id={application}")
        for statement in statements:
            open_database.execute(statement)
    open_database.close()
    return path


CONTENTS = "CREATE TABLE gpkg_contents (table_name TEXT, data_type TEXT, identifier TEXT)"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
COMPUTED = "CREATE TABLE birds (lat, lon, species TEXT {}(hex(zeroblob(400000000))) VIRTUAL)"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([CONTENTS, f"CREATE VIEW birds AS {ENDLESS}"], "computes 'birds'"),
        ([f"CREATE VIEW gpkg_contents AS {ENDLESS}"], "no plain list of its contents"),
        ([CONTENTS, COMPUTED.format("GENERATED ALWAYS AS ")], "computes 'birds'"),
        ([CONTENTS, COMPUTED.format("AS ")], "computes 'birds'"),
        ([CONTENTS, COMPUTED.format("AS /* ( */ ").replace("VIRTUAL", "")], "computes 'birds'"),
        ([CONTENTS, "CREATE VIRTUAL TABLE birds USING fts4(species)"], "computes 'birds"),
        ([CONTENTS], "damaged"),
    ],
)
def test_a_geopackage_that_computes_what_it_holds_is_refused(tmp_path, statements, said):
    path = database(tmp_path / "a.gpkg", *statements)
    with pytest.raises(BadRecordError, match=said):
        read_occurrences(path)


def test_another_database_and_a_damaged_one(tmp_path):
    path = database(tmp_path / "a.sqlite", CONTENTS, application=0)
    with pytest.raises(BadRecordError, match="no GeoPackage"):
        read_occurrences(path)
    birds().to_file(tmp_path / "a.gpkg")
    data = (tmp_path / "a.gpkg").read_bytes()
    (tmp_path / "b.gpkg").write_bytes(data[:20_000])
    with pytest.raises(BadRecordError, match="damaged"):
        read_occurrences(tmp_path / "b.gpkg")
    for at in range(0, len(data), 7919):
        (tmp_path / "c.gpkg").write_bytes(data[:at] + b"\xff" * 50 + data[at + 50 :])
        try:
            read_occurrences(tmp_path / "c.gpkg")
        except CspError as error:
            assert "\n" not in str(error)


def test_a_shapefile_whose_parts_do_not_fit(tmp_path):
    path = shapefile(tmp_path)
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    odd = {
        "data/birds.shp": [files["data/birds.shp"][:60], b"<OGRVRTDataSource/>", b""],
        "data/birds.dbf": [files["data/birds.dbf"][:40], b"", b"\xff" * 400],
        "data/birds.prj": [b"PROJCS[garbage", b"\xff\xfe\x00"],
        "data/birds.shx": [b"", b"\xff" * 200],
    }
    for name, contents in odd.items():
        for content in contents:
            try:
                read_occurrences(exports.pack(tmp_path / "odd.zip", files | {name: content}))
            except CspError as error:
                assert "\n" not in str(error)


# KML and GPX

KML = '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">{}</kml>'
GPX = '<?xml version="1.0"?>\n<!-- by hand -->\n<gpx xmlns="http://www.topografix.com/GPX/1/1">{}</gpx>'
MARK = "<Placemark><name>{}</name>{}<Point><coordinates> {},{},0 </coordinates></Point></Placemark>"
STAMP = "<TimeStamp><when>2020-05-01T10:00:00Z</when></TimeStamp>"
MARKS = MARK.format(*[PLACES[0][0], STAMP, *PLACES[0][1:]]) + MARK.format(
    PLACES[1][0], "", *PLACES[1][1:]
)
DATA = '<Data name="{}"><value>{}</value></Data>'
SIMPLE = '<SchemaData><SimpleData name="{}">{}</SimpleData></SchemaData>'
POINT = (
    '<wpt lat="52.5" lon="13.4"><time>2020-05-01T10:00:00Z</time><name>Turdus merula</name></wpt>'
)
OTHER = '<wpt lon="11.5" lat="48.1"><ele>3</ele><name>Parus major</name></wpt>'


@pytest.mark.parametrize(
    "text",
    [
        KML.format(f"<Document><name>Mine</name><Folder>{MARKS}</Folder></Document>"),
        KML.format(MARKS).replace("<kml", "<!-- a --><kml"),
        "\ufeff" + KML.format(MARKS).replace("kml>", "k:kml>").replace("<kml", "<k:kml"),
        GPX.format(f"<metadata><name>m</name></metadata>{POINT}{OTHER}"),
    ],
)
@pytest.mark.parametrize("packed", ["", "gz", "zip"])
def test_placemarks_and_waypoints(tmp_path, text, packed):
    path = tmp_path / "x"
    path.write_text(text)
    if packed == "gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    elif packed:
        path = exports.pack(tmp_path / "a.kmz", {"doc.kml": text, "files/icon.png": b"x"})
    places, report = read(path)
    assert places == PLACES and report.format in ("kml", "gpx")
    said = " | ".join(report.notes)
    assert "no column names the scientific_name, so that 'name' is taken for it" in said


@pytest.mark.parametrize("extended", [DATA, SIMPLE])
def test_what_a_placemark_says_of_itself_comes_first(tmp_path, extended):
    about = extended.format("scientificName", NAMES[0]) + extended.format("eventDate", "2020-05-01")
    marks = MARK.format("WP 1", f"<ExtendedData>{about}</ExtendedData>", 13.4, 52.5)
    (tmp_path / "a.kml").write_text(KML.format(marks))
    records, report = read_occurrences(tmp_path / "a.kml")
    assert records.table["scientific_name"].to_list() == NAMES[:1]
    assert records.table["date"].to_list() == DAYS[:1] and report.notes == ()


def test_shapes_spans_and_tracks(tmp_path):
    ring = "<LinearRing><coordinates>179,-17 -179,-17 -179,-16 179,-16 179,-17</coordinates>"
    area = f"<Polygon><outerBoundaryIs>{ring}</LinearRing></outerBoundaryIs></Polygon>"
    several = "".join(f"<Point><coordinates>{n},1</coordinates></Point>" for n in (1, 2, 3))
    span = "<TimeSpan><begin>2020-05-01</begin><end>2020-12-01</end></TimeSpan>"
    name = "<Placemark><name>Aus bus</name>"
    line = "<LineString><coordinates>0,1 1,1\n2,1</coordinates></LineString>"
    marks = (
        f"{name}{area}</Placemark>{name}{span}<MultiGeometry>{several}</MultiGeometry></Placemark>"
    )
    (tmp_path / "a.kml").write_text(
        KML.format(f"{marks}{name}{line}</Placemark>{name}</Placemark>")
    )
    records, report = read_occurrences(tmp_path / "a.kml")
    rows = records.table.select("lon", "lat").rows()
    assert rows[0] == pytest.approx((180, -16.5)) and rows[1:4] == [(1, 1), (2, 1), (3, 1)]
    assert rows[4][1] == 1 and report.dropped == {"coordinates are missing": 1}
    assert records.table["uncertainty_m"].null_count() == 3
    assert report.changed == {"date spans more than a month, set to empty": 3}
    track = "<trk><trkseg><trkpt lat='1' lon='1'/></trkseg></trk>"
    (tmp_path / "a.gpx").write_text(GPX.format(POINT + track))
    notes = read_occurrences(tmp_path / "a.gpx")[1].notes
    assert "tracks and routes were not read, only waypoints: 1" in notes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (KML.format("<Placemark><name>a"), "cut short or damaged"),
        (GPX.format(POINT).replace("</wpt>", ""), "cut short or damaged"),
        ("<kml>" + "<a>" * 300, "one inside the other"),
        ("<kml>" + "<a/>" * 1001, "more than 1,000 elements"),
        ('<!DOCTYPE kml [<!ENTITY a "b">]><kml/>', "document type|web page"),
        ('<?xml version="1.0"?><!DOCTYPE kml SYSTEM "file:///x"><kml/>', "document type"),
        ("<html><kml></kml></html>", "web page or XML"),
        ("<!---->" * 9000 + "<kml/>", "web page or XML"),
        (KML.format(""), "No column for"),
        ("<gpx><wpt><name>a b</name></wpt></gpx>", None),
        ("<gpx><wpt lat='x' lon='nan'><name>a b</name></wpt></gpx>", None),
    ],
)
def test_xml_that_is_no_list_of_places(tmp_path, text, said, monkeypatch):
    monkeypatch.setattr(waypoints, "MAX_ELEMENTS", 1000)
    path = tmp_path / "a.kml"
    path.write_text(text)
    if said is None:
        report = import_records(path, tmp_path / "out.parquet")
        assert report.rows_kept == 0 and report.rows_read == 1
        return
    with pytest.raises(BadRecordError, match=said) as caught:
        read_occurrences(path)
    assert "\n" not in str(caught.value)
