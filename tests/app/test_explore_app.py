import datetime
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from csp_core.errors import ConfigError
from csp_core.inference import describe_place
from csp_core.inference.weeks import through_the_year, week_date
from csp_core.store import catalog, load_model
from explore import year
from shared import months
from tests.toy import save_toy_model

MAIN = Path(__file__).parents[2] / "app" / "main.py"
PLACE = "Of all recordings made here, of the species that the model knows"

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_toy_model(folder)
    return folder


@pytest.fixture
def open_app(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Open]:
    def start(*, folder: Path = models, **params: str) -> AppTest:
        monkeypatch.setenv("CSP_MODELS", str(folder))
        st.cache_data.clear()
        app = AppTest.from_file(MAIN, default_timeout=30)
        for name, value in params.items():
            app.query_params[name] = value
        return app.run()

    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    yield start
    st.cache_data.clear()


def texts(app: AppTest) -> str:
    shown = [
        *app.markdown,
        *app.caption,
        *app.header,
        *app.subheader,
        *app.error,
        *app.warning,
        *app.info,
    ]
    parts = [element.value for element in shown] + [button.label for button in app.button]
    parts += [element.proto.body for element in app.get("html")]
    return "\n".join(parts)


def ranked(app: AppTest) -> list[str]:
    return [button.label for button in app.button if str(button.key).startswith("pick-")]


def range_links(app: AppTest) -> list[str]:
    links = [link.proto for link in app.get("page_link")]
    return [link.query_string for link in links if link.label.startswith("Range map *of ")]


