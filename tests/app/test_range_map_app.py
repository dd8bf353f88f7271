import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from rasterio.io import MemoryFile
from streamlit.testing.v1 import AppTest

from csp_core.files import ASSETS
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.raster import Raster, given_threshold, heatmap
from csp_core.store import catalog, checkpoint
from range_map.layer import Layer
from tests.toy import NAIROBI, SPECIES, VIENNA, save_strange_models, save_toy_model

NAMES = [name for name, _, _ in SPECIES]

Open = Callable[..., AppTest]


def save_bare_model(folder: Path, name: str) -> None:
    """Save a location encoder without classes, as an imported one may be."""
    encoder = make_location_encoder("sphere_c", dim=16, num_scales=4)
    checkpoint.save_model(DualEncoder(None, encoder, dim=16, name=name), folder / name)


def change_model(folder: Path, name: str, **changes: object) -> None:
    model = checkpoint.load_model(save_toy_model(folder, name, train_steps=1))
    for key, value in changes.items():
        setattr(model, key, value)
    for file in (folder / name).iterdir():
        file.unlink()
    (folder / name).rmdir()
    checkpoint.save_model(model, folder / name)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_toy_model(folder)
    return folder


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    save_toy_model(folder, "first")
    save_toy_model(folder, "second", train_steps=5)
    change_model(folder, "scores", prior_kind="relative", support=None)
    save_bare_model(folder, "unnamed")
    return folder


