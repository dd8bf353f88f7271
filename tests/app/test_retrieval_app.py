"""Pages with a model that compares: where a photo may be from, and words on the map."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests import comparing
from tests.toy import save_toy_model

Open = Callable[..., AppTest]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("comparing-models")
    comparing.save(folder)
    comparing.save(folder, "parts", steps=40, tokens=True, blocks=False)
    save_toy_model(folder, "toy", train_steps=5)
    return folder


@pytest.fixture
def open_page(models: Path, open_view: Open) -> Open:
    return partial(open_view, folder=models)


def png(colour: str = "red") -> bytes:
    records = comparing.world(3, seed=9)
    assert records.image is not None
    image = records.image[list(comparing.CITIES).index(colour)]
    stream = io.BytesIO()
    Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()).save(stream, "PNG")
    return stream.getvalue()


def texts(app: AppTest) -> str:
    shown = [*app.header, *app.subheader, *app.markdown, *app.caption]
    shown += [*app.error, *app.warning, *app.info]
    parts = [element.value for element in shown]
    parts += [element.proto.body for element in app.get("html")]
    return "\n".join(parts).replace("\\", "")


def upload(app: AppTest, content: bytes) -> AppTest:
    return app.file_uploader(key="photo_files").set_value([("a.png", content, "image/png")]).run()


def pinned(app: AppTest, lon: float, lat: float) -> AppTest:
    """Set the pin; what an address says before a photo is another one's."""
    app.query_params["lon"], app.query_params["lat"] = str(lon), str(lat)
    return app.run()


def test_where_a_photo_may_be_from(open_page: Open) -> None:
    app = upload(open_page("photo", model="colours"), png())
    assert not app.exception and not app.error
    said = texts(app)
    for words in (
        "Where may this be from?",
        "Best of all: ",
        "had not seen",
        "Agrees better than so many of the places",
        "the land near its training records",
        "It is an order, and no chance that it is there",
        "they rank, and are no probabilities",
    ):
        assert words in said, words
    assert "What agrees with what" not in said and "does not look at" not in said
    (table,) = app.table
    best = table.value.iloc[0]
    assert abs(float(best["Longitude"]) - 16.4) < 8 and abs(float(best["Latitude"]) - 48.2) < 6


def test_a_model_of_tokens_tells_which_parts_agree(open_page: Open) -> None:
    app = pinned(upload(open_page("photo", model="parts"), png()), 16.4, 48.2)
    assert not app.exception and not app.error
    said = texts(app)
    assert "What agrees with what" in said and "scale 6 of 6" in said
    assert "csp-patches" in said and "at random" in said
    assert "where the pin stands, agrees better than" in said


def test_a_pin_far_from_all_training_records_is_not_compared(open_page: Open) -> None:
    app = pinned(upload(open_page("photo", model="colours"), png()), 140, -30)
    assert not app.exception and "has learned nothing near there" in texts(app)


def test_a_picture_unlike_all_others_is_told(open_page: Open) -> None:
    stream = io.BytesIO()
    noise = torch.randint(256, (64, 64, 3), generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.byte().numpy()).save(stream, "PNG")
    app = upload(open_page("photo", model="colours"), stream.getvalue())
    assert not app.exception and any("says little of it" in one.value for one in app.warning)


def test_words_colour_the_map(open_page: Open) -> None:
    app = open_page("clusters", model="colours", points="500", count="4")
    assert not app.exception and not app.error
    assert "Type some words" in texts(app)
    app.text_input(key="clusters-words").set_value("a <b>blue</b> field *").run()
    assert not app.exception and not app.error
    assert app.query_params["words"] in ("a <b>blue</b> field *", ["a <b>blue</b> field *"])
    raw = "\n".join(one.value for one in app.markdown)
    # Nothing of what was typed is read as Markdown or HTML.
    assert r"\<b\>blue\</b\> field \*" in raw
    app.text_input(key="clusters-words").set_value("a blue field").run()
    table = app.table[0].value.iloc[0]
    assert abs(float(table["Longitude"]) - 23.7) < 8 and abs(float(table["Latitude"]) - 38) < 6
    odd = open_page("clusters", model="colours", points="500", count="4", words="森")
    assert "byte by byte" in texts(odd)


def test_a_model_without_words_says_so(open_page: Open) -> None:
    app = open_page("clusters", model="toy", points="500", count="4", words="a forest")
    assert not app.exception and "reads no words" in texts(app)
    assert not [one for one in app.text_input if one.key == "clusters-words"]


ODD = ("   ", "🦜🌲", "<script>x</script> **b** [a](b)", "x" * 5000, "\x00 \x1b[2J")


@pytest.mark.parametrize("words", ODD)
def test_odd_words_are_shown_as_they_are(open_page: Open, words: str) -> None:
    app = open_page("clusters", model="colours", points="500", count="4", words=words)
    assert not app.exception and not app.error
    shown = words.strip()[:200]
    assert ("Places that agree best" in texts(app)) == bool(shown)
    if shown and shown.isprintable():
        assert f"“{shown}”" in texts(app)
    assert "\x1b" not in texts(app)


def test_pictures_that_cannot_be_compared_are_told(open_page: Open) -> None:
    app = upload(open_page("photo", model="colours"), b"")
    assert not app.exception and "empty" in texts(app)
    stream = io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    app = upload(open_page("photo", model="parts"), stream.getvalue())
    assert not app.exception and "Where may this be from?" in texts(app)
    assert "unlike" in texts(app)
