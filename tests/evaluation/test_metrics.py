"""The metrics, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from csp_core.data.records import ClassTable, RecordDataset
from csp_core.errors import BadRecordError
from csp_core.evaluation import compute_metrics, evaluate, mid_ranks

NAN = float("nan")


class Table:
    """A prior that reads its rows from a list, by longitude."""

    name, prior_kind, support, uses_date = "table", "share", None, True

    def __init__(self, rows, names, counts=()):
        self.rows, self.classes = torch.tensor(rows), ClassTable(names, (), counts)
        self.dates = []

    def prior(self, lonlat, date=None):
        self.dates += date.tolist()
        return self.rows[lonlat[:, 0].long()]


def records(labels, names, lon=None, **more):
    lon = torch.arange(len(labels)) if lon is None else torch.tensor(lon)
    lonlat = torch.stack((lon.float(), torch.full((len(labels),), 50.0)), dim=1)
    return RecordDataset(lonlat, torch.tensor(labels).long(), ClassTable(names), **more)


def test_mid_ranks():
    scores = torch.tensor(
        [[0.4, 0.3, 0.2, 0.1], [0.25, 0.25, 0.25, 0.25], [0.1, 0.4, 0.4, 0.1], [0.0, 0.0, 1.0, 0.0]]
    )
    assert mid_ranks(scores, torch.tensor([2, 0, 1, 0])).tolist() == [3.0, 2.5, 1.5, 3.0]


def test_ties_help_nobody():
    # All classes equal: neither first in the list nor last, the truth stands in the middle.
    metrics = compute_metrics(torch.full((7, 7), 1 / 7), torch.arange(7))
    assert metrics.top1 == metrics.top3 == 0.0 and metrics.top5 == 1.0
    assert metrics.mrr == pytest.approx(1 / 4)


def test_metrics_by_hand():
    prior = torch.tensor(
        [
            [0.50, 0.20, 0.10, 0.08, 0.07, 0.05],  # truth 0: rank 1
            [0.50, 0.20, 0.10, 0.08, 0.07, 0.05],  # truth 0: rank 1
            [0.50, 0.20, 0.10, 0.08, 0.07, 0.05],  # truth 5: rank 6
            [0.05, 0.07, 0.08, 0.10, 0.20, 0.50],  # truth 5: rank 1
            [0.05, 0.07, 0.08, 0.10, 0.20, 0.50],  # truth 3: rank 3
        ]
    )
    metrics = compute_metrics(prior, torch.tensor([0, 0, 5, 5, 3]), unmatched=4)
    assert metrics.top1 == pytest.approx(3 / 5)
    assert metrics.top3 == metrics.top5 == pytest.approx(4 / 5)
    assert metrics.mrr == pytest.approx((1 + 1 + 1 / 6 + 1 + 1 / 3) / 5)
    # Class 0: 2 of 2, class 5: 1 of 2, class 3: 1 of 1; absent classes do not count.
    assert metrics.macro_top5 == pytest.approx((1 + 1 / 2 + 1) / 3)
    truths = (0.5, 0.5, 0.05, 0.5, 0.1)
    assert metrics.log_loss == pytest.approx(-sum(map(math.log, truths)) / 5, rel=1e-6)
    assert metrics.ece == pytest.approx(abs(3 / 5 - 0.5), abs=1e-6)
    assert (metrics.n, metrics.unmatched) == (5, 4)
    assert list(metrics.to_dict()) == [
        "top1", "top3", "top5", "mrr", "macro_top5", "log_loss", "ece", "n", "unmatched"
    ]  # fmt: skip


def test_ece_is_weighted_over_its_bins():
    # Confidence 0.9 right 1 of 2, confidence 0.6 right 2 of 2.
    prior = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4]])
    metrics = compute_metrics(prior, torch.tensor([0, 1, 0, 0]))
    assert metrics.ece == pytest.approx(0.5 * abs(0.5 - 0.9) + 0.5 * abs(1 - 0.6), abs=1e-6)


def test_relative_scores_are_normalised_for_the_log_loss():
    metrics = compute_metrics(torch.tensor([[0.9, 0.6]]), torch.tensor([1]))
    assert metrics.log_loss == pytest.approx(-math.log(0.6 / 1.5), rel=1e-6)


def test_a_share_of_zero_costs_a_lot_but_not_everything():
    assert compute_metrics(torch.tensor([[1.0, 0.0]]), torch.tensor([1])).log_loss == pytest.approx(
        50.0
    )


def test_one_class_alone():
    metrics = compute_metrics(torch.ones(3, 1), torch.zeros(3).long())
    assert metrics.top1 == 1 and metrics.ece == 0 and metrics.log_loss == 0


def test_classes_match_by_scientific_name_in_any_case():
    model = Table([[0.7, 0.2, 0.1]] * 4, ("Aus bus", "Cus dus", "Eus fus"))
    metrics = evaluate(model, records([0, 1, 2, 0], ("CUS DUS", "aus bus", "Zus zus")))
    assert (metrics.n, metrics.unmatched) == (3, 1)
    assert metrics.mrr == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)


def test_records_without_label_or_place_are_counted():
    model = Table([[0.7, 0.3]] * 4, ("a", "b"))
    metrics = evaluate(model, records([0, -1, 0, 1], ("a", "b"), lon=[0.0, 1.0, NAN, 3.0]))
    assert (metrics.n, metrics.unmatched) == (2, 2) and metrics.top1 == 0.5


def test_dates_go_with_their_records():
    model = Table([[0.7, 0.3]] * 3, ("a", "b"))
    data = records([0, -1, 1], ("a", "b"), date=torch.tensor([0.125, 0.25, 0.5]))
    evaluate(model, data)
    assert model.dates == [0.125, 0.5]


def test_without_the_place_the_class_frequency_answers():
    model = Table([[0.0, 1.0]] * 2, ("a", "b"), (3, 1))
    metrics = evaluate(model, records([0, 1], ("a", "b")), prior=False)
    assert metrics.log_loss == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2)


@pytest.mark.parametrize(
    "data",
    [records([0, 0], ("Zus zus",)), records([-1], ("a",)), records([], ("a",)), records([-1], ())],
)
def test_nothing_to_evaluate(data):
    model = Table([[0.7, 0.3]] * 2, ("a", "b"))
    with pytest.raises(BadRecordError, match=rf"No record is left to evaluate \({len(data)} had"):
        evaluate(model, data)
    with pytest.raises(BadRecordError, match="No record is left"):
        evaluate(model, data, prior=False)
