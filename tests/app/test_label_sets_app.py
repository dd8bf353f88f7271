"""A model of label sets on the pages: probabilities of their own, and no word of shares."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from csp_core.data.records import ClassTable
from csp_core.image import make_image_encoder
from csp_core.inference import describe_place
from csp_core.location import make_location_encoder
from csp_core.model import Calibration, DualEncoder, Heads, Support
from csp_core.store import catalog, load_model, read_card, save_model
from explore.files import to_csv, to_json
from mapping.values import difference_scale, value_scale
from range_map.threshold import overall_share, write_value
from shared.glossary import GLOSSARY
from shared.palette import LIGHT

NAIROBI = {"lat": "-1.3", "lon": "36.8"}
CLASSES = ClassTable(
    ("Broad-leaved forest", "Pastures", "Inland waters"), counts=(150, 90, 30), records=200
)
# Alone, their sum says that these are no shares.
CHANCES, THRESHOLDS = (0.83, 0.55, 0.2), (0.5, 0.4, 0.3)
WRONG = (
    *("share of all recordings", "share of recordings", "a share of ", "Share of the recordings"),
    *("here: <b>often", "here: <b>sometimes", "here: <b>rarely", "Most recorded", "no percentage"),
)

Open = Callable[..., AppTest]


def make_model(name: str = "sets") -> DualEncoder:
    """Make a model that says about the same everywhere, and nearly what its biases say."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DualEncoder(
            make_image_encoder("small_convnet", 8, width=8, norm="group", size=16),
            make_location_encoder("sphere_c", 8, num_scales=2),
            dim=8,
            classes=CLASSES,
            prior_kind="probability",
            name=name,
            heads=Heads(classifiers=("image", "location")),
        ).eval()
    with torch.no_grad():
        for part in (model.classifier, model.image_classifier):
            assert part is not None
            part.weight.mul_(1e-4)
            part.bias.copy_(torch.tensor(CHANCES).logit())
    lonlat = torch.tensor([[36.8, -1.3]]).repeat(200, 1)
    rows = torch.arange(200)
    sets = torch.stack((rows < 150, rows < 90, rows < 30), dim=1).to(torch.int8)
    model.support = Support.from_records(lonlat, torch.full((200,), -1), 3, labels=sets)
    model.calibration = Calibration(
        thresholds=THRESHOLDS, image_thresholds=THRESHOLDS, joint_thresholds=THRESHOLDS
    )
    return model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_model(make_model(), folder / "sets")
    return folder


@pytest.fixture
def open_app(models: Path, open_view: Open) -> Open:
    return partial(open_view, folder=models)


def texts(app: AppTest) -> str:
    shown = [*app.header, *app.subheader, *app.markdown, *app.caption]
    shown += [*app.error, *app.warning, *app.info]
    parts = [element.value for element in shown]
    parts += [element.label for element in (*app.button, *app.expander, *app.selectbox)]
    parts += [str(option) for box in app.selectbox for option in box.options]
    parts += [element.proto.body for element in app.get("html")]
    return "\n".join(parts).replace("\\", "")


def check_words(app: AppTest) -> str:
    assert not app.exception
    assert not app.error, [one.value for one in app.error]
    said = texts(app)
    for wrong in WRONG:
        assert wrong not in said
    return said


def test_explore_lists_probabilities_and_the_set(open_app: Open) -> None:
    app = open_app("explore", model="sets", **NAIROBI)
    said = check_words(app)
    assert "**The label set of a patch here:** Broad-leaved forest; Pastures." in said
    assert "in the label set of a patch here: <b>83." in said
    assert "need not sum to 100 %" in said
    assert GLOSSARY["probability"].format(one="class") in said
    assert "A full bar is a probability of 100 %." in said
    # 0.83 over 150 of 200 records.
    assert "That is 1.1× the part of all label sets that have it." in said
    assert "150 records with it in the label set within 250 km." in said
    assert "200 recordings of 3 classes within 250 km" in said
    order = next(box for box in app.get("button_group") if box.key == "order_box")
    assert order.proto.options[0].content == "Most likely"


