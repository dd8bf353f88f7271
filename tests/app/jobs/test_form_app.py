"""The form: every entry of the tables appears by itself, and what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from csp_core.config import parse_config
from csp_core.config.presets import presets_of
from csp_core.config.schema import FAMILIES, options, summary
from csp_core.data import DATASETS
from tests.app.jobs.conftest import Open, texts


def box(app: AppTest, kind: str, path: str):
    """Find the box of a setting, whatever generation of boxes it is of."""
    found = [
        one
        for one in app.get(kind)
        if str(one.key).startswith("train-") and str(one.key).endswith(f"-{path}")
    ]
    assert found, f"no {kind} {path}"
    return found[-1]


def keys(app: AppTest, section: str) -> set[str]:
    kinds = ("checkbox", "selectbox", "number_input", "text_input")
    every = [str(one.key) for kind in kinds for one in app.get(kind)]
    return {key.split(f"-{section}.")[1] for key in every if f"-{section}." in key}


def test_every_objective_is_offered_with_all_its_options(open_train: Open) -> None:
    app = open_train(new="1")
    # One that is taught is offered where it has teachers, as the form has no box for these.
    taught_ones = ("soft_targets", "soft_label_sets", "soft_scores")
    untaught = [name for name in FAMILIES["objective"][0] if name not in taught_ones]
    assert box(app, "selectbox", "objective-name").options == untaught
    taught = b"objective: soft_targets\nteachers: [{name: class_frequency}]\n"
    app.file_uploader(key="train-1-upload").upload("a.yaml", taught, "text/yaml").run()
    assert not app.error and not app.button(key="train-start").disabled
    assert box(app, "selectbox", "objective-name").options == list(FAMILIES["objective"][0])
    for name in FAMILIES["objective"][0]:
        box(app, "selectbox", "objective-name").select(name).run()
        assert not app.exception
        wanted = {o.name for o in options("objective", name)}
        if name in FAMILIES["thresholds"][0]:
            # Boxes of their own in place of one for a mapping.
            wanted -= {"thresholds"}
            wanted |= {f"thresholds.{o.name}" for o in options("thresholds", name)}
        assert keys(app, "objective") == wanted
        assert summary("objective", name) in texts(app)


def test_every_encoding_is_offered_with_a_picture_of_its_basis(open_train: Open) -> None:
    app = open_train(new="1")
    names = list(FAMILIES["location"][0])
    assert box(app, "selectbox", "model.location-name").options == ["none", *names]
    for name in names:
        box(app, "selectbox", "model.location-name").select(name).run()
        assert not app.exception
        assert {o.name for o in options("location", name)} <= keys(app, "model.location")
        assert len(app.image) == 1
        assert summary("location", name) in texts(app)
    box(app, "selectbox", "model.location-name").select("none").run()
    assert "knows images alone" in texts(app)
    assert "give the model one side at least" in texts(app) or app.error


def test_every_data_set_and_preset_begins_anew(open_train: Open) -> None:
    app = open_train(new="1")
    assert box(app, "selectbox", "data-set").options == list(DATASETS)
    assert box(app, "selectbox", "preset").options == list(presets_of("demo"))
    for name in DATASETS:
        before = box(app, "selectbox", "preset").value
        box(app, "selectbox", "data-set").select(name).run()
        assert not app.exception
        assert keys(app, "data") == {o.name for o in options("data", name)}
        presets = list(presets_of(name))
        assert box(app, "selectbox", "preset").options == presets
        first = next(one for one in (before, "seconds", *presets) if one in presets)
        assert box(app, "selectbox", "preset").value == first
    box(app, "selectbox", "preset").select("small").run()
    assert box(app, "text_input", "name").value == f"{name}-small"
    assert parse_config(app.session_state["train-draft"]).data.name == name


def test_what_is_typed_reaches_the_command(open_train: Open) -> None:
    app = open_train(new="1")
    box(app, "number_input", "training.epochs").set_value(3).run()
    box(app, "text_input", "objective.jitter_km").set_value("[1, 50]").run()
    box(app, "text_input", "name").set_value("mine").run()
    assert "training.epochs=3" in app.code[0].value
    assert "'objective.jitter_km=[1, 50]'" in app.code[0].value and "name=mine" in app.code[0].value
    assert app.session_state["train-draft"]["objective"]["jitter_km"] == [1, 50]
    assert not app.error


@pytest.mark.parametrize(
    ("path", "typed", "said"),
    [
        ("objective.jitter_km", "[1, ", "jitter_km"),
        ("objective.jitter_km", "", "needs a value"),
        ("name", "no good/../name", "name"),
        ("training.patience", "many", "patience"),
        ("model.init_from", "/etc/passwd", "data may lie"),
    ],
)
def test_what_does_not_fit_is_told_and_nothing_can_start(
    open_train: Open, home: Path, path: str, typed: str, said: str
) -> None:
    app = open_train(new="1")
    box(app, "text_input", path).set_value(typed).run()
    told = "\n".join(error.value for error in app.error).replace("\\", "")
    assert not app.exception and said in told
    assert app.button(key="train-start").disabled
    assert not (home / "runs").exists()


def test_paths_stay_inside_the_folder_that_is_allowed(
    open_train: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "data").mkdir()
    records = "scientificName,decimalLatitude,decimalLongitude\nA b,1,2\n"
    (home / "data" / "mine.csv").write_text(records)
    (home / "data" / "link").symlink_to("/etc")
    app = open_train(new="1")
    box(app, "selectbox", "data-set").select("occurrences").run()
    for typed, fits in (
        ("data/mine.csv", True),
        ("data/../data/mine.csv", True),
        ("/etc/passwd", False),
        ("data/link/passwd", False),
        ("../../secret.csv", False),
    ):
        box(app, "text_input", "data.root").set_value(typed).run()
        assert app.button(key="train-start").disabled == (not fits), typed
    monkeypatch.setenv("CSP_DATA_ROOT", str(home / "data"))
    for typed, fits in (("mine.csv", True), ("../other.csv", False), ("/etc/passwd", False)):
        box(app, "text_input", "data.root").set_value(typed).run()
        assert app.button(key="train-start").disabled == (not fits), typed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: from-file\nseed: 5\n", None),
        (b"- a\n- b\n", "no sections"),
        (b"a: &a [x]\nb: [" + b"*a," * 10_000 + b"]\n", "from.yaml"),
        (b"a: \xff\xfe\x00", "from.yaml is no text in UTF-8, as a file of settings is; its byte 4"),
        (b"seed: " + b"1" * 300_000, "bytes"),
        (b"[" * 5000, "from.yaml"),
    ],
)
def test_settings_come_from_a_file(open_train: Open, content: bytes, said: str | None) -> None:
    app = open_train(new="1")
    app.file_uploader(key="train-1-upload").upload("from.yaml", content, "text/yaml").run()
    assert not app.exception
    if said is None:
        assert box(app, "text_input", "name").value == "from-file" and not app.error
        assert app.code[0].value.startswith("csp train from-file.yaml")
        assert "Download from-file.yaml first" in texts(app)
        box(app, "selectbox", "preset").select("small").run()
        assert "csp train" in app.code[0].value and "Download" not in texts(app)
    else:
        assert said in "\n".join(error.value for error in app.error).replace("\\", "")
        assert box(app, "text_input", "name").value == "demo-seconds"


@pytest.mark.parametrize("content", [b"data: {name: [1]}", b"model: 5", b"objective: [1]"])
def test_a_preset_leads_out_of_settings_that_cannot_be(open_train: Open, content: bytes) -> None:
    app = open_train(new="1")
    app.file_uploader(key="train-1-upload").upload("from.yaml", content, "text/yaml").run()
    assert not app.exception and app.error and app.button(key="train-start").disabled
    for path in ("model.location-name", "objective-name"):
        one = box(app, "selectbox", path)
        one.select(one.options[1]).run()
        assert not app.exception
    box(app, "selectbox", "preset").select("small").run()
    assert not app.exception and not app.error and not app.button(key="train-start").disabled


def test_an_objective_without_its_teachers_is_told_beside_train(open_train: Open) -> None:
    app = open_train(new="1")
    content = b"objective: soft_targets\n"
    app.file_uploader(key="train-1-upload").upload("a.yaml", content, "text/yaml").run()
    said = "\n".join(error.value for error in app.error).replace("\\", "")
    assert "The objective soft_targets learns from `teachers`, and there are none" in said
    assert app.button(key="train-start").disabled
    box(app, "selectbox", "objective-name").select("softmax").run()
    assert not app.error and not app.button(key="train-start").disabled


def test_a_mistake_does_not_outlive_the_box_that_it_was_typed_in(open_train: Open) -> None:
    app = open_train(new="1")
    box(app, "text_input", "objective.jitter_km").set_value("[1, ").run()
    assert app.button(key="train-start").disabled
    box(app, "selectbox", "objective-name").select("geo_prior").run()
    assert not app.error and not app.button(key="train-start").disabled
    box(app, "text_input", "training.patience").set_value("[1, ").run()
    assert app.error
    box(app, "selectbox", "preset").select("small").run()
    assert not app.error and not app.button(key="train-start").disabled


def test_a_box_does_not_keep_what_was_typed_for_another_component(open_train: Open) -> None:
    """An option of the same name has its own default elsewhere."""
    app = open_train(new="1")
    found = {}
    for name in FAMILIES["location"][0]:
        for option in options("location", name):
            found.setdefault(option.name, []).append((name, option))
    first, second = found["num_scales"][:2]
    box(app, "selectbox", "model.location-name").select(first[0]).run()
    box(app, "number_input", "model.location.num_scales").set_value(5).run()
    box(app, "selectbox", "model.location-name").select(second[0]).run()
    assert "num_scales" not in app.session_state["train-draft"]["model"]["location"]
    assert box(app, "number_input", "model.location.num_scales").value == second[1].default


def test_the_command_names_the_file_that_the_run_reads(
    open_train: Open, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path on the page is relative to the folder of data, in a shell to where one stands."""
    (home / "data here").mkdir()
    (home / "data here" / "mine.csv").write_text("scientificName\nA b\n")
    monkeypatch.setenv("CSP_DATA_ROOT", str(home / "data here"))
    app = open_train(new="1")
    box(app, "selectbox", "data-set").select("occurrences").run()
    box(app, "text_input", "data.root").set_value("mine.csv").run()
    assert not app.error and str(home / "data here" / "mine.csv") in app.code[0].value


