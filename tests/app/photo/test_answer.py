import json
from dataclasses import replace
from pathlib import Path

import timm

from csp_core import load_model
from csp_core.data.pictures import read_photo
from photo import answer, misfit
from photo.place import Where
from tests.photos import placed_jpeg
from tests.toy import save_demo_model

ROOT = Path(__file__).parents[3]


def test_the_classifier_that_the_page_names_is_that_of_the_manual() -> None:
    manual = (ROOT / "docs" / "photos.md").read_text(encoding="utf-8")
    name = misfit.SPECIES_MODEL
    assert f'"{name}"' in manual and "856 MB" in manual and "856 MB" in misfit.RECIPE
    # Its weights are the hub's alone; what timm itself knows is the network.
    assert timm.is_model(name.split("/")[1].split(".")[0])


def test_the_answer_is_offered_as_json(tmp_path: Path) -> None:
    photo = read_photo(placed_jpeg(-110.0, 39.0))
    where = Where((-110.0, 39.0), "typed", 5.0, False, None, None, None, "left out")
    save_demo_model(tmp_path)
    found = answer.ask(load_model(tmp_path / "demo"), photo, where, None)
    assert not isinstance(found, str)
    content = json.loads(answer.to_json(found, where))
    assert (content["lon"], content["radius_km"], content["model"]) == (-110, 5, "demo")
    assert content["combined"][0]["rank"] == 1 and len(content["image_only"]) == 24
    # A picture of another kind, so that the file says not to rely on it.
    assert not found.fits and content["caution"].startswith("Not to be relied on")
    assert next(iter(content)) == "caution"
    assert "caution" not in json.loads(answer.to_json(replace(found, fits=True), where))
