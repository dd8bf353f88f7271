"""Estimates end in time: with their answer, their limit, their session or their server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from jobs import estimate
from jobs.estimate import Trial

ENDLESS = "import time; time.sleep(60)"


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def trial(home: Path, code: str = ENDLESS, is_there: Callable[[], bool] = lambda: True) -> Trial:
    home.mkdir()
    with (home / "answer").open("wb") as answer, (home / "said").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=answer, stderr=said)
    return Trial("", process, home, is_there)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "WATCH", 0.02)
    monkeypatch.setattr(estimate, "GONE", 0.2)


def test_one_whose_session_has_left_ends_though_nobody_looks(tmp_path: Path) -> None:
    left, stays = trial(tmp_path / "left", is_there=lambda: False), trial(tmp_path / "stays")
    wait_until(lambda: left.found is not None and not left.home.exists())
    assert left.process.poll() is not None and "ended before" in str(left.look())
    assert stays.look() is None and stays.process.poll() is None
    stays.end()


def test_one_that_takes_too_long_ends_though_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimate, "SECONDS", 0.1)
    slow = trial(tmp_path / "slow")
    wait_until(lambda: slow.found is not None and not slow.home.exists())
    assert slow.process.poll() is not None and "No answer within" in str(slow.found)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("print('{\"total_steps\": 3}')", {"total_steps": 3}),
        ("print('[' * 10**5)", "The answer cannot be read"),
        ("print(3)", "The answer is no estimate."),
        ("raise SystemExit('Error: no such file')", "no such file"),
    ],
)
def test_an_answer_is_kept_when_its_files_are_gone(
    tmp_path: Path, code: str, found: object
) -> None:
    done = trial(tmp_path / "done", code)
    wait_until(lambda: done.found is not None and not done.home.exists())
    assert done.look() == found or str(done.look()).startswith(str(found))
    done.end()
    assert done.look() == done.found


def test_one_whose_folder_was_removed_says_so(tmp_path: Path) -> None:
    odd = trial(tmp_path / "odd", "import sys; sys.stdin.read()")
    # Its thread looks at any time, so its files go before it does.
    with odd._lock:
        for file in odd.home.iterdir():
            file.unlink()
        odd.process.kill()
        odd.process.wait()
    assert "cannot be read" in str(odd.look())


def test_a_server_that_ends_leaves_none_behind(tmp_path: Path) -> None:
    code = f"""
import subprocess, sys
from pathlib import Path
from jobs.estimate import Trial
process = subprocess.Popen([sys.executable, "-c", {ENDLESS!r}])
print(process.pid)
Trial("", process, Path({str(tmp_path / "x")!r}))
"""
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not psutil.pid_exists(int(said.stdout))
