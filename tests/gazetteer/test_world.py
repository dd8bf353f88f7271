"""Names of places in any language, codes, links, and the names of points."""

import csv
import math
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import shapely

from csp_core import gazetteer
from csp_core.errors import BadRecordError, CspError, DataNotFoundError
from csp_core.files import asset_path
from csp_core.gazetteer.index import connect
from csp_core.gazetteer.names import countries, country_shapes


@pytest.fixture(autouse=True)
def needs_the_list():
    if connect() is None:
        pytest.skip("needs the list of places (sh tools/setup.sh test builds it)")


# Towns as the people there write them, with where they are.
TOWNS = [
    ("Wien", 16.37, 48.21), ("Zürich", 8.55, 47.37), ("München", 11.58, 48.14),
    ("Köln", 6.95, 50.93), ("Kraków", 19.94, 50.06), ("Москва", 37.62, 55.75),
    ("東京", 139.69, 35.69), ("Hallstatt", 13.65, 47.56), ("Ushuaia", -68.32, -54.81),
    ("Paris, Texas", -95.56, 33.66), ("NYC", -74.01, 40.71), ("Praha", 14.42, 50.09),
    ("Warszawa", 21.01, 52.23), ("Genève", 6.15, 46.2), ("Firenze", 11.25, 43.77),
    ("Sevilla", -5.98, 37.38), ("Lisboa", -9.13, 38.72), ("København", 12.57, 55.68),
    ("Göteborg", 11.97, 57.71), ("Tromsø", 18.96, 69.65), ("Helsinki", 24.94, 60.17),
    ("Αθήνα", 23.73, 37.98), ("İstanbul", 28.95, 41.01), ("Київ", 30.52, 50.45),
    ("Санкт-Петербург", 30.31, 59.94), ("القاهرة", 31.25, 30.06), ("ירושלים", 35.22, 31.77),
    ("تهران", 51.42, 35.69), ("मुंबई", 72.88, 19.07), ("ঢাকা", 90.41, 23.71),
    ("กรุงเทพ", 100.5, 13.75), ("Hà Nội", 105.84, 21.02), ("北京", 116.4, 39.9),
    ("서울", 126.98, 37.57), ("大阪", 135.5, 34.69), ("Ciudad de México", -99.13, 19.43),
    ("Bogotá", -74.08, 4.61), ("São Paulo", -46.63, -23.55), ("Lima", -77.03, -12.04),
    ("Nairobi", 36.82, -1.28), ("አዲስ አበባ", 38.75, 9.02), ("Reykjavík", -21.9, 64.14),
    ("'s-Hertogenbosch", 5.3, 51.7), ("Washington DC", -77.04, 38.9), ("Perth", 115.86, -31.95),
    ("Perth, Scotland", -3.43, 56.4), ("London, Ontario", -81.23, 42.98),
    ("Portland, Maine, USA", -70.26, 43.66), ("Athens, Georgia, USA", -83.38, 33.96),
    ("Springfield, Oregon, United States", -123.02, 44.05), ("Victoria, BC", -123.35, 48.44),
    ("Sydney, NSW", 151.21, -33.87), ("Perth WA", 115.86, -31.95), ("Spokane WA", -117.43, 47.66),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lon", "lat"), TOWNS)
def test_a_town_in_its_own_language_is_found_and_chosen(text, lon, lat):
    found = gazetteer.look_up(text)
    place = found.places[0]
    assert found.certain, [other.label for other in found.places]
    assert (place.lon, place.lat) == pytest.approx((lon, lat), abs=0.06)


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [("Kenya", "Kenya", "country"), ("Deutschland", "Germany", "country"),
     ("日本", "Japan", "country"), ("Россия", "Russia", "country"), ("UK", "United Kingdom",
      "country"), ("Tuvalu", "Tuvalu", "country"), ("Lake Victoria", "Lake Victoria", "lake"),
     ("Bodensee", "Lake Constance", "lake"), ("Serengeti", "Serengeti National Park", "park"),
     ("Yellowstone", "Yellowstone National Park", "park"), ("Texas", "Texas", "region"),
     ("Palestine", "Palestinian Territories", "country"), ("America", "United States", "country"),
     ("Korea", "South Korea", "country"), ("UAE", "United Arab Emirates", "country"),
     ("Everest", "Mount Everest", "mountain")],
)  # fmt: skip
def test_countries_lakes_and_parks_are_found_as_what_they_are(text, name, kind):
    place = gazetteer.look_up(text).places[0]
    assert (place.name, place.kind) == (name, kind)
    assert place.label.endswith(f" · {kind}")