def test_explore_by_lift(open_app: Open) -> None:
    said = check_words(open_app("explore", model="sets", sort="lift", **NAIROBI))
    assert "as likely as elsewhere" in said


def test_explore_says_nothing_where_nobody_looked(open_app: Open) -> None:
    said = check_words(open_app("explore", model="sets", lat="60", lon="-100"))
    assert "The label set of a patch here" not in said and "<b>83" not in said
    assert "Too few recordings to say" in said


def test_files_of_a_place(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSP_MODELS", str(models))
    info = next(info for info in catalog.list_models() if info.name == "sets")
    model = load_model(models / "sets")
    report = describe_place(model, 36.8, -1.3)
    table = to_csv(report, info, "Nairobi", "link").splitlines()
    assert table[0].startswith("rank,taxon,common_name,in_set,probability,lift,")
    assert [line.split(",")[3] for line in table[1:]] == ["yes", "yes", "no"]
    told = json.loads(to_json(report, info, "Nairobi", "link"))
    assert told["set"] == ["Broad-leaved forest", "Pastures"]
    assert set(told["fields"]) == {"value", "in_set", "lift", "support"}
    assert "recorded_here" not in told["results"][0]
    far = json.loads(to_json(describe_place(model, -100, 60), info, "far", "link"))
    assert far["set"] is None and far["results"][0]["in_set"] is None
    assert "Label sets of" not in read_card(models / "sets")


def test_the_range_map_has_its_values_and_threshold(open_app: Open) -> None:
    app = open_app("range_map", model="sets", taxon="Pastures", **NAIROBI)
    said = check_words(app)
    assert "Probability of being in the label set of a patch, %" in said
    assert "Its threshold for being in the label set, 40.0 %" in said
    assert "In 90 of 200 label sets (45.00 %)." in said
    assert "the part of all label sets that have it" in said and "above the threshold" in said
    assert GLOSSARY["probability"].format(one="class") in said


def test_two_classes_are_subtracted_in_points(open_app: Open) -> None:
    app = open_app("range_map", model="sets", taxon="Pastures", compare="Inland waters",
                   show="difference", **NAIROBI)  # fmt: skip
    said = check_words(app)
    assert "Difference in percentage points" in said


def test_scales_are_in_percent() -> None:
    assert value_scale("probability", LIGHT).unit == "%"
    assert difference_scale("probability", LIGHT).unit == "%"
    assert write_value("probability", 0.4) == "40.0 %"
    model = make_model()
    assert overall_share(model, "Pastures") == 0.4
    model.calibration = Calibration()
    assert overall_share(model, "Pastures") is None


def photo() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 40), (90, 140, 60)).save(stream, "PNG")
    return stream.getvalue()


def test_a_photo_has_a_set_by_itself_and_with_its_place(open_app: Open) -> None:
    app = open_app("photo", model="sets", **NAIROBI)
    app = app.file_uploader(key="photo_files").set_value([("a.png", photo(), "image/png")]).run()
    said = check_words(app)
    assert "Image alone: Broad-leaved forest 8" in said and "; Pastures 5" in said
    assert "each by its own threshold" in said and "9 times in 10" not in said
    # Nobody wins where classes stand beside each other.
    assert "Where would the answer change" not in said


def test_clusters_tell_what_is_typical(open_app: Open) -> None:
    app = open_app("clusters", model="sets", points="500", count="3")
    said = check_words(app)
    assert "by lift" in said


def test_the_map_ranks_by_the_value_alone(open_app: Open, models: Path) -> None:
    model = make_model("turned")
    # The most likely class misses its threshold, so lists begin with the others.
    model.calibration = Calibration(thresholds=(0.9, 0.4, 0.1))
    save_model(model, models / "turned")
    assert describe_place(model, 36.8, -1.3).results[0].taxon == "Pastures"
    app = open_app("range_map", model="turned", taxon="Pastures", **NAIROBI)
    said = check_words(app)
    assert "rank 2 of 3 · in the label set" in said
    app = open_app("range_map", model="turned", taxon="Broad-leaved forest", **NAIROBI)
    assert "rank 1 of 3 · not in the label set" in check_words(app)
