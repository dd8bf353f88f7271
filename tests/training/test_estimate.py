"""Estimates of time and memory before a run is started."""

from __future__ import annotations

import json

import pytest
import torch

from csp_core.errors import ConfigError, DataNotFoundError
from csp_core.runs import RunDir, jobs
from csp_core.training import estimate, train
from csp_core.training.estimate import describe
from tests import small

KEYS = {
    *("seconds_setup", "seconds_per_step", "steps_per_epoch", "epochs", "total_steps"),
    *("seconds_validation", "seconds_total", "memory_bytes", "parameters", "checkpoint_bytes"),
    *("device", "stages"),
}


def test_what_is_counted_is_what_the_run_does(records_csv, tmp_path):
    config = small.config(records_csv, training={"ema_decay": 0.9})
    found = estimate.estimate(config)
    assert KEYS <= set(found) and json.dumps(found, allow_nan=False)
    run = RunDir(tmp_path / "run")
    result = train(config, run_dir=run.path)
    status = run.read_status()
    assert found["total_steps"] == status["total_steps"] == 64
    assert (found["steps_per_epoch"], found["epochs"]) == (16, 4)
    assert found["parameters"] == sum(p.numel() for p in result.model.parameters())
    newest = max(run.checkpoints.iterdir())
    size = sum(path.stat().st_size for path in newest.iterdir())
    assert found["checkpoint_bytes"] == pytest.approx(size, rel=0.02)
    assert found["device"] == "cpu" and found["memory_bytes"] > 1e7
    assert found["seconds_total"] > found["seconds_setup"] > 0
    assert "64 steps of" in describe(found)


def test_every_stage_is_tried(records_csv):
    tree = small.tree(records_csv, training={"epochs": 2, "refit": True})
    tree["objective"] = {"name": "soft_targets"}
    overrides = {"objective": {"name": "softmax"}, "training.epochs": 3}
    tree["teachers"] = [{"name": "network", "members": 2, "overrides": overrides}]
    tree["pretrain"] = {"objective": "softmax", "training.epochs": 1}
    found = estimate.estimate(small.parse_config(tree))
    stages = {stage["name"]: stage for stage in found["stages"]}
    assert list(stages) == [
        "pre-training",
        *("teacher 1 of 2, records held out", "teacher 2 of 2, records held out"),
        *("records held out", "teacher 1 of 2, all records", "teacher 2 of 2, all records"),
        "all records",
    ]
    assert "as teacher 1 of 2" in stages["teacher 2 of 2, all records"]["assumed"]
    assert [stage["epochs"] for stage in stages.values()] == [1, 3, 3, 2, 3, 3, 2]
    assert found["total_steps"] == sum(stage["total_steps"] for stage in stages.values())
    assert stages["all records"]["seconds_validation"] == 0
    assert "in 7 stages" in describe(found)


def test_the_command_makes_no_run_directory(records_csv, tmp_path, csp):
    path = tmp_path / "config.yaml"
    path.write_text(small.config(records_csv).to_yaml())
    code, said, _ = csp("train", path, "training.epochs=5", "--estimate", "--json")
    assert code == 0 and json.loads(said)["total_steps"] == 80
    code, said, _ = csp("train", path, "--estimate")
    assert code == 0 and said.startswith("About ") and "64 steps" in said
    assert not jobs.runs_home().exists()


def test_what_could_not_begin_says_so(records_csv, tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError):
        estimate.estimate(small.config(tmp_path / "absent.csv"))
    monkeypatch.setenv("CSP_MAX_PARAMETERS", "10")
    with pytest.raises(ConfigError, match="CSP_MAX_PARAMETERS"):
        estimate.estimate(small.config(records_csv))


def test_a_part_of_the_records_is_taken_evenly():
    records = small.pairs()
    part = estimate._first_of(records, 100)
    assert len(part) == 100 and len(part.image) == 100
    assert torch.equal(part.lonlat[-1], records.lonlat[-1])
    assert estimate._first_of(records, 600) is records


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1.26, "1.3 s"), (90, "90 s"), (600, "10 minutes"), (9000, "2.5 hours"), (3e5, "3.47 days")],
)
def test_durations(seconds, text):
    assert estimate._duration(seconds) == text