@pytest.fixture
def open_app(
    models: Path, open_view: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Open:
    # With or without Leaflet the page says the same; the map itself is tested in a browser.
    (tmp_path / "leaflet.js").touch()
    monkeypatch.setenv("CSP_LEAFLET_DIR", str(tmp_path))
    monkeypatch.delenv("CSP_RECORDS", raising=False)
    return partial(open_view, page="range_map", folder=models)


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
    parts += [metric.value for metric in app.metric]
    parts += [element.proto.body for element in app.get("html")]
    return "\n".join(parts)


def param(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def area(app: AppTest) -> float:
    words = app.metric[0].value
    number = float(re.sub(r"[^\d.]", "", words.replace("km²", "")))
    return number * (1e6 if "million" in words else 1)


def test_it_opens_with_a_species_and_nothing_to_configure(open_app: Open) -> None:
    app = open_app()
    assert not app.exception and not app.error and not app.warning
    assert app.title[0].value == "Where is a species recorded?"
    assert app.selectbox(key="taxon_box").value == NAMES[0]
    shown = texts(app)
    assert "not the chance that the species is present" in shown
    for words in ("Share of the recordings made at a place, %", "below 0.1 %"):
        assert words in shown
    assert "nobody looked enough: fewer than 10 recordings of anything within 250 km" in shown
    assert "recorded here" in shown and "looked, and hardly or never recorded: below" in shown
    assert area(app) > 0 and "Not the size of its range" in shown
    assert "range size" not in shown.lower()


def test_the_address_decides_species_threshold_and_place(open_app: Open) -> None:
    app = open_app(taxon="danube ficton", threshold="0.3", lat="48.2", lon="16.4")
    assert not app.exception and not app.error
    assert app.selectbox(key="taxon_box").value == "Ficta danubia"
    assert app.select_slider(key="threshold_slider").value == 0.3
    assert app.number_input(key="lat_box").value == 48.2
    shown = texts(app)
    assert "Near Vienna, Austria" in shown and "× its share of all recordings" in shown
    assert "rank 1 of 6" in shown or "rank 2 of 6" in shown or "rank 3 of 6" in shown
    assert "the threshold" in shown and " recordings within 250 km" in shown


@pytest.mark.parametrize(
    "params",
    [
        {"model": "nope"},
        {"taxon": "Nemo nullus"},
        {"taxon": "<script>alert(1)</script>"},
        {"compare": "Nemo nullus"},
        {"compare_model": "nope"},
        {"threshold": "abc"},
        {"threshold": "2"},
        {"threshold": "nan"},
        {"threshold": "-1"},
        {"month": "13"},
        {"month": "x"},
        {"lat": "91", "lon": "0"},
        {"lat": "abc", "lon": "0"},
        {"zoom": "inf"},
    ],
)
def test_a_bad_address_gets_a_sentence_and_a_map(open_app: Open, params: dict[str, str]) -> None:
    app = open_app(**params)
    assert not app.exception and len(app.error) == 1
    assert app.selectbox(key="taxon_box").value == NAMES[0] and area(app) > 0


def test_swapped_coordinates_are_offered_the_other_way_round(open_app: Open) -> None:
    app = open_app(lat="136.8", lon="-1.3")
    app.button(key="swap").click().run()
    assert not app.error and not app.exception
    assert app.number_input(key="lon_box").value == 136.8


def test_what_is_wrong_with_the_place_is_said_beside_its_boxes(open_app: Open) -> None:
    app = open_app(lat="999", lon="4", sea="maybe", month="13")
    assert not app.exception and len(app.error) == 2
    # The first stands above the map, the other one below the boxes of the place.
    first, beside = (error.value for error in app.error)
    assert "sea=maybe" in first and "month=13" in first and "999" in beside
    order = [element for element in app.main if element.type in ("error", "number_input")]
    kinds = [element.type for element in order]
    assert kinds[:4] == ["error", "number_input", "number_input", "error"]


def test_another_species_by_box_chance_and_memory(open_app: Open) -> None:
    app = open_app()
    app.selectbox(key="taxon_box").set_value("Fabula alta").run()
    assert param(app, "taxon") == "Fabula alta"
    # Where there is no common name, the scientific one stands.
    assert app.button(key="recent-0").label == "Nairobi Inventor"
    app.button(key="recent-0").click().run()
    assert app.selectbox(key="taxon_box").value == NAMES[0]
    assert app.button(key="recent-0").label == "*Fabula alta*"
    app.button(key="random").click().run()
    assert not app.exception and app.selectbox(key="taxon_box").value not in (None, NAMES[0])


def test_names_are_never_read_as_markup(open_app: Open) -> None:
    app = open_app(taxon="Nomen <b>malum</b>", compare="Ficta danubia", lat="48.2", lon="16.4")
    assert not app.exception and not app.error
    app.selectbox(key="taxon_box").set_value("Fabula alta").run()
    shown = "\n".join(x.value for x in app.markdown) + app.button(key="recent-0").label
    assert "<b>" not in shown.replace("\\<", "").replace("<b>bold", "")


def test_a_threshold_of_ones_own_is_written_to_the_address(open_app: Open) -> None:
    app = open_app()
    assert app.selectbox(key="threshold_box").value == "overall"
    before = area(app)
    app.selectbox(key="threshold_box").set_value("value").run()
    start = app.select_slider(key="threshold_slider").value
    assert float(param(app, "threshold") or 0) == start == pytest.approx(1 / 6, rel=0.3)
    app.select_slider(key="threshold_slider").set_value(0.3).run()
    assert param(app, "threshold") == "0.3" and 0 < area(app) < before
    assert "at or above the threshold of 30.0 %" in texts(app)
    app.selectbox(key="threshold_box").set_value("none").run()
    assert not app.exception and not app.metric and param(app, "threshold") == "none"
    (geojson,) = (b for b in app.get("download_button") if b.proto.label == "GeoJSON")
    assert geojson.proto.disabled


def test_without_support_a_place_has_no_value(open_app: Open) -> None:
    shown = texts(open_app(lat="-75", lon="100"))
    assert "**too few recordings to say**" in shown and "○○○ **Hardly recorded**" in shown
    assert "its share of all recordings" not in shown


def test_a_place_can_be_typed_box_by_box(open_app: Open) -> None:
    app = open_app()
    app.number_input(key="lat_box").set_value(-1.3).run()
    assert app.number_input(key="lat_box").value == -1.3 and param(app, "lat") is None
    app.number_input(key="lon_box").set_value(36.8).run()
    assert "Near Nairobi, Kenya" in texts(app) and param(app, "lat") == "-1.3"


def test_a_place_can_be_searched_and_the_view_linked(open_app: Open) -> None:
    app = open_app(taxon="danube ficton", threshold="0.3")
    app.text_input(key="place_text").set_value("Vienna").run()
    assert not app.exception and not app.error
    assert "Near Vienna, Austria" in texts(app)
    (link,) = (code.value for code in app.code if "?" in code.value)
    asked = {name: values[0] for name, values in parse_qs(link.partition("?")[2]).items()}
    assert asked.pop("lat").startswith("48.2") and asked.pop("lon").startswith("16.3")
    assert asked == {"model": "toy", "taxon": "Ficta danubia", "threshold": "0.3"}
    app.number_input(key="lat_box").set_value(95.0).run()
    assert len(app.error) == 1 and "Near Vienna, Austria" in texts(app)
    app.text_input(key="place_text").set_value("nowhere at all").run()
    assert len(app.error) == 1 and "Near Vienna, Austria" in texts(app)


def test_half_a_place_in_the_address_is_told(open_app: Open) -> None:
    app = open_app(lat="999")
    assert "999 in the address is half a place; give lon beside it" in texts(app)
    assert app.number_input(key="lat_box").value is None and not app.exception


def test_both_of_two_maps_can_be_downloaded(open_app: Open) -> None:
    for show in ("", "difference"):
        app = open_app(taxon=NAMES[0], compare="Ficta danubia", show=show)
        labels = [button.proto.label for button in app.get("download_button")]
        own = ["GeoTIFF", "PNG"] if show else []
        assert labels == own + ["GeoTIFF", "GeoJSON", "PNG"] * 2


def guessed(app: AppTest) -> float:
    """Read the area that is a guess, km²."""
    found = re.search(r"Another ([\d,.]+)( million)? km² are a guess", texts(app))
    assert found
    return float(found[1].replace(",", "")) * (1e6 if found[2] else 1)


def test_the_sea_is_left_out_until_it_is_asked_for(open_app: Open) -> None:
    app = open_app(threshold="0.001", guesses="shown")
    before = guessed(app)
    app.toggle(key="sea_box").set_value(True).run()
    assert param(app, "sea") == "shown" and guessed(app) > before
    app.toggle(key="sea_box").set_value(False).run()
    assert param(app, "sea") is None and guessed(app) == before


def test_the_same_number_outlines_the_same_area(open_app: Open) -> None:
    app = open_app()
    before, overall = area(app), app.selectbox(key="threshold_box")
    app = overall.set_value("value").run()
    assert area(app) == before
    written = [option for option in app.select_slider(key="threshold_slider").options]
    assert len(set(written)) == len(written)


def test_the_hatched_area_can_be_coloured_too(open_app: Open) -> None:
    app = open_app()
    before = area(app)
    assert "there are too few recordings to say; colour the hatched area" in texts(app)
    app.toggle(key="guesses_box").set_value(True).run()
    # What is made of guesses is told beside it, and is no part of the headline.
    assert param(app, "guesses") == "shown" and area(app) == before < guessed(app)
    assert "are a guess, where" in texts(app) and "a guess: fewer than 10" in texts(app)


def test_two_species_side_by_side_and_subtracted(open_app: Open) -> None:
    app = open_app(taxon=NAMES[0], compare="Ficta danubia", lat="48.2", lon="16.4")
    assert not app.exception and not app.error
    shown = texts(app)
    assert "above both:" in shown and shown.count('class="csp-steps"') == 2
    assert "Nairobi Inventor" in shown and "Danube Ficton" in shown
    app.segmented_control(key="show_box").set_value("Difference").run()
    shown = texts(app)
    assert not app.exception and param(app, "show") == "difference"
    assert "Difference in percentage points" in shown and "differ by less than 0.1 points" in shown
    assert "more of Nairobi Inventor · Inventa nairobica" in shown
    app.selectbox(key="other_box").set_value(None).run()
    assert not app.exception and param(app, "compare") is None and area(app) > 0


def test_a_species_is_not_compared_with_itself(open_app: Open) -> None:
    app = open_app(taxon=NAMES[0], compare=NAMES[0], show="difference")
    assert not app.exception and not app.error and area(app) > 0


def test_two_models_of_one_species(open_app: Open, many: Path) -> None:
    app = open_app(folder=many, model="first", compare_model="second", taxon="Ficta danubia")
    assert not app.exception and not app.error
    assert "**first**" in texts(app) and "**second**" in texts(app)
    app.selectbox(key="other_model_box").set_value("scores").run()
    assert not app.exception and "without counts of its recordings" in app.warning[0].value
    app = open_app(folder=many, model="first", compare_model="scores", show="difference")
    assert "cannot be subtracted" in app.error[0].value and "Relative score" in texts(app)


def test_only_models_that_share_a_class_are_compared(open_app: Open, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    save_toy_model(shelf, "birds", train_steps=1)
    save_strange_models(shelf)
    app = open_app(folder=shelf, model="birds")
    assert not app.exception and "unary" in app.selectbox(key="model_box").options
    assert "other_model_box" not in [box.key for box in app.selectbox]
    app = open_app(folder=shelf, model="unreal")
    assert set(app.selectbox(key="other_model_box").options) == {"unreal", "uniform"}


def test_another_model_keeps_the_species_it_knows(open_app: Open, many: Path) -> None:
    app = open_app(folder=many, model="first", taxon="Ficta danubia", threshold="0.2")
    app.selectbox(key="model_box").set_value("second").run()
    assert not app.exception and not app.error and param(app, "model") == "second"
    assert app.selectbox(key="taxon_box").value == "Ficta danubia"
    assert param(app, "threshold") is None


def test_a_model_without_counts_is_coloured_and_says_so(open_app: Open, many: Path) -> None:
    app = open_app(folder=many, model="scores", lat="48.2", lon="16.4")
    assert not app.exception and not app.error
    shown = texts(app)
    assert "without counts of its recordings" in app.warning[0].value
    assert "Relative score, no percentage" in shown and "Nobody can say how well" in shown
    assert "nobody looked enough" not in shown and app.metric


def test_a_model_without_counts_tells_of_inland_ice(open_app: Open, many: Path) -> None:
    for lat, lon, told in (("75", "-40", True), ("64.2", "-51.7", False)):
        app = open_app(folder=many, model="scores", lat=lat, lon=lon)
        shown = "\n".join(one.value for one in app.caption)
        assert not app.exception and ("This is inland ice" in shown) == told


def test_a_place_is_read_out_without_marks_of_markdown(open_app: Open) -> None:
    app = open_app(lat="-41.2924", lon="-174.7787")
    (live,) = [one.value for one in app.markdown if 'role="status"' in one.value]
    assert "41.2924° S, 174.7787° W: " in live and "\\" not in live


@pytest.mark.parametrize("page", ["explore", "range_map"])
def test_models_without_classes_are_left_out(open_app: Open, many: Path, page: str) -> None:
    app = open_app(folder=many, page=page)
    assert not app.exception and not app.error
    assert "unnamed" not in app.selectbox(key="model_box").options
    assert "unnamed" not in texts(app)
    app = open_app(folder=many, page=page, model="unnamed")
    assert not app.exception and "has no classes" in app.error[0].value


@pytest.mark.parametrize("page", ["explore", "range_map"])
def test_with_none_but_models_without_classes(open_app: Open, tmp_path: Path, page: str) -> None:
    save_bare_model(tmp_path / "shelf", "unnamed")
    app = open_app(folder=tmp_path / "shelf", page=page)
    assert not app.exception and "csp train" in texts(app) and "unnamed" in texts(app)


def write_records(path: Path) -> Path:
    rows = [f"{NAMES[0]},{NAIROBI[0] + i / 10},{NAIROBI[1]}" for i in range(8)]
    rows += [f"{NAMES[0]},100,-75", f"{NAMES[0]},-60,-40"]
    rows += [f"{NAMES[3]},{VIENNA[0]},{VIENNA[1] + i / 10}" for i in range(4)]
    rows.append(f"Mira ignota,{VIENNA[0]},{VIENNA[1] + 0.4}")
    path.write_text("\n".join(["scientific_name,lon,lat", *rows]) + "\n", encoding="utf-8")
    return path


def test_without_records_there_is_a_value_and_the_reason(open_app: Open) -> None:
    app = open_app()
    assert len(app.selectbox(key="threshold_box").options) == 3
    assert "The model holds no records" in texts(app)
    app = open_app(threshold="max_tss")
    assert not app.error and "needs records" in app.info[0].value and area(app) > 0


def test_records_give_recall_and_fitted_thresholds(open_app: Open, tmp_path: Path) -> None:
    app = open_app(taxon=NAMES[0])
    content = write_records(tmp_path / "mine.csv").read_bytes()
    app.file_uploader(key="records_file").set_value(("mine.csv", content, "text/csv")).run()
    assert not app.exception and not app.error
    assert "Records in use: mine\\.csv. The model knows 2 of its 3 names; the 1 record of" in texts(
        app
    )
    assert "count as other species\\: Mira ignota (1)" in texts(app).replace("\\(", "(").replace(
        "\\)", ")"
    )
    assert app.code[0].value.startswith("mine.csv (text, comma, utf-8): 15 of 15 records kept")
    other = open_app(taxon=NAMES[0])
    other.file_uploader(key="records_file").set_value(("theirs.csv", content, "text/csv")).run()
    assert other.code[0].value.startswith("theirs.csv (text") and "mine" not in texts(other)
    assert re.search(r"\*\*[89]0%\*\* of its 10 records and 0% of 5 records of others", texts(app))
    app.selectbox(key="threshold_box").set_value("max_tss").run()
    assert not app.exception and param(app, "threshold") == "max_tss"
    assert "0% of 5 records of others" in texts(app)
    app.selectbox(key="taxon_box").set_value("Fabula alta").run()
    assert not app.exception and "None of the records given is of this species" in texts(app)


def test_records_can_be_named_at_the_start(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_RECORDS", str(write_records(tmp_path / "named.csv")))
    app = open_app(taxon=NAMES[0], threshold="recall_90")
    assert not app.exception and not app.error and "named\\.csv" in texts(app)
    assert "**90%** of its 10 records" in texts(app)


def test_a_file_that_holds_no_records_says_so(open_app: Open) -> None:
    app = open_app()
    app.file_uploader(key="records_file").set_value(("a.csv", b"x,y\n1,2\n", "text/csv")).run()
    assert not app.exception and len(app.error) == 1 and area(app) > 0
    said = app.error[0].value
    assert "a\\.csv" in said or "No column for scientific" in said
    assert "records\\.csv" not in said and "mapping" not in said and "boxes" in said


def test_columns_can_be_chosen(open_app: Open) -> None:
    app = open_app(taxon=NAMES[0])
    rows = [f"{NAMES[0]};{VIENNA[1]};{VIENNA[0] + i / 10};{i}" for i in range(9)]
    content = "\n".join(["what;how far up;how far right;number", *rows]).encode()
    app.file_uploader(key="records_file").set_value(("odd.csv", content, "text/csv")).run()
    assert len(app.error) == 1 and "Choose them in the boxes" in app.error[0].value
    for name, column in (
        ("scientific_name", "what"),
        ("lat", "how far up"),
        ("lon", "how far right"),
    ):
        box = next(b for b in app.selectbox if b.key and b.key.startswith(f"column-{name}-"))
        box.set_value(column).run()
    assert not app.exception and not app.error
    assert app.code[0].value.startswith("odd.csv (text, semicolon, utf-8): 9 of 9 records kept")
    assert "of its 9 records" in texts(app)


def test_what_was_guessed_of_records_is_told(open_app: Open, tmp_path: Path) -> None:
    app = open_app(taxon=NAMES[0])
    rows = [f'{NAMES[0]},"{VIENNA[0]:.2f}","48,{i}5"'.replace(".", ",") for i in range(1, 9)]
    content = "\n".join(["scientific_name,lon,lat", *rows, f"{NAMES[0]},,"]).encode()
    app.file_uploader(key="records_file").set_value(("mine.csv", content, "text/csv")).run()
    assert not app.exception and not app.error
    said = app.code[0].value
    assert "8 of 9 records kept" in said and "dropped 1: coordinates are missing" in said
    assert "decimal comma in `lat`: 8 of 8 values" in said


def test_a_model_without_seasons_has_no_months(open_app: Open) -> None:
    app = open_app(month="4")
    assert not app.image and not [b for b in app.selectbox if b.key == "month_box"]


def test_months_of_a_model_that_has_learned_seasons(open_app: Open, seasonal: Path) -> None:
    lat, lon = str(NAIROBI[1]), str(NAIROBI[0])
    values = {}
    for month in ("1", "7", ""):
        where = {"taxon": NAMES[0], "lat": lat, "lon": lon, "month": month}
        app = open_app(folder=seasonal, **where)
        assert not app.exception and not app.error and len(app.image) == 1
        values[month] = float(re.findall(r"\*\*<?([\d.]+)\s%\*\*.*rank", texts(app))[0])
        box = app.selectbox(key="month_box")
        assert box.value == {"1": "Jan", "7": "Jul", "": "Whole year"}[month]
    # It is recorded around New Year; over the whole year it shares the city with two others.
    assert values["1"] > max(50, values[""]) and values[""] > values["7"]
    app.selectbox(key="month_box").set_value("Apr").run()
    assert not app.exception and param(app, "month") == "4"
    app.selectbox(key="month_box").set_value("Whole year").run()
    assert not app.exception and param(app, "month") is None


@pytest.mark.parametrize("support", ["no counts", "few records", "good"])
def test_the_months_are_coloured_and_hatched_like_the_map(
    support: str, seasonal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from csp_core.model import Support
    from range_map import drawing, month_sheet
    from shared import resources

    model = checkpoint.load_model(seasonal / "seasons")
    if support != "good":
        few = Support.from_records(torch.tensor([VIENNA]), torch.tensor([0]), len(SPECIES))
        model.support = None if support == "no counts" else few
    drawn: dict[str, object] = {}
    monkeypatch.setattr(
        resources, "raster", lambda _, taxon, date, step, only_supported, sea: heatmap(
            model, taxon, step=4.0, date=date, only_supported=only_supported
        )
    )  # fmt: skip
    monkeypatch.setattr(
        month_sheet,
        "months_png",
        lambda rasters, *_, **options: drawn.update(options, first=rasters[0]),
    )
    monkeypatch.setattr(st, "image", lambda *_, **options: drawn.update(options))
    shown = heatmap(model, NAMES[0], step=4.0)
    info = catalog.ModelInfo
    layer = Layer(info, model, NAMES[0], shown, None, model.support is None)  # type: ignore[arg-type]
    drawing.draw_months(layer)
    # Where nobody counted, all is coloured; where too few records are, all is hatched.
    assert drawn["guesses"] == (support == "no counts")
    assert drawn["hatch"] == (support != "no counts") == drawing._hatched(shown, layer)
    first = drawn["first"]
    assert isinstance(first, Raster)
    coloured = {"no counts": first.values.numel(), "few records": 0}
    count = int((~first.values.isnan()).sum())
    assert count == coloured.get(support, count) and (count > 0) == (support != "few records")
    assert drawn["alt"] == f"Twelve small maps of {layer.name}"


def test_the_pages_link_to_each_other(open_app: Open) -> None:
    app = open_app(page="explore", lat="48.2", lon="16.4")
    links = [link.proto for link in app.get("page_link")]
    link = next(link for link in links if link.label.startswith("Range map *of "))
    assert link.page == "range-map"
    target = {name: values[0] for name, values in parse_qs(link.query_string).items()}
    assert target.keys() == {"model", "lat", "lon", "taxon"}
    app = open_app(**target)
    assert not app.error and app.selectbox(key="taxon_box").value == target["taxon"]
    (back,) = (x.proto for x in app.get("page_link") if "what else" in x.proto.label)
    assert back.page == ""
    kept = {name: values[0] for name, values in parse_qs(back.query_string).items()}
    assert kept == target


def test_a_visit_to_another_page_keeps_the_view(open_app: Open) -> None:
    app = open_app(taxon="Ficta danubia", threshold="0.2", lat="48.2", lon="16.4")
    for name in list(app.query_params):
        del app.query_params[name]
    app.switch_page("views/explore.py").run()
    assert app.selectbox(key="species").value == "Ficta danubia" and param(app, "lat") == "48.2"
    assert param(app, "threshold") is None
    app.selectbox(key="species").set_value("Fabula alta").run()
    for name in list(app.query_params):
        del app.query_params[name]
    app.switch_page("views/range_map.py").run()
    assert not app.exception and app.selectbox(key="taxon_box").value == "Fabula alta"
    assert param(app, "threshold") == "0.2"


def test_a_damaged_model_leaves_a_sentence(open_app: Open, tmp_path: Path) -> None:
    weights = save_toy_model(tmp_path / "shelf", "whole", train_steps=1) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    app = open_app(folder=tmp_path / "shelf")
    assert not app.exception and any("safetensors" in error.value for error in app.error)


def make_layer(folder: Path, name: str, value: float | None = 0.2) -> Layer:
    from shared import resources

    (info,) = (info for info in catalog.list_models() if info.directory == folder / name)
    limit = None if value is None else given_threshold(value)
    raster = resources.raster(info, NAMES[0], only_supported=True)
    return Layer(info, resources.model(info), NAMES[0], raster, limit, False)


def test_files_are_what_they_say(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from range_map.files import file_of

    monkeypatch.setenv("CSP_MODELS", str(models))
    layer = make_layer(models, "toy")
    assert np.isnan(layer.raster.at(100, -75))
    with MemoryFile(file_of(".tif", layer)) as file, file.open() as tif:
        here, far = (values[0] for values in tif.sample([NAIROBI, (100, -75)]))
        assert here == pytest.approx(layer.raster.at(*NAIROBI)) and 0 <= far <= 1
    about = json.loads(file_of(".geojson", layer))["about"]
    assert about["area_above_threshold_km2"] == pytest.approx(layer.area_km2(), rel=1e-6)
    assert about["of_which_extrapolated_km2"] == 0
    assert Image.open(io.BytesIO(file_of(".png", layer))).width > 1000


def test_a_difference_can_be_downloaded(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from range_map.files import difference_file

    monkeypatch.setenv("CSP_MODELS", str(models))
    first = make_layer(models, "toy")
    other = replace(first, taxon=NAMES[3], raster=replace(first.raster, taxon=NAMES[3]))
    with MemoryFile(difference_file(".tif", first, other)) as file, file.open() as tif:
        tags, values = tif.tags(), tif.read(1)
        (here,) = next(tif.sample([NAIROBI], indexes=1))
    assert tags["taxon"] == f"{NAMES[0]} minus {NAMES[3]}"
    assert tags["unit"] == "difference of two shares, -1 to 1" and tags["license"]
    ours, theirs = (
        heatmap(first.model, name, step=first.raster.step) for name in (NAMES[0], NAMES[3])
    )
    assert here == pytest.approx(ours.at(*NAIROBI) - theirs.at(*NAIROBI), abs=1e-6)
    assert np.isfinite(values).any()
    assert Image.open(io.BytesIO(difference_file(".png", first, first))).width > 1000


def test_the_species_is_told_with_where_it_is_recorded(open_app: Open) -> None:
    app = open_app(taxon=NAMES[0])
    shown = texts(app)
    assert f"*{NAMES[0]}*" in shown and "recordings, of " in shown
    assert "Recorded most in" in shown and "Kenya" in shown
    assert f"gbif.org/species/search?q={NAMES[0].replace(' ', '%20')}" in shown
    assert "ebird" not in shown, "not all species are birds"
    app.toggle(key="dots_box").set_value(False).run()
    assert param(app, "dots") == "hidden" and "recorded here" not in texts(app)


def test_the_page_computes_what_it_shows(
    models: Path, open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared import resources

    asked = []
    compute = resources.heatmap

    def recorded(*args: object, **options: object) -> Raster:
        asked.append(options["only_supported"])
        return compute(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(resources, "heatmap", recorded)
    st.cache_resource.clear()
    app = open_app(compare="Ficta danubia", show="difference")
    assert asked == [True, True]
    app.toggle(key="guesses_box").set_value(True).run()
    assert not app.exception and asked == [True, True, False, False]
    app.toggle(key="guesses_box").set_value(False).run()
    assert not app.exception and len(asked) == 4


def test_a_model_without_counts_hides_no_difference(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from range_map.layer import difference_of

    monkeypatch.setenv("CSP_MODELS", str(many))
    counted, uncounted = make_layer(many, "first"), make_layer(many, "scores")
    assert not uncounted.raster.support_known and not uncounted.raster.extrapolated.any()
    counted = replace(counted, raster=replace(counted.raster, kind="relative"))
    raster = difference_of(counted, uncounted)
    assert (raster.extrapolated == counted.raster.extrapolated).all()
    assert not difference_of(uncounted, uncounted).extrapolated.any()


def test_a_name_of_two_species_is_refused_with_both(open_app: Open, tmp_path: Path) -> None:
    table = save_toy_model(tmp_path / "twins", train_steps=1) / "classes.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    label, _, rest = lines[2].split(",", 2)
    lines[2] = f"{label},{NAMES[0].upper()},{rest}"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for page in ("range_map", "explore", "clusters"):
        shown = texts(open_app(folder=tmp_path / "twins", page=page, taxon=NAMES[0].lower()))
        assert "may be several" in shown and NAMES[0].upper() in shown, page
        assert "does not know" not in shown
    # Written just as it is, a name is its own.
    app = open_app(folder=tmp_path / "twins", taxon=NAMES[0].upper())
    assert app.selectbox(key="taxon_box").value == NAMES[0].upper() and not app.error


def test_a_map_of_one_kind_of_land(open_app: Open) -> None:
    app = open_app(folder=ASSETS / "models", model="landcover", taxon="Agro-forestry areas")
    assert not app.exception and not app.error
    assert app.selectbox(key="taxon_box").value == "Agro-forestry areas"
    assert "kind" in app.title[0].value or "Agro-forestry areas" in app.header[0].value
