"""Model directories: what comes back, and what is refused."""

from __future__ import annotations

import json
import math
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from csp_core.errors import CheckpointError, UnknownNameError
from csp_core.files import load_tensors, save_tensors
from csp_core.inference import describe_place, location_prior
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.store import (
    catalog,
    checkpoint,
    find_model,
    list_models,
    load_model,
    read_card,
    save_model,
)
from tests import small

PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [179.99, -18.0], [0.0, 90.0]])


class Canary:
    """Unpickling this leaves a file behind."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.fixture
def copy(model_dir, tmp_path):
    return Path(shutil.copytree(model_dir, tmp_path / "copy"))


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder of models, the only one there is."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("CSP_MODELS", str(folder))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    return folder


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kind", ["share", "relative"])
def test_round_trip(tmp_path, kind):
    torch.manual_seed(5)
    location = make_location_encoder(
        "rff_sphere", 8, num_features=16, kernel_variance=[4.0, 9.0], network="fcnet"
    )
    data = small.dataset()
    model = DualEncoder(
        None, location, dim=8, classes=data.classes, bias=False, prior_kind=kind, name="mine"
    )
    model.calibration = replace(model.calibration, temperature=1.7)
    metrics = {"val": {"mrr": 0.5}}
    folder = save_model(
        model, tmp_path / "m", metrics=metrics, provenance={"a": 1}, texts={"LICENSE": "free"}
    )
    again = load_model(folder)
    assert torch.equal(location_prior(again, PLACES), location_prior(model.eval(), PLACES))
    assert not again.training and again.support is None
    assert (again.name, again.prior_kind, again.calibration.temperature) == ("mine", kind, 1.7)
    assert again.classes == model.classes
    assert json.loads((folder / "metrics.json").read_text()) == metrics
    assert json.loads((folder / "config.json").read_text())["provenance"] == {"a": 1}
    assert (folder / "LICENSE").read_text() == "free"
    assert "mine" in read_card(folder)


def test_a_trained_model_comes_back_with_its_support(model_dir, copy):
    reports = [describe_place(load_model(folder), 36.8, -1.3) for folder in (model_dir, copy)]
    assert reports[0] == reports[1] and reports[0].records_within > 50


def test_saving_what_was_loaded_changes_nothing(copy, tmp_path):
    again = save_model(load_model(copy), tmp_path / "again")
    for name in ("model.safetensors", "classes.csv", "calibration.json", "support.safetensors"):
        assert (again / name).read_bytes() == (copy / name).read_bytes(), name


def test_the_directory_of_a_model(model_dir):
    assert set(files(model_dir)) == {
        *("model.safetensors", "config.json", "classes.csv", "calibration.json", "metrics.json"),
        *("support.safetensors", "support.json", "README.md"),
    }
    card = (model_dir / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\ntitle: tiny\n") and "not the chance" in card


def test_no_path_of_this_machine_is_in_a_model(model_dir, records_csv):
    for name, content in files(model_dir).items():
        assert str(records_csv.parent).encode() not in content, name


def test_a_run_stands_for_its_model(finished_run, model_dir):
    assert find_model(finished_run) == model_dir


# Damaged, foreign and hostile


def refused(folder, says):
    with pytest.raises(CheckpointError) as caught:
        load_model(folder)
    message = str(caught.value)
    assert says in message and "Traceback" not in message and "\n" not in message
    return message


@pytest.mark.parametrize("keep", [0, 5, 0.5, -1])
@pytest.mark.parametrize("name", ["model.safetensors", "support.safetensors"])
def test_a_truncated_file(copy, name, keep):
    content = (copy / name).read_bytes()
    end = int(len(content) * keep) if isinstance(keep, float) else keep
    (copy / name).write_bytes(content[:end])
    refused(copy, "is not a complete safetensors file")


@pytest.mark.parametrize("name", ["model.safetensors", "classes.csv", "calibration.json"])
def test_a_missing_file(copy, name):
    (copy / name).unlink()
    with pytest.raises(CheckpointError) as caught:
        load_model(copy)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", '{"architectures": ["BertModel"]}', "model of another program"),
        ("config.json", '{"format": "csp-model/1"}', "does not fit together"),
        ("config.json", "[1]", "an object is needed"),
        ("config.json", "{", "not readable JSON"),
        ("config.json", "\x00\x01", "not readable JSON"),
        ("calibration.json", "{}", "does not fit together"),
        ("calibration.json", '{"temperature": "warm"}', "does not fit together"),
        ("classes.csv", "class,scientific_name,common_name,count\n", "0 classes, but config.json"),
        ("classes.csv", "name\nx\n", "not a class table"),
        ("classes.csv", "scientific_name,common_name,count\na,b,many\n", "not a class table"),
        (
            "classes.csv",
            f"scientific_name,common_name,count\na,{200_000 * 'x'},1\n",
            "not a class table",
        ),
        ("calibration.json", '{"temperature": 0}', "the temperature is 0.0"),
        ("calibration.json", '{"temperature": NaN}', "the temperature is nan"),
        ("support.json", "{}", "does not fit together"),
        ("support.json", '{"cell_degrees": 0}', "give a side from 0.5 to 90"),
    ],
)
def test_files_of_another_kind(copy, name, content, says):
    (copy / name).write_text(content)
    refused(copy, says)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("model.safetensors", lambda t: t * math.nan, "no finite numbers"),
        ("support.safetensors", lambda t: t + 10**6, "that does not exist"),
        ("support.safetensors", lambda t: -t - 1, "that does not exist"),
    ],
)
def test_values_that_cannot_be(copy, name, change, says):
    tensors = load_tensors(copy / name)
    save_tensors(copy / name, {key: change(tensor) for key, tensor in tensors.items()})
    refused(copy, says)


def test_support_with_columns_of_different_lengths(copy):
    tensors = load_tensors(copy / "support.safetensors")
    save_tensors(copy / "support.safetensors", tensors | {"count": tensors["count"][:-1]})
    refused(copy, "differ in length")


def test_bytes_that_are_no_text(copy):
    (copy / "classes.csv").write_bytes(b"\xff\xfe\x80")
    refused(copy, "not a class table")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dim", 17),
        ("dim", "wide"),
        ("location", {"name": "gird"}),
        ("location", {"name": "xyz"}),
        ("prior_kind", "likelihood"),
        ("num_classes", 7),
    ],
)
def test_parts_that_do_not_fit(copy, key, value):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {key: value}))
    refused(copy, "does not fit together")


def test_a_planted_pickle_is_not_opened(copy, tmp_path):
    canary = tmp_path / "canary"
    planted = pickle.dumps(Canary(canary))
    for name in ("model.safetensors", "support.safetensors"):
        original = (copy / name).read_bytes()
        (copy / name).write_bytes(planted)
        refused(copy, "is not a complete safetensors file")
        torch.save({"x": Canary(canary)}, copy / name)
        refused(copy, "is not a complete safetensors file")
        (copy / name).write_bytes(original)
    (copy / "config.json").write_bytes(planted)
    refused(copy, "not readable JSON")
    assert not canary.exists()
    pickle.loads(planted).close()
    assert canary.exists(), "the canary must be one that sings"


@pytest.mark.parametrize("name", ["model.pt", "model.pth.tar", "model.ckpt", "pytorch_model.bin"])
def test_a_pickle_checkpoint_is_refused(tmp_path, name):
    canary = tmp_path / "canary"
    torch.save({"x": Canary(canary)}, tmp_path / name)
    message = refused(tmp_path / name, "is a pickle checkpoint; a model is a directory")
    assert "Nothing was loaded" in message and not canary.exists()
    assert "`csp import-model`" in message


def test_a_folder_without_a_model(tmp_path):
    refused(tmp_path, "holds no model: config.json is missing")


def test_a_file_that_is_no_model(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path / "notes.txt", "is a file; a model is a directory")


def test_an_unknown_name(shelf, model_dir):
    shutil.copytree(model_dir, shelf / "beetles")
    with pytest.raises(UnknownNameError, match=r"'beatles'\. Did you mean 'beetles'"):
        load_model("beatles")


# Writing


def test_an_interrupted_save_leaves_what_stood_there(copy, monkeypatch):
    before = files(copy)
    model = load_model(copy)
    model.calibration = replace(model.calibration, temperature=3.0)

    def full(path, text):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_text", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_model(model, copy)
    assert files(copy) == before
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_an_interrupted_first_save_leaves_nothing(copy, tmp_path, monkeypatch):
    def stop(path, tensors):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_tensors", stop)
    model = load_model(copy)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, tmp_path / "fresh")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_save_replaces_the_whole_directory(copy):
    (copy / "stale.txt").write_text("old")
    save_model(load_model(copy), copy)
    assert "stale.txt" not in files(copy) and load_model(copy)


def test_models_of_ones_own_parts_cannot_be_a_directory(tmp_path):
    class Own(nn.Module):
        out_dim = 4

    own = make_location_encoder(Own(), 4, network=nn.Identity())
    for location in (own, Own()):
        model = DualEncoder(None, location, dim=4, classes=["a"])
        with pytest.raises(CheckpointError, match="modules of your own"):
            save_model(model, tmp_path / "own")
    assert not (tmp_path / "own").exists()


# The list


def test_list_of_models(shelf, model_dir):
    assert list_models() == []
    shutil.copytree(model_dir, shelf / "good")
    (shelf / "not-a-model").mkdir()
    (info,) = list_models()
    assert (info.name, info.title, info.kind, info.num_classes) == ("good", "tiny", "share", 6)
    assert info.problem is None and info.directory == shelf / "good"
    assert load_model("good").name == "tiny"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", "{", "not readable JSON"),
        ("config.json", '{"format": 3}', "another program"),
        ("config.json", '{"format": "csp-model/1", "num_classes": "many"}', "many"),
        ("config.json", '{"format": "csp-model/1"}', "num_classes"),
        ("README.md", "---\na: [\n---\nx", ""),
    ],
)
def test_a_damaged_model_is_listed_with_its_problem(shelf, model_dir, name, content, says):
    for folder in ("a-good", "b-bad"):
        shutil.copytree(model_dir, shelf / folder)
    (shelf / "b-bad" / name).write_text(content)
    good, bad = list_models()
    assert good.problem is None
    assert bad.name == "b-bad" and bad.problem and says in bad.problem


def test_a_card_that_is_no_text(shelf, model_dir):
    shutil.copytree(model_dir, shelf / "odd")
    (shelf / "odd" / "README.md").write_bytes(b"\xff\xfe card")
    assert list_models()[0].problem is None and "card" in read_card("odd")


def test_the_working_directory_hides_no_bundled_model(shelf, model_dir, tmp_path, monkeypatch):
    shutil.copytree(model_dir, shelf / "birds")
    monkeypatch.chdir(tmp_path)
    os.mkdir("birds")
    assert find_model("birds") == shelf / "birds"
