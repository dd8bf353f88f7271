import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from csp_core.files import ASSETS
from tests.browser.server import running_app
from tests.browser.steps import WIDER, click_map, leaflet, params, settle
from tests.toy import save_toy_model

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.browser
PICTURE = "img.csp-values"
# Pixels of the map of the world at first sight, on land.
SPOTS = ((300, 250), (310, 262), (330, 240), (345, 255), (420, 205))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("few-shot-models")
    if not (ASSETS / "models" / "birds" / "config.json").is_file():
        save_toy_model(folder)
    return folder


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("few-shot-app"), CSP_MODELS=str(shelf)) as address:
        yield address


def spots(page: Page) -> list[str]:
    return [part for part in params(page).get("places", "").split("~") if part]


def picture(page: Page) -> str:
    found = leaflet(page).locator(PICTURE)
    expect(found).to_have_count(3)
    return str(found.first.get_attribute("src"))


def test_five_clicks_a_sixth_undo_and_the_saved_species(
    app: str, open_page: OpenPage, shelf: Path, tmp_path: Path
) -> None:
    page = open_page(f"{app}few-shot?name=Turdus%20exemplaris")
    expect(page.get_by_text("No place yet")).to_be_visible()
    leaflet(page)
    settle(page)
    expect(leaflet(page).locator(PICTURE)).to_have_count(0)
    for number, (x, y) in enumerate(SPOTS, start=1):
        click_map(page, x, y)
        settle(page)
        assert len(spots(page)) == number
    expect(page.get_by_text("5 places where it was seen", exact=True)).to_be_visible()
    # Each stands on the neighbouring worlds too.
    expect(leaflet(page).locator("path.csp-seen")).to_have_count(15)
    five, address = picture(page), page.url
    page.screenshot(path=tmp_path / "five.png", full_page=True)

    page.get_by_text("Not seen here", exact=True).first.click()
    settle(page)
    click_map(page, 120, 220)
    settle(page)
    assert spots(page)[-1].startswith("N") and picture(page) != five
    expect(leaflet(page).locator("path.csp-missed")).to_have_count(3)
    page.get_by_role("button", name="Undo").click()
    settle(page)
    assert len(spots(page)) == 5 and picture(page) == five
    expect(leaflet(page).locator("path.csp-missed")).to_have_count(0)

    page.get_by_role("button", name="Save as a model").click()
    link = page.get_by_role("link", name=re.compile("Turdus exemplaris on Range map"))
    expect(link).to_be_visible()
    assert (shelf / "turdus-exemplaris" / "config.json").is_file()
    page.get_by_role("button", name="Save as a model").click()
    expect(page.get_by_text("is there already")).to_be_visible()
    link.click()
    expect(page.get_by_text("Relative score, no percentage")).to_be_visible()
    picture(page)
    settle(page)
    assert params(page)["taxon"] == "Turdus exemplaris"
    page.screenshot(path=tmp_path / "range.png", full_page=True)

    # A link shows the same map.
    again = open_page(address)
    assert picture(again) == five


@pytest.mark.parametrize("look", ["dark", "phone"])
def test_it_is_whole_in_the_dark_and_on_a_phone(
    app: str, open_page: OpenPage, tmp_path: Path, look: str
) -> None:
    options = {"color_scheme": "dark"} if look == "dark" else {
        "viewport": {"width": 390, "height": 844}, "has_touch": True}  # fmt: skip
    places = "S52.5_13.4~S48.8_2.3~S48.2_16.3~N40_-3"
    page = open_page(f"{app}few-shot?places={places}&name=Aves%20<b>x", **options)
    picture(page)
    settle(page)
    assert page.evaluate(WIDER) == 0
    expect(page.get_by_text("3 places where it was seen, 1 where it was not").first).to_be_visible()
    page.screenshot(path=tmp_path / f"{look}.png", full_page=True)
