"""The bundled embedding of the Earth: small, everywhere on land, like where places are alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from csp_core import embedding_clusters, list_models, load_model
from csp_core.config import load_config
from csp_core.data.sets.place_features import draw_places
from csp_core.errors import CspError
from csp_core.evaluation.probes import Places, Probe, Target, measure
from csp_core.files import ASSETS, read_json
from csp_core.inference.few_shot import DEFAULT_ENCODER, few_shot
from csp_core.location import make_location_encoder
from csp_core.store import model_size
from csp_core.training import train
from csp_core.training.described import fold
from tests.data.sets import place_features

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ASSETS / "models" / "earth"
RAINFOREST = ((-62.0, -4.0), (23.0, 0.5), (113.5, 0.5))
DESERT = ((10.0, 25.0), (46.0, 20.0), (125.0, -26.0))
TUNDRA = ((-100.0, 66.0), (100.0, 71.0), (68.0, 69.0))


@pytest.fixture(scope="module")
def earth():
    return load_model("earth")


def seen(model, places):
    with torch.no_grad():
        return model.embed_location(torch.tensor(places, dtype=torch.float32))


def test_it_is_small_and_says_whose_it_is(earth):
    assert model_size(FOLDER) <= 8_000_000
    (info,) = [one for one in list_models() if one.name == "earth"]
    assert info.problem is None and not info.num_classes and info.license == "cc-by-4.0"
    assert info.knows_places and not info.sees_images and not info.compares
    told = (FOLDER / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert all(name in told for name in ("GeoCLIP", "ERA5", "Copernicus", "Mapzen"))
    assert earth.image is None and earth.classifier is None and not earth.uses_date


def test_it_is_what_its_recipe_makes():
    config = load_config(ROOT / "configs" / "earth.yaml")
    kept = read_json(FOLDER / "config.json")["provenance"]["config"]
    options = config.model.location.options
    assert kept["model"]["location"] == {"name": "geoclip", **options}
    assert kept["data"]["families"] == config.data.options["families"]
    built = make_location_encoder(config.model.location.name, config.model.dim, **options)
    assert sum(p.numel() for p in built.parameters()) < 4_000_000


def test_land_everywhere_has_its_own_numbers(earth):
    places = draw_places(1500, land=1.0, seed=11)
    found = seen(earth, places.tolist())
    assert found.shape == (1500, 512) and bool(found.isfinite().all())
    unit = F.normalize(found - found.mean(dim=0), dim=1)
    alike = unit @ unit.T - 2 * torch.eye(len(unit))
    assert alike.max() < 1 and found.std(dim=0).min() > 1e-4


def test_places_that_are_alike_are_near_wherever_they_lie(earth):
    found = seen(earth, [place for kind in (RAINFOREST, DESERT, TUNDRA) for place in kind])
    unit = F.normalize(found, dim=1)
    alike = (unit @ unit.T).view(3, 3, 3, 3).permute(0, 2, 1, 3)  # kind, kind, place, place
    for kind in range(3):
        own = alike[kind, kind].sum() - 3
        for other in range(3):
            if other != kind:
                assert own / 6 > alike[kind, other].mean() + 0.3
                assert alike[kind, other].mean() < 0.1


def test_a_head_is_put_into_the_layer_before_it_and_keeps_lengths():
    torch.manual_seed(0)
    output, head = torch.nn.Linear(7, 4), torch.nn.Linear(4, 9)
    features = torch.randn(30, 7)
    with torch.no_grad():
        want = head(output(features))
        fold(output, head)
        found = output(features)
    torch.testing.assert_close(
        torch.cdist(found, found), torch.cdist(want, want), atol=2e-3, rtol=1e-4
    )
    # In nine numbers a plane of four: what of the bias lies beside it is the same for all.
    assert found.shape == (30, 4) and found.std(dim=0).min() > 0.1 * found.std(dim=0).max()


def test_climate_can_be_read_off_it_far_from_the_places_seen(earth):
    lonlat = draw_places(600, land=1.0, seed=21).double()
    # Nearer to the pole is colder: the least that any measure of climate has to know.
    north = lonlat[:, 1].abs().numpy()
    vectors = seen(earth, lonlat.tolist()).double().numpy()
    places = Places(lonlat, (Target("from the equator", north),))
    assert measure(Probe(vectors), places, 20.0, seed=0)["from the equator"]["r2"] > 0.8


def test_clusters_and_few_shot_begin_with_it(earth):
    assert DEFAULT_ENCODER == "earth"
    found = embedding_clusters(earth, count=6, points=500, seed=0)
    assert len(found.facts) == 6 and all(fact.name for fact in found.facts)
    desert = few_shot(earth, list(DESERT), name="Aus desertus")
    wet, dry = (
        desert.model.classifier(seen(desert.model, list(places))).mean().item()
        for places in (RAINFOREST, ((-10.0, 22.0), (133.0, -25.0)))
    )
    assert dry > wet


def test_a_model_of_described_places_keeps_its_places_alone(tmp_path):
    config = load_config(
        ROOT / "configs" / "earth.yaml",
        [
            f"data.root={place_features.make(tmp_path, 120)}",
            "data.families={sines: 1.0, heights: 1.0}",
            *("data.val_fraction=0.2", "model.image.dim=5", "model.dim=8"),
            "model.location.network.hidden_dim=8",
            *("training.epochs=1", "training.batch_size=32", "card.attribution=Me."),
        ],
    )
    found = train(config, run_dir=tmp_path / "run")
    made = load_model(tmp_path / "run" / "model")
    assert made.image is None and made.location is not None and made.image_head is None
    told = np.array([line["loss"] for line in found.history if "loss" in line])
    assert np.isfinite(told).all()
    card = (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")
    assert "or what describes it" in card
    with pytest.raises(CspError, match="no classes"):
        made.class_logits(torch.zeros(1, 2))
