"""The room that a run keeps on its disk."""

from __future__ import annotations

import pytest

from csp_core.runs.reserve import ROOM_BYTES, give_room, room


def test_room_is_kept_given_up_and_gone_at_the_end(tmp_path):
    with room(tmp_path):
        assert (tmp_path / "room").stat().st_size == ROOM_BYTES
        give_room(tmp_path)
        assert not (tmp_path / "room").exists()
    with pytest.raises(RuntimeError), room(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_room_is_not_followed(tmp_path):
    precious, control = tmp_path / "precious", tmp_path / "control"
    precious.write_text("mine")
    control.mkdir()
    (control / "room").symlink_to(precious)
    with room(control):
        assert not (control / "room").is_symlink()
    assert precious.read_text() == "mine"


def test_without_a_folder_there_is_no_room_and_no_error(tmp_path):
    with room(tmp_path / "none"):
        assert not (tmp_path / "none").exists()
