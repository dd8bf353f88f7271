"""Training in two stages: held-out records choose and calibrate, then all records are learned."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from csp_core.config import parse_config
from csp_core.data import load_dataset
from csp_core.data.features import FeatureDataset
from csp_core.data.records import ClassTable, join_records
from csp_core.errors import BadRecordError, ConfigError
from csp_core.evaluation.report import evaluate_splits
from csp_core.files import hash_file
from csp_core.objectives.supervised import Softmax
from csp_core.runs import RunDir
from csp_core.store import load_model, read_card
from csp_core.training import train
from csp_core.training.loop import Stage
from csp_core.training.plan import network_configs
from csp_core.training.teachers import make_teacher
from tests import small

TRAINING = {"epochs": 3, "refit": True, "keep": "last", "checkpoint_every": 5, "ema_decay": 0.9}


@pytest.fixture(scope="module")
def refitted(records_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refit") / "run"
    return train(small.config(records_csv, training=TRAINING), run_dir=folder), folder


def hash_of(folder):
    return hash_file(folder / "model/model.safetensors")


def test_the_second_stage_learns_from_all_records(refitted, records_csv):
    result, folder = refitted
    options = {"root": records_csv, "split_method": "random"}
    parts = [load_dataset("occurrences", split, **options) for split in ("train", "val")]
    whole = join_records(*parts)
    assert len(whole) == 600 and sum(whole.classes.counts) == 600
    made = json.loads((folder / "model/config.json").read_text())["provenance"]
    assert made["data"]["hash"] == whole.content_hash() and made["epochs"] == 3
    first = json.loads((folder / "held_out/config.json").read_text())["provenance"]
    assert first["data"]["hash"] == parts[0].content_hash()
    assert int(load_model(folder).support.count.sum()) == 600
    assert [(row["stage"], row["epoch"]) for row in result.history] == [
        *(("records held out", e) for e in (1, 2, 3)),
        *(("all records", e) for e in (1, 2, 3)),
    ]
    assert "val_mrr" in result.history[2] and "val_mrr" not in result.history[3]
    assert RunDir(folder).read_status()["state"] == "finished"


def test_calibration_and_metrics_are_those_of_records_it_had_not_seen(refitted):
    folder = refitted[1]
    before, after = load_model(folder / "held_out"), load_model(folder)
    assert after.calibration.temperature == before.calibration.temperature != 1.0
    assert after.calibration.set_level == before.calibration.set_level
    assert not torch.equal(before.classifier.weight, after.classifier.weight)
    metrics = [json.loads((folder / d / "metrics.json").read_text()) for d in ("held_out", "model")]
    assert metrics[0] == metrics[1] and metrics[0]["val"]["n"] == 60
    assert "trained anew in the same way on all records" in read_card(folder)
    assert "trained anew" not in read_card(folder / "held_out")


def test_an_evaluation_knows_that_it_saw_them_all(refitted, records_csv):
    report = evaluate_splits(str(refitted[1]), str(records_csv))
    assert report["splits"]["train"]["n"] == 600 and "val" not in report["splits"]


@pytest.mark.parametrize("call", [20, 16 * 3 + 25])
def test_it_resumes_bit_by_bit_in_either_stage(refitted, records_csv, tmp_path, monkeypatch, call):
    forward, calls = Softmax.forward, []

    def counted(self, batch):
        calls.append(1) if self.training else None
        if len(calls) == call:
            raise KeyboardInterrupt
        return forward(self, batch)

    config = small.config(records_csv, training=TRAINING)
    monkeypatch.setattr(Softmax, "forward", counted)
    with pytest.raises(KeyboardInterrupt):
        train(config, run_dir=tmp_path / "run")
    monkeypatch.setattr(Softmax, "forward", forward)
    result = train(config, run_dir=tmp_path / "run", resume=True)
    assert hash_of(tmp_path / "run") == hash_of(refitted[1])
    assert small.without_time(result.history) == small.without_time(refitted[0].history)


def test_the_best_epoch_sets_the_length_of_the_second_stage(records_csv, tmp_path):
    training = {"epochs": 30, "patience": 2, "learning_rate": 0.05, "refit": True}
    config = small.config(records_csv, training={**training, "schedule": "constant"})
    result = train(config, run_dir=tmp_path / "run")
    held_out = [r["val_calibrated_log_loss"] for r in result.history if r["stage"] != "all records"]
    again = [row for row in result.history if row["stage"] == "all records"]
    assert len(again) == 1 + held_out.index(min(held_out)) < len(held_out)


def test_there_must_be_records_held_out(records_csv):
    tree = small.config(records_csv).model_dump(mode="json")
    tree["training"]["refit"] = True
    tree["data"]["val_fraction"] = 0.0
    with pytest.raises(ConfigError, match=r"val_fraction is 0"):
        parse_config(tree)


def test_only_parts_of_one_data_set_are_joined(records_csv):
    one = load_dataset("occurrences", "train", root=records_csv)
    other = load_dataset("demo", "train")
    with pytest.raises(BadRecordError, match="Only parts of one data set"):
        join_records(one, other)


def test_parts_whose_images_stay_on_the_disk_are_joined():
    features = np.arange(20, dtype=np.float16).reshape(10, 2)
    classes = ClassTable(("a", "b"))

    def part(rows):
        place, label = torch.zeros(len(rows), 2), torch.tensor(rows) % 2
        return FeatureDataset(place, label, classes, files=(features,), rows=torch.tensor(rows))

    whole = join_records(part([0, 3]), part([7]))
    assert torch.equal(
        whole.__getitems__([0, 2])["image"], torch.tensor([[0.0, 1.0], [14.0, 15.0]])
    )
    assert whole.classes.counts == (1, 2)


# Networks that teach


def taught(records_csv, **training):
    tree = small.config(records_csv, training={**TRAINING, **training}).model_dump(mode="json")
    tree["objective"] = {"name": "soft_targets", "copies": 1}
    network = {"objective": {"name": "softmax"}, "training.epochs": 2}
    tree["teachers"] = [
        {"name": "network", "members": 2, "weight": 0.6, "overrides": network},
        {"name": "kernel_density", "weight": 0.4},
    ]
    return parse_config(tree)


def test_networks_are_trained_before_what_learns_from_them(records_csv, tmp_path, monkeypatch):
    config, run = taught(records_csv), RunDir(tmp_path / "run")
    first, second = network_configs(config)
    assert len({first.seed, second.seed, config.seed}) == 3
    assert first.data == config.data and first.objective.name == "softmax"
    result = train(config, run_dir=run.path)
    rows = [(row["stage"], row["epoch"]) for row in result.history]
    names = list(dict.fromkeys(stage for stage, _ in rows))
    assert names == [
        "teacher 1 of 2, records held out",
        "teacher 2 of 2, records held out",
        "records held out",
        "teacher 1 of 2, all records",
        "teacher 2 of 2, all records",
        "all records",
    ]
    assert [epoch for stage, epoch in rows if stage == names[0]] == [1, 2]
    # What was measured on the records held out learned of them by no way.
    train_set = load_dataset("occurrences", "train", root=records_csv, split_method="random")
    for folder in (run.teacher(1) / "held_out", run.teacher(2) / "held_out"):
        made = json.loads((folder / "config.json").read_text())["provenance"]
        assert made["data"]["hash"] == train_set.content_hash()
    nets = [load_model(run.teacher(i) / "model") for i in (1, 2)]
    teacher = make_teacher(config.teachers, train_set, [run.teacher(i) / "model" for i in (1, 2)])
    assert teacher.weights == (0.3, 0.3, 0.4)
    assert not torch.equal(nets[0].classifier.weight, nets[1].classifier.weight)


@pytest.mark.parametrize("call", [5, 16 * 2 + 3, 16 * 4 + 20, 16 * 7 + 19 * 2 + 5])
def test_it_resumes_in_any_stage(records_csv, tmp_path, monkeypatch, call):
    config = taught(records_csv, epochs=2)
    train(config, run_dir=tmp_path / "whole")
    steps, calls = Stage._train_step, []

    def counted(self, batch):
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        steps(self, batch)

    monkeypatch.setattr(Stage, "_train_step", counted)
    with pytest.raises(KeyboardInterrupt):
        train(config, run_dir=tmp_path / "run")
    monkeypatch.setattr(Stage, "_train_step", steps)
    train(config, run_dir=tmp_path / "run", resume=True)
    assert hash_of(tmp_path / "run") == hash_of(tmp_path / "whole")


def test_overrides_of_a_teacher_are_checked(records_csv, tmp_path):
    tree = taught(records_csv).model_dump(mode="json")
    tree["teachers"][0]["overrides"] = {"training.epoch": 2}
    with pytest.raises(ConfigError, match=r"Did you mean 'epochs'"):
        train(parse_config(tree), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    tree["teachers"][0] |= {"overrides": {}, "members": 0}
    with pytest.raises(ConfigError, match="0 members"):
        network_configs(parse_config(tree))
