"""Tables made of cells: each is run once, rows are paired by draw, and what lacks is told."""

from __future__ import annotations

import importlib
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
ROWS, COLUMNS = ("plain", "knows", "shuffled"), ("10 labels", "40 labels")
# A benchmark of its own, as worker processes have to find its function in a file.
SCRIPT = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from stssl_common import Cell, run_cells
from stssl_tables import missing_list

def work(cell):
    if cell.row == "bad":
        raise RuntimeError("no such row")
    if cell.row == "killed":
        os.kill(os.getpid(), 9)
    return {"process": os.getpid(), "top1": cell.draw}

if __name__ == "__main__":
    cells = [Cell(row, "10", draw, {}) for row in ("good", "bad") for draw in range(2)]
    outcome = run_cells(cells, work, Path(sys.argv[2]), workers=2)
    own = {int(told["process"]) for told in outcome.found.values()}
    assert os.getpid() not in own, own
    print(missing_list(outcome))
    run_cells([Cell("killed", "10", 0, {})], work, Path(sys.argv[2]), workers=2)
"""


@pytest.fixture
def common(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("stssl_common")


@pytest.fixture
def tables(common):
    return importlib.import_module("stssl_tables")


def cells_of(common, draws=3, rows=ROWS):
    return [
        common.Cell(row, column, draw, {"steps": 10})
        for row, column, draw in itertools.product(rows, COLUMNS, range(draws))
    ]


def told(cell):
    base = 0.5 + 0.1 * cell.draw + (0.2 if cell.column == "40 labels" else 0)
    gain = {"plain": 0.0, "knows": 0.05 + 0.01 * cell.draw, "shuffled": 0.01 * (cell.draw - 1)}
    extra = {} if cell.row == "plain" else {"kept": 0.3}
    return {"top1": base + gain[cell.row], **extra}


def test_a_cell_is_run_once_and_the_first_draws_come_first(common, tmp_path):
    seen = []

    def work(cell):
        seen.append(cell)
        return told(cell)

    cells = cells_of(common)
    first = common.run_cells(cells[:4], work, tmp_path)
    assert len(seen) == 4 and not first.missing
    whole = common.run_cells(cells, work, tmp_path)
    assert len(seen) == len(cells) == len(set(seen)) and not whole.missing
    assert [cell.draw for cell in seen[4:]] == sorted(cell.draw for cell in seen[4:])
    again = common.run_cells(cells, work, tmp_path)
    assert len(seen) == len(cells) and again.found == whole.found
    file = json.loads((tmp_path / cells[0].file).read_text(encoding="utf-8"))
    assert file["row"] == "plain" and file["settings"] == {"steps": 10} and file["seconds"] >= 0
    other = common.Cell("plain", "10 labels", 0, {"steps": 20})
    assert other.file != cells[0].file and common.read_cell(other, tmp_path) is None
    with pytest.raises(ValueError, match="same row, column and draw"):
        common.run_cells([cells[0], other], work, tmp_path)


def test_what_fails_or_finds_no_time_is_told_and_tried_again(common, tables, tmp_path):
    def work(cell):
        if cell.row == "knows" and cell.draw == 1:
            raise RuntimeError("no memory")
        return {"top1": math.nan} if cell.row == "shuffled" else told(cell)

    cells = cells_of(common, rows=("plain", "knows", "shuffled"))
    outcome = common.run_cells(cells, work, tmp_path)
    assert len(outcome.found) == 10 and len(outcome.missing) == 8
    text = tables.missing_list(outcome)
    assert "- knows, 10 labels: draw 1 (RuntimeError: no memory)" in text
    assert "- shuffled, 40 labels: draws 0, 1, 2 (ValueError: no finite number: top1)" in text
    late = common.run_cells(cells, told, tmp_path, seconds=0)
    assert len(late.missing) == 8 and not late.failed
    there = common.run_cells(cells, told, tmp_path, tables_only=True)
    assert there.found == outcome.found
    assert "- knows, 10 labels: draw 1\n" in tables.missing_list(there)
    whole = common.run_cells(cells, told, tmp_path)
    assert tables.missing_list(whole) == "Everything was run."


def test_intervals_resample_draws(tables):
    values = [1.0, 2.0, 4.0]
    means = [np.mean(some) for some in itertools.product(values, repeat=3)]
    expected = np.quantile(means, (0.025, 0.975))
    assert tables.interval(values) == pytest.approx((7 / 3, *expected))
    assert tables.interval([2.0]) == (2.0, -math.inf, math.inf)
    many = np.random.default_rng(1).normal(3, 1, size=100).tolist()
    middle, low, high = tables.interval(many)
    error = np.std(many, ddof=1) / 10
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert low < middle < high and tables.interval(many) == (middle, low, high)
    assert tables.told_interval([1.0, 2.0]).startswith("**+1.5** [+1.0, +2.0] (2)")
    assert tables.told_interval([-1.0, 2.0]).startswith("+0.5 [")
    assert tables.told_interval([1.0]) == "+1.0 (1)" and tables.told_interval([]) == "not run"


def test_tables_pair_the_draws_that_both_rows_have(common, tables, tmp_path):
    cells = cells_of(common, draws=4)
    cells = [c for c in cells if c.key[:2] != ("shuffled", "10 labels")]
    ran = [c for c in cells if c.draw < 3 and c.key != ("knows", "40 labels", 2)]
    common.run_cells(ran, told, tmp_path)
    outcome = common.run_cells(cells, told, tmp_path, tables_only=True)
    pairs = tables.differences(outcome.found, "knows", "plain", ["10 labels"], "top1")
    assert pairs == pytest.approx([0.05, 0.06, 0.07])
    both = tables.differences(outcome.found, "knows", "plain", list(COLUMNS), "top1")
    assert both == pytest.approx([0.05, 0.06])

    table = tables.measure_table(outcome, "top1", title="top-1, %")
    lines = table.splitlines()
    assert lines[0] == "| top-1, % | 10 labels | 40 labels |"
    assert lines[2] == "| plain | 60.0 ± 10.0 (3) | 80.0 ± 10.0 (3) |"
    assert lines[4].startswith("| shuffled | n/a | 80.0 ± 11.0 (3)")
    kept = tables.measure_table(outcome, "kept", title="kept, %").splitlines()
    assert [line.split(" | ")[0] for line in kept[2:]] == ["| knows", "| shuffled"]

    text, data = tables.difference_table(outcome, "top1", other="plain")
    assert text.splitlines()[0] == "| less *plain* | 10 labels | 40 labels | all |"
    assert "| knows | **+6.0** [+5.2, +6.8] (3) | **+5.5** [+5.0, +6.0] (2) |" in text
    assert "| shuffled | n/a | +0.0 [-0.8, +0.8] (3) | n/a |" in text
    assert data["knows − plain, all"]["draws"] == pytest.approx([5, 6])
    found = tables.numbers(outcome)
    assert found["cells"]["plain"]["10 labels"]["1"]["top1"] == pytest.approx(0.6)
    assert ["knows", "40 labels", 2] in found["missing"] and json.dumps(found, allow_nan=False)
    none = common.Outcome(tuple(cells))
    assert "not run" in tables.measure_table(none, "top1", title="top-1")
    assert "not run" in tables.difference_table(none, "top1", other="plain")[0]


def test_cells_run_in_processes_of_their_own(tmp_path):
    script = tmp_path / "made_of_cells.py"
    script.write_text(SCRIPT, encoding="utf-8")
    places = os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent)])

    command = [sys.executable, str(script), str(BENCHMARKS), str(tmp_path / "cells")]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "- bad, 10: draws 0, 1 (RuntimeError: no such row)" in done.stdout, done.stderr
    assert len(list((tmp_path / "cells").glob("*.json"))) == 2
    assert done.returncode == 1 and "A worker was killed; the same command goes on" in done.stderr
