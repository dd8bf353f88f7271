"""Asking a model: checks of what is asked, a place's report, and image times place."""

from __future__ import annotations

import json
import math

import pytest
import torch

from csp_core.errors import BadRecordError, CheckpointError, ConfigError
from csp_core.inference import (
    CHUNK,
    OFTEN,
    RARELY,
    SOMETIMES,
    UNKNOWN,
    PlaceReport,
    RankedTaxon,
    describe_place,
    likely_swapped,
    location_prior,
    posterior,
    recorded_here,
)
from csp_core.location import make_location_encoder
from csp_core.model import Calibration, DualEncoder, Support
from csp_core.store import load_model, save_model
from tests import small

NAN = float("nan")


class Constant:
    """A prior that answers the same everywhere and notes what it was asked."""

    name, prior_kind, uses_date, support = "constant", "share", True, None
    classes = small.dataset().classes

    def __init__(self, row=(0.1, 0.4, 0.1, 0.2, 0.1, 0.1), kind="share"):
        self.row, self.prior_kind, self.asked = torch.tensor(row), kind, []

    def prior(self, lonlat, date=None):
        self.asked.append((len(lonlat), date))
        return self.row.expand(len(lonlat), -1).clone()


# location_prior


@pytest.mark.parametrize(
    ("lonlat", "says"),
    [
        ([[NAN, 3.0]], "finite degrees"),
        ([[3.0, math.inf]], "finite degrees"),
        ([[-1.3, 136.8]], "look swapped"),
        ([[100.0, 91.0]], "Latitude goes from -90 to 90"),
        ([[190.0, 10.0]], "the same meridian is -170"),
        ([36.8, -1.3], r"shape \(2,\)"),
        ([[36.8, -1.3, 5.0]], r"shape \(1, 3\)"),
    ],
)
def test_places_that_are_none(lonlat, says):
    with pytest.raises(BadRecordError, match=says):
        location_prior(Constant(), torch.tensor(lonlat))


def test_the_bad_row_is_named():
    with pytest.raises(BadRecordError, match="Coordinate 2 "):
        location_prior(Constant(), torch.tensor([[1.0, 50.0], [2.0, 50.0], [NAN, 50.0]]))


@pytest.mark.parametrize(
    ("date", "says"),
    [([0.5, 0.5], "2 dates for 1 places"), ([1.0], "in \\[0, 1\\)"), ([-0.1], "in \\[0, 1\\)")],
)
def test_dates_that_are_none(date, says):
    with pytest.raises(BadRecordError, match=says):
        location_prior(Constant(), torch.tensor([[36.8, -1.3]]), date=torch.tensor(date))


def test_dates_reach_the_model_and_may_be_unknown():
    model = Constant()
    location_prior(model, torch.tensor([[36.8, -1.3], [10, 50]]), date=torch.tensor([NAN, 0.25]))
    asked = model.asked[0][1]
    assert asked[0].isnan() and asked[1] == 0.25


def test_whole_numbers_are_degrees_too():
    assert location_prior(Constant(), torch.tensor([[36, -1]])).shape == (1, 6)


def test_no_place_no_row():
    assert location_prior(Constant(), torch.empty(0, 2)).shape == (0, 6)


def test_many_places_are_asked_in_parts():
    model = Constant()
    lonlat = torch.zeros(2 * CHUNK + 3, 2)
    with pytest.warns(UserWarning, match=r"normalised to \[-1, 1\]"):
        prior = location_prior(model, lonlat, date=torch.zeros(len(lonlat)))
    assert prior.shape == (len(lonlat), 6)
    assert [n for n, _ in model.asked] == [len(d) for _, d in model.asked] == [CHUNK, CHUNK, 3]


def test_prior_of_a_trained_model(model_dir):
    model = load_model(model_dir)
    prior = location_prior(model, torch.tensor([[36.8, -1.3], [178.0, -18.0], [-178.0, -18.0]]))
    assert prior.dtype == torch.float32 and prior.device.type == "cpu"
    torch.testing.assert_close(prior.sum(1), torch.ones(3))
    assert prior.argmax(1).tolist() == [0, 4, 4]
    assert prior[0, :2].sum() > 0.9 and prior[1:, 4:].sum(1).min() > 0.9


# describe_place


def test_report_of_a_place(model_dir):
    model = load_model(model_dir)
    report = describe_place(model, 36.8, -1.3, top=3)
    prior = location_prior(model, torch.tensor([[36.8, -1.3]]))[0]
    values = [line.value for line in report.results]
    assert values == prior.sort(descending=True).values[:3].tolist()
    assert [line.rank for line in report.results] == [1, 2, 3]
    first = report.results[0]
    assert (first.taxon, first.common_name) == ("Aba alta", "High Aba")
    assert first.lift == pytest.approx(first.value / model.classes.frequency()[0].item(), rel=1e-6)
    near = model.support.near(36.8, -1.3, radius_km=250.0)
    assert first.support == near.per_class[0] and report.records_within == near.records
    assert report.taxa_within == 2 and report.level == near.level and not report.extrapolates
    assert report.nearest_km == near.nearest_km and report.radius_km == 250.0
    assert report.model == "tiny" and (report.lon, report.lat) == (36.8, -1.3)


