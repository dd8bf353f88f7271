"""The configuration: what is refused, what is mended, where paths lead."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from csp_core.config import derive_config, load_config, parse_config
from csp_core.errors import ConfigError, CspError, DataNotFoundError
from tests import small

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(set(CONFIGS.rglob("*.yaml")) - set(CONFIGS.glob("sweep*.yaml")))


@pytest.fixture
def write(tmp_path):
    def save(tree, name="run.yaml"):
        path = tmp_path / name
        path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree), encoding="utf-8")
        return path

    return save


def test_shipped_configurations_are_valid():
    assert SHIPPED
    for path in SHIPPED:
        config = load_config(path)
        assert config.data.root is None or config.data.root.is_absolute()


def test_everything_has_a_default(write):
    assert load_config(write("")) == parse_config({})


@pytest.mark.parametrize(
    ("tree", "says"),
    [
        ({"trainig": {}}, "unknown key 'trainig'. Did you mean 'training'? Known"),
        ({"training": {"epoch": 3}}, "unknown key 'training.epoch'. Did you mean 'epochs'? Known"),
        ({"model": {"location": {"name": "gird"}}}, "location encoder 'gird'. Did you mean 'grid'"),
        ({"model": {"location": {"name": "grid", "scales": 3}}}, "no option 'scales'"),
        (
            {"model": {"location": {"name": "grid", "num_scales": "many"}}},
            "num_scales is 'many'; Input should be a valid integer",
        ),
        (
            {"model": {"location": {"name": "xyz", "network": {"name": "mpl"}}}},
            "Unknown network 'mpl'",
        ),
        (
            {"model": {"location": {"name": "xyz", "network": {"name": "fcnet", "width": 3}}}},
            "network 'fcnet' has no option 'width'",
        ),
        ({"model": {"location": {"name": "xyz", "network": 3}}}, "network is 3"),
        ({"objective": {"name": "soft"}}, "Unknown objective 'soft'"),
        ({"objective": {"name": "softmax", "exact": True}}, "no option 'exact'"),
        ({"objective": {"label_smoothing": 0.1}}, "objective.name: Field required"),
        ({"data": {"name": "bird"}}, "Unknown data set 'bird'"),
        ({"data": {"name": "demo", "sise": 3}}, "no option 'sise'"),
        ({"training": {"epochs": 0}}, "training.epochs: Input should be greater than or equal"),
        ({"training": {"schedule": "linear"}}, "training.schedule"),
        ({"training": 3}, "training: Input should be"),
        ({"name": "../x"}, "name: String should match"),
        ({"seed": -1}, "seed"),
    ],
)
def test_what_does_not_fit_is_named(write, tree, says):
    path = write(tree)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert says in str(caught.value) and str(path) in str(caught.value)


def test_several_faults_are_told_at_once(write):
    with pytest.raises(ConfigError, match=r"epoch.*batch_size"):
        load_config(write({"training": {"epoch": 3, "batch_size": 0}}))


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "- 1\n- 2", "just words"])
def test_files_that_are_no_configuration(write, text):
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(write(text))


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(ConfigError, match="not YAML"):
        load_config(path)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_no_file(tmp_path, name):
    with pytest.raises(DataNotFoundError, match="give a YAML file"):
        load_config(tmp_path / name)


def test_numbers_that_yaml_reads_as_text(write):
    assert load_config(write("training: {learning_rate: 1e-4}")).training.learning_rate == 1e-4
    config = load_config(write("objective: {name: softmax, label_smoothing: 1e-2}"))
    assert config.objective.options["label_smoothing"] == 0.01


def test_defaults_of_components_are_written_out(write):
    config = load_config(write({"model": {"location": {"name": "grid"}}}))
    options = config.model.location.options
    assert (options["num_scales"], options["min_radius"]) == (32, 0.1)
    assert options["network"]["name"] == "residual_mlp" and options["network"]["num_hidden"] == 1


# Overrides


def test_overrides(write):
    path = write({"training": {"epochs": 3}, "model": {"location": {"name": "grid"}}})
    config = load_config(
        path,
        [
            "training.epochs=7",
            "training.learning_rate=1e-4",
            "model.location.num_scales=5",
            "model.location.network.dropout=0.25",
            "data.name=demo",
            "data.size=200",
            "training.patience=null",
            "card.title=a=b",
        ],
    )
    assert (config.training.epochs, config.training.learning_rate) == (7, 1e-4)
    location = config.model.location.options
    assert location["num_scales"] == 5 and location["network"]["dropout"] == 0.25
    assert config.data.name == "demo" and config.data.options["size"] == 200
    assert config.training.patience is None and config.card.title == "a=b"


def test_a_component_by_its_name_alone(write):
    path = write({"model": {"location": {"name": "grid", "num_scales": 3}}, "objective": "softmax"})
    config = load_config(path, ["model.location=xyz", "data=demo"])
    assert config.model.location.name == "xyz" and config.data.name == "demo"
    assert config == load_config(path, ["model.location={name: xyz}", "data={name: demo}"])


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("epochs", "give section.key=value"),
        ("=3", "give section.key=value"),
        ("training.epochs=[", "not YAML"),
        ("training.epochs.x=1", "'epochs' is not a section"),
        ("training.epoch=1", "unknown key 'training.epoch'"),
        ("training.epochs=soon", "training.epochs"),
    ],
)
def test_overrides_that_do_not_fit(write, override, says):
    with pytest.raises(ConfigError, match=says.replace("[", r"\[")):
        load_config(write({"training": {"epochs": 3}}), [override])


# Paths


def test_paths_are_relative_to_the_file(write, tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    path = write({"data": {"root": "records.csv"}, "model": {"init_from": "base"}})
    monkeypatch.chdir("/")
    config = load_config(path)
    assert config.data.root == tmp_path / "records.csv"
    assert config.model.init_from == str(tmp_path / "base")


def test_paths_of_other_stages_are_relative_to_the_file_and_stay_on_the_machine(write, tmp_path):
    for name in ("base", "start"):
        (tmp_path / name).mkdir()
    network = {"name": "network", "overrides": {"model.init_from": "start", "model.dim": 8}}
    tree = {
        "objective": "soft_targets",
        "model": {"init_from": "base"},
        "teachers": [network],
        "data": {"root": "records.csv"},
    }
    config = load_config(write(tree))
    overrides = config.teachers[0].options["overrides"]
    assert overrides == {"model.init_from": str(tmp_path / "start"), "model.dim": 8}
    kept = config.without_folders()
    assert kept["teachers"][0]["overrides"] == {"model.init_from": "start", "model.dim": 8}
    assert kept["model"]["init_from"] == "base" and str(tmp_path) not in str(kept)
    stages = load_config(write({"pretrain": {"data.root": "start", "training.epochs": 1}}))
    assert stages.pretrain == {"data.root": str(tmp_path / "start"), "training.epochs": 1}
    assert stages.without_folders()["pretrain"]["data.root"] == "start"


@pytest.mark.parametrize("given", [{"training": {"epochs": 3}}, {"training.epochs": 3}])
def test_a_stage_keeps_what_it_is_not_given(write, given):
    path = write({"training": {"batch_size": 77, "epochs": 9}, "pretrain": given})
    config = load_config(path)
    first = derive_config(config, config.pretrain, source="pretrain")
    assert first.training.epochs == 3 and first.training.batch_size == 77
    config = load_config(path, ["pretrain.training.epochs=1", "pretrain.model.dim=8"])
    first = derive_config(config, config.pretrain, source="pretrain")
    assert first.training.epochs == 1 and first.training.batch_size == 77
    assert first.model.dim == 8 and config.model.dim != 8 and config.training.epochs == 9


def test_an_objective_that_is_taught_needs_teachers(write):
    with pytest.raises(ConfigError) as told:
        load_config(write({"objective": "soft_targets"}))
    assert "yaml: The objective soft_targets learns from `teachers`, and there are none" in str(
        told.value
    )
    tree = {"objective": "soft_targets", "teachers": [{"name": "class_frequency"}]}
    with pytest.raises(ConfigError, match=r"pretrain: The objective soft_targets learns"):
        config = load_config(write(tree | {"pretrain": {"training.epochs": 1}}))
        derive_config(config, config.pretrain, source="pretrain")


def test_the_name_of_a_model_stays_a_name(write):
    assert load_config(write({"model": {"init_from": "birds"}})).model.init_from == "birds"


def test_paths_of_overrides_are_relative_to_the_working_directory(write, tmp_path, monkeypatch):
    path = write({"data": {"root": "elsewhere.csv"}})
    here = tmp_path / "here"
    (here / "base").mkdir(parents=True)
    monkeypatch.chdir(here)
    config = load_config(path, ["data.root=mine.csv", "model.init_from=base"])
    assert config.data.root == here / "mine.csv"
    assert config.model.init_from == str(here / "base")


# The whole tree


def test_round_trip(write, tmp_path):
    tree = small.tree(tmp_path / "records.csv", objective={"jitter_km": [2, 500]})
    first = load_config(write(tree | {"card": {"title": "Ä: title", "limits": "two\nlines"}}))
    assert load_config(write(first.to_yaml(), "again.yaml")) == first


def test_the_tree_is_frozen():
    config = parse_config({})
    with pytest.raises(ValidationError):
        config.seed = 3
    with pytest.raises(ValidationError):
        config.training.epochs = 3


def test_every_error_is_one_of_ours():
    for tree in ({"data": []}, {"model": {"location": None}}, {"card": "x"}, {1: 2}):
        with pytest.raises(CspError):
            parse_config(tree)
