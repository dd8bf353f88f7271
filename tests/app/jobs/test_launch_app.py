"""Starting runs from the pages: once for each press, within limits, and not where it is off."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from streamlit.testing.v1 import AppTest

from csp_core.config.presets import presets_of
from csp_core.errors import ConfigError
from csp_core.runs import RunDir
from csp_core.runs.jobs import Job, list_jobs, stop
from tests.app.jobs.conftest import MAIN, Open, texts

SMALL = """name: tiny
data: {name: demo, size: 300, images: false}
model:
  dim: 8
  location: {name: xyz, network: {name: residual_mlp, hidden_dim: 8}}
training: {epochs: 2, batch_size: 64, device: cpu, threads: 1}
"""


def finish(path: Path, seconds: float = 60.0) -> dict:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = RunDir(path).read_status()
        if status["state"] not in ("queued", "starting", "running"):
            return status
        time.sleep(0.2)
    raise AssertionError(status)


def upload(app: AppTest, text: str) -> AppTest:
    return (
        app.file_uploader(key="train-1-upload").upload("a.yaml", text.encode(), "text/yaml").run()
    )


def test_a_run_is_started_followed_and_finishes(open_train: Open, home: Path) -> None:
    app = upload(open_train(new="1"), SMALL)
    assert not app.error
    app.button(key="train-start").click().run()
    assert not app.exception and not app.error
    (path,) = (home / "runs").glob("tiny-*")
    assert app.query_params["run"] == path.name and "new" not in app.query_params
    assert path.name in texts(app)
    status = finish(path)
    assert status["state"] == "finished", status
    time.sleep(1.6)  # the list's age
    app.run()
    assert "✔ finished" in texts(app) and "Use this model" in texts(app)
    assert (path / "model" / "model.safetensors").is_file()


# What is typed into a box of the form that began from the preset, and what the run's page says.
REFUSED = {
    "fewer labels than classes": ("text_input", "data.labels", "12", "12 labels"),
    "a ratio that empties a stream": ("number_input", "objective.ratio", 90, "90 = 1440"),
    "label sets alone": ("selectbox", "objective-name", "cap", "several labels an image"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_few_labels_cannot_do_is_said_in_a_sentence(
    open_train: Open, home: Path, case: str
) -> None:
    kind, path, given, says = REFUSED[case]
    app = open_train(new="1")

    def box(kind: str, path: str) -> Any:
        return next(one for one in app.get(kind) if str(one.key).endswith(f"-{path}"))

    app.selectbox(key="train-1-preset").select("few labels").run()
    box(kind, path).set_value(given).run()
    assert not app.error
    app.button(key="train-start").click().run()
    assert not app.exception
    (path_of_run,) = (home / "runs").glob("demo-few-labels-*")
    assert finish(path_of_run)["state"] == "failed"
    time.sleep(1.6)  # the list's age
    app.run()
    said = texts(app)
    assert says in said and "Traceback" not in said


def test_two_presses_start_one_run(open_train: Open, home: Path) -> None:
    app = open_train()
    app.text_input(key="jobs-name").set_value("my first run").run()
    app.button(key="jobs-train").click().run()
    app.button(key="jobs-train").click().run()
    assert not app.exception
    (job,) = list_jobs()
    assert job.path.name.startswith("my-first-run-") and job.path.name in texts(app)
    stop(job.path, wait=30.0, kill=True)


@pytest.mark.parametrize("name", ["..", "a/../../b", "<img src=x>", "ü", "x" * 300, "-rf"])
def test_a_name_makes_no_path(open_train: Open, home: Path, name: str) -> None:
    app = open_train()
    app.text_input(key="jobs-name").set_value(name).run()
    app.button(key="jobs-train").click().run()
    assert not app.exception
    found = list_jobs()
    if found:
        assert found[0].path.parent.resolve() == (home / "runs").resolve()
        stop(found[0].path, wait=30.0, kill=True)
    else:
        assert app.error and not list((home / "runs").glob("*-*"))


def test_data_that_is_not_there_is_told_in_the_list(open_train: Open, home: Path) -> None:
    app = open_train()
    app.selectbox(key="jobs-set").select("occurrences").run()
    app.text_input(key="jobs-root").set_value("missing.csv").run()
    app.button(key="jobs-train").click().run()
    assert not app.exception
    (job,) = list_jobs()
    status = finish(job.path)
    assert status["state"] == "failed" and status["cause"] == "data"
    time.sleep(1.6)
    app.run()
    assert "missing.csv" in texts(app) and "✖ failed" in texts(app)


def test_training_can_be_turned_off(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSP_ALLOW_TRAINING", "0")
    app = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not app.exception and len(app.sidebar) == 0
    assert "jobs-train" not in [button.key for button in app.button]
    with pytest.raises(ValueError):
        app.switch_page("views/train.py").run()


def test_more_epochs_than_are_allowed_are_refused(
    open_train: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_MAX_EPOCHS", "5")
    app = open_train()
    app.button(key="jobs-train").click().run()
    assert not app.exception and "CSP_MAX_EPOCHS" in "".join(e.value for e in app.error).replace(
        "\\", ""
    )
    assert list_jobs() == []


def test_an_estimate_answers_and_another_draft_ends_it(open_train: Open, home: Path) -> None:
    app = upload(open_train(new="1"), SMALL)
    app.button(key="train-estimate-button").click().run()
    assert not app.exception
    end = time.monotonic() + 90
    while time.monotonic() < end and "Cancel" in texts(app):
        time.sleep(1)
        app.run()
    assert "About" in texts(app) and "weights" in texts(app), texts(app)
    assert not list((home / "runs").glob("*"))
    number = next(one for one in app.number_input if str(one.key).endswith("training.epochs"))
    number.set_value(3).run()
    assert "Estimate time and memory" in texts(app)


def test_a_press_after_a_change_is_no_second_one(
    open_train: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def launch(tree: dict) -> Job:
        asked.append(tree["training"]["epochs"])
        return Job(home / "runs" / f"run-{len(asked)}", "queued", {})

    monkeypatch.setattr("jobs.sidebar.launch", launch)
    app = open_train(new="1")
    for epochs, run in ((40, "run-1"), (40, "run-1"), (7, "run-2")):
        app.query_params.clear()
        app.query_params["new"] = "1"
        app.run()
        box = next(one for one in app.number_input if str(one.key).endswith("training.epochs"))
        box.set_value(epochs).run()
        app.button(key="train-start").click().run()
        # A press too many leads to where the first one led.
        assert not app.exception and app.query_params["run"] == run
    assert asked == [40, 7]


def test_why_nothing_started_stands_beside_the_button(
    open_train: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(tree: dict) -> Job:
        raise ConfigError("As many runs wait as may.")

    monkeypatch.setattr("jobs.sidebar.launch", launch)
    app = open_train(new="1")
    app.button(key="train-start").click().run()
    assert [error.value.replace("\\", "") for error in app.error] == ["As many runs wait as may."]


def test_tiles_ask_what_the_numbers_in_their_masks_mean(open_train: Open, home: Path) -> None:
    app = open_train()
    app.selectbox(key="jobs-set").select("tiles").run()
    assert app.selectbox(key="jobs-preset").options == list(presets_of("tiles"))
    assert "building" in app.text_input(key="jobs-classes").value
    app.text_input(key="jobs-classes").set_value("{1: water").run()
    app.button(key="jobs-train").click().run()
    assert not app.exception and "Classes" in app.error[0].value and not list_jobs()
    app.text_input(key="jobs-classes").set_value("{1: water, 2: wood}").run()
    app.text_input(key="jobs-root").set_value("none").run()
    app.button(key="jobs-train").click().run()
    assert not app.exception
    (job,) = list_jobs()
    assert finish(job.path)["state"] == "failed"
    assert "1: water" in (job.path / "asked.yaml").read_text()


def test_invented_series_are_offered_their_own_preset_and_need_no_folder(
    open_train: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def launch(tree: dict[str, Any]) -> Job:
        asked.append(tree)
        raise ConfigError("Enough is known.")

    monkeypatch.setattr("jobs.sidebar.launch", launch)
    app = open_train()
    app.selectbox(key="jobs-set").select("phenology").run()
    assert not app.exception
    assert app.selectbox(key="jobs-preset").value == "map of series"
    assert not [box for box in app.text_input if box.key == "jobs-root"]
    app.button(key="jobs-train").click().run()
    (tree,) = asked
    assert tree["objective"]["name"] == "segmentation" and "root" not in tree["data"]


def test_a_map_takes_its_classes_from_the_folder(open_train: Open, home: Path) -> None:
    app = open_train()
    app.selectbox(key="jobs-set").select("tiles").run()
    app.selectbox(key="jobs-preset").select("map in seconds").run()
    assert app.text_input(key="jobs-classes-table").value == ""
    app.text_input(key="jobs-root").set_value("none").run()
    app.text_input(key="jobs-ignored-table").set_value("[0]").run()
    app.button(key="jobs-train").click().run()
    assert not app.exception and not app.error
    (job,) = list_jobs()
    asked = yaml.safe_load((job.path / "asked.yaml").read_text())
    assert asked["data"]["ignored"] == [0] and "classes" not in asked["data"]
    assert asked["objective"]["name"] == "segmentation"
    assert finish(job.path)["state"] == "failed"
