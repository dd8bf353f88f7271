"""`csp export`, `csp share`, and models of the hub in the commands that take a model."""

from __future__ import annotations

import json
import logging

import onnx
import pytest

from csp_core.store.hub import fetch
from tests.hub import at_hand

# The hub's client sends large files in a way that its own library calls out of date.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch):
    """A hub that is empty."""
    with at_hand(monkeypatch) as found:
        yield found


@pytest.fixture
def shared(csp, hub, model_dir):
    """A model on the hub."""
    assert csp("share", model_dir, "hf:me/tiny")[0] == 0
    return "hf:me/tiny"


def fails(result) -> str:
    code, out, err = result
    assert code == 1 and out == "" and "Traceback" not in err
    assert err.startswith("Error: ") and err.count("\n") == 1
    return err


def test_export_tells_what_it_wrote_and_checked(csp, model_dir, tmp_path):
    code, out, _ = csp("export", model_dir, tmp_path / "tiny.onnx")
    assert code == 0 and out.startswith(f"Wrote {tmp_path}/tiny.onnx, ")
    assert "lonlat in, share of 6 classes out" in out
    assert "in batches of 1, 2, 33, 261" in out
    code, out, _ = csp("export", "demo", tmp_path / "demo.onnx", "--embedding", "--json")
    told = json.loads(out)
    assert (told["kind"], told["inputs"]) == ("embedding", ["lonlat", "date"])
    assert told["difference"] <= 1e-5 and told["path"] == f"{tmp_path}/demo.onnx"
    assert onnx.load(tmp_path / "demo.onnx").graph.output[0].name == "embedding"


def test_pictures_by_themselves_and_with_their_place(csp, tmp_path):
    code, out, _ = csp("export", "demo", tmp_path / "demo.onnx")
    said = " ".join(out.split())
    assert code == 0 and "leaves out what it says of pictures, which --of images and --of" in said
    code, out, _ = csp("export", "demo", tmp_path / "demo.onnx", "--of", "both")
    said = " ".join(out.split())
    assert code == 0 and "image, lonlat, date in, share of 24 classes out" in said
    assert "on 12 pictures of noise and ramps, one of them without a place" in said
    code, out, _ = csp("export", "demo", tmp_path / "demo.onnx", "--of", "images", "--json")
    assert code == 0 and json.loads(out)["of"] == "images" and json.loads(out)["left"] == ""


@pytest.mark.parametrize(
    ("model", "file", "says"),
    [("nothing", "out.onnx", "Unknown model 'nothing'"),
     ("korea_landuse", "out.onnx", "maps of pixels are not written as ONNX"),
     ("demo", "out.pb", "give a name that ends in .onnx"),
     ("demo", ".", "has another ending"),
     ("hf:me", "out.onnx", "is no name of a model on the hub")],
)  # fmt: skip
def test_what_cannot_be_exported(csp, tmp_path, model, file, says):
    assert says in fails(csp("export", model, tmp_path / file))
    assert list(tmp_path.iterdir()) == []


def test_share_tells_what_it_sent(csp, hub, model_dir):
    code, out, _ = csp("share", model_dir, "hf:me/tiny")
    assert code == 0 and "model.safetensors" in out
    assert f"as hf:me/tiny: {hub.address}/me/tiny, revision " in out
    code, out, _ = csp("share", "demo", "hf:me/demo", "--private", "--json")
    told = json.loads(out)
    assert told["license"] == "mit" and told["left"] == [] and hub.repositories["me/demo"].private


def test_share_minds_the_licence_and_the_rest_of_a_folder(csp, hub, model_dir, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for path in model_dir.iterdir():
        (own / path.name).write_bytes(path.read_bytes())
    (own / "README.md").write_text("No front matter.")
    (own / "records.csv").write_text("a,b")
    out = csp("share", own, "hf:me/tiny")[1]
    assert "Not sent: records.csv." in out and "states no licence" in out


@pytest.mark.parametrize("target", ["me/tiny", "tiny", "hf:tiny"])
def test_share_to_what_is_no_name(csp, hub, model_dir, target):
    assert "give hf:OWNER/NAME" in fails(csp("share", model_dir, target))


def test_commands_take_models_of_the_hub(csp, shared, records_csv, tmp_path):
    code, out, _ = csp("predict", shared, "--lon", "36.8", "--lat", "-1.3", "--json")
    assert code == 0 and json.loads(out)["results"][0]["taxon"] == "Aba alta"
    assert csp("evaluate", shared, records_csv)[0] == 0
    assert csp("heatmap", shared, "Aba alta", tmp_path / "map.tif", "--step", "10")[0] == 0
    assert csp("export", f"{shared}@main", tmp_path / "out.onnx")[0] == 0
    rows = [f"{lon},{lat},{lon / 7}" for lon in range(-90, 90, 20) for lat in range(-40, 40, 20)]
    (tmp_path / "probed.csv").write_text("\n".join(["lon,lat,value", *rows]))
    few = ("--seeds", "1", "--blocks", "", "--alone", "--json")
    code, out, _ = csp("probe", shared, tmp_path / "probed.csv", *few)
    assert code == 0 and f"the location encoder of model {shared}" in json.loads(out)["about"]
    rows = json.loads(csp("models", "--json")[1])
    assert [row["name"] for row in rows if row["name"].startswith("hf:")] == [shared]
    assert shared in csp("models")[1]


def test_a_copy_answers_and_says_so(csp, shared, monkeypatch, caplog):
    place = ("--lon", "36.8", "--lat", "-1.3")
    assert csp("predict", shared, *place)[0] == 0
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    fetch._asked.clear()
    with caplog.at_level(logging.WARNING):
        assert csp("predict", shared, *place)[0] == 0
    assert len([line for line in caplog.messages if "The copy fetched on" in line]) == 1
    assert "No copy of it was fetched before" in fails(csp("predict", "hf:me/none", *place))
