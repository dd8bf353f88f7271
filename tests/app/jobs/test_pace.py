"""How often a page asks anew for runs under way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from csp_core.runs import RunDir
from csp_core.runs.jobs import Job
from jobs import listing


def job(folder: Path, state: str = "running", **fields: Any) -> Job:
    return Job(folder, state, fields)


@pytest.mark.parametrize(
    ("left", "was", "pace"),
    [
        (20.0, None, 2.0),
        (200.0, None, 5.0),
        (200.0, 5.0, 5.0),
        (200.0, 2.0, 2.0),  # a border that is crossed both ways draws the page each time
        (240.0, 2.0, 5.0),
        (170.0, 5.0, 2.0),
        (1e9, 5.0, 10.0),
    ],
)
def test_what_lasts_long_is_asked_for_seldom(
    tmp_path: Path, left: float, was: float | None, pace: float
) -> None:
    assert listing.pace([job(tmp_path, seconds_left=left)], was) == pace


def test_the_run_that_changes_first_decides(tmp_path: Path) -> None:
    slow, quick = job(tmp_path, seconds_left=1e5), job(tmp_path, seconds_left=9.0)
    over = job(tmp_path, "finished", seconds_left=0.0)
    assert listing.pace([slow, quick, over]) == 2.0
    assert listing.pace([over]) is None and listing.pace([]) is None


def test_one_that_was_asked_to_stop_is_looked_at_often(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run").create()
    run.stop_file.touch()
    assert listing.pace([job(run.path, seconds_left=1e5)]) == 2.0


def test_one_that_waits_is_soon_asked_for_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing.time, "time", lambda: 1000.0)
    waits = job(tmp_path, "queued", pid_started=990.0, seconds_left=None)
    assert listing.pace([waits]) == 2.0
    assert listing.pace([job(tmp_path, "queued", pid_started=900.0)]) == 5.0
