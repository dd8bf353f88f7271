"""Any classifier's answer, re-ranked: what moves, what does not, and how classes are matched."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.rerank import rerank
from csp_core.model import Calibration
from csp_core.model.combine import DOUBT

NAN = float("nan")
HERE = torch.tensor([[10.0, 50.0]])


class Table:
    """A prior that says the same everywhere, but for the date."""

    name, support, uses_date, uses_hour = "table", None, True, False

    def __init__(self, row, names=("Aus bus", "Cus dus", "Eus fus"), counts=(), kind="share"):
        self.row, self.prior_kind = torch.tensor(row), kind
        self.classes, self.asked = ClassTable(names, (), counts), []

    def prior(self, lonlat, date=None, hour=None):
        self.asked.append(date)
        return self.row.expand(len(lonlat), -1).clone()


def doubted(row, even):
    return [(1 - DOUBT) * p + DOUBT * q for p, q in zip(row, even, strict=True)]


def test_by_hand():
    found = rerank(torch.tensor([[0.5, 0.3, 0.2]]), HERE, model=Table([0.1, 0.6, 0.3]))
    prior = doubted([0.1, 0.6, 0.3], [1 / 3] * 3)
    want = [p * q for p, q in zip([0.5, 0.3, 0.2], prior, strict=True)]
    assert found.probs[0].tolist() == pytest.approx([w / sum(want) for w in want], rel=1e-5)
    assert found.prior[0].tolist() == pytest.approx(prior, rel=1e-5)
    assert found.weight == 1.0 and found.unmatched == ()


def test_nothing_becomes_impossible():
    found = rerank(torch.tensor([[0.9, 0.1, 0.0]]), HERE, model=Table([0.0, 1.0, 0.0]))
    assert 0 < found.probs[0, 0] < 0.9 and found.probs[0, 2] == 0
    # The odds against move by no more than the doubt allows.
    even = 1 / 3 * DOUBT
    assert found.probs[0, 0] / found.probs[0, 1] == pytest.approx(
        9 * even / (1 - DOUBT + even), rel=1e-4
    )


def test_unknown_classes_keep_what_they_have():
    names = ["eus FUS ", "Nobody known", "aus bus", "Nor this"]
    probs = torch.tensor([[0.2, 0.3, 0.4, 0.1]])
    found = rerank(probs, HERE, model=Table([0.1, 0.6, 0.3]), names=names)
    assert found.probs[0, [1, 3]].tolist() == pytest.approx([0.3, 0.1])
    assert found.probs.sum().item() == pytest.approx(1)
    assert found.matched == ("eus FUS", "aus bus") and found.unmatched == (names[1], names[3])
    assert found.prior[0, [1, 3]].isnan().all() and found.prior[0, 0] > found.prior[0, 2]
    assert found.probs[0, 0] > 0.2 and found.probs[0, 2] < 0.4
    assert str(found).startswith("table knows 2 of 4 classes; untouched by the place: Nobody known")


def test_without_a_place_nothing_moves():
    probs = torch.tensor([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    places = torch.tensor([[NAN, NAN], [10.0, 50.0]])
    found = rerank(probs, places, model=Table([0.1, 0.6, 0.3]), date=torch.tensor([0.1, 0.7]))
    assert torch.equal(found.probs[0], probs[0]) and found.prior[0].isnan().all()
    assert found.probs[1].argmax() == 1


def test_dates_go_with_their_places():
    model = Table([0.1, 0.6, 0.3])
    places = torch.tensor([[NAN, NAN], [10.0, 50.0]])
    rerank(torch.ones(2, 3), places, model=model, date=torch.tensor([0.25, 0.75]))
    assert [date.tolist() for date in model.asked] == [[0.75]]


def test_weight_and_division_are_those_of_the_model_unless_given():
    model = Table([0.1, 0.6, 0.3], counts=(1, 6, 3))
    model.calibration = Calibration(place_weight=0.5, divide_frequency=True)
    probs = torch.tensor([[0.5, 0.3, 0.2]])
    prior = doubted([0.1, 0.6, 0.3], [0.5 * f + 1 / 6 for f in (0.1, 0.6, 0.3)])
    lift = [(p / f) ** 0.5 for p, f in zip(prior, (0.1, 0.6, 0.3), strict=True)]
    want = [p * q for p, q in zip([0.5, 0.3, 0.2], lift, strict=True)]
    found = rerank(probs, HERE, model=model)
    assert found.weight == 0.5
    assert found.probs[0].tolist() == pytest.approx([w / sum(want) for w in want], rel=1e-5)
    still = rerank(probs, HERE, model=model, weight=0.0)
    assert still.probs[0].tolist() == pytest.approx([0.5, 0.3, 0.2])


def test_relative_scores_keep_their_order():
    model = Table([0.0, 0.9, 0.4], kind="relative")
    found = rerank(torch.full((1, 3), 1 / 3), HERE, model=model)
    want = [DOUBT, 0.9 * (1 - DOUBT) + DOUBT, 0.4 * (1 - DOUBT) + DOUBT]
    assert found.probs[0].tolist() == pytest.approx([w / sum(want) for w in want], rel=1e-5)


def test_known_classes_without_a_share_stay_without():
    found = rerank(torch.tensor([[0.0, 1.0]]), HERE, model=Table([0.1, 0.6, 0.3]),
                   names=["Aus bus", "Nobody"])  # fmt: skip
    assert found.probs[0].tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("probs", "options", "error", "says"),
    [
        ([[0.5, 0.5]], {}, ConfigError, "2 classes and there are 3 names"),
        ([[1.0, 1.0, -1.0]], {}, BadRecordError, "softmax"),
        ([[0.0, 0.0, 0.0]], {}, BadRecordError, "above 0"),
        ([[NAN, 0.0, 1.0]], {}, BadRecordError, "finite"),
        ([0.5, 0.3, 0.2], {}, BadRecordError, "shape"),
        ([[0.5, 0.5]], {"names": ["x", "y"]}, ConfigError, "knows none of the 2 classes"),
        ([[0.5, 0.5]], {"names": ["x y Brehm, 1831", "z"]}, ConfigError, "'Aus bus', without auth"),
        ([[0.5, 0.5]], {"names": ["X (y) z", "z"]}, ConfigError, "without author or subspecies"),
        ([[0.5, 0.5]], {"names": ["Aus bus", None]}, ConfigError, r"names\[1\] is None"),
        ([[0.5, 0.3, 0.2]], {"model": "birds"}, ConfigError, r"str 'birds'; give load_model\('bi"),
        ([[0.5, 0.3, 0.2]], {"model": Path("a")}, ConfigError, "path 'a'; give load_model"),
        ([[0.5, 0.3, 0.2]], {"model": None}, ConfigError, "type NoneType; give what load_model"),
        ([[0.5, 0.3, 0.2]], {"date": ["May"]}, BadRecordError, "date must be numbers"),
        ([[0.5, 0.3, 0.2]], {"weight": -1.0}, ConfigError, "weight"),
        ([[0.5, 0.3, 0.2]], {"weight": NAN}, ConfigError, "weight is nan"),
        ([[0.5, 0.3, 0.2]], {"date": torch.zeros(2)}, BadRecordError, "2 dates for 1 pictures"),
        ([[0.5, 0.3, 0.2]], {"weight": NAN}, ConfigError, "weight is nan"),
        ([[0.5, 0.3, 0.2]], {"date": torch.zeros(2)}, BadRecordError, "2 dates for 1 pictures"),
    ],
)
def test_what_does_not_fit(probs, options, error, says):
    with pytest.raises(error, match=says):
        rerank(torch.tensor(probs), HERE, **{"model": Table([0.1, 0.6, 0.3])} | options)


@pytest.mark.parametrize("names", [["American Black Bear", "x"], ["Ursus americanus", "x"]])
def test_names_without_author_are_not_told_to_drop_it(names):
    with pytest.raises(ConfigError, match=r"such as 'Aus bus'\.$"):
        rerank([[0.5, 0.5]], HERE, model=Table([0.1, 0.6, 0.3]), names=names)


@pytest.mark.parametrize("form", ["lists", "arrays", "fixed arrays", "whole numbers"])
def test_numbers_of_any_form(form):
    rows, places, dates = [[5, 3, 2], [5, 3, 2]], [[10.0, 50.0], [None, None]], [0.25, None]
    if "arrays" in form:
        rows, places, dates = (np.array(part, dtype=float) for part in (rows, places, dates))
        for part in (rows, places, dates):
            part.flags.writeable = form == "arrays"
    if form == "whole numbers":
        rows, dates = torch.tensor(rows), (0, 0)
    model = Table([0.1, 0.6, 0.3])
    found = rerank(rows, places, model=model, date=dates)
    here = rerank(torch.tensor([[0.5, 0.3, 0.2]]), HERE, model=Table([0.1, 0.6, 0.3]))
    torch.testing.assert_close(found.probs[:1], here.probs)
    assert found.probs[1].tolist() == pytest.approx([0.5, 0.3, 0.2]) and len(model.asked) == 1


@pytest.mark.parametrize(
    ("probs", "lonlat", "says"),
    [
        ([[0.5, 0.5, 0.0], [1.0]], [[10, 50]], "probs must be numbers"),
        ([[0.5, 0.5, 0.0]], [["east", "north"]], "lonlat must be numbers"),
    ],
)
def test_what_is_no_number(probs, lonlat, says):
    with pytest.raises(BadRecordError, match=says):
        rerank(probs, lonlat, model=Table([0.1, 0.6, 0.3]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a second device")
def test_probabilities_may_lie_on_another_device():
    probs, date = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([0.5])
    model = Table([0.1, 0.6, 0.3])
    want = rerank(probs, HERE, model=model, date=date)
    for place in (HERE, HERE.cuda()):
        found = rerank(probs.cuda(), place, model=model, date=date.cuda())
        torch.testing.assert_close(found.probs, want.probs)


def test_a_row_need_not_sum_to_one():
    found = rerank(torch.tensor([[5.0, 3.0, 2.0]]), HERE, model=Table([1 / 3] * 3))
    assert found.probs[0].tolist() == pytest.approx([0.5, 0.3, 0.2], rel=1e-5)
    assert math.isclose(found.probs.sum().item(), 1, rel_tol=1e-6)


def test_a_class_without_training_records_does_not_win_everywhere():
    model = Table([0.0001, 0.6, 0.3999], counts=(0, 60, 40))
    model.calibration = Calibration(divide_frequency=True)
    found = rerank(torch.tensor([[0.01, 0.5, 0.49]]), HERE, model=model)
    assert found.probs[0, 0] < 0.01 and found.probs.argmax() == 1


def test_a_model_that_ranks_no_classes():
    with pytest.raises(ConfigError, match="ranks no classes"):
        rerank(torch.ones(1, 2), HERE, model=Table([], names=()), names=["a", "b"])
