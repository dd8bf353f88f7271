import json

import pytest
import rasterio

from csp_core.inference import location_prior
from csp_core.store import load_model
from tests.toy import save_toy_model

ROWS = ((13.4, 52.5), (2.3, 48.8), (16.3, 48.2), (-3.0, 40.0), (12.0, 42.0))


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return save_toy_model(tmp_path_factory.mktemp("models"), "toy", train_steps=40)


@pytest.fixture
def places(tmp_path):
    path = tmp_path / "places.csv"
    path.write_text("lon,lat,occurrenceStatus\n" + "".join(f"{a},{b},\n" for a, b in ROWS)
                    + "36.8,-1.3,absent\n250,3,\n")  # fmt: skip
    return path


def ok(result):
    code, out, err = result
    assert code == 0 and "Traceback" not in out + err, err
    return " ".join(out.split())


def fails(result, says):
    code, out, err = result
    assert code == 1 and out == "" and err.count("\n") == 1 and "Traceback" not in err
    assert says in err


def test_a_model_and_a_map(csp, toy, places, tmp_path):
    asked = ("--out", tmp_path / "mine", "--map", tmp_path / "mine.tif", "--step", "5")
    said = ok(csp("few-shot", places, toy, *asked, "--name", "Aus bus"))
    assert "Left out 1 of 7 records of places.csv: longitude is out of range" in said
    assert "Learned from 5 places where it was seen and 1 where it was not" in said
    assert "Threshold" in said and f"Saved the model to {tmp_path / 'mine'}." in said
    with rasterio.open(tmp_path / "mine.tif") as raster:
        assert (raster.width, raster.height) == (72, 36)
    model = load_model(tmp_path / "mine")
    assert model.classes.names == ("Aus bus",) and model.prior_kind == "relative"
    there = json.loads(ok(csp("predict", tmp_path / "mine", "--lon", "13.4", "--lat", "52.5",
                              "--json")))  # fmt: skip
    value = float(location_prior(model, [[13.4, 52.5]])[0, 0])
    assert there["results"][0]["value"] == pytest.approx(value)
    out = ok(csp("heatmap", tmp_path / "mine", "Aus bus", tmp_path / "h.png", "--step", "5",
                 "--threshold", "0.5"))  # fmt: skip
    assert "where the model extrapolates is not known" in out
    fails(csp("few-shot", places, toy, "--out", tmp_path / "mine"), "is there already")


def test_json(csp, toy, places, tmp_path):
    told = json.loads(ok(csp("few-shot", places, toy, "--json")))
    assert (told["presences"], told["absences"]) == (5, 1) and told["penalty"] > 0
    assert set(told["leave_one_out"]) == {"folds", "log_loss", "auc"}
    assert told["read"]["places"]["left_out"] == {"longitude is out of range (-180 to 180)": 1}
    gone = tmp_path / "gone.csv"
    gone.write_text("lon,lat\n100,20\n101,20\n")
    both = json.loads(ok(csp("few-shot", places, toy, "--absences", gone, "--json",
                             "--background", "target-group", "--seed", "1")))  # fmt: skip
    assert both["absences"] == 3 and both["background"] == "target-group"


def test_distance_can_be_left_out(csp, toy, places, tmp_path):
    both = json.loads(ok(csp("few-shot", places, toy, "--json")))
    assert both["distance_km"] == 500
    alone = ok(csp("few-shot", places, toy, "--no-distance", "--out", tmp_path / "alone"))
    assert "alike, anywhere in the world" in alone
    assert "The model holds no place and no count" in alone
    assert "nearness" not in (tmp_path / "alone" / "config.json").read_text()
    said = ok(csp("few-shot", places, toy, "--distance", "--out", tmp_path / "both"))
    assert "only without distance" in said and "holds the cells of 1°" in said
    onnx = ok(csp("export", tmp_path / "both", tmp_path / "both.onnx", "--json"))
    assert json.loads(onnx)["difference"] <= 1e-5


def test_others_of_any_species_are_places_without_it(csp, toy, places, tmp_path):
    others = tmp_path / "others.csv"
    others.write_text("lon,lat,species\n100,20,Avis prima\n101,21,Avis secunda\n")
    told = json.loads(ok(csp("few-shot", places, toy, "--absences", others, "--json")))
    assert told["absences"] == 3
    # A score of one half costs ln 2 where it was seen, on the ground, and three fifths of it.
    out = ok(csp("few-shot", places, toy, "--absences", others))
    assert "a score of ½ everywhere 1.80)" in out
    swapped = tmp_path / "swapped.csv"
    swapped.write_text("lon,lat\n20,113\n21,114\n")
    fails(
        csp("few-shot", swapped, toy),
        "no record of it is a place (2: longitude and latitude look swapped",
    )


def test_a_map_of_its_own_claims_nothing_of_support(csp, toy, places, tmp_path):
    ok(csp("few-shot", places, toy, "--map", tmp_path / "own.tif"))
    with rasterio.open(tmp_path / "own.tif") as file:
        assert not (file.read(2) == 1).any() and "not known" in str(file.tags())


def test_what_cannot_be_done(csp, toy, places, tmp_path):
    run = "few-shot", places, toy
    fails(csp(*run, "--background", "moon"), "Unknown background 'moon'")
    fails(csp(*run, "--map", tmp_path / "map.xyz"), "no known ending")
    absent = tmp_path / "absent.csv"
    absent.write_text("lon,lat,occurrenceStatus\n3,4,absent\n")
    fails(csp("few-shot", absent, toy), "Only places where it was not seen are given (1)")
    fails(csp("few-shot", tmp_path / "none.csv", toy), "none.csv")
    fails(csp("few-shot", places, "nowhere"), "Unknown model 'nowhere'")
    assert not list(tmp_path.glob("*.tif"))
