"""What a run leaves for whoever watches it: the range of a class as it forms, and baselines."""

from __future__ import annotations

import json
import os

import pytest
import rasterio
import torch

from csp_core.config import load_config
from csp_core.errors import ConfigError
from csp_core.files import hash_file
from csp_core.model import BASELINES
from csp_core.runs import RunDir
from csp_core.runs.artifacts import baselines, range_frames, stage_slug
from csp_core.store import load_model
from csp_core.training import artifacts, loop, train
from tests import small

TRAINING = {"epochs": 3, "checkpoint_every": 7, "threads": 1, "ema_decay": 0.9}


def watching(records_csv, name="Ceta alta", **training):
    return small.config(records_csv, training={**TRAINING, "watch": name, **training})


def weights(run):
    return hash_file(run.model / "model.safetensors")


@pytest.fixture(scope="module")
def plain(records_csv, tmp_path_factory):
    """A run that watches nothing; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("plain") / "run")
    train(watching(records_csv, None), run_dir=run.path)
    return run


@pytest.fixture(scope="module")
def watched(records_csv, tmp_path_factory):
    """A run that watches a class; not to be written to."""
    run = RunDir(tmp_path_factory.mktemp("watched") / "run")
    train(watching(records_csv), run_dir=run.path)
    return run


def test_watching_changes_nothing_of_the_run(plain, watched):
    assert weights(watched) == weights(plain)
    assert small.without_time(watched.read_metrics()) == small.without_time(plain.read_metrics())
    for name in ("config.json", "README.md", "metrics.json", "calibration.json"):
        assert (watched.model / name).read_bytes() == (plain.model / name).read_bytes(), name
    assert range_frames(plain) == []


def test_a_frame_before_the_first_epoch_and_after_each(watched):
    frames = range_frames(watched)
    assert [(frame.epoch, frame.stage) for frame in frames] == [(n, "main") for n in range(4)]
    assert frames[3].path == watched.artifacts / "range-main-00003.tif"
    maps = []
    for frame in frames:
        with rasterio.open(frame.path) as file:
            assert file.shape == (90, 180) and file.dtypes[0] == "float32"
            assert file.tags()["taxon"] == "Ceta alta"
            maps.append(torch.from_numpy(file.read(1)))
        assert frame.path.stat().st_size < 200_000
    # Vienna's taxon: its range forms where it was recorded.
    row, column = (90 - 48) // 2, (180 + 16) // 2
    assert maps[3][row, column] > 2 * maps[0][row, column]


def test_frames_of_epochs_that_are_done_again_are_dropped(
    records_csv, watched, plain, tmp_path, monkeypatch
):
    run, save = RunDir(tmp_path / "run"), loop.save_state

    def crash(folder, progress, *more):
        if progress.step == 32:  # the second epoch is told of and not saved
            raise RuntimeError("power cut")
        return save(folder, progress, *more)

    monkeypatch.setattr(loop, "save_state", crash)
    with pytest.raises(RuntimeError):
        train(watching(records_csv), run_dir=run.path)
    assert [frame.epoch for frame in range_frames(run)] == [0, 1, 2]
    (run.artifacts / "range-main-00009.tif").write_bytes(b"of another time")
    made = {frame.epoch: frame.path.stat().st_mtime_ns for frame in range_frames(run)}
    monkeypatch.setattr(loop, "save_state", save)
    train(load_config(run.config), run_dir=run.path, resume=True)
    assert weights(run) == weights(plain)
    again = {frame.epoch: frame.path.stat().st_mtime_ns for frame in range_frames(run)}
    assert list(again) == [0, 1, 2, 3]
    assert [made[n] == again[n] for n in range(3)] == [True, True, False]
    for one, other in zip(range_frames(run), range_frames(watched), strict=True):
        with rasterio.open(one.path) as a, rasterio.open(other.path) as b:
            assert (a.read() == b.read()).all()


def test_a_class_that_is_not_there(records_csv, tmp_path):
    with pytest.raises(ConfigError, match=r"'Ceta alt', .*near it: Ceta alta"):
        train(watching(records_csv, "Ceta alt"), run_dir=tmp_path / "run")
    assert RunDir(tmp_path / "run").read_status()["cause"] == "config"
    with pytest.raises(ConfigError, match=r"training\.watch"):
        watching(records_csv, "")


def test_stages_have_frames_of_their_own(records_csv, tmp_path):
    run = RunDir(tmp_path / "run")
    tree = small.tree(records_csv, training={"epochs": 1, "refit": True, "watch": "Ceta alta"})
    tree["objective"] = {"name": "soft_targets"}
    tree["teachers"] = [
        {"name": "network", "members": 1, "overrides": {"objective": {"name": "softmax"}}}
    ]
    train(small.parse_config(tree), run_dir=run.path)
    stages = list(dict.fromkeys(frame.stage for frame in range_frames(run)))
    assert stages == [
        "teacher-1-of-1-records-held-out", "records-held-out", "teacher-1-of-1-all-records",
        "all-records",
    ]  # fmt: skip
    assert set(baselines(run)) == {"class_frequency", "nearest_records", "kernel_density"}


def test_a_model_that_says_nothing_of_places_is_not_watched(records_csv, tmp_path):
    run = RunDir(tmp_path / "run")
    pairs = small.tree(records_csv, training={"epochs": 1, "watch": "Ceta alta"})
    parts = artifacts.Watched(small.parse_config(pairs), *_imageless(run))
    assert "says nothing of places" in parts.problem
    parts.draw(run, "", None, 0)
    assert range_frames(run) == []


def _imageless(run):
    model = load_model("birds")
    model.classifier = None
    return model, small.dataset()


def test_watch_is_part_of_no_hash(records_csv):
    plain, watched = small.config(records_csv), watching(records_csv)
    assert "watch" not in plain.to_yaml() and "watch: Ceta alta" in watched.to_yaml()
    assert watched.unwatched().recipe_hash() == watched.recipe_hash()
    assert watched.without_folders() == watched.unwatched().without_folders()


@pytest.mark.parametrize("nested", [False, True])
def test_watch_of_another_stage_is_part_of_no_hash(records_csv, nested):
    def stages(watch):
        plain = {"training": {"epochs": 1, **watch}}
        flat = {f"training.{key}": value for key, value in plain["training"].items()}
        own = plain if nested else flat
        teacher = {"name": "network", "members": 1, "overrides": {"objective": "softmax", **own}}
        parts = {"objective": {"name": "soft_targets"}, "teachers": [teacher], "pretrain": own}
        return small.parse_config({**small.tree(records_csv), **parts})

    plain, watched = stages({}), stages({"watch": "Ceta alta"})
    assert plain != watched and plain.recipe_hash() == watched.recipe_hash()
    assert plain.without_folders() == watched.without_folders()
    assert plain == plain.unwatched() == watched.unwatched()


def test_a_stage_that_only_watches_is_a_stage(records_csv):
    alone = small.parse_config(
        {**small.tree(records_csv), "pretrain": {"training.watch": "Ceta alta"}}
    )
    assert alone.unwatched().pretrain
    assert alone.recipe_hash() != small.config(records_csv).recipe_hash()


def test_baselines_have_the_keys_of_the_metrics(plain):
    found = baselines(plain)
    row = plain.read_metrics()[-1]
    for name, values in found.items():
        assert name in BASELINES
        assert {"val_log_loss", "val_mrr", "val_top1"} <= set(values) & set(row)
    assert found["kernel_density"]["val_log_loss"] < found["class_frequency"]["val_log_loss"]
    assert "baselines left out as they take long: random_forest" in plain.log.read_text()


def test_files_that_anybody_may_have_put_there(tmp_path):
    run = RunDir(tmp_path).create()
    assert range_frames(run) == [] and baselines(run) == {}
    run.artifacts.mkdir()
    for name in ("range-main-00001.tif", "range-MAIN-00002.tif", "range-main-1.tif", "x.tif"):
        (run.artifacts / name).write_bytes(b"x")
    (run.artifacts / "range-main-00003.tif").symlink_to("/etc/passwd")
    os.mkfifo(run.artifacts / "range-main-00004.tif")
    with (run.artifacts / "range-main-00005.tif").open("wb") as stream:
        stream.truncate(10**9)
    assert [frame.epoch for frame in range_frames(run)] == [1]
    for content in ("[]", "{", '{"a": 1}', json.dumps({"a": {"val_mrr": 1e30, "x": "y"}})):
        (run.artifacts / "baselines.json").write_text(content)
        assert baselines(run) in ({}, {"a": {}})


def test_slugs():
    assert stage_slug("") == "main" == stage_slug("../..")
    assert stage_slug("Teacher 1 of 2, all records") == "teacher-1-of-2-all-records"
