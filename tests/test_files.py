"""Files: nothing half-written is ever seen."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest
import torch

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files import (
    asset_path,
    atomic_directory,
    atomic_path,
    hash_file,
    load_tensors,
    read_json,
    save_tensors,
    write_json,
)


def test_a_file_appears_whole_with_ordinary_permissions(tmp_path):
    path = tmp_path / "deep" / "er" / "a.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new" and os.listdir(path.parent) == ["a.txt"]
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_failure_inside_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    for name in ("first", "second"):
        with atomic_directory(path) as fresh:
            (fresh / name).write_text(name)
    assert os.listdir(path) == ["second"] and os.listdir(tmp_path) == ["model"]


def test_a_failure_inside_leaves_the_old_folder(tmp_path):
    path = tmp_path / "model"
    with atomic_directory(path) as fresh:
        (fresh / "a").write_text("old")
    with pytest.raises(RuntimeError), atomic_directory(path) as fresh:
        (fresh / "a").write_text("half")
        raise RuntimeError
    assert (path / "a").read_text() == "old" and os.listdir(tmp_path) == ["model"]


def test_json(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"ä": [1, None]})
    assert read_json(path) == {"ä": [1, None]} and "ä" in path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert read_json(path) == {"ä": [1, None]}
    path.write_text("{")
    with pytest.raises(CheckpointError, match="not readable JSON"):
        read_json(path)
    with pytest.raises(DataNotFoundError):
        read_json(tmp_path / "none.json")


def test_tensors(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.arange(6.0).view(2, 3).T})
    assert torch.equal(load_tensors(path)["x"], torch.arange(6.0).view(2, 3).T)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CheckpointError, match="not a complete"):
        load_tensors(path)
    with pytest.raises(CheckpointError, match="No file"):
        load_tensors(tmp_path / "none")


def test_hash(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 3_000_000)
    assert hash_file(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()


def test_assets():
    assert asset_path("world", "land.geojson").is_file()
    with pytest.raises(DataNotFoundError, match="pip install -e"):
        asset_path("world", "atlantis.geojson")