def report_of(*rows: tuple[float, int], kind: str = "share", level: str = "good") -> PlaceReport:
    results = tuple(
        RankedTaxon(rank, f"Aba {rank}", "", value, None, support)
        for rank, (value, support) in enumerate(rows, start=1)
    )
    few = level == "none"
    return PlaceReport("m", 0.0, 0.0, kind, level, few, 99, 5, 1.0, 250.0, results)


def test_words_for_how_often_a_class_is_recorded():
    # By hand: before each stand 0, .4, .7, .85 and .93 of all recordings.
    rows = (0.4, 9), (0.3, 3), (0.15, 3), (0.08, 2), (0.07, 50)
    assert recorded_here(report_of(*rows)) == (OFTEN, OFTEN, SOMETIMES, UNKNOWN, RARELY)
    assert recorded_here(report_of((0.6, 2), (0.4, 3))) == (UNKNOWN, SOMETIMES)
    assert recorded_here(report_of(*rows, level="none")) == (UNKNOWN,) * 5
    assert recorded_here(report_of(*rows, kind="relative")) == ("",) * 5
    assert recorded_here(report_of()) == ()


def test_report_where_nobody_looked(model_dir):
    report = describe_place(load_model(model_dir), -150.0, 70.0)
    assert report.level == "none" and report.extrapolates
    assert len(report.results) == 6 and report.records_within == report.taxa_within == 0
    assert {line.support for line in report.results} == {0}


def test_report_without_support_says_that_it_is_not_known():
    report = describe_place(Constant(), 10.0, 50.0)
    assert report.level == "unknown" and not report.extrapolates and report.nearest_km is None
    assert report.records_within is None and report.results[0].support is None
    assert set(recorded_here(report)) <= {UNKNOWN, RARELY}


def test_equal_values_keep_the_order_of_the_classes():
    names = [line.taxon for line in describe_place(Constant(), 10.0, 50.0).results]
    assert names == [small.NAMES[k] for k in (1, 3, 0, 2, 4, 5)]


def test_relative_scores_have_no_lift():
    report = describe_place(Constant(kind="relative"), 10.0, 50.0)
    assert report.kind == "relative" and {line.lift for line in report.results} == {None}


def test_a_class_without_records_has_no_lift():
    model = DualEncoder(None, make_location_encoder("xyz", 4), dim=4, classes=["a", "b"])
    object.__setattr__(model.classes, "counts", (5, 0))
    lifts = {line.taxon: line.lift for line in describe_place(model, 10.0, 50.0).results}
    assert lifts["b"] is None and lifts["a"] > 0


def test_the_set_of_a_place(model_dir):
    model = load_model(model_dir)
    assert 0 < model.calibration.set_level < 1
    prior = location_prior(model, torch.tensor([[36.8, -1.3]]))[0]
    ordered = prior.sort(descending=True).values.double().tolist()
    want = 1
    while sum(ordered[:want]) <= model.calibration.set_level:
        want += 1
    report = describe_place(model, 36.8, -1.3, top=1)
    assert report.set_size == want and report.to_dict()["support"]["set_size"] == want


def test_no_set_where_none_was_fitted():
    assert describe_place(Constant(), 10.0, 50.0).set_size is None
    relative = Constant(kind="relative")
    relative.calibration = Calibration(set_level=0.9)
    assert describe_place(relative, 10.0, 50.0).set_size is None
    certain = Constant(row=(0.0, 1.0, 0.0, 0.0, 0.0, 0.0))
    certain.calibration = Calibration(set_level=0.9)
    assert describe_place(certain, 10.0, 50.0).set_size == 1


def test_the_level_of_sets_is_kept_and_may_be_missing(model_dir, tmp_path):
    model = load_model(model_dir)
    folder = save_model(model, tmp_path / "m")
    assert load_model(folder).calibration.set_level == model.calibration.set_level
    (folder / "calibration.json").write_text('{"temperature": 1.5}')
    assert load_model(folder).calibration == Calibration(temperature=1.5)
    for level in ('"high"', "-0.1", "1.5", "NaN", "[1]"):
        (folder / "calibration.json").write_text(f'{{"temperature": 1.5, "set_level": {level}}}')
        with pytest.raises(CheckpointError):
            load_model(folder)


def test_training_measures_its_sets(model_dir):
    sets = json.loads((model_dir / "metrics.json").read_text())["sets"]
    assert set(sets) == {"all", "Africa", "Europe", "Oceania"}
    assert 0.8 < sets["all"]["coverage"] <= 1 and 1 <= sets["all"]["mean_size"] <= 6
    assert sum(sets[name]["n"] for name in sets if name != "all") == sets["all"]["n"] == 60
    card = (model_dir / "README.md").read_text(encoding="utf-8")
    assert "Sets that hold the truth 9 times in 10" in card and "| Africa | " in card


