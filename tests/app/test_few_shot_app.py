"""The page From places without a browser: places in the address, what is learned, files, saving."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from few_shot import address, clicking
from few_shot.address import MOST, Spot, read_spots, write_spots
from tests.pixel_model import save_pixel_model
from tests.toy import save_toy_model

Open = Callable[..., AppTest]
FIVE = "S52.5_13.4~S48.8_2.3~S48.2_16.3~S40_-3~S42_12"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    save_toy_model(folder, "toy", train_steps=20)
    return folder


@pytest.fixture
def open_page(models: Path, open_view: Open) -> Open:
    return partial(open_view, "few_shot", folder=models)


def texts(app: AppTest) -> str:
    shown = [*app.title, *app.header, *app.markdown, *app.caption]
    shown += [*app.error, *app.warning, *app.info, *app.success]
    return "\n".join(str(element.value) for element in shown).replace("\\", "")


def errors(app: AppTest) -> str:
    assert not app.exception
    return "\n".join(str(error.value) for error in app.error).replace("\\", "")


def test_it_opens_without_a_place(open_page: Open) -> None:
    app = open_page()
    assert not errors(app) and "No place yet" in texts(app)
    assert app.button(key="few-shot-undo").disabled and not app.metric


def test_places_of_the_address_are_learned_from(open_page: Open) -> None:
    app = open_page(places=f"{FIVE}~N-1.3_36.8", name="Aus bus")
    assert not errors(app)
    said = texts(app)
    assert "5 places where it was seen, 1 where it was not" in said
    assert "Learned from 5 places" in said and "Threshold 0." in said
    assert app.metric[0].value.endswith("km²")
    app.button(key="few-shot-undo").click().run()
    assert app.query_params["places"] == FIVE and "5 places where it was seen" in texts(app)
    app.button(key="few-shot-clear").click().run()
    assert "places" not in app.query_params and "No place yet" in texts(app)


def test_distance_can_be_switched_off(open_page: Open) -> None:
    app = open_page(places=FIVE, name="Aus bus")
    assert app.toggle(key="few-shot-distance").value and "second range" in texts(app)
    near = app.metric[0].value
    app.toggle(key="few-shot-distance").set_value(False).run()
    assert not errors(app) and app.query_params["distance"] == "off"
    assert "anywhere in the world" in texts(app) and app.metric[0].value != near
    assert "distance=off" in "\n".join(str(code.value) for code in app.code)
    # Told before anything is saved.
    assert "The model holds no place and no counts by cell" in texts(app)
    app.button(key="few-shot-save").click().run()
    app.toggle(key="few-shot-distance").set_value(True).run()
    # The model that was saved holds none, the one that would be now holds cells.
    assert next(one.value for one in app.success).endswith("where it extrapolates.")
    assert "The model holds the cells of 1°" in texts(app)
    assert "distance" not in app.query_params and app.metric[0].value == near


def test_one_place_is_a_guess(open_page: Open) -> None:
    assert "the map is a guess" in texts(open_page(places="S52.5_13.4"))


def test_what_is_no_place_is_said(open_page: Open) -> None:
    app = open_page(places="S95_13.4~S48.8_2.3~X1_2~S1", background="moon", model="gone",
                    distance="far")  # fmt: skip
    said = errors(app)
    for part in ("S95_13.4 in the address is no place", "X1_2", "S1 in", "moon", "Model gone",
                 "distance=far"):  # fmt: skip
        assert part in said
    assert "1 place where it was seen" in texts(app)
    assert "Only places where it was not seen" in errors(open_page(places="N1_2"))
    many = "~".join(f"S{lat}_10" for lat in range(-50, 51))
    assert f"more than {MOST} places" in errors(open_page(places=many))


def test_a_typed_place_is_added(open_page: Open) -> None:
    app = open_page(places="S52.5_13.4", lat="48.2", lon="16.3", mark="missed")
    app.button(key="few-shot-add").click().run()
    assert app.query_params["places"] == "S52.5_13.4~N48.2_16.3"
    assert app.button(key="few-shot-add").disabled


def test_a_list_is_uploaded(open_page: Open) -> None:
    text = "species,lon,lat,occurrenceStatus\nAus bus,13.4,52.5,\nAus bus,2.3,48.8,\n"
    text += "Aus bus,36.8,-1.3,absent\nAus bus,900,0,\n"
    app = open_page(places="S52.5_13.4")
    app.file_uploader(key="few-shot-file").set_value(("l.csv", text.encode(), "text/csv")).run()
    said = texts(app)
    assert "2 places where it was seen and 1 where it was not, of 4 records" in said
    assert "Left out 1: longitude is out of range" in said
    app.button(key="few-shot-add-file").click().run()
    assert app.query_params["places"] == "S52.5_13.4~S48.8_2.3~N-1.3_36.8"
    assert app.query_params["name"] == "Aus bus"
    two = b"species,lon,lat\nAus bus,1,2\nCus dus,3,4\n"
    app = open_page()
    app.file_uploader(key="few-shot-file").set_value(("two.csv", two, "text/csv")).run()
    assert "two.csv: The file names 2 species" in errors(app)


def test_it_is_saved_once_and_listed(
    open_page: Open, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page(places=FIVE)
    assert app.button(key="few-shot-save").disabled
    app = open_page(places=FIVE, name="Aus <b>bus")
    kept = "The model holds the cells of 1° in which it was seen"
    assert kept in texts(app) and "without distance it would hold none of them" in texts(app)
    app.button(key="few-shot-save").click().run()
    assert not errors(app) and "Saved as the model aus-b-bus" in texts(app)
    assert kept in texts(app)
    assert (models / "aus-b-bus" / "config.json").is_file()
    app.button(key="few-shot-save").click().run()
    assert "is there already" in errors(app)
    monkeypatch.setenv("CSP_ALLOW_TRAINING", "0")
    app = open_page(places=FIVE, name="Aus cus")
    assert not [button for button in app.button if button.key == "few-shot-save"]
    assert "csp few-shot" in texts(app)


def test_files(open_page: Open) -> None:
    app = open_page(places=f"{FIVE}~N-1.3_36.8", name="Aus bus")
    offered = [one.proto.label for one in app.get("download_button")]
    assert offered == ["GeoTIFF", "GeoJSON", "PNG", "CSV of the places"]


def test_a_table_of_the_places_is_read_again(models: Path, open_view: Open) -> None:
    from csp_core.data.reading.places import read_places
    from csp_core.inference.few_shot import few_shot, make_ground
    from csp_core.raster import FewShotGrid, given_threshold
    from csp_core.store import load_model
    from few_shot.answer import Answer
    from few_shot.files import table_of

    view = address.PlacesView(None, "Aus bus", "land", True, "seen",  # type: ignore[arg-type]
                              read_spots(f"{FIVE}~N-1.3_36.8", []), None, None)  # fmt: skip
    ground = make_ground(load_model(models / "toy"))
    found = few_shot(None, view.places(True), view.places(False), ground=ground)
    raster = FewShotGrid(ground, step=2.0).heatmap(found)
    content = table_of(view, Answer(found, raster, given_threshold(0.5)))
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    assert len(rows) == 6 and 0 < float(rows[0]["score"]) < 1
    file = models / "places.csv"
    file.write_bytes(content)
    again = read_places(file)
    assert again.seen == view.places(True) and again.missed == view.places(False)


def test_models_without_places_are_not_offered(tmp_path: Path, open_view: Open) -> None:
    save_pixel_model(tmp_path / "pixels")
    app = open_view("few_shot", folder=tmp_path / "pixels")
    assert not app.exception and "No model yet" in texts(app)


def test_places_are_written_as_they_are_read() -> None:
    spots = (Spot(13.4, 52.5, True), Spot(-0.001, -90.0, False))
    assert read_spots(write_spots(spots), []) == spots
    assert read_spots("", []) == ()


def test_clicks_add_and_a_double_click_takes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class State(dict):  # type: ignore[type-arg]
        pass

    class Params(dict):  # type: ignore[type-arg]
        def to_dict(self) -> dict[str, str]:
            return dict(self)

        def from_dict(self, given: dict[str, str]) -> None:
            self.clear()
            self.update(given)

    state, params = State(), Params()
    for module in (clicking, address, clicking.address):
        monkeypatch.setattr(module.st, "session_state", state)
        monkeypatch.setattr(module.st, "query_params", params)
    click = {"lat": 52.5, "lng": 13.4, "count": 1}
    told = {"last_clicked": click, "centre": "10_20", "zoom": 3}
    state["map"] = told
    clicking.on_map("map")
    assert params["places"] == "S52.5_13.4" and params["zoom"] == "3" and params["lat"] == "52.5"
    clicking.on_map("map")  # a move reports the last click again
    assert params["places"] == "S52.5_13.4"
    state["map"] = told | {"last_clicked": click | {"undone": True}}
    clicking.on_map("map")
    assert "places" not in params and "lat" not in params
    for number in range(MOST + 1):
        state["map"] = told | {"last_clicked": {"lat": 0.1 * number, "lng": 5.0, "count": number}}
        clicking.on_map("map")
    assert len(read_spots(params["places"], [])) == MOST