def param(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def box(app: AppTest, name: str) -> float:
    return float(app.number_input(key=f"{name}_box").value or 0.0)


def test_it_opens_at_nairobi_with_a_filled_list(open_app: Open) -> None:
    app = open_app()
    assert not app.exception and not app.error
    assert app.header[0].value == "Near Nairobi, Kenya"
    assert (box(app, "lon"), box(app, "lat")) == (36.8, -1.3)
    assert len(ranked(app)) == 6 and ranked(app)[0].startswith("1\\. *")
    shown = texts(app)
    assert PLACE in shown and "not the chance that the species is present" in shown
    assert "●●● **Well recorded**: 2" in shown and " of 3 species within 250 km" in shown
    assert "recorded here: <b>often</b>" in shown and "its share of all recordings" in shown
    assert "Share " in shown and "would be of it" in shown


def test_the_address_decides_place_and_species(open_app: Open) -> None:
    app = open_app(lat="48.2", lon="16.4", taxon="ficta danubia", zoom="6", model="toy")
    assert not app.exception and not app.error
    assert app.header[0].value == "Near Vienna, Austria"
    assert app.selectbox(key="species").value == "Ficta danubia"
    assert "90 recordings in" in texts(app)


@pytest.mark.parametrize(
    "params",
    [
        {"lat": "abc"},
        {"lon": "nan"},
        {"lon": "inf"},
        {"lat": "91"},
        {"lat": "-1e400"},
        {"zoom": "x"},
        {"model": "nope"},
        {"model": "../../etc"},
        {"taxon": "Nemo nullus"},
        {"taxon": "<script>alert(1)</script>"},
    ],
)
def test_a_bad_address_gets_a_sentence_and_no_traceback(
    open_app: Open, params: dict[str, str]
) -> None:
    app = open_app(**params)
    assert not app.exception
    assert len(app.error) == 1


def test_an_unknown_model_is_answered_with_those_that_exist(open_app: Open) -> None:
    assert "Models\\: toy" in open_app(model="nope").error[0].value


def test_longitude_190_is_wrapped_with_a_notice(open_app: Open) -> None:
    app = open_app(lat="-17", lon="190")
    assert not app.error and "190" in app.info[0].value
    assert box(app, "lon") == -170


def test_swapped_coordinates_are_offered_the_other_way_round(open_app: Open) -> None:
    app = open_app(lat="136.8", lon="-1.3")
    assert app.header[0].value == "Near Nairobi, Kenya" and len(app.error) == 1
    app.button(key="swap").click().run()
    assert not app.error and not app.exception
    assert (box(app, "lon"), box(app, "lat")) == (136.8, -1.3)


@pytest.mark.parametrize("text", ["Vienna", "48.2 N 16.4 E", "geo:48.2,16.4", "48°12'N 16°24'E"])
def test_a_typed_place_moves_the_pin(open_app: Open, text: str) -> None:
    app = open_app()
    before = ranked(app)
    app.text_input(key="place_text").set_value(text).run()
    assert not app.error and not app.exception
    assert box(app, "lat") == pytest.approx(48.2, abs=0.05)
    assert app.query_params["lat"] in ([str(box(app, "lat"))], str(box(app, "lat")))
    assert ranked(app) != before


def test_a_place_that_nobody_knows_says_what_works(open_app: Open) -> None:
    app = open_app()
    app.text_input(key="place_text").set_value("Atlantis under water").run()
    assert not app.exception and "coordinates" in app.error[0].value
    assert box(app, "lat") == -1.3


def test_an_ambiguous_place_asks_which(open_app: Open) -> None:
    app = open_app()
    app.text_input(key="place_text").set_value("San").run()
    assert not app.exception and not app.error
    app.button(key="choice-0").click().run()
    assert box(app, "lat") != -1.3
    assert not [button for button in app.button if str(button.key).startswith("choice")]


def test_the_boxes_write_the_address(open_app: Open) -> None:
    app = open_app()
    app.number_input(key="lat_box").set_value(48.2).run()
    app.number_input(key="lon_box").set_value(16.4).run()
    assert app.header[0].value == "Near Vienna, Austria"
    app.number_input(key="lat_box").set_value(91.0).run()
    assert len(app.error) == 1 and not app.exception and box(app, "lat") == 91
    assert param(app, "lat") == "48.2" and app.header[0].value == "Near Vienna, Austria"
    # A refused text beside it replaces the message, and a good choice the number.
    app.text_input(key="place_text").set_value("95, 200").run()
    assert len(app.error) == 1 and "95" in app.error[0].value and box(app, "lat") == 91
    app.text_input(key="place_text").set_value("Nairobi").run()
    assert not app.error and box(app, "lat") == pytest.approx(-1.28, abs=0.05)


def test_an_emptied_box_stays_empty_and_the_pin_stays(open_app: Open) -> None:
    app = open_app()
    app.number_input(key="lat_box").set_value(None).run()
    assert app.number_input(key="lat_box").value is None and not app.error and not app.exception
    assert app.header[0].value == "Near Nairobi, Kenya" and param(app, "lat") is None
    app.number_input(key="lon_box").set_value(16.4).run()
    assert app.number_input(key="lat_box").value is None and box(app, "lon") == 16.4
    app.number_input(key="lat_box").set_value(48.2).run()
    assert app.header[0].value == "Near Vienna, Austria" and not app.info
    app.number_input(key="lon_box").set_value(None).run()
    assert len(app.info) == 1
    app.number_input(key="lat_box").set_value(-91.0).run()
    assert len(app.error) == 1 and not app.info and param(app, "lat") == "48.2"


def test_a_bad_address_shows_the_place_that_the_page_opens_with(open_app: Open) -> None:
    app = open_app(lat="95", lon="3", zoom="0")
    assert len(app.error) == 1 and "Showing Nairobi instead" in app.error[0].value
    assert app.header[0].value == "Near Nairobi, Kenya" and len(ranked(app)) == 6
    assert (box(app, "lon"), box(app, "lat")) == (36.8, -1.3)
    assert "zoom=0" in app.code[0].value and "lat=-1.3" in app.code[0].value
    app.text_input(key="place_text").set_value("48.2, 16.4").run()
    assert not app.error and param(app, "lat") == "48.2"


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("136.8, -1.3", "1.3° S, 136.8° E"),
        # Rio de Janeiro, the other way round, lies in the Atlantic.
        ("-43.2, -22.9", "22.9° S, 43.2° W"),
        ("43.2 S 22.9 W", None),
        ("0.5, -30", None),
    ],
)
def test_numbers_that_may_be_swapped_get_an_offer(
    open_app: Open, text: str, offered: str | None
) -> None:
    app = open_app()
    app.text_input(key="place_text").set_value(text).run()
    swaps = [button for button in app.button if button.key == "swap"]
    assert not app.exception and bool(swaps) == bool(offered)
    if offered:
        assert offered in swaps[0].label
        swaps[0].click().run()
        assert not app.error and not [button for button in app.button if button.key == "swap"]
        assert app.text_input(key="place_text").value == ""
        assert box(app, "lat") < 0


