"""Every objective keeps one contract: it learns, draws in ``draw`` alone, shares its batches."""

from __future__ import annotations

import inspect
import math

import pytest
import torch

from csp_core import geo
from csp_core.config import parse_config
from csp_core.data import DATASETS, load_dataset
from csp_core.data.streams import TwoStreams
from csp_core.errors import ConfigError, UnknownNameError
from csp_core.evaluation import evaluate, find_measure
from csp_core.files import load_tensors
from csp_core.image import IMAGE_ENCODERS, make_image_encoder
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder, make_baseline
from csp_core.objectives import OBJECTIVES, BatchRandom, heads_for, make_objective
from csp_core.objectives.background import BACKGROUNDS
from csp_core.objectives.clip import FAMILY
from csp_core.objectives.semisup import SemiSupervised
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.loop import Stage
from tests import dense, small

NAMES = sorted(OBJECTIVES)
SCATTERING = [n for n in NAMES if "jitter_km" in inspect.signature(OBJECTIVES[n]).parameters]
DATA = small.pictures()
SETS = small.label_sets(DATA, unknown=False)
MASKS = dense.masked(DATA)
PIXELS = {"name": "small_convnet", "dim": 8, "width": 8, "norm": "group", "size": 16}
CELLS = {
    "name": "unet", "dim": 8, "width": 8, "backbone": {"name": "small_convnet", "width": 8},
}  # fmt: skip
NETWORK = {"name": "residual_mlp", "hidden_dim": 16}
PLACES = {"name": "rff_sphere", "num_features": 32, "kernel_variance": [10.0, 100.0]}
SCALES = {"name": "sphere_c", "num_scales": 6}
TOKENS = {"name": "tokens", "width": 16, "layers": 1, "heads": 2}
# Each step of these has unlabelled records beside the labelled ones.
TWO_STREAMS = [n for n in NAMES if issubclass(OBJECTIVES[n], SemiSupervised)]
# Some of them with a teacher, and thresholds that the first steps already pass.
EASY = {"thresholds": {"threshold": 0.2}}
TRIED = {
    "cdmad": EASY,
    "dense_contrast": {"negatives": "queue", "queue_size": 200, "target": "ema",
                       "image_weight": 0.5},
    "defixmatch": {"teacher": "metadata", **EASY},
    "fixmatch": {"teacher": "images", **EASY},
    "freematch": {"teacher": "metadata"},
    "pseudo_label": {"thresholds": {"threshold": 0.2, "ramp": 0.0}},
    "udal": EASY,
}  # fmt: skip


def sees(name):
    return "images" in OBJECTIVES[name].learns_from


UNPLACED = [n for n in TWO_STREAMS if TRIED.get(n, {}).get("teacher") != "metadata"]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(IMAGE_ENCODERS, "tiny_dense", dense.TinyDense)


def looks(name):
    """Give the image encoder that an objective is tried with."""
    if not sees(name):
        return None
    if name == "dense_contrast":
        return CELLS
    return {"name": "tiny_dense", "dim": 8} if OBJECTIVES[name].masks else PIXELS


def stands(name, dropout):
    """Give the location encoder that an objective is tried with."""
    if name in FAMILY:
        return {**SCALES, "network": {**TOKENS, "dropout": dropout}}
    return {**PLACES, "network": {**NETWORK, "dropout": dropout}}


def example(name):
    return {**OBJECTIVES[name].example_options, **TRIED.get(name, {})}


def records(name):
    if OBJECTIVES[name].masks:
        return MASKS
    return SETS if OBJECTIVES[name].label_sets else DATA


def objective(name, dropout=0.2, **options):
    torch.manual_seed(0)
    kind = OBJECTIVES[name]
    options = {**example(name), **options}
    if not dropout and "dropout_weight" in inspect.signature(kind).parameters:
        options["dropout_weight"] = 0.0
    location = make_location_encoder(dim=16, **stands(name, dropout))
    image = make_image_encoder(**looks(name)) if sees(name) else None
    classes = DATA.classes if "labels" in kind.learns_from else None
    answers = "probability" if kind.label_sets else "share"
    model = DualEncoder(image, location, dim=16, classes=classes, prior_kind=answers)
    made = make_objective(name, model, **options)
    made.fit(records(name), make_baseline("kernel_density", records(name)) if kind.taught else None)
    for part in made.resting():
        part.requires_grad_(False)
    return made.train()


