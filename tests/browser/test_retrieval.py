"""Words on the map, and where a picture may be from, in a browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests import comparing
from tests.browser.conftest import OpenPage
from tests.browser.server import running_app
from tests.browser.steps import choose_files, click_map, leaflet, params, settle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def comparing_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("comparing-models")
    comparing.save(models)
    with running_app(tmp_path_factory.mktemp("comparing-app"), CSP_MODELS=str(models)) as address:
        yield address


def red() -> bytes:
    records = comparing.world(3, seed=9)
    assert records.image is not None
    stream = io.BytesIO()
    pixels = (records.image[0] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_words_colour_the_map(comparing_app: str, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(comparing_app + "clusters?model=colours&points=500&count=4")
    box = page.get_by_label("Words, in English")
    # The first page of a server is the slowest, and this box comes after the clusters.
    box.wait_for(timeout=90_000)
    box.fill("a blue field")
    box.press("Enter")
    drawn = leaflet(page, "map-box-3").locator("img.csp-values").first
    drawn.wait_for(state="attached")
    settle(page)
    blue = drawn.get_attribute("src")
    assert params(page)["words"] == "a blue field"
    expect(page.get_by_text("Places that agree best with “a blue field”")).to_be_visible()
    box.fill("a red <i>field</i>")
    box.press("Enter")
    # What was typed is shown as it is.
    expect(page.get_by_text("Places that agree best with “a red <i>field</i>”")).to_be_visible()
    expect(page.get_by_text("'i' was in no caption that the model learned from")).to_be_visible()
    settle(page)
    assert leaflet(page, "map-box-3").locator("img.csp-values").first.get_attribute("src") != blue
    page.screenshot(path=tmp_path / "words.png", full_page=True)


def test_where_a_picture_may_be_from(
    comparing_app: str, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(comparing_app + "photo?model=colours")
    payload = {"name": "red.png", "mimeType": "image/png", "buffer": red()}
    choose_files(page, "photo-input", [payload])
    expect(page.get_by_role("heading", name="Where may this be from?")).to_be_visible()
    verdict = page.locator(".st-key-photo-verdict")
    expect(verdict.get_by_text("Half of the time the best place is more than")).to_be_visible()
    leaflet(page).locator("img.csp-values").first.wait_for(state="attached")
    settle(page)
    click_map(page, 200, 200)
    settle(page)
    told = page.get_by_text("agrees better than").or_(page.get_by_text("has learned nothing near"))
    expect(told.first).to_be_visible()
    page.screenshot(path=tmp_path / "photo.png", full_page=True)
