"""The list of runs, a run's page, comparison, and what can be done to a run."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import rasterio
import torch

from csp_core.geo import WORLD
from csp_core.grid import Bounds
from csp_core.raster import Raster, make_grid, write_geotiff
from csp_core.runs import RunDir
from csp_core.runs.artifacts import frame_path
from csp_core.runs.reading import WATCHED_ROWS
from csp_core.store import kept_runs
from shared import resources
from tests.app.jobs.conftest import MakeRun, Open, texts
from tests.pixel_model import save_pixel_model
from tests.toy import save_toy_model


def test_without_runs_the_page_explains_itself(open_train: Open) -> None:
    app = open_train()
    assert not app.exception and "half a minute" in texts(app)


def test_runs_are_listed_and_those_that_failed_at_once_are_folded(
    open_train: Open, make_run: MakeRun, home: Path
) -> None:
    make_run("good")
    make_run("halted", "stopped")
    make_run("gone", "running")
    for number in range(3):
        # One may have waited for its turn for hours.
        lived = 4000.0 * number
        make_run(f"typo-{number}", "failed", rows=0, lived=lived, step=0, message="no such file")
    make_run("late", "failed", message="the loss became nan", cause="diverged")
    (home / "runs" / "broken").mkdir()
    (home / "runs" / "broken" / "status.json").write_text('{"state": [[[')
    app = open_train()
    assert not app.exception
    said = texts(app)
    for words in ("✔ finished", "◼ stopped", "⚠ interrupted", "✖ failed", "⚠ unreadable"):
        assert words in said
    assert [e.label for e in app.expander if "Failed" in e.label] == [
        "Failed before the first step: 3 runs"
    ]
    assert "the loss became nan" in said and "not readable JSON" in said
    picks = {box.key for box in app.checkbox if str(box.key).startswith("train-pick-")}
    assert picks == {f"train-pick-{name}" for name in ("good", "halted", "gone", "late", "broken")}


@pytest.mark.parametrize(
    ("state", "fields", "said"),
    [
        ("finished", {}, "✔ finished"),
        ("stopped", {}, "Resume"),
        ("running", {}, "its process was ended by force"),
        ("failed", {"cause": "diverged", "message": "loss became nan"}, "learning_rate"),
        ("failed", {"cause": "memory"}, "batch_size"),
        ("failed", {"cause": "disk"}, "room"),
        ("failed", {"cause": "data"}, "data.root"),
        ("failed", {"cause": ["x"], "message": "\x1b[31m **bold**"}, "unreadable"),
    ],
)
def test_a_run_says_how_it_stands_and_what_helps(
    open_train: Open, make_run: MakeRun, state: str, fields: dict, said: str
) -> None:
    path = make_run("mine", state, **fields)
    (path / "log.txt").write_text("\n".join(f"line {i}" for i in range(200)))
    app = open_train(run="mine")
    assert not app.exception and said.casefold() in texts(app).casefold()
    assert ("csp resume" in texts(app)) == (state != "finished")
    if state not in ("failed", "running"):  # of a failure it is shown at once
        app.session_state["train-log-asked"] = True
        app.run()
    if said != "unreadable":
        assert "line 199" in texts(app) and "line 149" not in texts(app)


@pytest.mark.parametrize("name", ["missing", "../../etc", "a\0b", "<b>x</b>", ".trash", "x" * 5000])
def test_a_run_that_is_not_there_is_told(open_train: Open, make_run: MakeRun, name: str) -> None:
    make_run("mine")
    app = open_train(run=name)
    assert not app.exception and "There is no run" in texts(app)


def test_a_note_is_kept(open_train: Open, make_run: MakeRun) -> None:
    path = make_run("mine")
    app = open_train(run="mine")
    app.text_input(key="train-note-mine").set_value("the *first* <one>").run()
    assert (path / "note.txt").read_text().strip() == "the *first* <one>"
    assert open_train(run="mine").text_input(key="train-note-mine").value == "the *first* <one>"


def test_a_deleted_run_can_be_brought_back(open_train: Open, make_run: MakeRun) -> None:
    path = make_run("mine")
    app = open_train(run="mine")
    app.button(key="train-yes-delete-it").click().run()
    assert not app.exception and not path.exists() and "brought back" in texts(app)
    app.button(key="train-restore-mine").click().run()
    assert not app.exception and (path / "status.json").is_file() and "mine is back" in texts(app)


def test_a_finished_model_can_be_used_on_every_page(
    open_train: Open, make_run: MakeRun, home: Path
) -> None:
    path = make_run("mine")
    save_toy_model(path, "model")
    app = open_train(run="mine")
    app.button(key="train-use-this-model").click().run()
    assert not app.exception and kept_runs() == ["mine"]
    app.switch_page("views/explore.py").run()
    assert "mine" in app.selectbox(key="model_box").options
    app = open_train(run="mine")
    app.button(key="train-take-it-off-the-pages").click().run()
    assert kept_runs() == [] and (path / "model" / "config.json").is_file()


def test_a_finished_model_of_pixels_leads_to_the_page_of_maps(
    open_train: Open, make_run: MakeRun
) -> None:
    save_pixel_model(make_run("mine"), "model", steps=0)
    app = open_train(run="mine")
    app.button(key="train-use-this-model").click().run()
    (link,) = [one.proto for one in app.get("page_link") if "Map a scene" in one.proto.label]
    assert not app.exception and "segment" in link.page and link.query_string == "model=mine"


def test_a_model_on_the_pages_goes_and_comes_back_with_its_run(
    open_train: Open, make_run: MakeRun
) -> None:
    save_toy_model(make_run("mine"), "model")
    app = open_train(run="mine")
    app.button(key="train-use-this-model").click().run()
    app.button(key="train-yes-delete-it").click().run()
    assert not app.exception and kept_runs() == []
    assert "mine" not in [model.name for model in resources.models()]
    app.button(key="train-restore-mine").click().run()
    assert not app.exception and kept_runs() == ["mine"]
    assert "mine" in [model.name for model in resources.models()]


def test_a_run_without_a_model_cannot_be_used(open_train: Open, make_run: MakeRun) -> None:
    make_run("mine", "stopped")
    app = open_train(run="mine")
    assert "train-use-this-model" not in [button.key for button in app.button]


def test_settings_of_a_run_begin_another(open_train: Open, make_run: MakeRun) -> None:
    make_run("mine", rows=5)
    app = open_train(run="mine")
    app.button(key="train-duplicate-with-changes").click().run()
    assert not app.exception and "settings of mine" in texts(app)
    assert app.session_state["train-draft"]["training"]["epochs"] == 5


def test_runs_are_compared_by_what_differs_and_what_came_out(
    open_train: Open, make_run: MakeRun
) -> None:
    make_run("one", rows=2)
    make_run("other-one", rows=4)
    app = open_train(compare="one,other-one,missing")
    assert not app.exception and "There is no run missing" in texts(app)
    outcome, settings = (table.value for table in app.dataframe)
    assert list(outcome["best log-loss"]) == ["1.2500", "0.6250"]
    assert list(outcome["epochs"]) == ["2", "4"]
    assert sorted(settings["setting"]) == ["seed", "training.epochs"]
    assert list(settings[settings["setting"] == "seed"].iloc[0]) == ["seed", "3", "9"]


def test_a_comparison_needs_two_runs_and_takes_six(open_train: Open, make_run: MakeRun) -> None:
    for number in range(8):
        make_run(f"run-{number}")
    assert "needs two runs" in texts(open_train(compare="run-1"))
    app = open_train(compare=",".join(f"run-{i}" for i in range(8)))
    assert len(app.dataframe[0].value) == 6 and "the same settings" in texts(app)


def test_names_with_commas_are_compared_and_empty_ones_passed_over(
    open_train: Open, make_run: MakeRun
) -> None:
    make_run("a,b 90%")
    make_run("other")
    app = open_train(all="1")
    for name in ("a,b 90%", "other"):
        app.checkbox(key=f"train-pick-{name}").check().run()
    (link,) = (one for one in app.get("page_link") if one.proto.label.startswith("Compare"))
    ((_, part),) = parse_qsl(link.proto.query_string)
    app = open_train(compare=f",{part},, ")
    assert not app.exception and "There is no run" not in texts(app)
    assert sorted(app.dataframe[0].value["run"]) == ["a,b 90%", "other"]
    assert "needs two runs" in texts(open_train(compare=","))


def test_losses_are_smoothed_if_that_is_asked_for(open_train: Open, make_run: MakeRun) -> None:
    make_run("mine", rows=4)
    app = open_train(run="mine")
    assert not app.toggle(key="train-smooth").value and "**Loss**" in texts(app)
    app.toggle(key="train-smooth").set_value(True).run()
    assert not app.exception and "**Loss, smoothed**" in texts(app)


def test_edited_numbers_end_no_page(open_train: Open, make_run: MakeRun) -> None:
    path = make_run("mine", seconds=1e300, total_steps=-5, memory_bytes=1e17, seconds_left=-3)
    RunDir(path).metrics_file.write_text(
        '{"epoch": 1, "loss": "high", "seconds": null}\n{"epoch": [1], "stage": {"a": 1}}\nhalf'
    )
    for params in ({}, {"run": "mine"}, {"compare": "mine,mine"}):
        app = open_train(**params)
        assert not app.exception


def test_a_run_of_more_epochs_than_are_read_says_so(open_train: Open, make_run: MakeRun) -> None:
    row = '{"epoch": 1, "step": 2, "loss": 1.5, "seconds": 1.0}\n'
    for name in ("long", "short"):
        path = make_run(name)
    (path.parent / "long" / "metrics.jsonl").write_text(row * (WATCHED_ROWS + 1))
    said = f"Only the last {WATCHED_ROWS:,} epochs are shown"
    assert said in texts(open_train(run="long"))
    assert said not in texts(open_train(run="short"))
    assert f"long: {said}" in texts(open_train(compare="long,short"))


def test_a_long_log_is_read_from_its_end(open_train: Open, make_run: MakeRun) -> None:
    path = make_run("it is mine", "failed")
    (path / "log.txt").write_text("words that fill\n" * 400_000 + "the \x1b[31mlast line\n")
    app = open_train(run="it is mine")
    assert "the �[31mlast line" in texts(app)
    assert f"csp resume '{path}'" in texts(app)


def test_names_of_numbers_are_no_markup(open_train: Open, make_run: MakeRun) -> None:
    path = make_run("mine", rows=0)
    line = '{"epoch": 1, "loss": 1.0, "val_![x](https://x.y/z.png)": 0.5}'
    RunDir(path).metrics_file.write_text(line)
    app = open_train(run="mine")
    assert not app.exception
    (title,) = [one.value for one in app.markdown if "Validation" in one.value]
    assert r"\!\[x\]" in title


def test_the_slider_goes_with_the_newest_frame_until_it_is_moved(
    open_train: Open, make_run: MakeRun
) -> None:
    run = RunDir(make_run("mine"))
    draw_frame(run, 0)
    draw_frame(run, 1)
    app = open_train(run="mine")
    slider = "train-film-mine"
    assert app.select_slider(key=slider).value == "epoch 1"
    draw_frame(run, 2)
    app.run()
    assert app.select_slider(key=slider).value == "epoch 2" and "epoch 2" in texts(app)
    app.select_slider(key=slider).set_value("before training").run()
    draw_frame(run, 3)
    app.run()
    assert app.select_slider(key=slider).value == "before training"
    app.select_slider(key=slider).set_value("epoch 3").run()
    draw_frame(run, 4)
    app.run()
    assert not app.exception and app.select_slider(key=slider).value == "epoch 4"


@pytest.mark.parametrize("fault", ["part", "fine", "text", "empty", "complex", "large"])
def test_a_frame_that_is_none_is_told(
    open_train: Open, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    run = RunDir(make_run("mine"))
    if fault in ("complex", "large"):
        # Both are known by what the file says of itself.
        monkeypatch.setattr(rasterio.DatasetReader, "read", lambda *_: pytest.fail("read"))
        draw_bands(
            run, 1, *((90, 45, "complex64") if fault == "complex" else (5000, 5000, "float32"))
        )
    elif fault in ("part", "fine"):
        bounds = (0.0, 0.0, 10.0, 10.0) if fault == "part" else WORLD
        draw_frame(run, 1, bounds=bounds, step=0.1 if fault == "fine" else 1.0)
    else:
        run.artifacts.mkdir()
        frame_path(run, 1, "").write_text("no map" if fault == "text" else "")
    app = open_train(run="mine")
    assert not app.exception and "This frame cannot be read" in texts(app)


def test_a_frame_that_is_none_is_read_once(
    open_train: Open, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDir(make_run("mine"))
    draw_bands(run, 1, 90, 45, "complex64")
    app, opened = open_train(run="mine"), []
    monkeypatch.setattr(rasterio, "open", lambda *_, **__: opened.append(1))
    app.run()
    assert not app.exception and "This frame cannot be read" in texts(app) and not opened


def draw_bands(run: RunDir, epoch: int, width: int, height: int, dtype: str) -> None:
    """Write a file of two bands that is no map, however small packed."""
    run.artifacts.mkdir(exist_ok=True)
    about = {"driver": "GTiff", "count": 2, "dtype": dtype, "compress": "deflate", "tiled": True}
    about |= {"width": width, "height": height, "SPARSE_OK": True}
    about |= {"transform": rasterio.Affine(4, 0, -180, 0, -4, 90)}
    with rasterio.open(frame_path(run, epoch, ""), "w", **about):
        pass


def draw_frame(run: RunDir, epoch: int, *, bounds: Bounds = WORLD, step: float = 4.0) -> None:
    shape = make_grid(bounds, step).shape
    raster = Raster(
        torch.full(shape, 0.3), bounds, step, "Pica pica", "", "share", "", None,
        torch.zeros(shape, dtype=torch.bool),
    )  # fmt: skip
    run.artifacts.mkdir(exist_ok=True)
    write_geotiff(raster, frame_path(run, epoch, ""))
