from pathlib import Path

import pytest

from csp_core.config import load_config, parse_config
from csp_core.config.presets import (
    CONFIGS,
    PRESETS,
    preset,
    preset_file,
    presets_of,
    settings_of,
)
from csp_core.data import DATASETS
from csp_core.data.sets.facts import facts_of
from csp_core.errors import UnknownNameError
from csp_core.objectives import OBJECTIVES
from csp_core.training import train
from tests.data.sets import pastis, series, tiles

MAPS = ["map in seconds", "map"]
PAIRS = [(data_set, name) for data_set in DATASETS for name in presets_of(data_set)]


@pytest.mark.parametrize(("data_set", "name"), PAIRS)
def test_every_data_set_has_every_preset(data_set: str, name: str) -> None:
    tree = preset(data_set, name)
    config = parse_config(tree)
    assert config.name == f"{data_set}-{name}".replace(" ", "-") and config.data.name == data_set
    assert config.data.root is None and config.card.title == ""
    load_config(preset_file(data_set, name))


def test_a_preset_for_any_data_set_reads_no_images() -> None:
    assert preset("inat2018", "seconds")["data"] == {"name": "inat2018", "images": False}
    assert preset("occurrences", "seconds")["data"] == {"name": "occurrences"}


def test_every_file_of_presets_is_used() -> None:
    used = {preset_file(*pair) for pair in PAIRS}
    assert set((CONFIGS / "presets").glob("*.yaml")) <= used
    assert {name for _, name in PAIRS} == set(PRESETS)


def test_few_labels_is_offered_where_there_are_pictures_without_one() -> None:
    assert "few labels" not in presets_of("occurrences")
    with pytest.raises(UnknownNameError, match="small"):
        preset("occurrences", "few labels")
    for data_set in ("demo", "eurosat", "photos"):
        config = parse_config(preset(data_set, "few labels"))
        assert config.data.options["unlabelled"] and config.model.location is None
        assert config.objective.options["teacher"] == "metadata"


@pytest.mark.parametrize(("data_set", "name"), PAIRS)
def test_the_objective_of_a_preset_learns_what_the_data_set_has(data_set: str, name: str) -> None:
    config = parse_config(preset(data_set, name))
    assert config.objective is not None
    taken = OBJECTIVES[config.objective.name].label_sets
    # A record with a mask has neither a label nor a set.
    masks = name == "map of series" or bool(config.data.options.get("masks"))
    assert masks == (config.objective.name == "segmentation")
    assert taken in (None, facts_of(data_set).label_sets and not masks)


def test_label_sets_are_offered_settings_of_their_own() -> None:
    assert list(presets_of("tiles")) == ["seconds", "small", "few labels", *MAPS]
    assert list(presets_of("bigearthnet")) == ["seconds", "small", "few labels"]
    with pytest.raises(UnknownNameError, match="seconds"):
        preset_file("bigearthnet", "paper")


@pytest.mark.parametrize("name", ["seconds", "small", "few labels"])
def test_the_presets_of_tiles_learn(tmp_path: Path, name: str) -> None:
    pytest.importorskip("rasterio")
    tree = preset("tiles", name)
    data = tiles.options(tmp_path / "tiles")
    more = {key: value for key, value in data.items() if key not in ("classes", "ignored")}
    tree["data"] = {**tree["data"], **more}
    if name == "few labels":
        tree["data"]["labels"] = 12
    tree["training"] |= {"epochs": 1, "device": "cpu"}
    result = train(parse_config(tree), run_dir=tmp_path / "run")
    assert result.state == "finished"


@pytest.mark.parametrize("name", MAPS)
def test_the_presets_of_maps_learn_the_class_of_each_pixel(tmp_path: Path, name: str) -> None:
    pytest.importorskip("rasterio")
    tree = preset("tiles", name)
    assert tree["data"]["masks"] and "classes" not in tree["data"]
    tree["data"] |= tiles.masked(tmp_path / "tiles")
    tree["training"] |= {"epochs": 1, "device": "cpu"}
    if name == "map":
        tree["pretrain"] |= {"training.epochs": 1}
        tree["pretrain"]["objective"]["views"]["crop"] = [12, 16]
    config = parse_config(tree)
    assert (config.pretrain is not None) == (name == "map")
    result = train(config, run_dir=tmp_path / "run")
    assert result.state == "finished" and result.model.pixel_classifier is not None


def test_series_with_masks_are_offered_what_learns_masks_of_series() -> None:
    for data_set in ("pastis", "phenology"):
        assert list(presets_of(data_set)) == ["map of series"]
        with pytest.raises(UnknownNameError, match="map of series"):
            preset(data_set, "seconds")
    assert all(presets_of(data_set) for data_set in DATASETS)


@pytest.mark.parametrize("data_set", ["pastis", "phenology", "series"])
def test_the_presets_of_series_learn(tmp_path: Path, data_set: str) -> None:
    for name in presets_of(data_set):
        tree = preset(data_set, name)
        # Few and small; what shape they are of stays as it is.
        if data_set == "phenology":
            tree["data"] |= {"size": 20, "side": 16}
        else:
            made = {"pastis": pastis, "series": series}[data_set].options(tmp_path / "data")
            tree["data"] |= made
        tree["training"] |= {"epochs": 1, "device": "cpu", "threads": 1}
        if "small" in name or "paper" in name:
            tree["model"]["location"] = {"name": "grid", "num_scales": 4}
        result = train(parse_config(tree), run_dir=tmp_path / name)
        assert result.state == "finished"
        assert (result.model.pixel_classifier is None) == (data_set == "series")


def test_settings_are_given_anew() -> None:
    preset("demo", "seconds")["training"]["epochs"] = 10**6
    assert preset("demo", "seconds")["training"]["epochs"] < 1000
    assert "card" in (CONFIGS / "demo.yaml").read_text()
    assert "card" not in settings_of(CONFIGS / "demo.yaml")


def test_unknown_names_are_told() -> None:
    with pytest.raises(UnknownNameError, match="seconds"):
        preset("demo", "hours")
    with pytest.raises(UnknownNameError, match="photos"):
        preset("nowhere", "small")
