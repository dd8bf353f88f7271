"""What the form would start is what its command line starts."""

from __future__ import annotations

import copy
import shlex
from pathlib import Path
from typing import Any

import pytest

from csp_core.config import load_config, parse_config
from csp_core.config.presets import preset, preset_file, presets_of, settings_of
from csp_core.data import DATASETS
from jobs.draft import flow, overrides

CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "numbers": {"seed": 7, "training": {"epochs": 3, "learning_rate": 2e-4, "patience": None}},
    "another objective": {"objective": {"name": "an_full", "positive_weight": 12.5}},
    "another encoder": {"model": {"location": {"name": "harmonics", "num_degrees": 5}}},
    "time": {"model": {"location": {"time": {"day_of_year": True, "harmonics": 2}}}},
    "nested": {"objective": {"name": "fixmatch", "thresholds": {"threshold": 0.9}}},
    "words": {"name": "my-run.2", "training": {"schedule": "constant"}},
}


def merged(tree: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(tree)
    for key, value in change.items():
        old = found.get(key)
        if isinstance(value, dict) and isinstance(old, dict) and "name" not in value:
            found[key] = merged(old, value)
        else:
            found[key] = copy.deepcopy(value)
    return found


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    ("data_set", "name"), [(one, name) for one in DATASETS for name in presets_of(one)]
)
def test_the_command_starts_the_same_run(data_set: str, name: str, change: str) -> None:
    start = preset(data_set, name)
    if change == "time" and start["model"]["location"] is None:
        pytest.skip("its model has no side of places, where the time would stand")
    tree = merged(start, CHANGES[change])
    path = preset_file(data_set, name)
    line = shlex.join(overrides(settings_of(path), tree))
    found = load_config(path, shlex.split(line))
    given = parse_config(tree)
    # The folder of the data is not part of a preset.
    one, other = (c.model_dump(mode="json", exclude={"card"}) for c in (found, given))
    one["data"].pop("root"), other["data"].pop("root")
    assert one == other


def test_only_what_differs_is_given() -> None:
    tree = preset("demo", "seconds")
    same = overrides(settings_of(preset_file("demo", "seconds")), tree)
    assert same == []
    tree["training"]["epochs"] = 3
    assert overrides(settings_of(preset_file("demo", "seconds")), tree) == ["training.epochs=3"]


@pytest.mark.parametrize("value", [None, True, 1, 1.5e-7, "a b", "a: [b", "null", [2, 300], {}])
def test_values_are_written_in_one_line(value: Any, tmp_path: Path) -> None:
    from csp_core.files import parse_yaml

    text = flow(value)
    assert "\n" not in text and parse_yaml(text, "it") == value
