"""Every objective keeps one contract: it learns, draws in ``draw`` alone, shares its batches."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core import geo
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.image import make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, make_baseline
from csp_core.objectives import OBJECTIVES, BatchRandom, make_objective
from csp_core.objectives.background import BACKGROUNDS
from tests import small

# SimCLR looks at pixels alone; see tests/objectives/test_image_objectives.py.
NAMES = sorted(set(OBJECTIVES) - {"simclr"})
DATA = small.pairs()
LEARN_FROM_A_TEACHER = {"soft_targets"}
CONTRASTIVE = {"csp_mc", "csp_nce"}
PAIRS = CONTRASTIVE | {"csp_mse"}
WITH_IMAGES = PAIRS | {"image_softmax"}


def objective(name, dropout=0.2, **options):
    torch.manual_seed(0)
    if name in CONTRASTIVE and not dropout:
        options["dropout_weight"] = 0.0
    network = {"name": "residual_mlp", "hidden_dim": 16, "dropout": dropout}
    location = make_location_encoder(
        "rff_sphere", 16, num_features=32, kernel_variance=[10.0, 100.0], network=network
    )
    image = make_image_encoder("features", DATA.image.shape[1]) if name in WITH_IMAGES else None
    classes = None if name in PAIRS else DATA.classes
    model = DualEncoder(image, location, dim=16, classes=classes)
    made = make_objective(name, model, **options)
    made.fit(DATA, make_baseline("kernel_density", DATA) if name in LEARN_FROM_A_TEACHER else None)
    return made


def source(seed=7, start=0, stop=32, total=32):
    return BatchRandom(torch.Generator().manual_seed(seed), start, stop, total)


def batch(rows=slice(0, 32)):
    return DATA.__getitems__(list(range(len(DATA)))[rows])


@pytest.mark.parametrize("name", NAMES)
def test_a_short_fit_lowers_the_loss(name):
    trained = objective(name, dropout=0.0)
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.02)
    before = trained(trained.draw(batch(), source()))["loss"].item()
    for step in range(60):
        optimizer.zero_grad()
        loss = trained(trained.draw(batch(), source(step)))["loss"]
        loss.backward()
        optimizer.step()
    after = trained(trained.draw(batch(), source()))["loss"].item()
    assert after < 0.6 * before


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_one_number_with_gradients_for_every_weight(name):
    made = objective(name)
    losses = made(made.draw(batch(), source()))
    assert losses["loss"].shape == () and losses["loss"].isfinite()
    losses["loss"].backward()
    resting = {id(weight) for part in made.resting() for weight in part.parameters()}
    assert all((w.grad is None) == (id(w) in resting) for w in made.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_forward_draws_nothing_in_evaluation(name):
    made = objective(name).eval()
    drawn = made.draw(batch(), source())
    state = torch.get_rng_state()
    first, second = made(drawn)["loss"], made(drawn)["loss"]
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_draw_follows_from_its_generator_alone(name):
    made = objective(name, jitter_km=(5.0, 50.0))
    state = torch.get_rng_state()
    first, again, other = (made.draw(batch(), source(seed)) for seed in (7, 7, 8))
    assert torch.equal(state, torch.get_rng_state())
    for key in first:
        torch.testing.assert_close(first[key], again[key], atol=0, rtol=0, equal_nan=True)
    assert not torch.equal(first["lonlat"], other["lonlat"])


@pytest.mark.parametrize("name", NAMES)
def test_draw_leaves_its_input_alone(name):
    made = objective(name, jitter_km=50.0)
    given = batch()
    before = {key: value.clone() for key, value in given.items()}
    made.draw(given, source())
    assert set(given) == set(before)
    assert all(torch.equal(given[key], before[key]) for key in ("lonlat", "label"))


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_see_together_what_one_sees(name):
    made = objective(name, jitter_km=(5.0, 50.0))
    whole = made.draw(batch(), source())
    halves = [
        made.draw(batch(slice(a, b)), source(start=a, stop=b)) for a, b in ((0, 16), (16, 32))
    ]
    assert set(whole) == set(halves[0])
    for key in whole:
        joined = torch.cat([half[key] for half in halves])
        torch.testing.assert_close(whole[key], joined, atol=0, rtol=0, equal_nan=True)
    made.eval()
    if name in CONTRASTIVE:
        # each record is set against all others; see tests/objectives/contrastive/test_csp.py
        return
    losses = [made(part)["loss"].item() for part in (whole, *halves)]
    assert losses[0] == pytest.approx((losses[1] + losses[2]) / 2, rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_jitter(name):
    many = {key: value.repeat(20, *[1] * (value.ndim - 1)) for key, value in batch().items()}
    n = len(many["label"])
    made = objective(name, jitter_km=100.0)
    scattered = made.draw(many, source(stop=n, total=n))["lonlat"]
    km = geo.great_circle_km(scattered, many["lonlat"])
    # Distances follow a Rayleigh law: mean 1.2533 sigma, and 5 sigma once in 270,000 draws.
    assert km.mean().item() == pytest.approx(125.33, rel=0.08)
    assert km.max() < 500
    assert (scattered[:, 0].abs() <= 180).all() and (scattered[:, 1].abs() <= 90).all()


@pytest.mark.parametrize("name", NAMES)
def test_jitter_between_two_lengths(name):
    places = torch.zeros(20000, 2)
    made = objective(name, jitter_km=(1.0, 100.0))
    many = {"lonlat": places, "label": torch.zeros(20000, dtype=torch.int64)}
    scattered = made.draw(many, source(stop=20000, total=20000))["lonlat"]
    km = geo.great_circle_km(scattered.double(), places.double())
    # The length is uniform in its logarithm, log 10 in the mean; Rayleigh adds (log 2 - γ) / 2.
    want = math.log(10) + (math.log(2) - 0.577216) / 2
    assert km.log().mean().item() == pytest.approx(want, abs=0.04)
    assert km.log().std().item() == pytest.approx(
        math.sqrt(math.log(100) ** 2 / 12 + 0.4112), rel=0.03
    )


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_leaves_places_alone(name):
    made = objective(name, jitter_km=100.0).eval()
    assert torch.equal(made.draw(batch(), source())["lonlat"], batch()["lonlat"])


@pytest.mark.parametrize("background", sorted(BACKGROUNDS))
@pytest.mark.parametrize("name", ["geo_prior", "an_full", "an_ssdl"])
def test_two_processes_see_one_background(name, background):
    made = objective(name, background=background)
    made.fit(DATA)
    whole = made.draw(batch(), source())["background"]
    halves = [
        made.draw(batch(slice(a, b)), source(start=a, stop=b)) for a, b in ((0, 16), (16, 32))
    ]
    assert torch.equal(whole, torch.cat([half["background"] for half in halves]))


def test_the_absent_class_is_uniform_over_the_others():
    made = objective("an_slds")
    label = torch.arange(6).repeat(5000)
    many = {"lonlat": torch.zeros(30000, 2), "label": label}
    absent = made.draw(many, source(stop=30000, total=30000))["absent"]
    assert (absent != label).all()
    table = torch.bincount(6 * label + absent, minlength=36).reshape(6, 6).double() / 5000
    torch.testing.assert_close(
        table + 0.2 * torch.eye(6).double(), torch.full((6, 6), 0.2).double(), atol=0.03, rtol=0
    )


def test_objectives_of_sinr_compute_their_formulas():
    for name in ("an_full", "an_ssdl", "an_slds"):
        made = objective(name).eval()
        drawn = made.draw(batch(), source())
        here, label = made.model.class_logits(drawn["lonlat"]).sigmoid(), drawn["label"][:, None]
        own = -(here.gather(1, label) + 1e-5).log()
        if name == "an_slds":
            want = own - (1 - here.gather(1, drawn["absent"][:, None]) + 1e-5).log()
        else:
            there = made.model.class_logits(drawn["background"]).sigmoid()
            if name == "an_ssdl":
                want = own - (1 - there.gather(1, label) + 1e-5).log()
            else:
                terms = -(1 - here + 1e-5).log()
                terms = terms.scatter(1, label, 2048 * own) - (1 - there + 1e-5).log()
                want = terms.mean(dim=1)
        assert made(drawn)["loss"].item() == pytest.approx(want.mean().item(), rel=1e-5)


def test_one_class_has_no_other():
    location = make_location_encoder("xyz", 4)
    with pytest.raises(ConfigError, match="the model has 1"):
        make_objective("an_slds", DualEncoder(None, location, dim=4, classes=["a"]))


def test_background_is_uniform_on_the_sphere():
    made = objective("geo_prior")
    many = {"lonlat": torch.zeros(20000, 2), "label": torch.zeros(20000, dtype=torch.int64)}
    background = made.draw(many, source(stop=20000, total=20000))["background"].double()
    unit = geo.unit_vectors(background)
    assert unit.mean(dim=0).abs().max() < 0.02
    torch.testing.assert_close((unit**2).mean(dim=0), torch.full((3,), 1 / 3).double(), atol=0.01,
                               rtol=0)  # fmt: skip


def test_smoothing_is_part_of_learning_alone():
    plain, smooth = objective("softmax", 0.0), objective("softmax", 0.0, label_smoothing=0.3)
    assert plain(batch())["loss"] != smooth(batch())["loss"]
    assert torch.equal(plain.eval()(batch())["loss"], smooth.eval()(batch())["loss"])


@pytest.mark.parametrize("name", NAMES)
def test_the_model_takes_the_kind_of_its_objective(name):
    made = objective(name)
    assert made.model.prior_kind == made.prior_kind == OBJECTIVES[name].prior_kind


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("jitter", [-1.0, (5.0, 1.0), (0.0, 5.0), float("nan")])
def test_jitter_out_of_range(name, jitter):
    with pytest.raises(ConfigError, match="jitter_km"):
        objective(name, jitter_km=jitter)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("softmax", {"label_smoothing": 1.0}, "label_smoothing is 1.0"),
        ("geo_prior", {"background_weight": -1.0}, "background_weight -1.0"),
        ("geo_prior", {"positive_weight": 0.0}, "positive_weight is 0.0"),
        ("softmax", {"exact": True}, "no option 'exact'"),
        ("an_full", {"positive_weight": 0.0}, "positive_weight is 0.0"),
        ("an_slds", {"background": "land"}, "no option 'background'"),
        ("csp_mc", {"batch_weight": -1.0}, "weights of the parts"),
        ("csp_mc", dict.fromkeys(("batch_weight", "random_weight", "dropout_weight"), 0.0), "more"),
        ("csp_nce", {"batch_temperature": 0.0}, "temperatures of the parts"),
        ("csp_mc", {"num_random": 0}, "num_random is 0"),
        ("csp_mc", {"mask_km": -1.0}, "mask_km -1.0"),
        ("csp_nce", {"mask_weight": 1.5}, "mask_weight 1.5"),
        ("csp_mc", {"compat": "published"}, "give 'reference'"),
        ("csp_mc", {"random_places": "quadrant"}, "compat: reference"),
        ("csp_mse", {"symmetric": True}, "no option 'symmetric'"),
    ],
)
def test_options_out_of_range(name, options, says):
    with pytest.raises(ConfigError, match=says):
        objective(name, **options)


def test_unknown_objective():
    with pytest.raises(UnknownNameError, match="csp_nce, geo_prior"):
        objective("hinge")
