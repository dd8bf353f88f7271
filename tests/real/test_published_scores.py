"""Published checkpoints, imported and saved as model directories, give their published scores."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
import torch

from csp_core import import_checkpoint, load_model, location_prior, save_model

SHARED = Path(os.environ.get("CSP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDER = SHARED / "torchspatial"
SPHERE = {"num_scales": 64, "min_radius": 1e-4, "max_radius": 1.0}
CHECKPOINTS = {
    "fmow_xyz": ({"name": "xyz"}, "relu", 62),
    "fmow_sphereM": ({"name": "sphere_m", **SPHERE}, "relu", 62),
    "yfcc_sphereC": ({"name": "sphere_c", **SPHERE}, "relu", 100),
    "yfcc_space2vec_grid": (
        {"name": "grid", "num_scales": 64, "min_radius": 0.005, "max_radius": 360.0},
        "leaky_relu",
        100,
    ),
}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data/torchspatial"),
]


def published(stem):
    """Read the places and the published score of a class at each, which class is not said."""
    table = pl.read_csv(FOLDER / f"{stem}_scores.csv.gz")
    lonlat = torch.from_numpy(table.select("lon", "lat").to_numpy().astype("float32"))
    return lonlat, torch.from_numpy(table["true_class_location_score"].to_numpy().copy()).double()


def errors(model, lonlat, scores):
    """Measure how far the nearest of the K scores is from the published one, at each place."""
    return (location_prior(model, lonlat).double() - scores[:, None]).abs().min(dim=1).values


@pytest.mark.parametrize("stem", CHECKPOINTS)
def test_published_scores(stem, tmp_path):
    """At each place one of the K scores is the published one (median error about 2e-8)."""
    model = import_checkpoint(FOLDER / f"{stem}.pth.tar")
    save_model(model, tmp_path / "model")
    lonlat, scores = published(stem)
    for one in (model, load_model(tmp_path / "model")):
        # The published code rounds coordinates to single precision, then encodes them in double.
        error = errors(one.double(), lonlat.double(), scores)
        assert error.median() < 1e-6
        assert (error < 1e-4).all()
        assert error.max() < 1e-6


@pytest.mark.parametrize("stem", CHECKPOINTS)
def test_published_scores_in_single_precision(stem):
    """Phases are taken in double whatever the type, so that single precision does as well."""
    error = errors(import_checkpoint(FOLDER / f"{stem}.pth.tar"), *published(stem))
    assert error.median() < 1e-6 and error.max() < 1e-6


@pytest.mark.parametrize("stem", CHECKPOINTS)
def test_what_the_files_say(stem):
    spec, activation, classes = CHECKPOINTS[stem]
    model = import_checkpoint(FOLDER / f"{stem}.pth.tar", source="torchspatial")
    found = dict(model.location.spec)
    network = found.pop("network")
    assert found == spec
    assert network == {
        "name": "residual_mlp", "hidden_dim": 512, "num_hidden": 1, "dropout": 0.5,
        "activation": activation, "final_activation": activation, "input_dropout": 0.0,
    }  # fmt: skip
    assert (model.name, model.dim, len(model.classes)) == (stem, 256, classes)
    assert (model.prior_kind, model.bias, model.training) == ("relative", False, False)
