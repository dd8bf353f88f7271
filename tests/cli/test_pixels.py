"""Models of pixels from the command line: listed, measured, estimated, and what they refuse."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from csp_core.training import train
from csp_core.training.setup import make_parts
from tests import dense


@pytest.fixture(scope="module", autouse=True)
def tables():
    with dense.in_the_tables():
        yield


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "fields"
    config = dense.config(data={"label_fraction": 0.5})
    train(config, run_dir=folder)
    return folder


def ok(result):
    code, out, err = result
    assert code == 0, err
    return out


def test_it_is_measured_part_by_part(csp, fields):
    report = json.loads(ok(csp("evaluate", fields, "fields", "--json")))
    assert set(report["splits"]) == {"all", "train", "val", "test"}
    values = report["splits"]["test"]
    assert {"miou", "miou_without_background", "overall_accuracy", "macro_f1", "log_loss", "ece",
            "n", "records", "confusion", "background"} <= set(values)  # fmt: skip
    assert (
        sum(map(sum, values["confusion"]))
        == values["n"]
        == sum(one["n"] for one in values["classes"])
    )
    assert report["splits"]["all"]["records"] == 32
    # Half of the training pictures have no mask that was seen, and are told of.
    assert report["splits"]["train"]["records"] == 8 and "8 have no labels" in report["note"]
    assert "Only 8 pictures were measured" in report["cautions"]["val"][0]
    out = ok(csp("evaluate", fields, "fields"))
    assert "miou_without" in out and "Each class (test)" in out and "recall" in out
    assert "[[" not in out


def test_it_is_listed_as_what_it_is(csp, fields, monkeypatch):
    monkeypatch.setenv("CSP_MODELS", str(fields))
    rows = {row["name"]: row for row in json.loads(ok(csp("models", "--json")))}
    assert rows["model"]["sees_pixels"] and rows["model"]["kind"] == "share"
    assert not any(row["sees_pixels"] for name, row in rows.items() if name in ("birds", "eurosat"))
    assert "of pixels" in " ".join(ok(csp("models")).split())


def test_what_tells_a_class_a_pixel_points_to_its_map(csp, fields, tmp_path):
    Image.new("RGB", (32, 32), (90, 120, 60)).save(tmp_path / "field.png")
    for words in (("--image", tmp_path / "field.png"), ("--lon", "127", "--lat", "36")):
        code, _, err = csp("predict", fields, *words)
        assert code != 0 and "csp segment" in err


def test_a_run_is_estimated(csp, tmp_path):
    (tmp_path / "fields.yaml").write_text(dense.config().to_yaml())
    found = json.loads(ok(csp("train", tmp_path / "fields.yaml", "--estimate", "--json")))
    assert found["total_steps"] == 8 and found["seconds_total"] > 0


def test_a_refitted_model_learns_from_all_masks(tmp_path):
    config = dense.config(training={"refit": True, "epochs": 2})
    joined = make_parts(config, refit=True).train_set
    alone = make_parts(config).train_set
    assert len(joined) == 24 and sum(joined.classes.counts) > sum(alone.classes.counts)
    train(config, run_dir=tmp_path / "run")
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "trained anew in the same way on all records" in card
