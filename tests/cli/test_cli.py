"""The ``csp`` command: what it prints, and that it fails in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from csp_core import store
from csp_core.cli.models import part_of_year
from csp_core.data import read_occurrences
from csp_core.runs import RunDir
from csp_core.store import catalog, checkpoint
from tests import small


@pytest.fixture
def config_file(records_csv, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(small.config(records_csv, training={"epochs": 1}).to_yaml())
    return path


def ok(result):
    code, out, err = result
    assert code == 0, err
    assert "Traceback" not in out + err
    return out


def fails(result, *says):
    code, out, err = result
    assert code == 1 and out == ""
    assert err.startswith("Error: ") and err.count("\n") == 1 and "Traceback" not in err
    for part in says:
        assert part in err
    return err


# predict


def test_predict_json(csp, model_dir):
    arguments = ("predict", model_dir, "--lon", "36.8", "--lat", "-1.3", "--top", "3", "--json")
    report = json.loads(ok(csp(*arguments)))
    assert list(report) == ["model", "lon", "lat", "kind", "support", "results"]
    assert (report["model"], report["lon"], report["lat"]) == ("tiny", 36.8, -1.3)
    assert report["kind"] == "share" and report["support"]["level"] == "some"
    assert report["support"]["records_within"] > 50
    assert len(report["results"]) == 3
    for rank, line in enumerate(report["results"], start=1):
        assert list(line) == ["rank", "taxon", "common_name", "value", "lift", "support"]
        assert line["rank"] == rank
    first = report["results"][0]
    assert (first["taxon"], first["common_name"]) == ("Aba alta", "High Aba")


def test_predict_table(csp, model_dir):
    out = ok(csp("predict", model_dir, "--lon", 36.8, "--lat", -1.3, "--date", "2024-02-29"))
    assert "Aba alta" in out and "%" in out and "not the chance" in out
    assert "Support: some (50 to 199 training records within 250 km)." in out


def test_predict_gives_no_percentages_where_nobody_looked(csp, model_dir):
    out = ok(csp("predict", model_dir, "--lon", -150, "--lat", 70))
    assert "%" not in out and "extrapolates" in out


@pytest.mark.parametrize(
    ("place", "says"),
    [
        (("181", "0"), "-179"),
        (("nan", "0"), "finite degrees"),
        (("-1.3", "136.8"), "look swapped"),
        (("0", "inf"), "finite degrees"),
    ],
)
def test_predict_at_no_place(csp, model_dir, place, says):
    fails(csp("predict", model_dir, "--lon", place[0], "--lat", place[1]), says)


def test_predict_by_a_model_without_support_shows_its_values(csp, model_dir, tmp_path):
    model = checkpoint.load_model(model_dir)
    model.support = None
    checkpoint.save_model(model, tmp_path / "bare")
    out = ok(csp("predict", tmp_path / "bare", "--lon", 36.8, "--lat", -1.3))
    assert "%" in out and "Support: not known" in out


def test_predict_on_no_date(csp, model_dir):
    result = csp("predict", model_dir, "--lon", 1, "--lat", 1, "--date", "2023-02-29")
    fails(result, "'2023-02-29' is no date")


def test_predict_with_no_model(csp, tmp_path):
    fails(csp("predict", "unheard-of", "--lon", 1, "--lat", 1), "Unknown model 'unheard-of'")
    (tmp_path / "model.pt").write_bytes(b"x")
    fails(csp("predict", tmp_path / "model.pt", "--lon", 1, "--lat", 1), "pickle checkpoint")


# evaluate


def test_evaluate_json(csp, model_dir, records_csv):
    report = json.loads(ok(csp("evaluate", model_dir, records_csv, "--json")))
    splits = report["splits"]
    assert {name: values["n"] for name, values in splits.items()} == {
        "all": 600, "train": 540, "val": 60
    }  # fmt: skip
    fields = {"top1", "top3", "top5", "mrr", "macro_top5", "log_loss", "ece", "n", "unmatched"}
    assert all(set(values) == fields for values in splits.values())
    kept = json.loads((model_dir / "metrics.json").read_text())
    assert splits["val"] == pytest.approx(kept["val"])
    assert report["model"] == "tiny" and "held out" in report["note"]


def test_evaluate_on_other_records(csp, model_dir, tmp_path):
    other = small.write_csv(tmp_path / "other.csv", seed=9)
    with other.open("a") as stream:
        stream.write("Zus zus,,10,50,2021-01-01\n")
    report = json.loads(ok(csp("evaluate", model_dir, other, "--json")))
    assert list(report["splits"]) == ["all"]
    assert (report["splits"]["all"]["n"], report["splits"]["all"]["unmatched"]) == (600, 1)
    assert "no record was seen in training" in report["note"]


def test_evaluate_on_few_records(csp, model_dir, tmp_path):
    few, clumped = tmp_path / "few.csv", tmp_path / "clumped.csv"
    few.write_text("species,lon,lat\nAba alta,36.8,-1.3\nAba alta,36.8,-1.3\n")
    clumped.write_text("species,lon,lat\n" + 12 * "Aba alta,36.8,-1.3\n" + 3 * "Zus zus,1,2\n")
    for path, number, unmatched in ((few, 2, 0), (clumped, 12, 3)):
        splits = json.loads(ok(csp("evaluate", model_dir, path, "--json")))["splits"]
        assert list(splits) == ["all"]
        assert (splits["all"]["n"], splits["all"]["unmatched"]) == (number, unmatched)


def test_evaluate_on_few_records_of_a_model_of_frequent_taxa(csp, tmp_path):
    # birds learned from taxa with ten records or more, dealt out by blocks.
    name = checkpoint.load_model("birds").classes.names[0]
    path = tmp_path / "two.csv"
    path.write_text(f"species,lon,lat\n{name},10,50\n{name},11,51\n")
    assert json.loads(ok(csp("evaluate", "birds", path, "--json")))["splits"]["all"]["n"] == 2


def test_evaluate_table(csp, model_dir, records_csv):
    out = ok(csp("evaluate", model_dir, records_csv))
    assert all(word in out for word in ("train", "val", "log_loss", "macro_top5"))


def test_evaluate_without_a_common_class(csp, model_dir, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("species,lon,lat\nZus zus,10,50\nZus yus,11,51\n")
    fails(csp("evaluate", model_dir, path), "No record is left to evaluate (2 had")


def test_evaluate_of_an_embedding_says_what_measures_it(csp, records_csv):
    fails(csp("evaluate", "earth", records_csv), "Model 'earth' ranks no classes")


def test_evaluate_on_no_file(csp, model_dir):
    fails(csp("evaluate", model_dir, "absent.csv"), "absent.csv")


# import-data


def test_import_data(csp, records_csv, tmp_path):
    output, report = tmp_path / "out" / "records.parquet", tmp_path / "report.json"
    out = ok(csp("import-data", records_csv, output, "--report", report))
    assert "600 of 600 records kept" in out and "Wrote 600 records" in out
    again, _ = read_occurrences(output)
    assert again.table.equals(read_occurrences(records_csv)[0].table)
    assert json.loads(report.read_text())["rows_kept"] == 600


def test_import_data_with_a_mapping(csp, tmp_path):
    source = tmp_path / "odd.csv"
    source.write_text("what,east,north\nAus bus,10,50\nAus bus,200,50\n")
    arguments = ("--map", "scientific_name=what", "--map", "lon=east", "--map", "lat=north")
    out = ok(csp("import-data", source, tmp_path / "odd.parquet", *arguments, "--json"))
    told = json.loads(out)
    assert (told["rows_read"], told["rows_kept"]) == (2, 1)
    assert told["dropped"] == {"longitude is out of range (-180 to 180)": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("species,lon,lat\n", "no records"),
        ("a,b\n1,2\n", "column"),
        (None, "absent.csv"),
    ],
)
def test_import_of_what_is_no_table(csp, tmp_path, content, says):
    source = tmp_path / "absent.csv"
    if content is not None:
        source.write_text(content)
    fails(csp("import-data", source, tmp_path / "out.parquet"), says)
    assert not (tmp_path / "out.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["out.csv"], "give a name that ends in .parquet"),
        (["out.parquet", "--map", "lon"], "give NAME=COLUMN"),
    ],
)
def test_import_with_wrong_arguments(csp, records_csv, arguments, says):
    fails(csp("import-data", records_csv, *arguments), says)


# train, runs, stop, resume


def test_train_and_what_follows(csp, config_file, tmp_path):
    out = ok(csp("train", config_file, "training.epochs=2"))
    listed = json.loads(ok(csp("runs", "--json")))
    assert [(job["state"], job["status"]["epoch"]) for job in listed] == [("finished", 2)]
    folder = listed[0]["path"]
    assert f"Model: {folder}/model" in out
    assert folder in ok(csp("runs")) and "is finished" in ok(csp("resume", folder))
    fails(csp("stop", folder), "not under way; it is finished")
    fails(csp("train", config_file, "--run-dir", folder), "holds a run already")


def test_train_detached(csp, config_file, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = ok(csp("train", config_file, "--detach"))
    (job,) = json.loads(ok(csp("runs", "--json")))
    assert out == f"Started {job['path']} as process {job['status']['pid']}.\n"
    assert job["status"]["pid"] != os.getpid()
    run, end = RunDir(Path(job["path"])), time.monotonic() + 60
    while run.read_status()["state"] in ("starting", "running") and time.monotonic() < end:
        time.sleep(0.05)
    assert run.read_status()["state"] == "finished"
    assert checkpoint.load_model(run.path).name == "tiny"


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainig.epochs=2", "unknown key 'trainig'"),
        ("model.location.name=gird", "Did you mean 'grid'?"),
        ("training.epochs", "give section.key=value"),
        ("data.root=absent.csv", "absent.csv"),
    ],
)
def test_train_with_what_does_not_fit(csp, config_file, tmp_path, override, says):
    code, out, err = csp("train", config_file, override, "--run-dir", tmp_path / "run")
    # A run that had begun also says so in its log.
    assert code == 1 and out == "" and "Traceback" not in err
    assert says in err.splitlines()[-1] and err.splitlines()[-1].startswith("Error: ")


def test_train_without_a_file(csp, tmp_path):
    fails(csp("train", tmp_path / "absent.yaml"), "is not there; give a YAML file")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["resume", "stop"])
def test_no_such_run(csp, command):
    fails(csp(command, "absent"), "absent is not a run directory")


def test_no_runs(csp):
    assert "No runs in" in ok(csp("runs"))
    assert json.loads(ok(csp("runs", "--json"))) == []


# models, doctor and the rest


def test_models(csp, model_dir, tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    (shelf / "broken").mkdir(parents=True)
    (shelf / "broken" / "config.json").write_text("{")
    (shelf / "tiny").symlink_to(model_dir)
    monkeypatch.setenv("CSP_MODELS", str(shelf))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    rows = {row["name"]: row for row in json.loads(ok(csp("models", "--json")))}
    assert set(rows) == {"broken", "tiny"}
    assert rows["tiny"]["problem"] is None and rows["tiny"]["num_classes"] == 6
    assert rows["tiny"]["megabytes"] > 0
    assert "not readable JSON" in rows["broken"]["problem"]
    out = ok(csp("models"))
    assert "tiny" in out and "not readable JSON" in out
    code, printed, _ = csp("doctor", "--json")
    by_name = {row["name"]: row for row in json.loads(printed)}
    assert code == 1 and by_name["tiny"]["ok"] and not by_name["broken"]["ok"]


def test_models_say_what_they_answer_with(csp):
    kinds = {row["name"]: row["kind"] for row in json.loads(ok(csp("models", "--json")))}
    # One that compares gives no shares.
    assert kinds["eurosat_words"] == "agreement" and kinds["birds"] == "share"
    assert kinds["world_birds"] == "relative" and kinds["landcover"] == "probability"


def test_doctor(csp, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "ASSETS", tmp_path / "no-assets")
    rows = json.loads(ok(csp("doctor", "--json")))
    assert all(list(row) == ["name", "ok", "needed", "says"] for row in rows)
    assert {"python", "torch", "streamlit", "world map", "leaflet"} <= {r["name"] for r in rows}
    assert "python" in ok(csp("doctor"))


def test_help_names_every_command(csp):
    out = ok(csp("--help"))
    commands = "train resume runs stop evaluate predict import-data models serve doctor"
    for command in commands.split():
        assert command in out
        assert f" {command} " in ok(csp(command, "--help")).splitlines()[0]


@pytest.mark.parametrize("arguments", [["frobnicate"], ["predict", "birds"], ["predict", "--x"]])
def test_usage_errors(csp, arguments):
    code, _, err = csp(*arguments)
    assert code == 2 and "Usage" in err and "Traceback" not in err


def test_an_error_nobody_thought_of(csp, model_dir, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(store, "load_model", fail)
    result = csp("predict", model_dir, "--lon", 1, "--lat", 1)
    fails(result, "RuntimeError: two lines (CSP_DEBUG=1 shows where)")


def test_as_a_module_in_a_process_of_its_own(model_dir, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "csp_core", "predict", str(model_dir), "--lon", "200", "--lat", "0"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1


def test_the_last_day_there_is():
    assert part_of_year("9999-12-31") == pytest.approx(364 / 365)
