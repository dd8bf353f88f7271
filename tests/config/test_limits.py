"""Limits that the environment sets to runs."""

from __future__ import annotations

import os

import pytest

from csp_core.config import check_limits
from csp_core.config.limits import data_roots
from csp_core.errors import ConfigError
from csp_core.training import limits, train
from csp_core.training.setup import make_parts
from tests import small


@pytest.fixture
def config(records_csv):
    return small.config(records_csv)


def test_nothing_is_limited_by_itself(config, monkeypatch):
    for name in ("CSP_MAX_EPOCHS", "CSP_MAX_PARAMETERS", "CSP_DATA_ROOT"):
        monkeypatch.setenv(name, "")
    check_limits(config)
    limits.check_parameters(make_parts(config).model)
    assert data_roots() is None


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({"training": {"epochs": 5}}, "training.epochs"),
        ({"pretrain": {"training.epochs": 6, "objective": "softmax"}}, "pretrain: training.epochs"),
        (
            {"teachers": [{"name": "network", "overrides": {"training.epochs": 9}}]},
            "teacher 1: training.epochs",
        ),
    ],
)
def test_epochs_of_every_stage(records_csv, tmp_path, monkeypatch, changes, stage):
    tree = small.tree(records_csv)
    for key, value in changes.items():
        tree[key] = tree.get(key, {}) | value if isinstance(value, dict) else value
    config = small.parse_config(tree)
    monkeypatch.setenv("CSP_MAX_EPOCHS", "4")
    with pytest.raises(ConfigError, match=rf"{stage} is \d, and CSP_MAX_EPOCHS allows 4"):
        train(config, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("CSP_MAX_EPOCHS", "9")
    check_limits(config)
    monkeypatch.setenv("CSP_MAX_EPOCHS", "many")
    with pytest.raises(ConfigError, match="CSP_MAX_EPOCHS is 'many'"):
        check_limits(config)


def test_size_of_the_model(config, tmp_path, monkeypatch):
    free = make_parts(config).model
    count = sum(weight.numel() for weight in free.parameters())
    monkeypatch.setenv("CSP_MAX_PARAMETERS", str(count))
    bound = make_parts(config).model
    for (name, one), (_, other) in zip(
        free.state_dict().items(), bound.state_dict().items(), strict=True
    ):
        assert one.equal(other), name
    monkeypatch.setenv("CSP_MAX_PARAMETERS", str(count - 1))
    with pytest.raises(ConfigError, match=rf"has {count:,} weights, and CSP_MAX_PARAMETERS"):
        train(config, run_dir=tmp_path / "run")


def test_a_model_beyond_all_bounds_takes_no_memory(records_csv, monkeypatch):
    monkeypatch.setenv("CSP_MAX_PARAMETERS", "1000")
    with pytest.raises(ConfigError, match="far more weights than the 1,000"):
        make_parts(small.config(records_csv, model={"dim": 10**9}))


def test_data_lies_inside_the_root(records_csv, tmp_path, monkeypatch):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "records.csv").write_bytes(records_csv.read_bytes())
    (inside / "leads-out.csv").symlink_to(outside / "records.csv")
    (outside / "leads-in.csv").symlink_to(inside / "records.csv")
    monkeypatch.setenv("CSP_DATA_ROOT", os.pathsep.join((str(tmp_path / "other"), str(inside))))
    check_limits(small.config(inside / "records.csv"))
    check_limits(small.config(outside / "leads-in.csv"))
    for path in (
        outside / "records.csv",
        inside / "leads-out.csv",
        inside / ".." / "out" / "records.csv",
        "/etc/passwd",
        tmp_path / "into" / "records.csv",
    ):
        with pytest.raises(
            ConfigError, match=r"does not lie in .*where data may lie.*CSP_DATA_ROOT"
        ):
            check_limits(small.config(path))


def test_models_lie_there_or_where_runs_lie(records_csv, tmp_path, monkeypatch):
    monkeypatch.setenv("CSP_DATA_ROOT", str(records_csv.parent))
    allowed = ["birds", str(tmp_path / "runs" / "mine"), str(records_csv.parent / "model")]
    refused = [str(tmp_path), "../../model", "/etc/model"]
    for source in allowed:
        check_limits(small.config(records_csv, model={"init_from": source}))
    for source in refused:
        with pytest.raises(ConfigError, match=r"model\.init_from is .*CSP_DATA_ROOT"):
            check_limits(small.config(records_csv, model={"init_from": source}))
    for stage in ({"data.root": "/etc"}, {"data": {"name": "occurrences", "root": "/etc"}}):
        with pytest.raises(ConfigError, match=r"data\.root is .*CSP_DATA_ROOT"):
            check_limits(small.parse_config({**small.tree(records_csv), "pretrain": stage}))
