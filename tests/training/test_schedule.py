"""Which number decides the best epoch, and which way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from csp_core.errors import ConfigError
from csp_core.evaluation import MEASURES
from csp_core.location import make_location_encoder
from csp_core.model import DualEncoder
from csp_core.training.schedule import monitored

ROW = {"val_objective": 0.5, "val_mrr": 0.25, "val_log_loss": 2.0, "val_calibrated_log_loss": 1.5}
MODEL = DualEncoder(None, make_location_encoder("xyz", 4), dim=4, classes=["a", "b"])
PLACES = MEASURES["places"]


@pytest.mark.parametrize(
    ("choice", "want"),
    [("auto", 1.5), ("loss", 0.5), ("mrr", -0.25), ("log_loss", 2.0)],
)
def test_lower_is_better_whatever_is_chosen(choice, want):
    assert monitored(ROW, choice, MODEL, PLACES) == want


def test_a_measure_says_of_what_more_is_better():
    own = replace(PLACES, monitor=lambda model: "mean_ap", rising=frozenset({"mean_ap"}))
    assert monitored({"val_mean_ap": 0.9}, "auto", MODEL, own) == -0.9


def test_without_a_measure_the_objective_decides():
    assert monitored(ROW, "auto", MODEL, None) == 0.5
    with pytest.raises(ConfigError, match="monitor is 'top1', which is not measured"):
        monitored({"val_objective": 0.5}, "top1", MODEL, None)
