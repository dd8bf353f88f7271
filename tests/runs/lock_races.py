"""Races for the lock of a run whose holder was killed: does anybody hold it together with another?

``python tests/runs/lock_races.py --trials 1000`` in the repository's folder prints the counts.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

# Each contender waits for its trial's line, so that all begin together. Who holds the run tells of
# itself, stays until all have tried, and looks whether another is inside.
CONTENDER = """
import os, signal, sys
from pathlib import Path
from csp_core.errors import CheckpointError
from csp_core.runs import RunDir

for line in sys.stdin:
    run, dies = line.split()
    inside = Path(run) / "inside"
    try:
        with RunDir(Path(run)).lock():
            (inside / str(os.getpid())).touch()
            print("held", flush=True)
            if sys.stdin.readline().strip() == "die":
                os.kill(os.getpid(), signal.SIGKILL)
    except CheckpointError:
        print("refused", flush=True)
        sys.stdin.readline()
"""


def race(folder: Path, *, trials: int, contenders: int) -> dict[str, int]:
    """Let processes race, each time for a run whose last holder was killed.

    Args:
        folder: Where the runs shall be.
        trials: How many races.
        contenders: How many processes in each.

    Returns:
        The trials, and in how many two held the run or nobody did.
    """
    counts = {"trials": trials, "two holders": 0, "no holder": 0}
    racers = [_start() for _ in range(contenders)]
    try:
        for trial in range(trials):
            run = folder / str(trial)
            (run / "inside").mkdir(parents=True)
            (run / "control").mkdir()
            _leave_behind(run)
            said = _ask(racers, f"{run} x")
            holders = len(list((run / "inside").iterdir()))
            assert holders == said.count("held")
            counts["two holders"] += holders > 1
            counts["no holder"] += holders == 0
            # One in ten holders is killed, and the race goes on for the same run.
            if trial % 10 == 0 and holders == 1:
                winner = racers[said.index("held")]
                for racer in racers:
                    _say(racer, "die" if racer is winner else "go on")
                with winner:
                    assert winner.wait(60) == -signal.SIGKILL
                racers.remove(winner)
                again = _ask(racers, f"{run} x")
                counts["two holders"] += again.count("held") > 1
                counts["no holder"] += again.count("held") == 0
                racers.append(_start())
                for racer in racers[:-1]:
                    _say(racer, "go on")
            else:
                for racer in racers:
                    _say(racer, "go on")
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    return counts


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CONTENDER]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1)


def _say(racer: subprocess.Popen[str], line: str) -> None:
    assert racer.stdin is not None
    racer.stdin.write(f"{line}\n")
    racer.stdin.flush()


def _ask(racers: list[subprocess.Popen[str]], line: str) -> list[str]:
    for racer in racers:
        _say(racer, line)
    return [str(racer.stdout.readline()).strip() for racer in racers if racer.stdout]


def _leave_behind(run: Path) -> None:
    """Leave what a killed holder leaves: a note of a process that is gone."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    note = {"pid": pid, "pid_started": 1.0, "host": os.uname().nodename}
    (run / "control" / "lock").write_text(json.dumps(note))


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--contenders", type=int, default=6)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(race(Path(folder), trials=options.trials, contenders=options.contenders))


if __name__ == "__main__":
    main()
