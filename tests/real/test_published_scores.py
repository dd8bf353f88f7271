"""Published checkpoints, given their weights by hand, reproduce their published scores."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
import torch

from csp_core.location import make_location_encoder

SHARED = Path(os.environ.get("CSP_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDER = SHARED / "torchspatial"
SPHERE = {"num_scales": 64, "min_radius": 1e-4, "max_radius": 1.0}
CHECKPOINTS = {
    "fmow_xyz": ("xyz", {}, "relu"),
    "fmow_sphereM": ("sphere_m", SPHERE, "relu"),
    "yfcc_sphereC": ("sphere_c", SPHERE, "relu"),
    "yfcc_space2vec_grid": (
        "grid",
        {"num_scales": 64, "min_radius": 0.005, "max_radius": 360.0},
        "leaky_relu",
    ),
}


@pytest.mark.real
@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/data/torchspatial")
@pytest.mark.parametrize("stem", CHECKPOINTS)
def test_published_scores(stem: str) -> None:
    """At each place one of the K class scores is the published one (median error about 1e-8)."""
    name, options, activation = CHECKPOINTS[stem]
    network = {
        "name": "residual_mlp", "activation": activation, "final_activation": activation
    }  # fmt: skip
    encoder = make_location_encoder(name, 256, network=network, **options).double().eval()
    if options:
        from csp_core.location.multiscale import geometric_frequencies

        encoder.encoding.frequencies = geometric_frequencies(**options)
    state = torch.load(FOLDER / f"{stem}.pth.tar", map_location="cpu", weights_only=True)
    weights = state["state_dict"]
    old = "spa_enc.ffn.layers."
    encoder.network.load_state_dict(
        {
            "hidden.0.weight": weights[f"{old}0.linear.weight"],
            "hidden.0.bias": weights[f"{old}0.linear.bias"],
            "norms.0.weight": weights[f"{old}0.layernorm.weight"],
            "norms.0.bias": weights[f"{old}0.layernorm.bias"],
            "output.weight": weights[f"{old}1.linear.weight"],
            "output.bias": weights[f"{old}1.linear.bias"],
        }
    )
    table = pl.read_csv(FOLDER / f"{stem}_scores.csv.gz")
    lonlat = torch.from_numpy(table.select("lon", "lat").to_numpy().astype("float64").copy())
    published = torch.from_numpy(table["true_class_location_score"].to_numpy().copy()).double()
    with torch.no_grad():
        scores = torch.sigmoid(encoder(lonlat) @ weights["class_emb.weight"].double().T)
    error = (scores - published[:, None]).abs().min(dim=1).values
    assert error.median() < 1e-6
    assert (error < 1e-4).all()