def scattering(name, km):
    return {"jitter_km": km} if name in SCATTERING else {}


def source(seed=7, start=0, stop=32, total=32):
    return BatchRandom(torch.Generator().manual_seed(seed), start, stop, total)


def batch(name, start=0, stop=32):
    if name in TWO_STREAMS:
        stream = TwoStreams(records(name), 32)
        return next(stream.batches(lambda _: torch.Generator().manual_seed(5), 0, start, stop))
    # With labels of all kinds, so that one batch serves every objective.
    chosen = list(range(start, stop))
    others = {**SETS.__getitems__(chosen), **MASKS.__getitems__(chosen)}
    return {**others, **DATA.__getitems__(chosen)}


def flat(batch):
    """Give a batch with the rows of one within it beside its own."""
    inner = batch.get("unlabelled", {})
    own = {key: value for key, value in batch.items() if key != "unlabelled"}
    return own | {f"unlabelled.{key}": value for key, value in inner.items()}


def emptied(batch, **values):
    """Give a batch in which columns, of a batch within it too, hold one value everywhere."""
    found = {
        key: torch.full_like(value, values[key]) if key in values else value
        for key, value in batch.items()
        if key != "unlabelled"
    }
    if "unlabelled" in batch:
        found["unlabelled"] = emptied(batch["unlabelled"], **values)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_short_fit_lowers_the_loss(name):
    trained = objective(name, dropout=0.0)
    on_places = "places" in OBJECTIVES[name].learns_from and name not in FAMILY
    trained.plan_steps(60)
    optimizer = torch.optim.Adam(trained.parameters(), lr=0.02 if on_places else 0.002)
    # Pseudo-labels come to count in the fit, so the loss of labelled records tells what it did.
    part = "labelled" if name in TWO_STREAMS else "loss"
    if name in FAMILY:  # neighbours are a part of the loss once there are any
        part = "fine" if name == "filip" else "clip"
    before = trained(trained.draw(batch(name), source()))[part].item()
    for step in range(60):
        optimizer.zero_grad()
        loss = trained(trained.draw(batch(name), source(step)))["loss"]
        loss.backward()
        optimizer.step()
        trained.finish_step(step)
    after = trained(trained.draw(batch(name), source()))[part].item()
    # Images take longer to tell apart than places.
    quick = on_places and name not in TWO_STREAMS
    assert after < (0.6 if quick else 0.9) * before


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_one_number_with_gradients_for_every_weight(name):
    made = objective(name)
    losses = made(made.draw(batch(name), source()))
    assert losses["loss"].shape == () and losses["loss"].isfinite()
    losses["loss"].backward()
    resting = {id(weight) for part in made.resting() for weight in part.parameters()}
    teachers = {id(w) for w in made.parameters() if not w.requires_grad}
    assert all((w.grad is None) == (id(w) in resting | teachers) for w in made.parameters())
    own = {id(w) for w in made.layers().values()}
    assert not any(id(w) in own for w in made.model.parameters())


def test_what_it_needs_stands_in_its_class():
    for name, kind in OBJECTIVES.items():
        assert set(kind.learns_from) <= {"labels", "images", "places", "text"}, name
        assert set(kind.trains) <= {"image", "location", "text", "classifier"}, name
        assert set(kind.example_options) <= set(inspect.signature(kind).parameters), name
        facts = (
            "learns_from",
            "trains",
            "augments",
            "compares",
            "taught",
            "prior_kind",
            "label_sets",
            "masks",
        )
        assert not set(facts) & set(vars(objective(name))), name


@pytest.mark.parametrize("name", NAMES)
def test_what_it_does_not_learn_from_changes_nothing(name):
    made, kind = objective(name), OBJECTIVES[name]
    given = made.draw(batch(name), source())

    def loss(batch):
        torch.manual_seed(3)
        return made(batch)["loss"].item()

    want, other = loss(given), dict(given)
    if "labels" not in kind.learns_from or kind.masks:
        other = emptied(other, label=-1)
    if not kind.label_sets:
        other = emptied(other, labels=-1)
    if not kind.masks:
        other = emptied(other, mask=-1)
    # Those of two streams look at places only with a teacher that does.
    if "places" not in kind.learns_from or name in UNPLACED:
        other = emptied(other, lonlat=math.nan, date=math.nan, hour=math.nan)
    if not sees(name):
        other.pop("image")
    assert loss(other) == want
    if name in TWO_STREAMS and name not in UNPLACED:
        assert loss(emptied(other, lonlat=math.nan)) != want


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_what_it_says(name):
    made, model = objective(name), objective(name).model
    sides = {
        "image": (model.image, model.image_head, *model.picture_classifiers()),
        "location": (model.location, model.location_head),
        "text": (model.text,),
        "classifier": (model.classifier,),
    }
    names = {id(part): n for n, part in model.named_children()}
    resting = {n for n, part in made.model.named_children() for r in made.resting() if part is r}
    for side, parts in sides.items():
        left = [names[id(part)] for part in parts if part is not None]
        assert side in made.trains or set(left) <= resting, side


