"""CSP: what is computed and what is not, its random places, its processes, its runs."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from csp_core import losses
from csp_core.config import load_config, parse_config
from csp_core.data import load_dataset
from csp_core.data.batch import collate
from csp_core.errors import ConfigError
from csp_core.evaluation import evaluate
from csp_core.files import hash_file
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import BatchRandom, make_objective
from csp_core.objectives.background import make_sampler
from csp_core.objectives.contrastive.csp_parts import _retrieval
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import train
from tests import small
from tests.data.sets import fmow, inat2018
from tests.processes import run_two

DATA = small.pairs()
ROWS = range(24)
PARTS = ("in_batch", "random", "dropout")


def make(name="csp_mc", dropout=0.3, network=None, dim=8, **options):
    torch.manual_seed(1)
    network = network or {"name": "residual_mlp", "hidden_dim": 16, "dropout": dropout}
    location = make_location_encoder("sphere_c", dim, num_scales=8, network=network)
    model = DualEncoder(make_image_encoder("features", 12), location, dim=dim)
    return make_objective(name, model, **options)


def drawn(made, seed=0, rows=ROWS):
    source = BatchRandom(torch.Generator().manual_seed(seed), 0, len(rows), len(rows))
    return made.draw(DATA.__getitems__(list(rows)), source)


def weights(batch=0.0, random=0.0, dropout=0.0):
    return {"batch_weight": batch, "random_weight": random, "dropout_weight": dropout}


FIXED = {"learn_temperature": False}
PLAIN = {"batch_temperature": 0.5, "random_temperature": 0.3, "dropout_temperature": 0.2, **FIXED}


# The formulas, on the numbers of a model


def embeddings(made, batch):
    """Embed what a forward pass without dropout embeds."""
    model = made.model
    place, image = model.location(batch["lonlat"]), model.embed_image(batch["image"])
    far = model.location(batch["random_lonlat"].flatten(0, 1))
    unit = [torch.nn.functional.normalize(x).double().detach().numpy() for x in (place, image, far)]
    return (*unit[:2], unit[2].reshape(len(place), -1, model.dim))


def log_softmax(scores):
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


def minus_log_sigmoid(x):
    return np.log1p(np.exp(-x))


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("compat", [None, "reference"])
def test_csp_mc_is_its_formula(symmetric, compat):
    made = make("csp_mc", symmetric=symmetric, compat=compat, num_random=3, **PLAIN).eval()
    batch = drawn(made)
    e, g, far = embeddings(made, batch)
    n = len(e)
    s = e @ g.T
    one = -np.diag(log_softmax(s / 0.5)).mean()
    other = -np.diag(log_softmax(s.T / 0.5)).mean()
    in_batch = one if not symmetric else one + other if compat else (one + other) / 2
    away = np.einsum("ncd,nd->nc", far, g)
    random = -log_softmax(np.column_stack([np.diag(s), away]) / 0.3)[:, 0].mean()
    dropout = -np.diag(log_softmax(e @ e.T / 0.2)).mean()
    got = made(batch)
    for name, want in zip(PARTS, (in_batch, random, dropout), strict=True):
        assert got[name].item() == pytest.approx(want, rel=1e-5), name
    assert got["loss"].item() == pytest.approx(in_batch + random + dropout, rel=1e-5)
    assert got["alignment"].item() == pytest.approx(np.diag(s).mean(), rel=1e-5)
    hits = [(row > row[i]).sum() < 10 for i, row in enumerate(s)]
    assert got["recall_at_10"].item() == pytest.approx(np.mean(hits), rel=1e-6)
    assert n == 24


@pytest.mark.parametrize(("images", "recall"), [(19, 1.0), (20, 0.0)])
def test_equal_similarities_share_the_middle_of_their_ranks(images, recall):
    # Of 19 the middle is rank 10, of 20 rank 10.5.
    found = _retrieval(torch.full((images, images), 0.3))
    assert found["recall_at_10"].item() == recall


@pytest.mark.parametrize("compat", [None, "reference"])
def test_csp_nce_is_its_formula(compat):
    made = make("csp_nce", symmetric=False, compat=compat, num_random=2, **PLAIN).eval()
    batch = drawn(made)
    e, g, far = embeddings(made, batch)
    n = len(e)

    def term(x):
        return -np.log(1 / (1 + np.exp(-x)) + 1e-5) if compat else minus_log_sigmoid(x)

    def decide(s):
        off = ~np.eye(n, dtype=bool)
        return term(np.diag(s)).mean() + term(-s[off]).mean()

    want = {
        "in_batch": decide(e @ g.T / 0.5),
        "random": term(-np.einsum("ncd,nd->nc", far, g) / 0.3).mean(),
        "dropout": decide(e @ e.T / 0.2),
    }
    got = made(batch)
    for name in PARTS:
        assert got[name].item() == pytest.approx(want[name], rel=1e-5), name


@pytest.mark.parametrize("name", ["csp_mc", "csp_nce"])
def test_weights_of_the_parts(name):
    made = make(name, batch_weight=2.0, random_weight=0.5, dropout_weight=3.0, **PLAIN).eval()
    got = made(drawn(made))
    want = 2 * got["in_batch"] + 0.5 * got["random"] + 3 * got["dropout"]
    assert got["loss"].item() == pytest.approx(want.item(), rel=1e-6)


def test_csp_mse_is_its_formula():
    made = make("csp_mse").eval()
    batch = drawn(made)
    e = made.model.location(batch["lonlat"])
    head = made.model.location_head
    want = ((e @ head.weight.T + head.bias - batch["image"]) ** 2).mean().item()
    assert made(batch)["loss"].item() == pytest.approx(want, rel=1e-5)
    assert set(made(batch)) == {"loss"} and made.model.image_head is None


def test_csp_features_is_its_formula():
    made = make("csp_features", batch_weight=0.5, features_weight=3.0, **FIXED).eval()
    batch = drawn(made)
    model = made.model
    e, head = model.location(batch["lonlat"]), model.location_head
    wrong = ((e @ head.weight.T + head.bias - batch["image"]) ** 2).mean().item()
    unit = torch.nn.functional.normalize
    s = (unit(e) @ unit(model.embed_image(batch["image"])).T).double().detach().numpy() / 0.07
    in_batch = -(np.diag(log_softmax(s)).mean() + np.diag(log_softmax(s.T)).mean()) / 2
    got = made(batch)
    assert got["features"].item() == pytest.approx(wrong, rel=1e-5)
    assert got["in_batch"].item() == pytest.approx(in_batch, rel=1e-5)
    assert got["loss"].item() == pytest.approx(0.5 * in_batch + 3 * wrong, rel=1e-5)
    with pytest.raises(ConfigError, match="features_weight"):
        make("csp_features", features_weight=0.0)


def test_both_directions_of_binary_decisions_are_one_without_a_mask():
    values = [make("csp_nce", symmetric=s, **PLAIN).eval() for s in (False, True)]
    one, two = (made(drawn(made))["loss"].item() for made in values)
    assert one == pytest.approx(two, rel=1e-6)


def test_published_temperatures_leave_little_to_learn():
    # 20 divides a cosine: the in-batch part can only lie between these, whatever the model.
    published = {"batch_temperature": 20.0, "random_temperature": 1.0, "dropout_temperature": 1.0}
    made = make("csp_mc", symmetric=False, **published, **FIXED)
    rows = [i % len(DATA) for i in range(1024)]
    loss = made(drawn(made, rows=rows))["in_batch"].item()
    assert 6.83 < loss < 7.04


# What a part costs


def counted(made, batch):
    places = []
    hook = made.model.location.register_forward_hook(lambda m, i, o: places.append(len(i[0])))
    images = []
    other = made.model.image.register_forward_hook(lambda m, i, o: images.append(len(i[0])))
    parts = made(batch)
    hook.remove()
    other.remove()
    return sum(places) / len(ROWS), sum(images) / len(ROWS), set(parts) - {"loss"}


@pytest.mark.parametrize("name", ["csp_mc", "csp_nce"])
@pytest.mark.parametrize(
    ("options", "places", "images", "parts"),
    [
        (weights(1, 1, 1), 3, 1, {"in_batch", "random", "dropout"}),
        (weights(1, 0.5, 0) | {"num_random": 4}, 5, 1, {"in_batch", "random"}),
        (weights(1, 0, 1), 2, 1, {"in_batch", "dropout"}),
        (weights(0, 1, 1), 3, 1, {"random", "dropout"}),
        (weights(1, 0, 0), 1, 1, {"in_batch"}),
        (weights(0, 1, 0), 2, 1, {"random"}),
        (weights(0, 0, 1), 2, 0, {"dropout"}),
    ],
)
def test_a_part_of_weight_zero_is_not_computed(name, options, places, images, parts):
    made = make(name, **options)
    batch = drawn(made)
    assert ("random_lonlat" in batch) == ("random" in parts)
    assert counted(made, batch) == (places, images, parts)
    made.eval()
    # Without dropout a second look is the first one.
    fewer = places - ("dropout" in parts)
    assert counted(made, batch)[0] == fewer


def test_masks_of_dropout_differ():
    made = make(**weights(dropout=1), **PLAIN)
    batch = drawn(made)
    place, again, _ = made._embed_places(batch)
    assert not torch.equal(place, again)
    assert made(batch)["loss"] > made.eval()(batch)["loss"]


@pytest.mark.parametrize("name", ["csp_mc", "csp_nce"])
def test_the_dropout_part_needs_dropout(name):
    with pytest.raises(ConfigError, match="dropout_weight=0"):
        make(name, dropout=0.0)
    assert make(name, dropout=0.0, dropout_weight=0.0)
    assert make(name, network={"name": "residual_mlp", "dropout": 0.0, "input_dropout": 0.1})
    assert make(name, network="fcnet")


def test_what_no_part_uses_is_not_trained():
    blind, seeing = make(**weights(dropout=1)), make(**weights(batch=1))
    assert blind.trains == seeing.trains == ("image", "location")
    image_side = {id(w) for part in (blind.model.image_head,) for w in part.parameters()}
    resting = {id(w) for part in blind.resting() for w in part.parameters()}
    assert image_side <= resting and not seeing.resting()


# Temperatures


def test_learned_temperatures():
    made = make(batch_temperature=0.1, random_temperature=0.2, dropout_temperature=0.4)
    # No image holds the dropout part back from driving all places apart, so its own stays.
    assert (-made.model.log_scale).exp().tolist() == pytest.approx([0.1, 0.2])
    fixed = make(
        batch_temperature=0.1, random_temperature=0.2, dropout_temperature=0.4, **FIXED
    ).eval()
    assert fixed.model.log_scale is None
    made.model.load_state_dict(fixed.model.state_dict(), strict=False)
    batch = drawn(made)
    assert made.eval()(batch)["loss"].item() == pytest.approx(fixed(batch)["loss"].item(), rel=1e-6)
    made(batch)["loss"].backward()
    assert (made.model.log_scale.grad != 0).all()
    assert make(**weights(dropout=1)).model.log_scale is None


@pytest.mark.parametrize(("start", "held"), [(-20.0, 100.0), (20.0, 0.01)])
def test_learned_temperatures_are_held_in_bounds(start, held):
    made = make()
    with torch.no_grad():
        made.model.log_scale.fill_(start)
    loss = made(drawn(made))["loss"]
    assert loss.isfinite()
    assert (-made.model.log_scale).exp().tolist() == pytest.approx([held] * 2, rel=1e-5)
    # Held by setting it back, so it is free to leave the bound again.
    loss.backward()
    assert made.model.log_scale.grad.abs().sum() > 0


# The mask against false negatives


def test_close_pairs_are_no_negatives():
    kept = {name: make("csp_mc", mask_km=km, **PLAIN).eval() for name, km in
            (("none", 0.0), ("near", 300.0), ("all", 30000.0))}  # fmt: skip
    batch = drawn(kept["none"])
    values = {name: made(batch) for name, made in kept.items()}
    e, g, _ = embeddings(kept["near"], batch)
    s = torch.from_numpy(e @ g.T)
    weight = losses.negative_weight(batch["lonlat"], batch["lonlat"], mask_km=300.0)
    assert 0 < (weight == 0).sum() - len(s) < len(s) ** 2
    own = torch.arange(len(s))
    want = sum(losses.info_nce(x, own, temperature=0.5, weight=weight) for x in (s, s.T)) / 2
    assert values["near"]["in_batch"].item() == pytest.approx(want.item(), rel=1e-5)
    # Where every other record is near, nothing is left to tell apart.
    for part in ("in_batch", "random", "dropout"):
        assert values["all"][part].item() == 0.0
        assert values["near"][part] <= values["none"][part]
    assert values["near"]["in_batch"] < values["none"]["in_batch"]


def test_a_mask_that_leaves_all_its_weight_is_none():
    for name in ("csp_mc", "csp_nce"):
        made = [make(name, mask_km=km, mask_weight=1.0, **PLAIN).eval() for km in (0.0, 500.0)]
        one, two = (m(drawn(m))["loss"].item() for m in made)
        assert one == pytest.approx(two, rel=1e-6)


def test_one_pair_alone():
    for name in ("csp_mc", "csp_nce", "csp_mse"):
        made = make(name)
        loss = made(drawn(made, rows=[3]))["loss"]
        loss.backward()
        assert loss.isfinite()
        assert all(w.grad.isfinite().all() for w in made.parameters())


# Random places


def places(name=None, published=False, n=20000):
    source = make_sampler(name, published=published)
    return source.draw(torch.Generator().manual_seed(5), n).double().numpy().T


def test_random_places_are_uniform_on_the_sphere():
    made = make(num_random=40)
    rows = list(range(500))
    lonlat = drawn(made, rows=rows)["random_lonlat"]
    assert lonlat.shape == (500, 40, 2)
    lon, lat = lonlat.reshape(-1, 2).double().numpy().T
    assert stats.kstest(lon, "uniform", args=(-180, 360)).pvalue > 0.001
    assert stats.kstest(np.sin(np.radians(lat)), "uniform", args=(-1, 2)).pvalue > 0.001
    assert (np.abs(lat) > 60).mean() == pytest.approx(0.134, abs=0.01)


def test_the_published_quadrant():
    lon, lat = places("quadrant", published=True)
    assert lon.min() >= 0 and lon.max() < 180 and lat.min() >= 0 and lat.max() < 90
    assert stats.kstest(lon, "uniform", args=(0, 180)).pvalue > 0.001
    assert stats.kstest(lat, "uniform", args=(0, 90)).pvalue > 0.001


def test_the_published_ellipse():
    lon, lat = places("ellipse", published=True)
    radius = np.hypot(lon / 180, lat / 90)
    assert radius.max() <= 1 + 1e-6
    assert (radius > 0.9).mean() == pytest.approx(0.435, abs=0.012)
    assert stats.kstest(np.abs(lat), "uniform", args=(0, 90)).pvalue > 0.001
    assert (np.abs(lat) > 60).mean() == pytest.approx(0.33, abs=0.012)
    # Auckland, Nome and Fiji lie outside.
    for x, y in ((174.8, -36.8), (-165.4, 64.5), (178.0, -18.0)):
        assert math.hypot(x / 180, y / 90) > 1


@pytest.mark.parametrize(
    ("name", "options", "want"),
    [
        ("csp_mc", {}, "Sphere"),
        ("csp_nce", {"compat": "reference"}, "Ellipse"),
        ("csp_mc", {"compat": "reference", "random_places": "quadrant"}, "Quadrant"),
        ("csp_mc", {"compat": "reference", "random_places": "sphere"}, "Sphere"),
        ("csp_mc", {"random_places": "target_group"}, "TargetGroup"),
    ],
)
def test_sources_of_random_places(name, options, want):
    made = make(name, **options)
    made.fit(DATA)
    assert type(made.sampler).__name__ == want
    assert drawn(made)["random_lonlat"].shape == (24, 1, 2)


# Labels are never read


@pytest.mark.parametrize("name", ["csp_mc", "csp_nce", "csp_mse"])
def test_a_batch_without_labels(name):
    made = make(name)
    full = DATA.__getitems__(list(ROWS))
    bare = {key: value for key, value in full.items() if key in ("lonlat", "image")}
    values = []
    for batch in (full, bare):
        source = BatchRandom(torch.Generator().manual_seed(0), 0, len(ROWS), len(ROWS))
        torch.manual_seed(3)
        values.append(made(made.draw(batch, source))["loss"].item())
    assert values[0] == values[1]


def pretraining(name="csp_mc", objective=None, **sections):
    tree = {
        "name": "pre",
        "data": {"name": "demo", "size": 320, "features": True},
        "model": {
            "dim": 8,
            "image": {"name": "features", "dim": 147},
            "location": {
                "name": "sphere_c",
                "num_scales": 8,
                "network": {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.2},
            },
        },
        "objective": {"name": name, **(objective or {})},
        "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.01, "device": "cpu"},
    }
    for key, values in sections.items():
        tree[key] = tree[key] | values
    return parse_config(tree)


@pytest.mark.parametrize("name", ["csp_mc", "csp_mse"])
def test_other_labels_give_the_same_weights(name, tmp_path, monkeypatch):
    from csp_core.training import setup

    load, hashes = setup.load_dataset, []
    for shift in (0, 5):

        def shuffled(*args, shift=shift, **options):
            data = load(*args, **options)
            return replace(data, label=(data.label + shift) % len(data.classes))

        monkeypatch.setattr(setup, "load_dataset", shuffled)
        train(pretraining(name), run_dir=tmp_path / str(shift))
        hashes.append(hash_file(tmp_path / str(shift) / "model" / "model.safetensors"))
    assert hashes[0] == hashes[1]


# Pairs


def test_what_is_no_pair():
    location = make_location_encoder("xyz", 4)
    for name in ("csp_mc", "csp_nce", "csp_mse"):
        with pytest.raises(ConfigError, match=r"give model\.image"):
            make_objective(name, DualEncoder(None, location, dim=4))
        with pytest.raises(ConfigError, match="'records' has no images"):
            make(name).fit(small.dataset())
        lost = replace(DATA, lonlat=DATA.lonlat.index_fill(0, torch.tensor([2, 5]), math.nan))
        with pytest.raises(ConfigError, match="2 training records of 'records' have no place"):
            make(name).fit(lost)


def test_samples_one_by_one():
    made = make()
    batch = collate([DATA[i] for i in ROWS])
    source = BatchRandom(torch.Generator().manual_seed(0), 0, 24, 24)
    assert made(made.draw(batch, source))["loss"].isfinite()


def test_half_precision_is_not_used_for_similarities():
    made = make(**PLAIN).eval()
    batch = drawn(made)
    exact = made(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = made(batch)
    assert rough["loss"].dtype == torch.float32
    assert rough["loss"].item() == pytest.approx(exact["loss"].item(), rel=0.02)


# Runs


def test_a_pre_trained_run_is_saved_listed_and_loaded(tmp_path, monkeypatch):
    result = train(pretraining(), run_dir=tmp_path / "run")
    model = load_model(tmp_path / "run")
    assert model.classifier is None and len(model.classes) == 0
    # Where it learned is kept, for its places are compared; nothing of classes.
    assert model.support is not None and not len(model.support.count)
    assert result.history[-1]["val_objective"] < result.history[0]["val_objective"]
    assert {"val_in_batch", "val_random", "val_dropout", "val_recall_at_10"} <= set(
        result.history[0]
    )
    places, image = torch.tensor([[10.0, 20.0]]), torch.zeros(1, 147)
    assert model.location(places).shape == model.embed_image(image).shape == (1, 8)
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "ranks no classes" in card and "0 classes" not in card
    monkeypatch.setenv("CSP_MODELS", str(tmp_path / "run"))
    from csp_core.store import list_models

    (info,) = [info for info in list_models() if info.directory.parent == tmp_path / "run"]
    assert info.problem is None and info.num_classes == 0


@pytest.mark.parametrize(
    ("first", "then", "image", "heads"),
    [
        ("csp_mc", "softmax", True, {"image_head.weight"}),
        ("csp_mc", "geo_prior", False, set()),
        ("csp_mse", "softmax", True, set()),
        ("csp_mse", "csp_mse", True, {"location_head.weight"}),
        ("csp_nce", "csp_mc", True, {"image_head.weight"}),
    ],
)
def test_a_pre_trained_encoder_is_where_the_next_run_begins(first, then, image, heads, tmp_path):
    train(pretraining(first), run_dir=tmp_path / "first")
    before = load_model(tmp_path / "first").state_dict()
    still = {"epochs": 1, "learning_rate": 1e-12}
    start = {"init_from": str(tmp_path / "first")} | ({} if image else {"image": None})
    train(pretraining(then, training=still, model=start), run_dir=tmp_path / "then")
    model = load_model(tmp_path / "then")
    assert (model.classifier is None) == (then.startswith("csp"))
    after = model.state_dict()
    kept = {key for key in after if key in before and key != "log_scale"}
    for key in kept:
        torch.testing.assert_close(after[key], before[key], atol=1e-8, rtol=0)
    assert {key for key in kept if "head" in key and "weight" in key} == heads
    assert any(key.startswith("location.") for key in kept)


def test_predicting_with_a_model_that_has_no_classes(tmp_path, monkeypatch, capsys):
    from csp_core import cli

    train(pretraining(training={"epochs": 1}), run_dir=tmp_path / "run")
    command = ["csp", "predict", str(tmp_path / "run"), "--lon", "1", "--lat", "2"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    assert ended.value.code == 1 and printed.out == ""
    assert printed.err.startswith("Error: Model 'pre' has no location classifier")
    assert printed.err.count("\n") == 1


def test_resuming_is_exact(tmp_path, monkeypatch):
    from csp_core.objectives.contrastive import Contrastive

    config = pretraining(training={"epochs": 3, "checkpoint_every": 2, "ema_decay": 0.9})
    train(config, run_dir=tmp_path / "whole")
    forward, calls = Contrastive.forward, []

    def crash(self, batch):
        calls.append(self.training)
        if sum(calls) == 7:
            raise KeyboardInterrupt
        return forward(self, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Contrastive, "forward", crash)
        train(config, run_dir=tmp_path / "broken")
    train(config, run_dir=tmp_path / "broken", resume=True)
    hashes = [hash_file(tmp_path / n / "model/model.safetensors") for n in ("whole", "broken")]
    assert hashes[0] == hashes[1]


# Presets

CONFIGS = Path(__file__).parents[3] / "configs"
# Published values: rate, epochs, smallest scale, activation, temperatures, weights.
PRESETS = {
    "csp-inat2018-paper": (2e-4, 30, 0.01, "leaky_relu", (1, 1, 1), (1, 1, 1)),
    "csp-inat2018-code": (5e-4, 30, 0.1, "leaky_relu", (20, 1, 1), (1, 1, 1)),
    "csp-fmow-code": (5e-5, 300, 0.1, "gelu", (1, 1, 1), (1, 1, 0.1)),
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_hold_the_published_values(name):
    rate, epochs, radius, activation, temperatures, part_weights = PRESETS[name]
    config = load_config(CONFIGS / f"{name}.yaml")
    training, location = config.training, config.model.location.options
    assert (training.learning_rate, training.epochs, training.batch_size) == (rate, epochs, 1024)
    assert (training.weight_decay, training.schedule) == (0.0, "constant")
    assert (location["num_scales"], location["min_radius"], location["max_radius"]) == (
        32, radius, 360
    )  # fmt: skip
    network = location["network"]
    assert (network["hidden_dim"], network["num_hidden"], network["dropout"]) == (512, 1, 0.5)
    assert network["activation"] == network["final_activation"] == activation
    options = config.objective.options
    kinds = ("batch", "random", "dropout")
    assert tuple(options[f"{kind}_temperature"] for kind in kinds) == temperatures
    assert tuple(options[f"{kind}_weight"] for kind in kinds) == part_weights
    assert not options["learn_temperature"] and not options["symmetric"]
    assert options["compat"] == ("reference" if name.endswith("code") else None)
    assert config.model.image.options["dim"] == 2048


@pytest.mark.parametrize("name", [*sorted(PRESETS), "csp"])
def test_the_second_stage_of_a_preset_fits_the_first(name):
    first, second = (load_config(CONFIGS / f"{name}{end}.yaml") for end in ("", "-finetune"))
    assert first.model.location == second.model.location and first.model.dim == second.model.dim
    assert first.data.name == second.data.name
    assert second.data.options["label_fraction"] == 0.05 and not second.data.options["images"]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_trains_on_a_folder_as_published(name, tmp_path):
    layout = fmow if "fmow" in name else inat2018
    layout.make(tmp_path / "data")
    small_ones = [
        f"data.root={tmp_path}/data",
        "model.location.network.hidden_dim=16",
        "training.epochs=2",
        "training.device=cpu",
    ]
    first = load_config(CONFIGS / f"{name}.yaml", [*small_ones, "model.image.dim=8"])
    result = train(first, run_dir=tmp_path / "pre")
    assert all(math.isfinite(row["loss"]) for row in result.history)
    second = load_config(
        CONFIGS / f"{name}-finetune.yaml", [*small_ones, f"model.init_from={tmp_path}/pre"]
    )
    tuned = train(second, run_dir=tmp_path / "tuned").model
    assert set(tuned.classes.names) == set(inat2018.CLASSES.values())
    test = load_dataset(first.data.name, "test", root=tmp_path / "data", images=False)
    # The place of one image of the test is unknown.
    assert (evaluate(tuned, test).n, evaluate(tuned, test).unmatched) == (9, 1)


def test_the_head_may_have_two_layers():
    made = make(deep_head=True)
    assert isinstance(made.model.image_head, torch.nn.Sequential)
    assert isinstance(make().model.image_head, torch.nn.Linear)
    made(drawn(made))["loss"].backward()
    assert all(weight.grad is not None for weight in made.model.image_head.parameters())


# Many processes


def measured(name, options, rank=0, world=1):
    """Give the loss and its gradients, of one process's share of a batch."""
    made = make(name, dropout=1e-6, **options)
    start, stop = rank * 24 // world, (rank + 1) * 24 // world
    source = BatchRandom(torch.Generator().manual_seed(0), start, stop, 24)
    batch = made.draw(DATA.__getitems__(list(range(start, stop))), source)
    wrapped = torch.nn.parallel.DistributedDataParallel(made) if world > 1 else made
    for _ in range(2):  # weights without a gradient would be missed in the second
        made.zero_grad()
        loss = wrapped(batch)["loss"]
        loss.backward()
    total = loss.detach().clone()
    if world > 1:
        torch.distributed.all_reduce(total)
    gradient = {key: weight.grad.flatten().tolist() for key, weight in made.named_parameters()}
    return {"loss": total.item() / world, "gradient": gradient}


