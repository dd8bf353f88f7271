"""Paths of a configuration stand in one list; reading, keeping and overriding follow it."""

from __future__ import annotations

import pytest

from csp_core.config.paths import PATHS, anchor, anchor_value, shorten

KEYS = [path.key for path in PATHS]
ONE_VALUE = [key for key in KEYS if not key.startswith("teachers")]


def nested(key, value):
    sections = key.split(".")
    tree = {sections[-1]: value}
    for section in reversed(sections[:-1]):
        tree = {section: [tree] if section == "teachers" else tree}
    return tree


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "there").touch()
    return tmp_path


@pytest.mark.parametrize("key", KEYS)
def test_a_path_beside_the_file_is_absolute_when_read_and_short_when_kept(key, folder):
    tree = nested(key, "there")
    anchor(tree, folder)
    assert tree == nested(key, str(folder / "there"))
    assert shorten(tree) == nested(key, "there")


@pytest.mark.parametrize("path", PATHS, ids=KEYS)
def test_what_is_not_there_is_a_path_or_a_word(path, folder):
    for value in ("word", "a/word"):
        tree = nested(path.key, value)
        anchor(tree, folder)
        named = path.always or (path.by_slash and "/" in value)
        assert tree == nested(path.key, str(folder / value) if named else value)


@pytest.mark.parametrize("key", ONE_VALUE)
def test_other_stages_do_otherwise(key, folder):
    tree = {
        "pretrain": {key: "there"},
        "teachers": [{"name": "network", "overrides": {key: "there", "seed": 1}}, "forest"],
    }
    anchor(tree, folder)
    here = str(folder / "there")
    assert tree["pretrain"] == {key: here}
    assert tree["teachers"][0]["overrides"] == {key: here, "seed": 1}
    shorten(tree)
    assert tree["pretrain"] == {key: "there"}
    assert tree["teachers"][0]["overrides"] == {key: "there", "seed": 1}


@pytest.mark.parametrize("key", ONE_VALUE)
def test_values_given_apart_and_whole_sections(key, folder, monkeypatch):
    here = str(folder / "there")
    assert anchor_value(key, "there", folder) == here
    section, _, last = key.rpartition(".")
    assert anchor_value(section, {last: "there", "more": 1}, folder) == {last: here, "more": 1}
    assert anchor_value(key, 3, folder) == 3 and anchor_value(key, None, folder) is None
    (folder / "below").mkdir()
    found = anchor_value(key, "../there", folder / "below", resolve=True)
    assert found == str((folder / "there").resolve())


@pytest.mark.parametrize(
    "tree",
    [{}, {"teachers": 5}, {"data": "demo", "model": None}, {"model": [], "teachers": [None]}],
)
def test_sections_of_another_kind_are_left_to_the_check(tree, folder):
    before = repr(tree)
    anchor(tree, folder)
    shorten(tree)
    assert repr(tree) == before