@pytest.mark.parametrize("name", NAMES)
def test_images_stay_as_they_are_where_it_says_so(name):
    options = inspect.signature(OBJECTIVES[name]).parameters
    for augmentation in ("weak", None) if "augmentation" in options and name != "simclr" else ("",):
        made = objective(name, **({} if augmentation == "" else {"augmentation": augmentation}))
        if not sees(name):
            continue
        drawn = made.draw(batch(name), source())["image"]
        assert made.changes_images or torch.equal(drawn, batch(name)["image"])
        if augmentation == "weak" or name in TWO_STREAMS:
            assert made.changes_images and not torch.equal(drawn, batch(name)["image"])


@pytest.mark.parametrize("name", NAMES)
def test_own_state_changes_in_advance_alone(name):
    made = objective(name)
    before = {key: value.clone() for key, value in made.own_state().items()}
    for mode in (True, False):
        made.train(mode)
        made(made.draw(batch(name), source()))
        assert all(torch.equal(made.own_state()[key], value) for key, value in before.items())
    made.train()
    made(made.draw(batch(name), source()))
    made.finish_step(0)
    assert made._stash == {}


class Crash(Exception):
    pass


@pytest.mark.parametrize("name", NAMES)
def test_it_is_trained_killed_resumed_saved_and_measured(name, tmp_path, monkeypatch):
    kind = OBJECTIVES[name]
    if kind.label_sets:
        monkeypatch.setitem(DATASETS, "demo", small.of_sets(DATASETS["demo"]))
    if kind.masks:
        monkeypatch.setitem(DATASETS, "demo", dense.of_masks(DATASETS["demo"]))
    # A class without a label is refused, and there are 24.
    size = 240 if name in TWO_STREAMS else 160
    config = parse_config(
        {
            "data": {"name": "demo", "size": size, "images": sees(name), "val_fraction": 0.2},
            "model": {
                "dim": 8,
                "location": stands(name, 0.2),
                "image": looks(name),
            },
            "objective": {"name": name, **example(name)},
            "teachers": ["class_frequency"] if kind.taught else [],
            "training": {"epochs": 2, "batch_size": 32, "checkpoint_every": 2, "device": "cpu",
                         "ema_decay": 0.9, "threads": 1},
        }
    )  # fmt: skip
    whole = train(config, run_dir=tmp_path / "whole")
    step, calls = Stage._train_step, []

    def crash(self, batch):
        step(self, batch)
        calls.append(1)
        if len(calls) == 3:
            raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Stage, "_train_step", crash)
        train(config, run_dir=tmp_path / "run")
    train(config, run_dir=tmp_path / "run", resume=True)
    states = [
        load_tensors(max(RunDir(tmp_path / run).checkpoints.glob("*/state.safetensors")))
        for run in ("whole", "run")
    ]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[1][key], value) for key, value in states[0].items())
    assert all(math.isfinite(row["val_objective"]) for row in whole.history)
    model = load_model(tmp_path / "run")
    assert model.heads.classifiers == heads_for(name, config.objective.options).classifiers
    held_out = load_dataset("demo", "val", size=size, images=sees(name), val_fraction=0.2)
    if find_measure(model, held_out) is not None:
        measured = evaluate(model, held_out)
        assert (measured.records if kind.masks else measured.n) == len(held_out)
    else:
        assert "labels" not in kind.learns_from or name == "cscl"  # it leaves no classifier


@pytest.mark.parametrize("name", NAMES)
def test_forward_draws_nothing_in_evaluation(name):
    made = objective(name).eval()
    drawn = made.draw(batch(name), source())
    state = torch.get_rng_state()
    first, second = made(drawn)["loss"], made(drawn)["loss"]
    assert torch.equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", NAMES)