def swap_labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button if button.key == "swap"]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        # All lie on land. The model knows Vienna and Nairobi alone.
        ("16.4, 48.2", ["Swap them: 48.2° N, 16.4° E"]),
        ("36.8, -1.3", ["Swap them: 1.3° S, 36.8° E"]),
        ("48.2, 16.4", []),
        ("16.4 N 48.2 E", []),
        ("36.8, 50.1", []),
        ("-1.3, 36.8", []),
    ],
)
def test_valid_numbers_get_an_offer_where_records_speak_for_it(
    open_app: Open, text: str, offered: list[str]
) -> None:
    app = open_app()
    app.text_input(key="place_text").set_value(text).run()
    assert not app.exception and not app.error and swap_labels(app) == offered
    if offered:
        app.button(key="swap").click().run()
        assert not app.error and not swap_labels(app)
        assert "recordings of 3 species within 250 km" in texts(app)


def test_a_number_beside_one_of_another_place_gets_no_offer(open_app: Open) -> None:
    app = open_app(lat="10", lon="48.2")
    app.number_input(key="lat_box").set_value(16.4).run()
    assert param(app, "lat") == "16.4" and not swap_labels(app)
    app.number_input(key="lon_box").set_value(48.3).run()
    assert swap_labels(app) == ["Swap them: 48.3° N, 16.4° E"]
    # A place that was asked for in the address, as after a click, is nobody's typing.
    assert not swap_labels(open_app(lat="16.4", lon="48.2"))


def test_what_is_wrong_is_said_once_and_beside_its_box(open_app: Open) -> None:
    app = open_app(lat="abc", lon="xyz", month="13", sort="up")
    assert not app.exception and len(app.error) == 2
    place, rest = (error.value for error in app.error)
    assert "lat=abc" in place and "lon=xyz" in place and "\n- " in place
    assert "month=13" in rest and "sort=up" in rest


def test_a_longitude_past_the_antimeridian_is_written_as_it_is_meant(open_app: Open) -> None:
    app = open_app()
    app.text_input(key="place_text").set_value("-17, 190").run()
    assert not app.error and "same meridian" in app.info[0].value
    assert param(app, "lon") == "-170" and box(app, "lon") == -170


def test_a_search_with_one_answer_goes_there_and_the_box_names_it(open_app: Open) -> None:
    app = open_app()
    app.text_input(key="place_text").set_value("Hallstatt").run()
    assert "Hallstatt" in app.header[0].value
    assert "Hallstatt" in str(app.text_input(key="place_text").value)
    # The numbers move the pin, and the name goes with the place.
    app.number_input(key="lat_box").set_value(10.0).run()
    assert app.text_input(key="place_text").value == ""


def test_a_species_is_picked_in_the_list_and_in_the_box(open_app: Open) -> None:
    app = open_app()
    app.button(key="pick-1").click().run()
    chosen = app.selectbox(key="species").value
    assert chosen and "on the map" in ranked(app)[0]
    assert "Recordings per cell" in texts(app)
    app.selectbox(key="species").set_value(None).run()
    assert "taxon" not in app.query_params and "on the map" not in ranked(app)[0]