def test_several_of_one_name_are_offered_with_what_tells_them_apart():
    found = gazetteer.look_up("Springfield")
    assert not found.certain and len({place.label for place in found.places}) == len(found.places)
    assert {"Missouri", "Massachusetts", "Illinois"} <= {place.region for place in found.places}
    assert gazetteer.look_up("Springfield, Illinois").certain
    certain = gazetteer.look_up("Paris")
    assert certain.places[0].country == "France"
    assert any(place.region == "Texas" for place in certain.places)


def test_what_a_place_is_called_on_the_page_finds_it():
    rows = connect().execute(
        "select name, country, lon, lat, region, kind, population from place"
        " where id < 600 or (population > 100000 and id % 29 = 0)"
    )
    for row in rows.fetchall():
        place = gazetteer.Place(*row)
        assert place.label in [found.label for found in gazetteer.look_up(place.label).places]


def test_many_threads_read_the_list():
    texts = ["Wien", "Mnuich", "Paris, Texas", "Springfield"] * 8
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(gazetteer.look_up, texts))
    assert found == found[:4] * 8


@pytest.mark.parametrize("text", ["Berlin, France", "Georgia, USA", "Vienna, Japan"])
def test_a_place_is_not_chosen_in_another_country_than_was_named(text):
    assert not gazetteer.look_up(text).certain


@pytest.mark.parametrize(
    ("text", "name"),
    [("Mnuich", "Munich"), ("Zurch", "Zürich"), ("Reykavik", "Reykjavík"),
     ("Copenhagn", "Copenhagen"), ("Nairobbi", "Nairobi"), ("Amstredam", "Amsterdam")],
)  # fmt: skip
def test_a_misspelt_name_is_offered_and_not_chosen(text, name):
    found = gazetteer.look_up(text)
    assert name in {place.name for place in found.places[:3]}
    assert not found.certain


@pytest.mark.parametrize(
    ("begun", "label"),
    [("mun", "Munich, Germany"), ("zür", "Zürich, Switzerland"), ("Мос", "Moscow, Russia"),
     ("東", "Tokyo, Japan"), ("ken", "Kenya · country"), ("lake v", "Lake Victoria · lake"),
     ("san fr", "San Francisco, California, United States"), ("nairb", "Nairobi, Kenya"),
     ("paris te", "Paris, Texas, United States"), ("München, Ger", "Munich, Germany"),
     ("Zurch", "Zürich, Switzerland"), ("wien", "Vienna, Austria")],
)  # fmt: skip
def test_a_beginning_suggests_the_larger_places(begun, label):
    assert label in [place.label for place in gazetteer.suggest(begun)[:3]]


def test_nothing_is_suggested_for_nothing():
    assert gazetteer.suggest("") == gazetteer.suggest("x") == gazetteer.suggest("48.2, 16.4") == ()


@pytest.mark.parametrize(
    "text", ["xyzzyq", "", "   ", "%", "_", "' or 1=1 --", "\ud800", "a" * 500]
)
def test_nothing_found_says_what_would_work(text):
    with pytest.raises(DataNotFoundError, match="coordinates"):
        gazetteer.look_up(text)


