import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from torch import nn

from csp_core.errors import BadRecordError, CheckpointError, ConfigError, UnknownNameError
from csp_core.inference import location_prior
from csp_core.inference.few_shot import (
    BACKGROUNDS,
    MOST_PLACES,
    PENALTIES,
    Background,
    at_sea,
    card_of,
    draw_background,
    few_shot,
    make_ground,
    told_of,
)
from csp_core.inference.few_shot.leaving import SOLE_PENALTY, deal
from csp_core.inference.few_shot.logistic import Rows, fit_logistic, leave_out, logistic_loss
from csp_core.inference.few_shot.places import check_places
from csp_core.model import DualEncoder
from csp_core.raster import FewShotGrid, heatmap
from csp_core.store import keep_derived, list_models, load_model, read_front, save_derived
from csp_core.training.setup import initialise
from tests.toy import save_toy_model

EUROPE = ((13.4, 52.5), (2.3, 48.8), (16.3, 48.2), (-3.0, 40.0), (12.0, 42.0))
AFRICA = ((36.8, -1.3), (30.0, -20.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_toy_model(tmp_path_factory.mktemp("models"), "toy", train_steps=40)


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


@pytest.fixture(scope="module")
def ground(model):
    return make_ground(model)


def rows_of(seed=0, number=60, size=5):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(number, size, generator=generator, dtype=torch.float64)
    truth = (features[:, 0] + torch.randn(number, generator=generator) > 0).double()
    return Rows(features, truth, torch.rand(number, generator=generator).double())


def by_sklearn(rows, penalty, weight=None):
    weight = rows.weight if weight is None else weight
    keep = (weight > 0).numpy()
    found = LogisticRegression(C=1 / penalty, tol=1e-12, max_iter=10_000)
    found.fit(rows.features.numpy()[keep], rows.truth.numpy()[keep], weight.numpy()[keep])
    return np.append(found.coef_[0], found.intercept_[0])


# the classifier


def test_the_loss_by_hand():
    rows, coefficients = rows_of(), torch.linspace(-1, 1, 6).double()
    told = 0.0
    for x, y, a in zip(
        rows.features.tolist(), rows.truth.tolist(), rows.weight.tolist(), strict=True
    ):
        chance = 1 / (
            1 + math.exp(-sum(c * v for c, v in zip(coefficients.tolist(), [*x, 1.0], strict=True)))
        )
        told -= a * math.log(chance if y else 1 - chance)
    told += 0.7 / 2 * sum(c * c for c in coefficients.tolist()[:-1])
    assert float(logistic_loss(rows, coefficients, 0.7)) == pytest.approx(told)


@pytest.mark.parametrize("penalty", [10.0, 0.3, 0.001])
def test_the_fit_is_the_minimum(penalty):
    rows = rows_of()
    found = fit_logistic(rows, penalty)
    np.testing.assert_allclose(found.coefficients, by_sklearn(rows, penalty), atol=2e-5)
    asked = found.coefficients.clone().requires_grad_()
    logistic_loss(rows, asked, penalty).backward()
    assert asked.grad.abs().max() < 1e-6
    again = fit_logistic(rows, penalty, fit_logistic(rows, 100.0))
    assert torch.allclose(again.coefficients, found.coefficients, atol=1e-6)


def test_separated_rows_have_a_minimum_too():
    features = torch.tensor([[-3.0], [-2.0], [2.0], [3.0]]).double()
    rows = Rows(features, (features[:, 0] > 0).double(), torch.ones(4).double())
    found = fit_logistic(rows, 1e-4)
    np.testing.assert_allclose(found.coefficients, by_sklearn(rows, 1e-4), rtol=1e-4, atol=1e-5)


def test_leaving_out_is_fitting_anew():
    rows = rows_of(1)
    folds = [rows.weight.clone() for _ in range(3)]
    for number, fold in enumerate(folds):
        fold[number::3] = 0
    whole, logits = leave_out(rows, folds, (3.0, 0.1))
    for number, penalty in enumerate((3.0, 0.1)):
        np.testing.assert_allclose(whole[number].coefficients, by_sklearn(rows, penalty), atol=2e-5)
        for fold, weight in enumerate(folds):
            slow = by_sklearn(rows, penalty, weight)
            np.testing.assert_allclose(
                logits[number, fold], rows.features.numpy() @ slow[:-1] + slow[-1], atol=2e-4
            )


# a species


def slow_distance(ground, seen, asked):
    """The odds by distance: the density of the cells, over its mean on the background."""

    def density(places):
        cells = np.unique(np.floor(np.asarray(seen, dtype=np.float64)), axis=0) + 0.5
        a, b = np.radians(np.asarray(places, dtype=np.float64))[:, None], np.radians(cells)[None]
        chord = np.sin((a - b) / 2) ** 2
        half = chord[..., 1] + np.cos(a[..., 1]) * np.cos(b[..., 1]) * chord[..., 0]
        return np.exp(-2 * 6371.0088 * np.arcsin(np.sqrt(half)) / 500).mean(axis=1)

    return np.log(density(asked) / density(ground.background.lonlat.tolist()).mean())


def slow_scores(model, ground, seen, penalty, asked, distance=False):
    """Standardise with NumPy, keep all axes, and fit with scikit-learn."""
    with torch.inference_mode():
        embed = [
            model.embed_location(torch.tensor(places)).double().numpy()
            for places in (ground.background.lonlat.tolist(), seen, asked)
        ]
    mean, scale = embed[0].mean(axis=0), embed[0].std(axis=0, ddof=1)
    background, presence, there = ((part - mean) / scale for part in embed)
    rows = Rows(
        torch.from_numpy(np.concatenate((background, presence))),
        torch.tensor([0.0] * len(background) + [1.0] * len(seen)),
        torch.tensor([1 / len(background)] * len(background) + [1 / len(seen)] * len(seen)),
    )
    slow = by_sklearn(rows, penalty)
    far = slow_distance(ground, seen, asked) if distance else 0.0
    return there @ slow[:-1] + slow[-1] + far


@pytest.mark.parametrize("distance", [True, False])
def test_scores_are_those_of_a_slow_version(model, ground, distance):
    found = few_shot(model, EUROPE, ground=ground, distance=distance)
    asked = [(0.0, 51.0), (36.8, -1.3), (140.0, -30.0)]
    slow = slow_scores(model, ground, EUROPE, found.chosen.penalty, asked, distance)
    scores = 1 / (1 + np.exp(-slow / found.chosen.temperature))
    there = torch.tensor(asked)
    np.testing.assert_allclose(found.scores(ground.see(there), there), scores, atol=1e-3)
    answers = location_prior(found.model, there)
    np.testing.assert_allclose(answers[:, 0], scores, atol=1e-3)
    assert answers[0] > answers[2]


@pytest.mark.parametrize("distance", [True, False])
def test_leaving_places_out_by_a_slow_version(model, ground, distance):
    """A place left out is told from others by what was learned, and is as near, without it."""
    found = few_shot(model, EUROPE, ground=ground, distance=distance)
    # Each place is in a cell of its own.
    assert found.chosen.left_out.folds == len(EUROPE)
    background = ground.background.lonlat.tolist()
    losses = []
    for penalty in PENALTIES:
        own, others = [], []
        for place in EUROPE:
            rest = [other for other in EUROPE if other != place]
            logits = slow_scores(model, ground, rest, penalty, [place, *background], distance)
            own.append(logits[0])
            others.append(logits[1:])
        losses.append(np.logaddexp(0, -np.array(own)).mean() + np.logaddexp(0, others).mean())
    assert found.chosen.penalty == PENALTIES[int(np.argmin(losses))]
    chosen = found.chosen.penalty
    best = slow_scores(model, ground, EUROPE[1:], chosen, EUROPE[:1], distance)[0]
    first = 1 / (1 + math.exp(-best / found.chosen.temperature))
    assert float(found.chosen.left_out.seen[0]) == pytest.approx(first, abs=1e-3)
    assert found.chosen.threshold == float(found.chosen.left_out.seen.min())
    assert 0.5 <= found.chosen.temperature <= 2
    own, others = found.chosen.left_out, []
    for place in EUROPE:
        rest = [other for other in EUROPE if other != place]
        others.append(slow_scores(model, ground, rest, chosen, [place, *background], distance))
    below = [np.mean(np.concatenate([o[1:] for o in others]) < one[0]) for one in others]
    assert own.auc == pytest.approx(np.mean(below), abs=1e-3)


def test_ten_places_keep_nine(model, ground):
    places = [(lon, lat) for lon in (0.5, 4.5, 8.5, 12.5, 16.5) for lat in (45.5, 50.5)]
    found = few_shot(model, places, ground=ground)
    scores = found.chosen.left_out.seen
    assert int((scores >= found.chosen.threshold).sum()) == 9
    assert "9 of 10" in found.chosen.rule and found.chosen.left_out.folds == 8


def test_an_absence_lowers_its_surroundings(model, ground):
    # With one place the penalty is fixed, so that nothing but the absences differs.
    without = few_shot(model, EUROPE[:1], ground=ground)
    beside = few_shot(model, EUROPE[:1], [(12.0, 42.0), (11.0, 43.0)], ground=ground)
    there = torch.tensor([[12.0, 42.0]])
    features = ground.see(there)
    assert beside.scores(features, there) < without.scores(features, there)
    assert beside.to_dict()["absences"] == 2


def test_cells_are_left_out_whole():
    given = check_places([(1.2, 1.2), (1.4, 1.4), (5.5, 5.5)], [(1.3, 1.3), (80.0, 10.0)])
    folds = deal(given)
    assert len(folds) == 2 and torch.stack(folds).sum(dim=0).tolist() == [1] * 5
    assert folds[0].tolist()[:4] == [True, True, False, True]


def test_the_model_is_one_like_any_other(model, folder, ground, tmp_path, monkeypatch):
    state = torch.get_rng_state()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = few_shot(model, EUROPE, name="Turdus exemplaris", common_name="Example", ground=ground)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not model.training and not model.location.training
    assert isinstance(found.model, DualEncoder) and found.model.prior_kind == "relative"

    shelf = tmp_path / "shelf"
    monkeypatch.setenv("CSP_MODELS", str(shelf))
    called, where = keep_derived(found.model, "Turdus exemplaris", base=folder, **card_of(found))
    assert called == "turdus-exemplaris" and where == shelf / called
    again = load_model(called)
    places = torch.tensor(EUROPE + AFRICA)
    assert torch.equal(location_prior(again, places), location_prior(found.model, places))
    assert again.classes.names == ("Turdus exemplaris",) and again.classes.label("example") == 0
    front, body = read_front(where)
    assert front["license"] == "none" and "5 places" in body and "52.5" not in body
    assert (where / "ATTRIBUTION").read_text() == "Records by nobody.\n"
    assert called in [info.name for info in list_models() if info.problem is None]

    with pytest.raises(CheckpointError, match="is there already"):
        keep_derived(found.model, "turdus  EXEMPLARIS", base=folder, **card_of(found))
    with pytest.raises(CheckpointError, match="is there already"):
        save_derived(found.model, where, base=folder, **card_of(found))
    with pytest.raises(ConfigError, match="no letter"):
        keep_derived(found.model, "…", base=folder, **card_of(found))


def test_without_a_folder_of_models_it_is_kept_among_the_runs(
    model, folder, ground, tmp_path, monkeypatch
):
    monkeypatch.setenv("CSP_RUNS", str(tmp_path / "runs"))
    found = few_shot(model, EUROPE[:1], name="Aves alba", ground=ground)
    called, where = keep_derived(found.model, "Aves alba", base=folder, **card_of(found))
    assert Path(where) == tmp_path / "runs" / "aves-alba" / "model"
    assert load_model(called).classes.names == ("Aves alba",)
    with pytest.raises(CheckpointError, match="is there already"):
        keep_derived(found.model, "Aves alba", base=folder, **card_of(found))


@pytest.mark.parametrize("dry", [True, False])
def test_the_map_at_once_is_that_of_the_model(model, ground, dry):
    grid = FewShotGrid(ground, (-30, 20, 60, 70), 2.0, land_only=dry)
    found = few_shot(model, EUROPE, ground=ground)
    quick = grid.heatmap(found)
    slow = heatmap(found.model, 0, bounds=(-30, 20, 60, 70), step=2.0, land_only=dry)
    assert torch.allclose(quick.values, slow.values, atol=1e-4, equal_nan=True)
    assert quick.kind == "relative" and quick.land_only is dry
    assert bool(quick.values.isnan().any()) is dry


def test_a_model_that_knows_time_learns_all_of_the_year(tmp_path):
    model = load_model(save_toy_model(tmp_path, "seasons", train_steps=40, seasons=True))
    ground = make_ground(model)
    found = few_shot(model, EUROPE, ground=ground)
    assert found.model.uses_date
    place = torch.tensor([[13.4, 52.5]])
    for date in (None, torch.tensor([0.04]), torch.tensor([0.54])):
        assert location_prior(found.model, place, date=date) > 0.5


def test_backgrounds(model):
    for kind in BACKGROUNDS:
        one, same = (draw_background(model, kind, seed=3).lonlat for _ in range(2))
        assert torch.equal(one, same) and len(one) == 1500
        assert not torch.equal(one, draw_background(model, kind, seed=4).lonlat)
    cells = {tuple(cell) for cell in model.support.cells()[0].tolist()}
    assert {
        tuple(place) for place in draw_background(model, "target-group").lonlat.tolist()
    } <= cells
    land = draw_background(model, "land").lonlat
    assert at_sea(land).sum() < 15 and at_sea(draw_background(model, "world").lonlat).sum() > 700
    own = make_ground(model, Background(torch.tensor(EUROPE + AFRICA)))
    assert own.background.kind == "given" and len(own.features) == 7
    with pytest.raises(UnknownNameError, match="moon"):
        draw_background(model, "moon")


# distance


class Mirror(nn.Module):
    """East and west are alike to it, so that every place has a twin."""

    out_dim = 3

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([180.0, 90.0]), requires_grad=False)

    def forward(self, lonlat):
        x, y = (lonlat / self.scale).unbind(1)
        return torch.stack((x.abs(), y, (4 * x.abs()).sin()), dim=1)


HOME = [(100.0, 40.0), (104.0, 42.0), (97.0, 45.0), (108.0, 39.0)]


def test_a_twin_far_away_scores_low_where_distance_counts():
    model = DualEncoder(None, Mirror(), dim=3, name="mirror").eval()
    ground = make_ground(model)
    here, twin = torch.tensor([[102.0, 42.0]]), torch.tensor([[-102.0, 42.0]])
    with_it, without = (few_shot(model, HOME, ground=ground, distance=d) for d in (True, False))
    alike = [float(location_prior(without.model, place)) for place in (here, twin)]
    assert alike[0] == pytest.approx(alike[1], abs=1e-5) and alike[0] > 0.5
    near, far = (float(location_prior(with_it.model, place)) for place in (here, twin))
    assert near > 0.9 and far < 0.05 * near
    # Near is not enough: it has to be alike too.
    other = torch.tensor([[102.0, 30.0]])
    assert float(location_prior(with_it.model, other)) < near
    assert without.to_dict()["distance_km"] is None and with_it.to_dict()["distance_km"] == 500
    assert "anywhere in the world" in " ".join(told_of(without))
    assert "only without distance" in " ".join(told_of(with_it))


def test_a_place_far_from_all_others_marks_no_half_of_the_world(model, ground):
    far = (*EUROPE, (151.0, -33.5))
    found = few_shot(model, far, ground=ground)
    assert found.chosen.left_out.seen.min() < 0.1 and found.chosen.threshold == 0.5
    assert "one half, as some places lie far from all the others" in " ".join(told_of(found))
    alone = few_shot(model, far, ground=ground, distance=False)
    assert alone.chosen.threshold == float(alone.chosen.left_out.seen.min())


def test_a_threshold_near_one_does_not_read_as_one(model, ground):
    found = few_shot(model, [(179.9, -16.5), (-179.9, -16.6), (178.2, -18.1)], ground=ground)
    said = " ".join(told_of(found))
    written = float(said.split("Threshold ")[1].split(":")[0])
    assert 0.995 < found.chosen.threshold < 1  # with two digits it would
    assert written < 1 and written == pytest.approx(found.chosen.threshold, abs=5e-4)


def test_a_model_holds_cells_and_no_place(model, folder, ground, tmp_path):
    places = [(13.4, 52.5), (13.6, 52.6), (2.3, 48.8)]
    found = few_shot(model, places, ground=ground)
    where = save_derived(found.model, tmp_path / "with", base=folder, **card_of(found))
    kept = load_file(where / "model.safetensors")["location.nearness.places"]
    assert kept.tolist() == [[2.5, 48.5], [13.5, 52.5]]
    assert "the cells of 1° in which it was seen" in (where / "README.md").read_text()

    without = few_shot(model, places, ground=ground, distance=False)
    assert without.model.location is model.location  # as it was before distance counted
    where = save_derived(without.model, tmp_path / "without", base=folder, **card_of(without))
    assert "nearness" not in (where / "config.json").read_text()
    assert "holds no place and no count" in (where / "README.md").read_text()


def test_a_species_is_learned_on_the_embedding_of_another_without_its_places(model, ground):
    other = few_shot(model, AFRICA, ground=ground).model
    assert other.dim == model.dim + 1
    # Clusters and the like see the kind of place, not how near those of one species are.
    asked = torch.tensor(EUROPE + AFRICA)
    one, two = (m.embed_location(asked).detach() for m in (model, other))
    same = torch.nn.functional.cosine_similarity(one[:, None], one[None], dim=2)
    again = torch.nn.functional.cosine_similarity(two[:, None], two[None], dim=2)
    assert torch.allclose(same, again, atol=0.01)
    second = make_ground(other)
    assert torch.allclose(second.features.abs(), ground.features.abs(), atol=1e-4)
    for distance in (True, False):
        asked = torch.tensor(EUROPE + AFRICA)
        one = few_shot(model, EUROPE, ground=ground, distance=distance).model
        two = few_shot(other, EUROPE, ground=second, distance=distance).model
        assert torch.allclose(location_prior(one, asked), location_prior(two, asked), atol=1e-4)


def test_a_run_starts_from_a_species_without_its_places(model, folder, ground, tmp_path):
    found = few_shot(model, EUROPE, ground=ground)
    where = save_derived(found.model, tmp_path / "mine", base=folder, **card_of(found))
    fresh = load_model(folder)
    with torch.no_grad():
        for weight in fresh.location.parameters():
            weight.zero_()
    initialise(fresh, str(where))
    mine, theirs = fresh.location.state_dict(), model.location.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_seasons_and_distance(tmp_path):
    model = load_model(save_toy_model(tmp_path, "seasons", train_steps=40, seasons=True))
    found = few_shot(model, EUROPE)
    for date in (None, torch.tensor([0.54, 0.54])):
        near, far = location_prior(found.model, torch.tensor([[13.4, 52.5], [140.0, 38.0]]),
                                   date=date)  # fmt: skip
        assert near > 0.5 > far


def test_times_of_an_encoder_of_your_own_leave_no_room_for_distance():
    class Timed(Mirror):
        uses_date = True

        def forward(self, lonlat, date=None, hour=None):
            return super().forward(lonlat)

    model = DualEncoder(None, Timed(), dim=3, name="timed").eval()
    with pytest.raises(ConfigError, match="distance=False"):
        few_shot(model, HOME)
    assert few_shot(model, HOME, distance=False).model.uses_date


# what cannot be used, and what has to be said


def test_notes(model, ground):
    def notes(*places, missed=None, **options):
        return " ".join(few_shot(model, places, missed, **{"ground": ground} | options).notes)

    assert "the map is a guess" in notes((13.4, 52.5))
    assert "All 2 places" in notes((13.4, 52.5), (13.41, 52.51))
    twice = notes((13.4, 52.5), (13.4, 52.5), (2.0, 48.0))
    assert "1 place is repeated" in twice and "guess" not in twice
    assert "both as seen and as not seen" in notes(*EUROPE, missed=[EUROPE[0]])
    sea = notes((-30.0, 0.0), (-25.0, 5.0))
    assert "2 places lie at sea and toy learned its records on land" in sea
    assert "take background world" in sea
    assert "the map says little but how far it is" in sea
    assert "the map is a guess" in notes((-30.0, 0.0), (-25.0, 5.0), distance=False)
    wet = make_ground(model, "world")
    assert "take background" not in notes((-30.0, 0.0), (-25.0, 5.0), ground=wet)
    assert notes(*EUROPE) == ""


def test_the_sea_is_told_of_for_models_without_counts(tmp_path):
    sea = ((-30.0, 0.0), (-25.0, 5.0))
    earth = load_model("earth")
    wet = make_ground(earth, "world")
    (told,) = few_shot(earth, sea, ground=wet).notes
    assert "2 places lie at sea and earth learned what land and coasts are like" in told
    assert few_shot(earth, EUROPE, ground=wet).notes == ()
    bare = load_model(save_toy_model(tmp_path, "bare", train_steps=1))
    bare.support = None
    (told,) = few_shot(bare, sea, background="world").notes
    assert "bare keeps no counts that say whether it learned the sea" in told
    (told,) = few_shot(bare, sea).notes
    assert "the background is of land" in told and "take background world" in told


def test_one_cell_has_a_fixed_penalty(model, ground):
    found = few_shot(model, EUROPE[:1], ground=ground)
    assert found.chosen.penalty == SOLE_PENALTY and found.chosen.left_out is None
    assert found.chosen.threshold == 0.5 and found.to_dict()["leave_one_out"] is None
    assert "Nothing could be left out" in " ".join(told_of(found))


def test_places_that_cannot_be_used(model, ground):
    def fails(error, says, *places):
        with pytest.raises(error, match=says):
            few_shot(model, *places, ground=ground)

    fails(BadRecordError, "No place is given", [])
    fails(BadRecordError, r"Only places where it was not seen are given \(2\)", [], EUROPE[:2])
    fails(BadRecordError, "180", [(190.0, 3.0)])
    fails(BadRecordError, "finite", [(math.nan, 3.0)])
    for other in (5, "x", None, [("a", "b")], [(1.0, 2.0), (3.0,)]):
        fails(BadRecordError, r"give \(N, 2\) numbers: longitude, latitude", other)
    fails(BadRecordError, "up to 2,000", torch.rand(MOST_PLACES + 1, 2))


def test_a_place_at_the_seam_or_a_pole_is_one():
    seam = check_places([(180.0, 5.0), (-180.0, 5.0), (179.99999, 5.0), (-179.99999, 5.0)])
    assert seam.seen.tolist() == [[-180.0, 5.0]] and len(seam.cell) == 1
    pole = check_places([(0.0, 90.0), (120.0, 90.0), (-60.0, -90.0)], [(30.0, -90.0)])
    assert pole.seen.tolist() == [[0.0, 90.0], [0.0, -90.0]] and not len(pole.missed)
    assert any("given both as seen and as not seen" in note for note in pole.notes)


def test_models_that_cannot_be_used(model, tmp_path):
    with pytest.raises(ConfigError, match="no location encoder"):
        few_shot(DualEncoder(None, None, classes=("a",), name="bare"), EUROPE)
    bare = load_model(save_toy_model(tmp_path, "bare", train_steps=1))
    bare.support = None
    with pytest.raises(ConfigError, match="no target group"):
        few_shot(bare, EUROPE, background="target-group")
    with torch.no_grad():
        for weight in bare.location.parameters():
            weight.zero_()
    with pytest.raises(ConfigError, match="the same at all background points"):
        few_shot(bare, EUROPE)