def test_without_support_there_is_an_order_and_no_share(open_app: Open) -> None:
    app = open_app(lat="-75", lon="100")
    shown = texts(app)
    assert len(ranked(app)) == 6 and "Too few recordings to say" in app.warning[0].value
    assert shown.count("too few recordings to say</b>") == 6 and "Order" not in shown
    assert " %" not in shown and "×" not in shown and PLACE not in shown


def test_names_are_never_read_as_markup(open_app: Open) -> None:
    app = open_app(lat="48.2", lon="16.4", taxon="Nomen <b>malum</b>")
    bodies = "\n".join(element.proto.body for element in app.get("html"))
    assert "&lt;b&gt;malum" in bodies and "<b>malum" not in bodies
    labels = "\n".join(ranked(app))
    assert "Bad \\*name\\* \\[x\\]\\(y\\) \\$z\\$" in labels and "<b" not in labels.replace(
        "\\<", ""
    )


def test_without_a_model_the_page_says_what_to_do(open_app: Open, tmp_path: Path) -> None:
    app = open_app(folder=tmp_path)
    assert not app.exception and "csp train" in texts(app)


def test_a_damaged_model_is_named_and_the_others_work(open_app: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path, "whole", train_steps=1)
    broken = save_toy_model(tmp_path, "broken", train_steps=1)
    (broken / "config.json").write_text("{")
    app = open_app(folder=tmp_path, model="broken")
    assert not app.exception and "broken" in app.error[0].value and len(ranked(app)) == 6
    weights = tmp_path / "whole" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    app = open_app(folder=tmp_path)
    assert not app.exception and any("safetensors" in error.value for error in app.error)


def test_two_models_can_be_changed(open_app: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path, "first", train_steps=1)
    save_toy_model(tmp_path, "second", train_steps=2)
    app = open_app(folder=tmp_path, taxon="Fabula alta")
    app.selectbox(key="model_box").set_value("second").run()
    assert not app.exception and app.query_params["model"] in ("second", ["second"])
    assert "taxon" not in app.query_params


def test_about_names_sources_and_shows_the_card(open_app: Open) -> None:
    app = open_app().switch_page("views/about.py").run()
    assert not app.exception and not app.error
    shown = texts(app)
    for words in ("Natural Earth", "Leaflet", "Six invented species", "MIT licence"):
        assert words in shown
    assert "Records by nobody" in app.text[0].value


@pytest.mark.parametrize(
    ("lat", "beyond"), [("90", True), ("-86", True), ("85", False), ("95", False)]
)
def test_a_place_beyond_the_edge_of_the_map_is_told(
    open_app: Open, lat: str, beyond: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "leaflet.js").touch()
    monkeypatch.setenv("CSP_LEAFLET_DIR", str(tmp_path))
    app = open_app(lat=lat, lon="10")
    assert not app.exception and ("this place lies beyond" in texts(app)) == beyond