def test_few_labels_are_set_up_without_a_line_of_yaml(open_train: Open) -> None:
    app = open_train(new="1")
    box(app, "selectbox", "preset").select("few labels").run()
    assert not app.error and not app.button(key="train-start").disabled
    assert box(app, "selectbox", "objective.teacher").value == "metadata"
    box(app, "text_input", "objective.thresholds.threshold").set_value("0.9").run()
    box(app, "selectbox", "objective.distil").select("mse").run()
    config = parse_config(app.session_state["train-draft"])
    assert config.objective.options["thresholds"] == {"threshold": 0.9}
    assert config.objective.options["distil"] == "mse"
    assert "objective.thresholds.threshold=0.9" in texts(app)
    # A place is given to the teacher by any encoder, in the words of the configuration.
    box(app, "text_input", "objective.metadata").set_value("{name: grid, num_scales: 8}").run()
    assert app.session_state["train-draft"]["objective"]["metadata"]["num_scales"] == 8
    # Settings with defaults written out have none there.
    written = b"objective: {name: fixmatch, thresholds: null}\nmodel: {image: small_convnet}\n"
    generation = app.session_state["train-generation"]
    app.file_uploader(key=f"train-{generation}-upload").upload("a.yaml", written, "text/yaml").run()
    box(app, "text_input", "objective.thresholds.threshold").set_value("0.7").run()
    assert app.session_state["train-draft"]["objective"]["thresholds"] == {"threshold": 0.7}
    # A data set of places alone has no such preset.
    box(app, "selectbox", "data-set").select("occurrences").run()
    assert not app.exception