def test_report_as_plain_values():
    values = describe_place(Constant(), 10.0, 50.0, top=1).to_dict()
    assert list(values) == ["model", "lon", "lat", "kind", "support", "results"]
    assert list(values["results"][0]) == [
        "rank", "taxon", "common_name", "value", "lift", "support"
    ]  # fmt: skip


@pytest.mark.parametrize("place", [(181.0, 0.0), (0.0, NAN), (-1.3, 136.8)])
def test_no_report_of_no_place(place):
    with pytest.raises(BadRecordError):
        describe_place(Constant(), *place)


# posterior

IMAGE = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]])
PLACE = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25]])


def test_posterior_is_the_normalised_product():
    for weight in (1.0, 0.3, 2.0):
        want = IMAGE * PLACE**weight
        got = posterior(IMAGE, PLACE, weight=weight)
        torch.testing.assert_close(got, want / want.sum(1, keepdim=True))


def test_weight_zero_is_the_image_alone():
    torch.testing.assert_close(posterior(IMAGE, PLACE, weight=0.0), IMAGE)


@pytest.mark.parametrize("unknown", [slice(None), slice(0, 1)])
def test_unknown_places_leave_the_image_alone(unknown):
    place = PLACE.clone()
    place[1, unknown] = NAN
    got = posterior(IMAGE, place)
    torch.testing.assert_close(got[1], IMAGE[1])
    torch.testing.assert_close(got[0], posterior(IMAGE, PLACE)[0])
    frequency = torch.tensor([0.2, 0.3, 0.5])
    torch.testing.assert_close(posterior(IMAGE, place, class_frequency=frequency)[1], IMAGE[1])


def test_class_frequency_is_divided_out():
    frequency = torch.tensor([0.2, 0.3, 0.5])
    want = IMAGE * (PLACE / frequency) ** 0.5
    got = posterior(IMAGE, PLACE, weight=0.5, class_frequency=frequency)
    torch.testing.assert_close(got, want / want.sum(1, keepdim=True))


def test_rows_sum_to_one_however_small_the_factors():
    image = torch.tensor([[1.0, 1e-30, 0.0]])
    place = torch.tensor([[0.0, 1e-20, 1.0]])
    got = posterior(image, place)
    assert got.sum().item() == pytest.approx(1.0, abs=1e-6) and got[0, 2] == 0
    tiny = posterior(torch.tensor([[1e-30, 3e-30]]), torch.tensor([[2e-30, 1e-30]]))
    torch.testing.assert_close(tiny, torch.tensor([[0.4, 0.6]]))


@pytest.mark.parametrize(
    ("image", "place", "weight"), [(IMAGE, PLACE[:1], 1.0), (IMAGE, PLACE, -1.0)]
)
def test_what_does_not_fit_is_refused(image, place, weight):
    with pytest.raises(ConfigError, match="equal shapes"):
        posterior(image, place, weight=weight)


def test_posterior_of_a_class_without_records():
    frequency = torch.tensor([0.0, 0.2, 0.8])
    even = torch.full((1, 3), 1 / 3)
    found = posterior(even, torch.tensor([[0.1, 0.2, 0.7]]), class_frequency=frequency)
    # Its frequency counts as that of the rarest class with records.
    want = torch.tensor([0.1 / 0.2, 0.2 / 0.2, 0.7 / 0.8])
    assert torch.allclose(found[0], want / want.sum())
    with pytest.raises(ConfigError, match="weight is nan"):
        posterior(even, even, weight=float("nan"))


# likely_swapped


@pytest.mark.parametrize(
    ("lonlat", "found"),
    [
        ((48.2, 16.4), (16.4, 48.2)),
        ((16.4, 48.2), None),
        # 9 are too few, but 60 there are not far more; here stand none, but only 40 there.
        ((30.0, 5.0), None),
        ((20.0, -10.0), None),
        # What lies near both says nothing, and no latitude is above 90.
        ((47.0, 49.0), None),
        ((120.0, 16.4), None),
    ],
)
def test_records_tell_that_valid_numbers_were_swapped(lonlat, found):
    counts = {(16.4, 48.2): 60, (5.0, 30.0): 60, (30.0, 5.0): 9, (-10.0, 20.0): 40,
              (49.0, 47.0): 60}  # fmt: skip
    places = torch.tensor([place for place, count in counts.items() for _ in range(count)])
    prior = Constant()
    prior.support = Support.from_records(places, torch.zeros(len(places), dtype=torch.int64), 6)
    assert likely_swapped(prior, *lonlat) == found


def test_without_support_nothing_tells_that_numbers_were_swapped():
    assert likely_swapped(Constant(), 48.2, 16.4) is None