def test_damaged_models_do_not_stop_the_page(open_app: Open, models: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    (good,) = models.iterdir()
    shutil.copytree(good, shelf / good.name)
    shutil.copytree(good, shelf / "odd-card")
    (shelf / "odd-card" / "README.md").write_bytes(b"\xff\xfe")
    shutil.copytree(good, shelf / "odd-settings")
    (shelf / "odd-settings" / "config.json").write_text('{"format": "csp-model/1"}')
    app = open_app(folder=shelf, model="odd-settings")
    assert not app.exception and "cannot be loaded" in app.error[0].value
    assert len(ranked(app)) == 6


def test_the_month_changes_the_list_of_a_model_that_knows_seasons(
    open_app: Open, tmp_path: Path
) -> None:
    save_toy_model(tmp_path / "seasonal", "seasons", train_steps=150, seasons=True)
    first = {}
    for month in ("1", "7"):
        app = open_app(folder=tmp_path / "seasonal", month=month)
        assert not app.exception and not app.error
        first[month] = ranked(app)[0]
    assert first["1"] != first["7"]
    assert app.selectbox(key="month_box").value == "Jul"
    assert "month=7" in range_links(app)[0]
    app.selectbox(key="month_box").set_value("Jan").run()
    assert not app.exception and ranked(app)[0] == first["1"]
    assert "month=1" in range_links(app)[0]
    app = open_app(folder=tmp_path / "seasonal", month="13")
    assert len(app.error) + len(app.warning) >= 1 and "13" in texts(app)


def test_classes_that_are_no_species_are_not_called_so(open_app: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path / "land", name="land", train_steps=1, data_set="eurosat")
    app = open_app(folder=tmp_path / "land")
    assert not app.exception and app.title[0].value == "Which classes are recorded here?"
    assert "Invented birds\\: 6 classes" in texts(app) and "of the classes that" in texts(app)
    shown = [texts(app), *(one.placeholder for one in app.selectbox)]
    assert "species" not in "\n".join(shown)
    assert not any("*Inventa" in label for label in ranked(app))


def test_a_model_of_weeks_opens_with_the_present_one(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_toy_model(tmp_path / "weekly", "weekly", train_steps=150, weeks=True)
    first = {}
    for day, week in ((datetime.date(2026, 1, 3), "1st week of Jan"),
                      (datetime.date(2026, 7, 6), "1st week of Jul")):  # fmt: skip
        monkeypatch.setattr(months, "today", lambda day=day: day)
        app = open_app(folder=tmp_path / "weekly")
        assert not app.exception and not app.error
        assert app.selectbox(key="month_box").value == f"This week ({week})"
        assert f"The first 6 of 6 at this place this week, the {week}." in texts(app)
        first[week] = ranked(app)[0]
    assert len(set(first.values())) == 2
    assert "month=7" in range_links(app)[0]
    app.selectbox(key="month_box").set_value("Jan").run()
    assert ranked(app)[0] == first["1st week of Jan"] and "at this place" not in texts(app)
    app.selectbox(key="month_box").set_value("Whole year").run()
    assert not app.exception and "month=" not in range_links(app)[0]
    app.selectbox(key="month_box").set_value("This week (1st week of Jul)").run()
    assert ranked(app)[0] == first["1st week of Jul"]
    app = open_app(folder=tmp_path / "weekly", week="1")
    assert app.selectbox(key="month_box").value == "1st week of Jan"
    assert "at this place then, the 1st week of Jan." in texts(app)
    app = open_app(folder=tmp_path / "weekly", week="49", month="year")
    assert "no week; give 1 to 48" in app.error[0].value
    assert app.selectbox(key="month_box").value == "Whole year"


def test_a_species_through_the_year(open_app: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path / "weekly", "weekly", train_steps=150, weeks=True)
    app = open_app(folder=tmp_path / "weekly", taxon="Inventa kenyensis", month="7")
    assert "came without counts" in texts(app) and "which are counted" not in texts(app)
    assert "– chosen" in "".join(ranked(app)) and "on the map" not in "".join(ranked(app))
    shown = "".join(html.proto.body for html in app.get("html"))
    assert shown.count("csp-now") == 4 and "Kenya Inventor" in shown
    assert re.search("Highest in the .{3} week of (Jun|Jul) ", shown)
    model = load_model(tmp_path / "weekly" / "weekly")
    values = through_the_year(model, 36.8, -1.3, "Inventa kenyensis")
    july = describe_place(model, 36.8, -1.3, date=week_date(27)).results
    assert values[26] == pytest.approx(next(r.value for r in july if r.taxon.endswith("kenyensis")))
    assert len(values) == 48 and values.index(max(values)) in range(18, 32)
    assert year.in_words((0.0,) * 48, "share") == "Nothing is expected in any week."
    assert year.in_words((0.5,) * 48, "relative") == "About alike all the year: score 0.50."


def test_a_model_without_seasons_has_no_year() -> None:
    with pytest.raises(ConfigError, match="knows no seasons"):
        through_the_year(load_model("birds"), 0.0, 0.0, "Alauda arvensis")


def test_a_model_without_seasons_shows_no_months(open_app: Open) -> None:
    app = open_app(month="4")
    assert not app.exception and not [box for box in app.selectbox if box.key == "month_box"]
