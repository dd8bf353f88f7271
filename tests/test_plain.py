"""Values that anybody may have written: read within bounds, refused in one sentence."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import resource
import time

import pytest

from csp_core.config import load_config
from csp_core.errors import CheckpointError, ConfigError, CspError
from csp_core.files import ASSETS, parse_yaml, printable, read_json, read_text, spreadsheet_cell
from csp_core.training.sweep.cells import load_sweep
from csp_core.training.sweep.table import write_tables

ROOT = ASSETS.parent
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
)
HOSTILE = {
    "bomb": BOMB + "name: *a8",
    "merged bomb": "a0: &a0 {x: 1}\n"
    + "".join(f"a{i}: &a{i}\n  <<: [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)),
    "chain": "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 120)),
    "itself": "name: &a [*a]",
    "deep": "name: " + "[" * 20_000,
    "deep by lines": "\n".join(" " * i + "a:" for i in range(200)),
    "long": "name: [" + "x," * 30_000 + "]",
    "longer": "name: " + "x" * 100_000,
    "surrogate": 'name: "\\ud800"',
    "digits": "seed: " + "1" * 5000,
    "hexadecimal": "seed: 0x" + "f" * 5000,
    "sexagesimal": "seed: 1" + ":1" * 30_000,
    "date": "name: 2020-13-45",
    "time": "name: !!timestamp x",
    "bool": "name: !!bool x",
    "python": "name: !!python/object/apply:os.system [ls]",
    "two": "---\na: 1\n---\nb: 2",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_yaml_out_of_bounds(tmp_path, name):
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    path = tmp_path / "run.yaml"
    path.write_text(HOSTILE[name])
    for read in (load_config, load_sweep):
        with pytest.raises(ConfigError, match="not YAML") as caught:
            read(path)
        assert len(str(caught.value)) < 700
    assert time.process_time() - started < 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize(
    "override",
    [
        *("name=" + "[" * 5000, 'name="\\ud800"', "name=!!timestamp x", "seed=" + "1" * 5000),
        *("a." * 2000 + "b=1", "\udcff=1"),
    ],
)
def test_overrides_out_of_bounds(override):
    with pytest.raises(ConfigError) as caught:
        load_config(ROOT / "configs" / "birds.yaml", [override])
    assert len(str(caught.value)) < 1000


def test_yaml_within_bounds_keeps_aliases_and_merged_keys():
    text = "a: &a {x: 1, y: [1, 2]}\nb:\n  <<: *a\n  x: 2\nc: [*a, *a]"
    read = parse_yaml(text, "it")
    assert read["b"] == {"x": 2, "y": [1, 2]} and read["c"] == [read["a"]] * 2
    assert parse_yaml("", "it") is None


def test_yaml_is_read_in_one_place():
    others = [
        path
        for folder in ("csp_core", "app")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(
            r"yaml\.(safe_load|load|full_load|unsafe_load|parse)|SafeLoader", path.read_text()
        )
    ]
    assert [path.relative_to(ROOT).as_posix() for path in others] == ["csp_core/files/plain.py"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[" * 10**5, "nested deeper"),
        ("[" * 70 + "]" * 70, "nested deeper than 64"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("1" + "0" * 30, "64 bits"),
        ("1" * 5000, "JSON"),
        (" " * (5 << 20), "larger than"),
    ],
)
def test_json_out_of_bounds(tmp_path, content, says):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=says):
        read_json(path)


def test_whole_characters_of_two_escapes_are_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": "🦜"}))
    assert read_json(path) == {"a": "🦜"}
    assert printable("a\udcff🦜") == "a\\udcff🦜"


def test_devices_and_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path):
        with pytest.raises(CspError):
            read_text(path)


@pytest.mark.parametrize("first", "=+-@\t\r")
def test_no_cell_of_a_table_is_a_formula(tmp_path, first):
    assert spreadsheet_cell(f"{first}1") == f"'{first}1".replace("\r", " ")
    row = {"values": {"name": f"{first}cmd|' /C calc'!A0", "rate": -1.5}, "state": "failed"}
    write_tables([row | {"message": "=1"}], tmp_path)
    with (tmp_path / "table.csv").open(newline="") as stream:
        (cells,) = csv.DictReader(io.StringIO(stream.read()))
    assert cells["name"].startswith("'") and cells["message"] == "'=1" and cells["rate"] == "-1.5"
    assert json.loads((tmp_path / "table.json").read_text())[0]["message"] == "=1"