@pytest.mark.parametrize(
    ("text", "lon", "lat"),
    [
        ("8FVC9G8F+6X", 8.52456, 47.36556),
        ("8fvc9g8f+6x Zürich", 8.52456, 47.36556),
        ("33UXP0500040000", 16.41321, 48.20455),
        ("33U XP 05 40", 16.42009, 48.20895),
        ("33U 605000 5340000", 16.4225, 48.2056),
        ("18G 500000E 4900000N", -75.0, -46.0583),
        # N and S are hemispheres to many, and bands too.
        ("33N 500000 5300000", 15.0, 47.853), ("33S 500000 6250000", 15.0, -33.89),
        ("33S 500000 3800000", 15.0, 34.341), ("33SWE0412", 15.05, 39.863),
        ("https://maps.google.com/?q=loc:48.2,16.37", 16.37, 48.2),
        ("https://maps.google.com/?q=48,11", 11, 48),
        ("https://www.google.com/maps/dir//48.2,16.37/data=x", 16.37, 48.2),
        ("+48 +16", 16, 48),
        ("https://www.openstreetmap.org/#map=12/48.1372/11.5756", 11.5756, 48.1372),
        ("https://www.openstreetmap.org/?mlat=-1.5&mlon=35.1#map=5/0/0", 35.1, -1.5),
        ("https://www.google.com/maps/place/M/@48.1,11.4,11z/data=!8m2!3d48.135!4d11.582",
         11.582, 48.135),
        ("https://www.google.com/maps/@-33.86,151.21,15z", 151.21, -33.86),
        ("https://maps.google.com/?q=48.2,16.37", 16.37, 48.2),
        ("https://maps.apple.com/?ll=50.894967,4.341626", 4.341626, 50.894967),
        ("https://www.bing.com/maps?cp=47.677797~-122.122013&lvl=12", -122.122013, 47.677797),
    ],
)  # fmt: skip
def test_codes_and_links(text, lon, lat):
    found = gazetteer.look_up(text)
    place = found.places[0]
    assert found.certain and (place.lon, place.lat) == pytest.approx((lon, lat), abs=0.02)


@pytest.mark.parametrize(
    ("text", "why"),
    [("9G8F+6X", "short plus code"), ("https://maps.app.goo.gl/abcdef", "no coordinates"),
     ("https://example.org/?q=91,200", "no coordinates"), ("https://[", "no coordinates"),
     ("99U 605000 5340000", "zones 1 to 60"), ("33U 500000 1000000", "band U"),
     # Numbers of houses and towns are no degrees.
     ("https://maps.google.com/maps/search/Hauptstr. 12, 10115 Berlin", "no coordinates"),
     ("https://maps.google.com/?q=Gasse 1, 1020 Wien", "no coordinates")],
)  # fmt: skip
def test_a_code_that_names_no_place_says_why(text, why):
    with pytest.raises(BadRecordError, match=why):
        gazetteer.look_up(text)


@pytest.mark.parametrize(
    "text",
    ["1" * 3000 + "+ 2", "1" + " " * 50_000 + "2x", "33U 500000" + " " * 3000 + "x",
     "https://x/@" + "1" * 50_000, "geo:" + "1" * 50_000, "a" * 100_000],
    ids=["digits", "spaces", "utm", "link", "geo", "name"],
)  # fmt: skip
def test_long_text_is_answered_at_once_and_briefly(text):
    begun = time.process_time()
    with pytest.raises(CspError) as caught:
        gazetteer.look_up(text)
    assert time.process_time() - begun < 1 and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("lon", "lat", "country", "town"),
    [
        (11.58, 48.14, "Germany", "Munich"), (-122.33, 47.6, "United States", "Seattle"),
        (115.86, -31.95, "Australia", "Perth"), (-77.03, -12.05, "Peru", "Lima"),
        (13.65, 47.56, "Austria", "Hallstatt"), (2.35, 48.85, "France", "Paris"),
        (139.7, 35.68, "Japan", "Tokyo"), (-0.12, 51.5, "United Kingdom", "London"),
        (36.8, -1.3, "Kenya", "Nairobi"), (-46.6, -23.5, "Brazil", "São Paulo"),
        (-43.2, -22.9, "Brazil", "Rio de Janeiro"), (7.43, 46.95, "Switzerland", "Bern"),
        (24.0, -20.0, "Botswana", "Maun"), (179.4, -16.5, "Fiji", "Labasa"),
        (0.0, 0.0, None, None), (-150.0, 10.0, None, None), (180.0, 90.0, None, None),
    ],
)  # fmt: skip
def test_a_point_is_named_by_its_country_and_the_town_it_lies_in(lon, lat, country, town):
    found = gazetteer.nearest_place(lon, lat)
    assert gazetteer.country_at(lon, lat) == country
    assert (found[0].name if found else None) == town


