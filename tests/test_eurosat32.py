"""EuroSAT at 32 pixels, packed: the same images come out."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from csp_core.data.image_files import FileImages
from csp_core.data.sets.eurosat import load_eurosat

ROOT = Path(__file__).resolve().parents[1]
EUROSAT = ROOT.parent / "shared" / "data" / "eurosat"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("eurosat32")


def small_folder(root, each=5):
    generator = np.random.default_rng(0)
    rows = ["filepath,class,latitude,longitude"]
    for kind in ("Forest", "River"):
        (root / "2750" / kind).mkdir(parents=True)
        for number in range(1, each + 1):
            name = f"{kind}/{kind}_{number}.jpg"
            pixels = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
            Image.fromarray(pixels).save(root / "2750" / name)
            rows.append(f"{name},{kind},{50 + number / 10},{10 + number / 10}")
    (root / "eurosat_coordinates.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def test_what_is_packed_comes_out_and_makes_a_folder_again(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "ACROSS", 2)
    monkeypatch.setattr(script, "DOWN", 2)
    root = small_folder(tmp_path / "whole")
    size = script.pack(root, tmp_path / "packed")
    assert size == sum(path.stat().st_size for path in (tmp_path / "packed").iterdir())
    packed = script.load(tmp_path / "packed")
    before = load_eurosat("train", root=root, in_memory=False)
    assert packed.names[0] == "Forest/Forest_1.jpg" and packed.classes == ("Forest", "River")
    assert torch.equal(packed.label, torch.tensor([0] * 5 + [1] * 5))
    read = FileImages(before.store.root, before.store.names, 32).take(torch.arange(10))
    assert torch.equal(packed.image, read)

    script.unpack(tmp_path / "packed", tmp_path / "again")
    after = load_eurosat("train", root=tmp_path / "again", in_memory=False)
    assert after.test_hash == before.test_hash and torch.equal(after.lonlat, before.lonlat)
    assert torch.equal(after.label, before.label)
    found = [script.at_32(before), script.at_32(after), script.at_32(after, packed)]
    for number in range(len(before)):
        images = [records[number]["image"] for records in found]
        assert images[0].shape == (3, 32, 32)
        assert torch.equal(images[0], images[1]) and torch.equal(images[0], images[2])


def test_damage_is_told(script, tmp_path):
    script.pack(small_folder(tmp_path / "whole"), tmp_path / "packed", rows=[0, 7])
    assert script.load(tmp_path / "packed").names == ("Forest/Forest_1.jpg", "River/River_3.jpg")
    Image.fromarray(np.zeros((32, 1024, 3), np.uint8)).save(
        tmp_path / "packed" / "sheet-00.webp", lossless=True
    )
    with pytest.raises(SystemExit, match="damaged"):
        script.load(tmp_path / "packed")
    with pytest.raises(SystemExit, match="give a folder that is not"):
        script.pack(tmp_path / "whole", tmp_path / "packed")


@pytest.mark.real
@pytest.mark.skipif(not EUROSAT.is_dir(), reason="needs ../shared/data/eurosat")
def test_fifty_real_images_are_those_that_are_read(script, tmp_path):
    store = load_eurosat("all", root=EUROSAT, in_memory=False).store
    rows = list(range(0, len(store), len(store) // 50))[:50]
    script.pack(EUROSAT, tmp_path / "packed", rows)
    packed = script.load(tmp_path / "packed")
    read = FileImages(store.root, store.names, 32).take(torch.tensor(rows))
    assert torch.equal(packed.image, read) and len(set(packed.label.tolist())) == 10
