"""Sweeps: every cell once, interrupted ones go on, failures are told, one table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml

from csp_core.config import RunConfig, load_config
from csp_core.data import load_dataset
from csp_core.errors import ConfigError, DataNotFoundError
from csp_core.evaluation import evaluate
from csp_core.files import hash_file
from csp_core.runs import RunDir
from csp_core.store import load_model
from csp_core.training import train
from csp_core.training.sweep import run_sweep
from csp_core.training.sweep.cells import load_sweep, make_cells
from csp_core.training.sweep.table import markdown_table
from tests import small

GRID = {"training.learning_rate": [0.001, 0.02], "seed": [0, 1]}


def run_cell(config: RunConfig, folder, resume):
    train(config, run_dir=folder, resume=resume)


@pytest.fixture
def write(records_csv, tmp_path):
    """Write a base and a sweep, and read the sweep."""

    def save(grid=None, base=None, **keys):
        data = {"val_fraction": 0.2, "test_fraction": 0.2}
        tree = small.tree(records_csv, training={"epochs": 1}, data=data)
        (tmp_path / "base.yaml").write_text(yaml.safe_dump(tree | (base or {})))
        path = tmp_path / "lr.yaml"
        sweep = {"base": "base.yaml", "grid": grid or GRID} | keys
        path.write_text(yaml.safe_dump(sweep, sort_keys=False))
        return path

    return save


def states(rows):
    return [row["state"] for row in rows]


def weights(folder, rows):
    return [hash_file(folder / row["run"] / "model" / "model.safetensors") for row in rows]


def test_every_combination_is_a_run(write, tmp_path, records_csv):
    sweep = load_sweep(write(evaluate=["val", "test"]))
    told = []
    rows = run_sweep(sweep, tmp_path / "out", train=run_cell, say=told.append)
    assert states(rows) == ["finished"] * 4
    assert [row["values"] for row in rows] == [
        {"training.learning_rate": rate, "seed": seed} for rate in (0.001, 0.02) for seed in (0, 1)
    ]
    assert len(set(weights(tmp_path / "out", rows))) == 4
    assert told[1].startswith("[2/4] learning_rate=0.001, seed=1: finished")
    for row in rows:
        folder = tmp_path / "out" / row["run"]
        config = load_config(RunDir(folder).config)
        assert config.training.learning_rate == row["values"]["training.learning_rate"]
        for split in ("val", "test"):
            options = {"val_fraction": 0.2, "test_fraction": 0.2, "split_method": "random"}
            records = load_dataset("occurrences", split, root=records_csv, **options)
            want = evaluate(load_model(folder), records).to_dict()
            assert row[split] == pytest.approx(want), split
        history = RunDir(folder).read_metrics()
        assert row["val_objective"] == min(line["val_objective"] for line in history)


def test_models_of_images_alone_are_measured(write, tmp_path):
    base = {
        "data": {"name": "demo", "size": 150, "features": True},
        "model": {"location": None, "image": {"name": "features", "dim": 147}},
        "objective": {"name": "image_softmax", "sides": ["image"]},
    }
    base["data"] |= {"val_fraction": 0.2, "test_fraction": 0.2}
    sweep = load_sweep(write({"seed": [0]}, base, evaluate=["val", "test"]))
    (row,) = run_sweep(sweep, tmp_path / "out", train=run_cell)
    metrics = json.loads((RunDir(tmp_path / "out" / row["run"]).model / "metrics.json").read_text())
    for split in ("val", "test"):
        assert row[split] == pytest.approx(metrics[split])
    assert f"{row['val']['mrr']:.4g}" in (tmp_path / "out" / "table.md").read_text()


def test_the_tables(write, tmp_path):
    sweep = load_sweep(write(evaluate=["test"]))
    out = tmp_path / "out"
    rows = run_sweep(sweep, out, train=run_cell)
    assert json.loads((out / "table.json").read_text()) == json.loads(json.dumps(rows))
    with (out / "table.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [float(line["training.learning_rate"]) for line in lines] == [0.001, 0.001, 0.02, 0.02]
    assert float(lines[3]["test mrr"]) == rows[3]["test"]["mrr"]
    page = (out / "table.md").read_text()
    assert page.startswith(
        "| learning_rate | seed | state | epoch | seconds | val_objective | test"
    )
    assert "| 0.02 | 1 | finished |" in page
    assert "Means over seeds:\n\n| learning_rate | seeds |" in page and " ± " in page
    best = min(rows, key=lambda row: row["val_objective"])["values"]
    assert f"Best by val_objective: learning_rate={best['training.learning_rate']}, seed=" in page
    assert sorted(p.name for p in out.iterdir() if p.is_file()) == [
        "table.csv", "table.json", "table.md"
    ]  # fmt: skip


def test_finished_cells_are_passed_over(write, tmp_path):
    path, calls = write(), []

    def counted(config, folder, resume):
        calls.append(folder)
        run_cell(config, folder, resume)

    first = run_sweep(load_sweep(path), tmp_path / "out", train=counted)
    before = weights(tmp_path / "out", first)
    assert run_sweep(load_sweep(path), tmp_path / "out", train=counted) == first
    assert len(calls) == 4 and weights(tmp_path / "out", first) == before
    # A wider grid, and a part to evaluate, find what is there.
    wider = load_sweep(write({"training.learning_rate": [0.05, 0.02, 0.001], "seed": [1]},
                             evaluate=["val"]))  # fmt: skip
    rows = run_sweep(wider, tmp_path / "out", train=counted)
    assert len(calls) == 5 and states(rows) == ["finished"] * 3
    assert all("mrr" in row["val"] for row in rows)
    assert {rows[1]["run"], rows[2]["run"]} <= {row["run"] for row in first}


def test_another_base_is_another_cell(write, tmp_path):
    first = run_sweep(load_sweep(write({"seed": [0]})), tmp_path / "out", train=run_cell)
    other = run_sweep(load_sweep(write({"seed": [0]}, {"objective": {"name": "geo_prior"}})),
                      tmp_path / "out", train=run_cell)  # fmt: skip
    assert first[0]["run"] != other[0]["run"]


def test_failures_are_listed_and_the_rest_goes_on(write, tmp_path):
    def fails(config, folder, resume):
        if config.seed == 1:
            raise RuntimeError("out of\nmemory")
        run_cell(config, folder, resume)

    grid = {"training.learning_rate": [0.01, 1e30], "seed": [0, 1]}
    rows = run_sweep(load_sweep(write(grid)), tmp_path / "out", train=fails)
    assert states(rows) == ["finished", "failed", "failed", "failed"]
    assert rows[1]["message"] == "RuntimeError: out of memory"
    assert "The loss became nan" in rows[2]["message"]
    page = (tmp_path / "out" / "table.md").read_text()
    assert "Failed:\n\n- learning_rate=0.01, seed=1: RuntimeError: out of memory\n" in page
    # What failed for a passing reason is tried again.
    rows = run_sweep(load_sweep(write(grid)), tmp_path / "out", train=run_cell)
    assert states(rows) == ["finished", "finished", "failed", "failed"]


def test_combinations_that_do_not_fit_are_listed(write, tmp_path):
    grid = {"model.location.name": ["rff_sphere", "xyz"]}
    rows = run_sweep(load_sweep(write(grid)), tmp_path / "out", train=run_cell)
    assert states(rows) == ["finished", "failed"]
    assert "location encoder 'xyz' has no option" in rows[1]["message"]
    with pytest.raises(ConfigError, match=r"unknown key 'training\.rate'"):
        run_sweep(load_sweep(write({"training.rate": [1, 2]})), tmp_path / "out", train=run_cell)


def test_an_interrupted_cell_goes_on(write, tmp_path, monkeypatch):
    from csp_core.objectives.supervised import Softmax

    path = write({"seed": [0, 1]}, {"training": {"epochs": 2, "batch_size": 32, "device": "cpu",
                                                 "checkpoint_every": 3}})  # fmt: skip
    whole = run_sweep(load_sweep(path), tmp_path / "whole", train=run_cell)
    forward, calls = Softmax.forward, []

    def crash(self, batch):
        calls.append(self.training)
        if sum(calls) == 15:
            raise KeyboardInterrupt
        return forward(self, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Softmax, "forward", crash)
        run_sweep(load_sweep(path), tmp_path / "out", train=run_cell)
    resumed = []

    def watched(config, folder, resume):
        resumed.append(resume)
        run_cell(config, folder, resume)

    rows = run_sweep(load_sweep(path), tmp_path / "out", train=watched)
    assert states(rows) == ["finished"] * 2 and resumed == [True, False]
    assert weights(tmp_path / "out", rows) == weights(tmp_path / "whole", whole)


def test_a_stopped_cell_ends_the_sweep(write, tmp_path):
    def stopped(config, folder, resume):
        RunDir(folder).create().write_status("stopped", message="stopped on request")

    rows = run_sweep(load_sweep(write()), tmp_path / "out", train=stopped)
    assert states(rows) == ["stopped", "waiting", "waiting", "waiting"]
    rows = run_sweep(load_sweep(write()), tmp_path / "out", train=run_cell)
    assert states(rows) == ["finished"] * 4


def test_a_cell_that_is_under_way_elsewhere_is_left_alone(write, tmp_path):
    sweep = load_sweep(write({"seed": [0]}))
    (cell,) = make_cells(sweep, tmp_path / "out")
    cell.run.create().write_status("running", message="epoch 1")
    rows = run_sweep(sweep, tmp_path / "out", train=lambda *_: pytest.fail("trained"))
    assert states(rows) == ["running"]


def test_pre_training_is_ranked_by_its_objective(write, tmp_path):
    base = {
        "data": {"name": "demo", "size": 200, "features": True},
        "model": {"dim": 8, "image": {"name": "features", "dim": 147}},
        "objective": {"name": "csp_mc"},
    }
    path = write({"objective.batch_temperature": [0.07, 1.0]}, base, evaluate=["val"])
    rows = run_sweep(load_sweep(path), tmp_path / "out", train=run_cell)
    assert states(rows) == ["finished"] * 2
    # How often the right one is found is told, but an epoch is chosen by the objective.
    assert all({"recall_at_10", "median_km"} <= set(row["val"]) for row in rows)
    assert "Best by val_objective" in markdown_table(rows)


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"grid": {"seed": [0]}}, "base: Field required"),
        ({"base": "base.yaml"}, "grid: Field required"),
        ({"base": "base.yaml", "grid": {}}, "at least 1 item"),
        ({"base": "base.yaml", "grid": {"seed": []}}, "seed takes no value"),
        ({"base": "base.yaml", "grid": {"seed": 3}}, "grid.seed"),
        ({"base": "base.yaml", "grid": {"seed": [0]}, "evaluate": ["all"]}, "evaluate.0"),
        ({"base": "base.yaml", "grids": {"seed": [0]}}, "keys base, grid, evaluate"),
        ([1], "the file"),
    ],
)
def test_files_that_are_no_sweep(tmp_path, tree, says):
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError) as caught:
        load_sweep(tmp_path / "sweep.yaml")
    assert says in str(caught.value)


def test_missing_files(tmp_path, write):
    with pytest.raises(DataNotFoundError, match="give YAML with `base` and `grid`"):
        load_sweep(tmp_path / "absent.yaml")
    sweep = load_sweep(write())
    (tmp_path / "base.yaml").unlink()
    with pytest.raises(DataNotFoundError, match=r"base\.yaml"):
        make_cells(sweep, tmp_path)


def test_the_search_of_the_paper_is_a_sweep(tmp_path):
    path = Path(__file__).parents[2] / "configs" / "sweep_csp_paper.yaml"
    sweep = load_sweep(path)
    assert len(sweep.combinations()) == 6 * 5 * 3 * 3 * 3 * 7
    first, *_, last = sweep.combinations()
    few = sweep.model_copy(update={"grid": {key: (first[key], last[key]) for key in first}})
    cells = make_cells(few, tmp_path)
    assert all(cell.config is not None for cell in cells)
    # The first cell is what the paper found best.
    base, best = load_config(sweep.base), cells[0].config
    assert best.model == base.model and best.training == base.training


def test_values_of_any_kind(write, tmp_path):
    grid = {
        "objective": ["softmax", {"name": "geo_prior", "background": "land"}],
        "training.patience": [None, 3],
        "objective.jitter_km": [0.0, [2, 500]],
        "data.root": ["other.csv"],
    }
    cells = make_cells(load_sweep(write(grid)), tmp_path)
    assert len({cell.run.path for cell in cells}) == len(cells) == 8
    last = cells[-1].config
    assert last.objective.name == "geo_prior" and last.objective.options["background"] == "land"
    assert last.objective.options["jitter_km"] in ((2, 500), [2, 500])
    assert last.training.patience == 3 and cells[0].config.training.patience is None
    assert last.data.root == tmp_path / "other.csv"


# The command


def test_command(write, tmp_path, csp):
    path = write({"seed": [0, 1]}, evaluate=["val"])
    code, out, _ = csp("sweep", path, "--dry-run")
    assert code == 0 and len(out.splitlines()) == 2 and "seed=1" in out
    assert not (tmp_path / "runs").exists()
    code, out, err = csp("sweep", path)
    assert code == 0 and "| seed | state |" in out and "[2/2] seed=1: finished" in err
    assert (tmp_path / "runs" / "lr" / "table.md").is_file()
    code, out, _ = csp("sweep", path, "--json")
    assert code == 0 and states(json.loads(out)) == ["finished"] * 2
    listed = json.loads(csp("runs", "--home", tmp_path / "runs/lr", "--json")[1])
    assert [job["state"] for job in listed] == ["finished"] * 2
    arguments = ("sweep", path, "training.epochs=2", "--out", tmp_path / "two", "--json")
    rows = json.loads(csp(*arguments)[1])
    assert [row["epoch"] for row in rows] == [2, 2]


def test_a_command_that_fails(write, tmp_path, csp):
    path = write({"training.learning_rate": [0.01, 1e30]})
    code, out, _ = csp("sweep", path)
    assert code == 1 and "Failed:" in out
    code, out, err = csp("sweep", tmp_path / "absent.yaml")
    assert code == 1 and out == "" and err.startswith("Error: No file") and err.count("\n") == 1
