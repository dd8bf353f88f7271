import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.gazetteer import (
    Place,
    format_coordinates,
    look_up,
    nearest_place,
    parse_coordinates,
    search,
    swapped,
    tidy_coordinates,
)

CITIES = (
    Place("Nairobi", "Kenya", 36.82, -1.28),
    Place("Wien", "Austria", 16.37, 48.2),
    Place("São Paulo", "Brazil", -46.63, -23.55),
    Place("San José", "Costa Rica", -84.08, 9.93),
    Place("San José", "United States of America", -121.89, 37.3),
    Place("San Juan", "Puerto Rico", -66.1, 18.47),
    Place("Washington, D.C.", "United States of America", -77.01, 38.9),
)


@pytest.mark.parametrize(
    "text",
    [
        "48.2 N 16.37 E",
        "48.2N, 16.37E",
        "N48.2 E16.37",
        "16.37 E 48.2 N",
        "48.2°N 16.37°E",
        "48.2, 16.37",
        "48.2 16.37",
        "48.2;16.37",
        "(48.2, 16.37)",
        "48,2 16,37",
        "48,2; 16,37",
        "48,2 N 16,37 E",
        "geo:48.2,16.37",
        "GEO:48.2,16.37,150;u=30",
        "48°12'00\"N 16°22'12\"E",
        "48° 12' 0″ N, 16° 22′ 12″ E",
        "48 12 0 N 16 22 12 E",
        "48:12:0 N 16:22:12 E",
        "48°12.0' N 16°22.2' E",
        "48°12'00\" 16°22'12\"",
        "+48.2, +16.37",
    ],
)
def test_every_notation_gives_vienna(text: str) -> None:
    lon, lat = parse_coordinates(text) or (math.nan, math.nan)
    assert (lon, lat) == pytest.approx((16.37, 48.2))


@pytest.mark.parametrize(
    ("text", "lonlat"),
    [
        ("1.3 S 36.8 E", (36.8, -1.3)),
        ("−1.3, 36.8", (36.8, -1.3)),
        ("33.9S 151.2E", (151.2, -33.9)),
        ("40°26′46″N 79°58′56″W", (-79.98222, 40.44611)),
        ("0, 0", (0, 0)),
        ("91, 200", (200, 91)),
    ],
)
def test_signs_and_letters(text: str, lonlat: tuple[float, float]) -> None:
    assert parse_coordinates(text) == pytest.approx(lonlat, abs=1e-4)


@pytest.mark.parametrize(
    "text", ["", "Nairobi", "N", "48.2", "1 2 3 4", "1,2,3", "12 Main St", "–"]
)
def test_what_is_no_pair_of_coordinates(text: str) -> None:
    assert parse_coordinates(text) is None


@pytest.mark.parametrize(
    "text", ["48 N 16 N", "48°75'N 16°0'E", "-48 N 16 E", "geo:somewhere", "geo:1"]
)
def test_coordinates_that_cannot_be_read_say_why(text: str) -> None:
    with pytest.raises(BadRecordError):
        parse_coordinates(text)


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_written_coordinates_read_back(lon: float, lat: float) -> None:
    parsed = parse_coordinates(format_coordinates(lon, lat))
    assert parsed == pytest.approx((lon, lat), abs=1e-4)


@given(st.text(max_size=40))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        parse_coordinates(text)
    except BadRecordError as error:
        assert str(error)


def test_longitude_is_wrapped_with_a_notice() -> None:
    assert tidy_coordinates(190, 10) == (-170, 10, "Longitude 190 is the same meridian as -170.")
    assert tidy_coordinates(180, -90) == (180, -90, None)


@pytest.mark.parametrize(("lon", "lat"), [(0, 91), (0, -90.1), (math.nan, 0), (0, math.inf)])
def test_impossible_coordinates_are_refused(lon: float, lat: float) -> None:
    with pytest.raises(BadRecordError):
        tidy_coordinates(lon, lat)


def test_swapped_guess_only_where_it_helps() -> None:
    assert swapped(-1.3, 100) == (100, -1.3)
    assert swapped(100, 10) is None
    assert swapped(120, 100) is None
    # Rio de Janeiro, and Nairobi, whose numbers lie on land both ways or are right.
    assert swapped(-22.9, -43.2) == (-43.2, -22.9)
    assert swapped(36.8, -1.3) is None and swapped(-43.2, -22.9) is None
    assert swapped(-30, 0.5) is None


def test_names_are_found_without_accents_or_case() -> None:
    assert look_up(" sao paulo ", CITIES).places == (CITIES[2],)
    assert (
        look_up("washington dc", CITIES).places == (CITIES[6],)
        or look_up("washington d c", CITIES).certain
    )
    assert look_up("Wien, Austria", CITIES).certain


def test_a_name_of_two_cities_asks_which() -> None:
    found = look_up("San Jose", CITIES)
    assert not found.certain
    assert [place.country for place in found.places] == ["Costa Rica", "United States of America"]
    assert look_up("San Jose, Costa Rica", CITIES).certain


def test_beginnings_and_misspellings_offer_candidates() -> None:
    assert look_up("nair", CITIES).places == (CITIES[0],)
    assert {place.name for place in look_up("San", CITIES).places} == {"San José", "San Juan"}
    wrong = look_up("Nairoby", CITIES)
    assert wrong.places == (CITIES[0],) and not wrong.certain


@pytest.mark.parametrize("text", ["Atlantis", "", "   ", "<script>"])
def test_nothing_found_says_what_would_work(text: str) -> None:
    with pytest.raises(DataNotFoundError, match="coordinates"):
        look_up(text, CITIES)


def test_nearest_place() -> None:
    found = nearest_place(36.8, -1.3, CITIES)
    assert found is not None and found[0].name == "Nairobi" and found[1] < 10
    assert nearest_place(0, -60, CITIES) is None


def test_as_long_as_the_list_is_not_built_large_cities_are_known(monkeypatch):
    monkeypatch.setattr(search, "connect", lambda: None)
    assert look_up("Lima").places[0].country == "Peru"
    assert look_up("Chicago, United States").certain
    with pytest.raises(DataNotFoundError, match="list of towns is not built"):
        look_up("Hallstatt")
    with pytest.raises(DataNotFoundError) as caught:
        look_up("Hallstatt", CITIES)
    assert "built" not in str(caught.value)
