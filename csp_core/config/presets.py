"""Settings to start from, by data set and by how long one wants to wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from csp_core.config.paths import anchor
from csp_core.data import DATASETS
from csp_core.data.sets.facts import facts_of
from csp_core.errors import ConfigError
from csp_core.files import ASSETS, read_yaml
from csp_core.tables import lookup, option_names

CONFIGS = ASSETS.parent / "configs"
PRESETS = {
    "seconds": "A small encoder, for a first look; about half a minute on the invented world.",
    "small": "Settings that do well on one machine; minutes to an hour.",
    "paper": "The values of the CSP paper, as far as it states them; hours on large data.",
    "few labels": "Some labels and many pictures without any; seconds on the invented world,"
    " minutes on patches of land.",
    "map in seconds": "The class of each pixel from tiles with masks, for a first look; seconds"
    " on a few tiles.",
    "map": "The class of each pixel: all tiles are compared without their masks first, then the"
    " masks there are teach; minutes to an hour.",
    "map of series": "The class of each pixel from series of pictures with masks; half a minute on"
    " the invented fields, hours on PASTIS.",
}
# By preset, of data sets that have a file of their own; "" is for all others with one label a
# record. A preset without that one is for the data sets named alone.
_FILES = {
    "seconds": {
        "": "presets/seconds.yaml",
        "bigearthnet": "presets/landcover-seconds.yaml",
        "demo": "presets/demo-seconds.yaml",
        "tiles": "presets/tiles-seconds.yaml",
    },
    "small": {
        "": "occurrences.yaml",
        "bigearthnet": "landcover.yaml",
        "demo": "demo.yaml",
        "eurosat": "eurosat.yaml",
        "photos": "presets/photos-small.yaml",
        "places": "world_birds.yaml",
        "tiles": "presets/tiles-small.yaml",
    },
    "paper": {
        "": "presets/paper.yaml",
        "demo": "presets/demo-paper.yaml",
        "fmow": "csp-fmow-code.yaml",
        "inat2018": "csp-inat2018-paper.yaml",
    },
    "few labels": {
        "bigearthnet": "stssl/bigearthnet_fixmatch_cpu.yaml",
        "demo": "presets/few-labels-seconds.yaml",
        "eurosat": "stssl/eurosat_fixmatch_cpu.yaml",
        "photos": "presets/photos-few-labels.yaml",
        "tiles": "presets/tiles-few-labels.yaml",
    },
    "map in seconds": {"tiles": "presets/maps-seconds.yaml"},
    "map": {"tiles": "dense/tiles.yaml"},
    "map of series": {
        "pastis": "presets/pastis-maps.yaml",
        "phenology": "presets/phenology-maps.yaml",
    },
}


def presets_of(data_set: str) -> dict[str, str]:
    """List the presets that there are for a data set.

    Args:
        data_set: A name in ``DATASETS``.

    Returns:
        Those of ``PRESETS``, each with its sentence.

    Raises:
        UnknownNameError: If there is no such data set.

    Example:
        >>> list(presets_of("occurrences"))
        ['seconds', 'small', 'paper']
        >>> list(presets_of("phenology"))
        ['map of series']
    """
    lookup("data set", DATASETS, data_set)
    # Settings for any data set learn one label a record: of label sets, masks or none they could
    # only fail.
    facts = facts_of(data_set)
    others = facts.label_sets or facts.masks or facts.asks
    fitting = {data_set} if others else {data_set, ""}
    return {name: told for name, told in PRESETS.items() if fitting & _FILES[name].keys()}


def preset_file(data_set: str, name: str) -> Path:
    """Find the file of a preset.

    Args:
        data_set: A name in ``DATASETS``.
        name: A name in ``PRESETS``.

    Returns:
        A configuration that ``csp train`` takes.

    Raises:
        UnknownNameError: If there is no such data set, or no such preset for it.
        ConfigError: If the file is not there.
    """
    lookup("preset", presets_of(data_set), name)
    files = _FILES[name]
    path = CONFIGS / (files[data_set] if data_set in files else files[""])
    if not path.is_file():
        raise ConfigError(f"No file {path}: presets stand in the clone of the repository.")
    return path


def preset(data_set: str, name: str) -> dict[str, Any]:
    """Give the settings of a preset, for the form and the launcher.

    Args:
        data_set: A name in ``DATASETS``.
        name: A name in ``PRESETS``.

    Returns:
        Sections of plain values, to be checked by ``parse_config``; without a card and without the
        folder of the data, which are of another run.

    Raises:
        UnknownNameError: If there is no such data set or preset.
        ConfigError: If the file is not there.
    """
    tree = settings_of(preset_file(data_set, name))
    data = tree["data"]
    if data["name"] != data_set:
        # The settings for any data set learn from places alone, so no image need be read.
        places_alone = {"images": False} if "images" in option_names(DATASETS[data_set]) else {}
        data = {"name": data_set, **places_alone}
    data.pop("root", None)
    return {**tree, "name": f"{data_set}-{name}".replace(" ", "-"), "data": data}


def settings_of(path: Path) -> dict[str, Any]:
    """Read a file of settings, without checking them.

    Args:
        path: A configuration.

    Returns:
        Its sections, with absolute paths and without a card.

    Raises:
        ConfigError: If it is no YAML of sections.
    """
    tree = read_yaml(path)
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no sections such as `data:` and `training:`.")
    anchor(tree, path.parent.resolve())
    tree.pop("card", None)
    return tree
