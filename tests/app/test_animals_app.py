"""The Photo page with a model of animals that borrows its places."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from csp_core.files import ASSETS
from tests.animals import save_few_animals

Open = Callable[..., AppTest]
IOWA = {"lat": "42", "lon": "-93.6", "date": "2024-06-12"}


def upload(app: AppTest) -> AppTest:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (90, 120, 200)).save(stream, "PNG")
    rows = [("bird.png", stream.getvalue(), "image/png")]
    return app.file_uploader(key="photo_files").set_value(rows).run()


def texts(app: AppTest) -> str:
    shown = [*app.header, *app.subheader, *app.markdown, *app.caption, *app.warning]
    return "\n".join(element.value for element in shown).replace("\\", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_few_animals(tmp_path / "models")
    (tmp_path / "models" / "world_birds").symlink_to(ASSETS / "models" / "world_birds")
    return tmp_path / "models"


def test_the_picture_alone_stands_beside_what_place_and_week_say(
    folder: Path, open_view: Open
) -> None:
    app = upload(open_view("photo", folder=folder, model="animals"))
    for name, value in IOWA.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception and not app.error
    said = texts(app)
    assert "Image alone: indigo bunting or European goldfinch, 57 : 43." in said
    assert "Iowa" in said and ": indigo bunting, 7" in said
    assert "It names 4 kinds of animals and no others" in said or "names 4 classes" in said
    assert "world_birds hears the place: it knows 3 of 5 classes" in said
    (day,) = [one for one in app.date_input if str(one.key).startswith("date_box")]
    assert not day.disabled


def test_something_else_is_not_named_and_leads_to_what_fits(folder: Path, open_view: Open) -> None:
    save_few_animals(folder, (0.1, 0.1, 0.1, 0.1, 0.6))
    app = upload(open_view("photo", folder=folder, model="animals"))
    assert not app.exception
    said = texts(app)
    assert "animals does not name this picture" in said
    assert "none of the 4 kinds of its list: 60%" in said


def test_the_page_opens_with_it_and_says_so(folder: Path, open_view: Open) -> None:
    (folder / "butterflies").symlink_to(ASSETS / "models" / "butterflies")
    app = open_view("photo", folder=folder)
    assert not app.exception and not app.error
    said = texts(app)
    assert "Photos of real animals are looked at by **animals**, as no model was chosen" in said
    assert "Give a photo to begin." in said and "does not name this picture" not in said
    (box,) = [one for one in app.selectbox if one.key == "model_box"]
    assert box.value == "animals"
    assert "Image alone: indigo bunting or" in texts(upload(app))
    # What is asked for comes first: a model, or an example, which its own model knows.
    for asked in ({"model": "butterflies"}, {"example": "kite-rockies.png"}):
        app = open_view("photo", folder=folder, **asked)
        assert not app.exception and "as no model was chosen" not in texts(app)
        (box,) = [one for one in app.selectbox if one.key == "model_box"]
        assert box.value == "butterflies"
    app = open_view("photo", folder=folder, model="animals")
    assert "as no model was chosen" not in texts(app) and "Give a photo to begin." in texts(app)


def test_an_example_is_shown_to_the_model_that_knows_it(folder: Path, open_view: Open) -> None:
    (folder / "butterflies").symlink_to(ASSETS / "models" / "butterflies")
    app = open_view("photo", folder=folder)
    (pills,) = [one for one in app.button_group if one.key == "example_box"]
    assert not pills.value
    pills.set_value("kite-gulf.png").run()
    assert not app.exception
    assert app.query_params["model"] in ("butterflies", ["butterflies"])
    assert "Blue Kite" in texts(app)


def test_without_it_the_page_opens_as_before(tmp_path: Path, open_view: Open) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "butterflies").symlink_to(ASSETS / "models" / "butterflies")
    app = open_view("photo", folder=tmp_path / "models")
    assert not app.exception
    assert "as no model was chosen" not in texts(app) and "Blue Kite" in texts(app)


def test_pages_of_places_do_not_offer_it(folder: Path, open_view: Open) -> None:
    app = open_view("explore", folder=folder, model="animals")
    assert not app.exception
    # The one model left needs no box to choose it.
    assert not [box for box in app.selectbox if box.key == "model_box"]
    said = " ".join(one.value for one in (*app.warning, *app.error, *app.info)).replace("\\", "")
    assert "looks at pictures, for the Photo page; world_birds says its places" in said