@pytest.mark.parametrize(
    ("lon", "lat", "country"),
    [(-175, 66, "Russia"), (178, 65, "Russia"), (0, 66, None), (50, 70, None), (-180, 71, "Russia"),
     (100, -75, "Antarctica"), (0, -80, "Antarctica"), (-179.9, -89, "Antarctica"),
     (180, -90, "Antarctica"), (-179.9, -16.8, "Fiji"), (-60, 72, None), (-42, 72, "Greenland"),
     (190, 66, "Russia"), (-540, -16.8, "Fiji")],
)  # fmt: skip
def test_countries_over_the_antimeridian_and_around_the_pole(lon, lat, country):
    assert gazetteer.country_at(lon, lat) == country


def test_towns_of_both_lists_lie_in_countries_of_the_same_names():
    named = {row["english"] for row in countries().values()} | {"Somaliland"}
    assert {place.country for place in gazetteer.load_places()} <= named
    assert {name for code, name, _ in country_shapes() if code} <= named


def test_a_name_where_nobody_is_counted_gives_way_to_a_town_close_behind_it_only():
    # In Guangxi: the next town with people counted is 55 km away, in Vietnam.
    found = gazetteer.nearest_place(106.61, 23.34)
    assert found is not None and found[0].country == "China" and found[1] < 10
    hamlet = gazetteer.Place("A", "", 10.0, 50.0)
    for lat, name in ((50.05, "B"), (50.3, "A")):
        town = gazetteer.Place("B", "", 10.0, lat, population=900)
        assert gazetteer.nearest_place(10.0, 50.0, [hamlet, town])[0].name == name


def test_the_nearest_town_is_looked_for_over_the_antimeridian():
    found = gazetteer.nearest_place(-179.99, -16.5)
    assert found is not None and found[0].country == "Fiji" and found[0].lon > 178


def test_every_lake_and_park_lies_where_the_list_says():
    shapes = {}
    for code, _, outline in country_shapes():
        shapes.setdefault(code, []).append(outline)
    with asset_path("world", "features.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) > 200
    for row in rows:
        point = shapely.Point(float(row["lon"]), float(row["lat"]))
        if row["country"]:
            assert row["country"] in countries()
            away = min(outline.distance(point) for outline in shapes[row["country"]])
            assert away < 0.5, f"{row['name']} lies {away:.2f} degrees off"
        else:
            # What several countries share lies near some land.
            assert min(o.distance(point) for _, _, o in country_shapes()) < 2.5, row["name"]


def test_the_list_agrees_with_a_slow_search_for_the_nearest_town():
    index = connect()
    rows = index.execute(
        "select name, lon, lat from place where kind = 'town' and population > 0"
    ).fetchall()
    for lon, lat in [(100.3, 60.2), (-69.4, -30.1), (24.0, -20.0)]:
        slow = min((_km(lon, lat, row[1], row[2]), row[0]) for row in rows)
        place, km = gazetteer.nearest_place(lon, lat)
        assert place.name == slow[1] and km == pytest.approx(slow[0], rel=1e-6)


def _km(lon_a, lat_a, lon_b, lat_b):
    a, b = (
        (math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y))
        for x, y in ((math.radians(lon_a), math.radians(lat_a)),
                     (math.radians(lon_b), math.radians(lat_b)))
    )  # fmt: skip
    return 6371.0088 * math.acos(min(1.0, sum(p * q for p, q in zip(a, b, strict=True))))
