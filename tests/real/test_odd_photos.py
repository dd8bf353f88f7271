"""Odd photos and checkpoints of the shared folder, through the commands, with right values."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csp_core.cli import app
from csp_core.data.pictures import read_photo

CASES = Path(os.environ.get("CSP_SHARED_CASES", Path(__file__).parents[3] / "shared" / "cases"))
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases"),
]
# Place, and words that are said; a place of None has its reason among them.
PHOTOS = {
    "p02_neg_deg_ref_S.jpg": ((18.42, -33.858), ()),
    "p20_xmp_decimal_ref_sep.jpg": ((-14.1606, 28.1844), ()),
    "p21_xmp_letter_vs_ref.jpg": (
        None,
        ("latitude 18,32.725541N of the XMP data and the reference S",),
    ),
    "p26_sidecar.jpg": ((-70.33, -18.545), ("Read from p26_sidecar.xmp beside the photo: place",)),
    "g04_gcps.tif": ((13.5, 52.5), ("Placed by 4 ground control points",)),
    "g12_uint16_nodata.tif": ((13.032, 52.968), ("no data (65535)",)),
    "p47_lab_red.tif": (None, ("Lab",)),
}


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def case(name):
    if not (CASES / name).is_file():
        pytest.skip(f"needs ../shared/cases/{name}")
    return CASES / name


@pytest.mark.parametrize("name", PHOTOS)
def test_photos(name):
    place, words = PHOTOS[name]
    done = run("predict", "demo", "--image", case(name), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    said = " ".join([told["image"]["why_no_place"], *told["image"]["notes"]])
    assert all(word in said for word in words), said
    assert "ransparent" not in said
    if place is None:
        assert told["lon"] is None and told["image"]["place_source"] is None
    else:
        assert (told["lon"], told["lat"]) == pytest.approx(place, abs=1e-4)
    printed = run("predict", "demo", "--image", case(name)).output
    assert all(word in " ".join(printed.split()) for word in words)


def test_a_camera_raw():
    done = run("predict", "demo", "--image", case("p33_dng_thumb.dng"))
    assert done.exit_code == 1 and "This is a camera raw (DNG)" in str(done.exception)


def test_no_data_does_not_set_the_scale():
    shown = read_photo(case("g12_uint16_nodata.tif")).image.float()
    assert shown.mean() > 60 and shown.max() == 255


def test_lab_is_red():
    r, g, b = read_photo(case("p47_lab_red.tif")).image.float().mean(dim=(1, 2)).tolist()
    assert r > 150 and g < 80 and b < 80


def test_a_checkpoint_of_several_gpus(tmp_path):
    done = run("import-model", case("ts_module.pth.tar"), tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["source"] == "torchspatial" and told["num_classes"] == 100
    assert told["location"]["name"] == "rff" and any("module." in n for n in told["notes"])
