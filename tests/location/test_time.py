"""Time beside the position: features by hand, the learned unknown, saving, resuming, months."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core import geo
from csp_core.config import load_config, parse_config
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation import evaluate, records_logits
from csp_core.files import hash_file
from csp_core.inference import describe_place, location_prior
from csp_core.location import TimeFeatures, make_location_encoder
from csp_core.model import DualEncoder
from csp_core.objectives import OBJECTIVES, BatchRandom, make_objective
from csp_core.objectives.clip import FAMILY
from csp_core.raster import GridPrior, heatmap
from csp_core.store import load_model, save_model
from csp_core.training import train
from tests import small

NAN = float("nan")
PLACES = torch.tensor([[36.8, -1.3], [16.4, 48.2], [178.0, -18.0]])


def dated_model(time=None, kind="share", **options):
    torch.manual_seed(0)
    network = {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.0}
    encoder = make_location_encoder("xyz", 8, network=network, time=time or True, **options)
    with torch.no_grad():
        encoder.time.missing.normal_()
    model = DualEncoder(None, encoder, dim=8, classes=["a", "b", "c"], prior_kind=kind)
    with torch.no_grad():
        model.classifier.weight *= 5
    return model.eval()


def seasonal(n=600, seed=0, *, hours=False) -> RecordDataset:
    """Give records of a world in which the season alone, or the hour alone, tells two classes."""
    records = small.dataset(seed)
    generator = torch.Generator().manual_seed(seed)
    time = torch.rand(len(records), generator=generator)
    base = records.label - records.label % 2
    label = base + (time > 0.5).long()
    columns = {"hour": time[:n]} if hours else {"date": time[:n]}
    return RecordDataset(records.lonlat[:n], label[:n], records.classes, **columns)


def test_features_by_hand():
    features = TimeFeatures(harmonics=2, missing_rate=0.0)
    got = features(3, torch.tensor([0.0, 0.25, 0.75]))
    # d = -1, -1/2, 1/2; sin πd, sin 2πd, cos πd, cos 2πd.
    want = torch.tensor([[0.0, 0, -1, 1], [-1, 0, 0, -1], [1, 0, 0, -1]])
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)
    assert features.out_dim == 4


def test_the_date_of_the_geographical_prior_is_one_form_of_it():
    date = torch.rand(20, generator=torch.Generator().manual_seed(0))
    published = date * 2 - 1
    encoded = torch.stack((torch.sin(math.pi * published), torch.cos(math.pi * published)), 1)
    features = TimeFeatures(missing_rate=0.0)
    torch.testing.assert_close(features(20, date), encoded)
    encoder = make_location_encoder("wrap", 8, network="fcnet", time={"missing_rate": 0})
    lonlat = geo.sphere_points(torch.rand(20, 2, generator=torch.Generator().manual_seed(1)))
    joined = encoder.eval().features(lonlat, date)
    torch.testing.assert_close(joined[:, 4:], encoded)
    torch.testing.assert_close(joined[:, :4], encoder.encoding(lonlat))


def test_year_and_day_stand_beside_each_other():
    both = TimeFeatures(hour=True, missing_rate=0.0)
    day = TimeFeatures(day_of_year=False, hour=True, missing_rate=0.0)
    date, hour = torch.tensor([0.1]), torch.tensor([0.7])
    year = TimeFeatures(missing_rate=0.0)(1, date)
    torch.testing.assert_close(both(1, date, hour), torch.cat((year, day(1, None, hour)), 1))


def test_the_year_closes_on_itself():
    ends = TimeFeatures(harmonics=12).eval()(2, torch.tensor([0.0, 1 - 1e-6]))
    torch.testing.assert_close(ends[0], ends[1], atol=1e-4, rtol=0)


def test_unknown_times_are_a_learned_vector():
    features = TimeFeatures(hour=True, missing_rate=0.0)
    with torch.no_grad():
        features.missing.copy_(torch.tensor([[2.0, 3.0], [4.0, 5.0]]))
    date = torch.tensor([NAN, 0.5, NAN], requires_grad=True)
    got = features(3, date, torch.tensor([0.5, NAN, NAN]))
    want = torch.tensor([[2.0, 3, 0, 1], [0, 1, 4, 5], [2, 3, 4, 5]])
    torch.testing.assert_close(got, want, atol=1e-6, rtol=0)
    torch.testing.assert_close(features(2), want[2:].expand(2, -1))
    got.sum().backward()
    assert features.missing.grad.tolist() == [[2, 2], [2, 2]]
    assert date.grad.isfinite().all() and date.grad[0] == date.grad[2] == 0


def test_training_hides_a_share_of_the_known():
    features = TimeFeatures(missing_rate=0.25)
    torch.manual_seed(0)
    hidden = (features(4000, torch.full((4000,), 0.3)) == 0).all(dim=1)
    assert 0.22 < hidden.float().mean() < 0.28
    torch.manual_seed(0)
    assert torch.equal((features(4000, torch.full((4000,), 0.3)) == 0).all(dim=1), hidden)
    assert (features.eval()(4000, torch.full((4000,), 0.3)) != 0).any(dim=1).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"day_of_year": False}, "neither"),
        ({"harmonics": 0}, "1 to 12"),
        ({"harmonics": 13}, "1 to 12"),
        ({"missing_rate": 1.0}, "rate"),
        ({"missing_rate": -0.1}, "rate"),
        ({"waves": 2}, "no option 'waves'"),
    ],
)
def test_wrong_options(options, says):
    with pytest.raises(ConfigError, match=says):
        make_location_encoder("xyz", 8, time=options)


def test_capsules_take_no_time():
    with pytest.raises(ConfigError, match="residual_mlp"):
        make_location_encoder("geoclip", 8, time=True)
    small_one = {"sigmas": [1.0], "num_frequencies": 4}
    encoder = make_location_encoder("geoclip", 8, time=True, network="residual_mlp", **small_one)
    assert encoder(PLACES).shape == (3, 8)


def test_without_time_nothing_changes():
    torch.manual_seed(0)
    plain = make_location_encoder("xyz", 8)
    torch.manual_seed(0)
    off = make_location_encoder("xyz", 8, time=False, covariates=None)
    assert plain.spec == off.spec and not {"time", "covariates"} & plain.spec.keys()
    state = plain.state_dict()
    assert list(state) == list(off.state_dict()) and not any("time" in key for key in state)
    assert torch.equal(plain.eval()(PLACES, torch.rand(3), torch.rand(3)), off.eval()(PLACES))
    assert not plain.uses_date and not plain.uses_hour
    model = DualEncoder(None, plain, dim=8, classes=["a", "b"])
    assert not model.uses_date and not model.uses_hour


def test_modules_of_a_users_own_are_given_places_alone():
    class Own(torch.nn.Module):
        out_dim = 2

        def forward(self, lonlat):
            return lonlat / 180

    model = DualEncoder(None, Own(), dim=2, classes=["a", "b"])
    assert model.class_logits(PLACES, torch.rand(3), torch.rand(3)).shape == (3, 2)


def test_the_prior_follows_date_and_hour():
    model = dated_model({"hour": True})
    assert model.uses_date and model.uses_hour
    base = location_prior(model, PLACES)
    unknown = torch.full((3,), NAN)
    torch.testing.assert_close(location_prior(model, PLACES, date=unknown, hour=unknown), base)
    spring = location_prior(model, PLACES, date=torch.full((3,), 0.3))
    noon = location_prior(model, PLACES, hour=torch.full((3,), 0.5))
    assert (spring - base).abs().max() > 0.01 and (noon - base).abs().max() > 0.01
    report = describe_place(model, 36.8, -1.3, date=0.3, hour=0.5)
    want = location_prior(
        model, PLACES[:1], date=torch.tensor([0.3]), hour=torch.tensor([0.5])
    ).max()
    assert report.results[0].value == pytest.approx(float(want))
    with pytest.raises(BadRecordError, match="part of the day"):
        location_prior(model, PLACES, hour=torch.full((3,), 14.0))
    with pytest.raises(BadRecordError, match="2 hours for 3 places"):
        location_prior(model, PLACES, hour=torch.rand(2))


def test_a_model_of_the_day_alone_ignores_the_date():
    model = dated_model({"day_of_year": False, "hour": True})
    assert model.uses_hour and not model.uses_date
    torch.testing.assert_close(
        location_prior(model, PLACES, date=torch.rand(3)), location_prior(model, PLACES)
    )


def test_records_are_scored_at_their_times():
    model, records = dated_model({"hour": True}), seasonal(60)
    logits = records_logits(model, records)
    places = location_prior(model, records.lonlat, date=records.date)
    torch.testing.assert_close(logits.softmax(1), places)
    assert (logits - model.class_logits(records.lonlat)).abs().max() > 0.01


def test_saved_and_loaded(tmp_path):
    model = dated_model({"hour": True, "harmonics": 3, "missing_rate": 0.2})
    again = load_model(save_model(model, tmp_path / "m"))
    assert again.location.spec == model.location.spec
    assert again.location.spec["time"] == {
        "day_of_year": True, "hour": True, "harmonics": 3, "missing_rate": 0.2, "weeks": None,
        "without_date": "learned",
    }  # fmt: skip
    when = {"date": torch.tensor([0.1, NAN, 0.9]), "hour": torch.tensor([0.5, 0.2, NAN])}
    torch.testing.assert_close(
        location_prior(again, PLACES, **when), location_prior(model, PLACES, **when), rtol=0, atol=0
    )


@pytest.mark.parametrize("encoding", ["harmonics", "tile", "rff_sphere", "sphere_c_plus"])
@pytest.mark.parametrize("date", [None, 0.4])
def test_the_map_of_a_date_equals_place_by_place(encoding, date):
    torch.manual_seed(0)
    encoder = make_location_encoder(encoding, 12, time={"harmonics": 2, "hour": True})
    with torch.no_grad():
        encoder.time.missing.normal_()
    model = DualEncoder(None, encoder, dim=12, classes=list("abcd")).eval()
    grid = GridPrior(model, (100, -90, -130, 90), 6.0, date)
    places = grid.grid.lonlat()
    when = None if date is None else torch.full((len(places),), date)
    want = location_prior(model, places, date=when)[:, 2].view(grid.grid.shape)
    torch.testing.assert_close(grid.values(2), want, rtol=1e-3, atol=1e-7)


def test_months_differ():
    model = dated_model()
    maps = [heatmap(model, "a", step=30.0, date=(m + 0.5) / 12).values for m in range(12)]
    assert all((maps[m] - maps[m - 1]).abs().max() > 1e-3 for m in range(12))
    assert (heatmap(model, "a", step=30.0).values - maps[0]).abs().max() > 1e-3


# Those that learn from images alone see neither place nor time.
@pytest.mark.parametrize(
    "name", [name for name, kind in OBJECTIVES.items() if "location" in kind.trains]
)
def test_every_objective_takes_the_time_of_its_records(name):
    """The loss changes with the dates, and the gradient reaches the unknown."""
    torch.manual_seed(0)
    objective, records = _objective(name)

    def loss(dates):
        batch = records.__getitems__(list(range(32)))
        batch["date"] = dates
        torch.manual_seed(1)
        random = BatchRandom(torch.Generator().manual_seed(3), 0, 32, 32)
        return objective(objective.draw(batch, random))["loss"]

    objective.train()
    first, second = loss(records.date[:32]), loss((records.date[:32] + 0.4) % 1)
    assert torch.isfinite(first) and first != second
    loss(torch.full((32,), NAN)).backward()
    gradient = objective.model.location.time.missing.grad
    assert gradient.isfinite().all() and gradient.abs().max() > 0


HEADS = {"head_dim": 16, "head_hidden": 16, "token_dim": 8, "weights": {"masked": 0}}


def _objective(name):
    records = small.pairs()
    records = RecordDataset(
        records.lonlat,
        records.label,
        records.classes,
        date=torch.rand(len(records), generator=torch.Generator().manual_seed(5)),
        image=torch.rand(len(records), 3, 16, 16) if name in FAMILY else records.image,
    )
    records = small.label_sets(records) if OBJECTIVES[name].label_sets else records
    network = {"name": "residual_mlp", "hidden_dim": 16, "dropout": 0.2}
    encoder = make_location_encoder("xyz", 8, network=network, time={"missing_rate": 0})
    from csp_core.image import make_image_encoder

    image = make_image_encoder("features", 12)
    options = {}
    if name in FAMILY:
        # No scale of these places is hidden, which are no tokens.
        image, options = make_image_encoder("small_convnet", 12, width=8), HEADS
    model = DualEncoder(image, encoder, dim=8, classes=records.classes)
    objective = make_objective(name, model, **options)
    kind = OBJECTIVES[name]
    answers = "probability" if kind.label_sets else "share"
    objective.fit(records, dated_teacher(records, answers) if kind.taught else None)
    return objective, records


def dated_teacher(records, prior_kind="share"):
    torch.manual_seed(4)
    encoder = make_location_encoder("xyz", 8, time=True)
    classes = records.classes
    return DualEncoder(None, encoder, dim=8, classes=classes, prior_kind=prior_kind).eval()


def test_a_teacher_is_asked_at_the_time_of_the_record():
    records = seasonal(50)
    model = DualEncoder(
        None, make_location_encoder("xyz", 8, time=True), dim=8, classes=records.classes
    )
    objective = make_objective("soft_targets", model, copies=2, jitter_km=100.0)
    teacher = dated_teacher(records)
    objective.fit(records, teacher)
    assert torch.equal(objective.dates, records.date.repeat(2))
    asked = teacher.prior(objective.places, objective.dates)
    torch.testing.assert_close(objective.targets.float(), asked, atol=1e-3, rtol=0)
    random = BatchRandom(torch.Generator().manual_seed(0), 0, 8, 8)
    drawn = objective.draw(records.__getitems__(list(range(8))), random)
    torch.testing.assert_close(
        drawn["target"], teacher.prior(drawn["soft_lonlat"], drawn["soft_date"]), atol=2e-3, rtol=0
    )


def test_hours_belong_to_records():
    plain, hourly = small.dataset(), seasonal(hours=True)
    assert plain.hour.isnan().all()
    unknown = RecordDataset(
        plain.lonlat, plain.label, plain.classes, hour=torch.full((len(plain),), NAN)
    )
    assert unknown.content_hash() == plain.content_hash()
    without = RecordDataset(hourly.lonlat, hourly.label, hourly.classes)
    assert hourly.content_hash() != without.content_hash()
    assert hourly[3]["hour"] == hourly.__getitems__([3])["hour"][0] == hourly.hour[3]
    assert torch.equal(hourly.joined_columns(plain)["hour"][:600], hourly.hour)
    with pytest.raises(BadRecordError, match="hour"):
        RecordDataset(plain.lonlat, plain.label, plain.classes, hour=torch.rand(3))


def timed(records_csv, **time):
    location = small.tree(records_csv)["model"]["location"] | {"time": {"harmonics": 2, **time}}
    training = {"epochs": 3, "checkpoint_every": 7, "ema_decay": 0.9}
    return small.config(records_csv, model={"location": location}, training=training)


def test_it_learns_seasons_and_answers_without_a_date(tmp_path, records_csv):
    config = timed(records_csv)
    model = train(config, run_dir=tmp_path / "run").model
    assert model.uses_date and model.location.time.missing.abs().max() > 0
    assert load_model(tmp_path / "run").uses_date
    metrics = evaluate(model, small.dataset())
    assert metrics.n == 600


def test_resume_is_bit_exact_with_time(tmp_path, records_csv, monkeypatch):
    from csp_core.objectives.supervised import Softmax

    config = timed(records_csv, missing_rate=0.3)
    train(config, run_dir=tmp_path / "whole")
    forward, calls = Softmax.forward, []

    class Crash(Exception):
        pass

    def crashing(self, batch):
        if self.training:
            calls.append(1)
            if len(calls) == 20:
                raise Crash
        return forward(self, batch)

    monkeypatch.setattr(Softmax, "forward", crashing)
    with pytest.raises(Crash):
        train(config, run_dir=tmp_path / "killed")
    train(config, run_dir=tmp_path / "killed", resume=True)
    one, two = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "killed"))
    assert hash_file(one) == hash_file(two)


def test_what_hides_dates_is_chance_of_the_step(tmp_path, records_csv):
    one = train(timed(records_csv, missing_rate=0.3), run_dir=tmp_path / "a")
    two = train(timed(records_csv, missing_rate=0.3), run_dir=tmp_path / "b")
    assert one.history[-1]["loss"] == two.history[-1]["loss"]
    three = train(timed(records_csv, missing_rate=0.0), run_dir=tmp_path / "c")
    assert three.history[-1]["loss"] != one.history[-1]["loss"]


@pytest.mark.parametrize(
    ("time", "says"),
    [
        (3, "give true, or options"),
        ({"harmonic": 2}, "no option 'harmonic'"),
        ({"harmonics": "two"}, "harmonics is 'two'"),
    ],
)
def test_a_configuration_with_a_wrong_time_is_refused(tmp_path, time, says):
    location = {"name": "xyz", "time": time}
    with pytest.raises(ConfigError, match=says):
        parse_config(small.tree(tmp_path, model={"location": location}))


def test_configurations_without_time_keep_their_hash(tmp_path):
    plain = small.config(tmp_path)
    assert "time" not in plain.model.location.options
    off = small.tree(tmp_path)["model"]["location"] | {"time": False, "covariates": None}
    assert small.config(tmp_path, model={"location": off}).recipe_hash() == plain.recipe_hash()
    on = off | {"time": True}
    timed_one = small.config(tmp_path, model={"location": on})
    assert timed_one.recipe_hash() != plain.recipe_hash()
    assert timed_one.model.location.options["time"]["harmonics"] == 1


def test_the_configuration_of_the_seasons(tmp_path):
    from pathlib import Path

    file = Path(__file__).parents[2] / "configs" / "demo_seasons.yaml"
    overrides = ["data.size=400", "training.epochs=1", "model.dim=8"]
    result = train(load_config(file, overrides), run_dir=tmp_path / "run")
    assert result.model.uses_date


@pytest.fixture(scope="module")
def seasonal_model(tmp_path_factory):
    return save_model(dated_model({"hour": True}), tmp_path_factory.mktemp("seasonal") / "m")


def test_the_command_predicts_at_a_time(csp, seasonal_model):
    import json

    def shares(*options):
        code, out, _ = csp("predict", seasonal_model, "--lon", 36.8, "--lat", -1.3, *options)
        assert code == 0
        return out

    plain, spring = shares("--json"), shares("--json", "--date", "2025-04-15")
    noon = shares("--json", "--hour", "12:00")
    assert json.loads(plain)["results"] != json.loads(spring)["results"]
    assert json.loads(plain)["results"] != json.loads(noon)["results"]
    assert "changes nothing" not in shares("--date", "2025-04-15", "--hour", "06:30")
    code, _, err = csp("predict", seasonal_model, "--lon", 1, "--lat", 1, "--hour", "noon")
    assert code == 1 and "HH:MM" in err


def test_the_command_says_when_the_hour_changes_nothing(csp, model_dir):
    code, out, _ = csp("predict", model_dir, "--lon", 36.8, "--lat", -1.3, "--hour", "06:30")
    assert code == 0 and "does not know the hour" in out


def test_the_command_draws_the_map_of_a_date(csp, seasonal_model, tmp_path):
    import json

    told = {}
    for date in ("2025-01-15", "2025-07-15"):
        file = tmp_path / f"{date}.tif"
        options = ("--step", 10, "--date", date, "--json")
        code, out, _ = csp("heatmap", seasonal_model, "a", file, *options)
        assert code == 0
        told[date] = json.loads(out)
        assert not told[date]["ignored_date"]
    january, july = told.values()
    assert january["date"] == pytest.approx(14 / 365) and july["date"] > 0.5
    assert january["largest_value"] != july["largest_value"]