GATHERING = """
import json, sys
import torch
from tests.objectives.contrastive.test_csp import measured

torch.set_num_threads(1)
torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
found = [measured(name, options, rank, 2) for name, options in json.loads(sys.argv[1])]
if rank == 0:
    print("RESULT" + json.dumps(found), flush=True)
# A group that is left open can end its process by a signal, once the script is through.
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""
GATHERED = [
    ("csp_mc", {"mask_km": 100.0, "num_random": 2}),
    ("csp_nce", {"symmetric": False}),
    ("csp_mse", {}),
    ("csp_features", {}),
]


def test_two_processes_give_loss_and_gradients_of_one(tmp_path):
    (tmp_path / "script.py").write_text(GATHERING)
    printed = run_two(tmp_path / "script.py", json.dumps(GATHERED))
    together = json.loads(printed.split("RESULT")[1].splitlines()[0])
    for (name, options), two in zip(GATHERED, together, strict=True):
        one = measured(name, options)
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5), name
        assert set(one["gradient"]) == set(two["gradient"])
        for key, values in one["gradient"].items():
            a, b = torch.tensor(values), torch.tensor(two["gradient"][key])
            scale = a.abs().max().clamp_min(1e-6)
            assert ((a - b).abs().max() / scale).item() < 1e-4, (name, key)


def test_two_processes_pre_train_as_one(tmp_path):
    network = {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.0}
    location = {"name": "sphere_c", "num_scales": 8, "network": network}
    objective = {"dropout_weight": 0.0, "mask_km": 5.0, "jitter_km": [1.0, 10.0]}
    config = pretraining(objective=objective, model={"location": location})
    one = train(config, run_dir=tmp_path / "one").history
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    run_two("-m", "csp_core", "train", tmp_path / "config.yaml", "--run-dir", tmp_path / "two")
    two = RunDir(tmp_path / "two").read_metrics()
    for a, b in zip(one, two, strict=True):
        for key in ("loss", "val_objective", "val_in_batch", "val_random"):
            assert math.isfinite(a[key]) and b[key] == pytest.approx(a[key], rel=1e-5), key
