"""Real photos through the model of animals."""

from __future__ import annotations

from importlib import util
from pathlib import Path

import pytest

from csp_core.data.pictures import read_photo
from csp_core.image.wheels import WHEELS
from csp_core.importers.animals import BACKBONE, PRIOR, make_animals
from csp_core.inference import answer_photo
from csp_core.store import load_model

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "data" / "photos"
pytestmark = [
    pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs ../shared/data/photos"),
    pytest.mark.skipif(
        util.find_spec(WHEELS[BACKBONE].module) is None, reason=f"needs {WHEELS[BACKBONE].package}"
    ),
]


@pytest.fixture(scope="module")
def model():
    return make_animals(load_model(PRIOR))


@pytest.mark.parametrize(
    ("name", "common_name"),
    [
        ("50007563567_f5a3639857_k.jpg", "longhorn beetles"),  # Saperda tridentata
        ("51137792377_f561432285_k.jpg", "bees"),  # Nomada
    ],
)
def test_small_animals_are_named_and_their_place_leaves_them(model, name, common_name):
    photo = read_photo(PHOTOS / name, fit=2048)
    answer = answer_photo(model, photo.image, lonlat=photo.lonlat)
    assert answer.fits and photo.lonlat is not None
    assert answer.image_only[0].common_name == answer.combined[0].common_name == common_name
    assert answer.combined[0].value == pytest.approx(answer.image_only[0].value, rel=1e-4)


@pytest.mark.parametrize("name", ["landscape_6.jpg", "DSCN0012.jpg", "45-gps_ifd.jpg"])
def test_other_things_are_something_else(model, name):
    answer = answer_photo(model, read_photo(PHOTOS / name, fit=2048).image)
    assert not answer.fits and answer.image_only[0].taxon == "something else"
