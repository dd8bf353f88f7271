"""The line on how well a place is recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from csp_core.inference import describe_place
from csp_core.store import list_models, load_model
from shared import widgets


@pytest.mark.parametrize("counted", [True, False])
def test_weeks_that_change_nothing_are_told_with_counts_and_without(monkeypatch, counted):
    info = next(one for one in list_models() if one.name == "birds")
    report = describe_place(load_model("birds"), 36.8, -1.3)
    report = replace(report, records_within=report.records_within if counted else None)
    shown = []
    monkeypatch.setattr(widgets.st, "markdown", lambda text, **_: shown.append(text))
    for seasonless in (True, False, None):
        widgets.support_line(replace(report, seasonless=seasonless), info)
    assert ["week changes" in text for text in shown] == [True, False, False]
    shown.clear()
    for inland in (True, False):
        widgets.support_line(replace(report, seasonless=True, inland_ice=inland), info)
    assert ["inland ice" in text for text in shown] == [True, False]
    assert all("week changes" in text for text in shown)