def test_draw_follows_from_its_generator_alone(name):
    made, given = objective(name, **scattering(name, (5.0, 50.0))), batch(name)
    state = torch.get_rng_state()
    first, again, other = (flat(made.draw(given, source(seed))) for seed in (7, 7, 8))
    assert torch.equal(state, torch.get_rng_state())
    for key in first:
        torch.testing.assert_close(first[key], again[key], atol=0, rtol=0, equal_nan=True)
    drawn: tuple[str, ...] = ("image", "strong", "unlabelled.image", "unlabelled.strong")
    if name == "supervised":  # it looks at no other image, so it makes no view of one
        drawn = drawn[:2]
    changed = ("lonlat",) if name in SCATTERING else [key for key in drawn if key in first]
    assert changed and not any(torch.equal(first[key], other[key]) for key in changed)


@pytest.mark.parametrize("name", NAMES)
def test_draw_leaves_its_input_alone(name):
    made = objective(name, **scattering(name, 50.0))
    given = batch(name)
    before = {key: value.clone() for key, value in flat(given).items()}
    made.draw(given, source())
    assert set(flat(given)) == set(before)
    for key, value in flat(given).items():
        torch.testing.assert_close(value, before[key], atol=0, rtol=0, equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_see_together_what_one_sees(name):
    made = objective(name, **scattering(name, (5.0, 50.0)))
    whole = made.draw(batch(name), source())
    halves = [made.draw(batch(name, a, b), source(start=a, stop=b)) for a, b in ((0, 16), (16, 32))]
    assert set(flat(whole)) == set(flat(halves[0]))
    for key, value in flat(whole).items():
        joined = torch.cat([flat(half)[key] for half in halves])
        torch.testing.assert_close(value, joined, atol=0, rtol=0, equal_nan=True)
    made.eval()
    if OBJECTIVES[name].compares:
        return  # each record is set against all others, which a half does not see
    losses = [made(part)["loss"].item() for part in (whole, *halves)]
    assert losses[0] == pytest.approx((losses[1] + losses[2]) / 2, rel=1e-5)


@pytest.mark.parametrize("name", SCATTERING)
def test_jitter(name):
    many = {key: value.repeat(20, *[1] * (value.ndim - 1)) for key, value in batch(name).items()}
    n = len(many["label"])
    made = objective(name, jitter_km=100.0)
    scattered = made.draw(many, source(stop=n, total=n))["lonlat"]
    km = geo.great_circle_km(scattered, many["lonlat"])
    # Distances follow a Rayleigh law: mean 1.2533 sigma, and 5 sigma once in 270,000 draws.
    assert km.mean().item() == pytest.approx(125.33, rel=0.08)
    assert km.max() < 500
    assert (scattered[:, 0].abs() <= 180).all() and (scattered[:, 1].abs() <= 90).all()


@pytest.mark.parametrize("name", SCATTERING)
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


@pytest.mark.parametrize("name", SCATTERING)
def test_evaluation_leaves_places_alone(name):
    made = objective(name, jitter_km=100.0).eval()
    assert torch.equal(made.draw(batch(name), source())["lonlat"], batch(name)["lonlat"])


@pytest.mark.parametrize("background", sorted(BACKGROUNDS))
@pytest.mark.parametrize("name", ["geo_prior", "an_full", "an_ssdl"])
def test_two_processes_see_one_background(name, background):
    made = objective(name, background=background)
    made.fit(DATA)
    whole = made.draw(batch(name), source())["background"]
    halves = [made.draw(batch(name, a, b), source(start=a, stop=b)) for a, b in ((0, 16), (16, 32))]
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
        drawn = made.draw(batch(name), source())
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
    given = batch("softmax")
    assert plain(given)["loss"] != smooth(given)["loss"]
    assert torch.equal(plain.eval()(given)["loss"], smooth.eval()(given)["loss"])


@pytest.mark.parametrize("name", NAMES)
def test_the_model_takes_the_kind_of_its_objective(name):
    made = objective(name)
    kind = OBJECTIVES[name]
    assert made.prior_kind == kind.prior_kind
    # Who learns either kind leaves the model as its records made it.
    as_made = "probability" if kind.label_sets else "share"
    assert made.model.prior_kind == (kind.prior_kind or as_made)


@pytest.mark.parametrize("name", SCATTERING)
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
    with pytest.raises(
        UnknownNameError,
        match="csp_nce, declip, defilip, defixmatch, dense_contrast, filip, fixmatch, freematch",
    ):
        make_objective("hinge", objective("softmax").model)
