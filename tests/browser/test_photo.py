import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.steps import (
    DECK_TIMEOUT,
    WIDER,
    brightness,
    click_map,
    focus_by_tab,
    leaflet,
    params,
    settle,
)
from tests.photos import encode, odd_files, picture, placed_jpeg

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.browser
GULF_NAME, ROCKIES_NAME = "synthetic fabula beta", "synthetic fabula gamma"
ROCKIES = (-111.0, 38.0)


def heading(page: Page) -> Locator:
    return page.locator(".st-key-view").get_by_role("heading", level=3).first


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    payload: list[Any] = [
        {"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in files
    ]
    page.locator(".st-key-photo_files input[type=file]").set_input_files(payload)


def spot_of(page: Page, lon: float, lat: float) -> tuple[int, int]:
    """Give where a place is on the map, pixels."""
    leaflet(page)
    # A click that has to scroll first lands beside its spot.
    page.locator(".st-key-map-box").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    code = "([lat, lon]) => { const p = map_div.latLngToContainerPoint([lat, lon]);"
    x, y = frame.evaluate(f"{code} return [p.x, p.y]; }}", [lat, lon])
    return round(x), round(y)


def test_the_answer_of_the_look_alike_flips_as_the_pin_moves(
    photo_app: str, open_page: OpenPage
) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_have_text(re.compile(GULF_NAME))
    expect(page.get_by_text("From EXIF")).to_be_visible()
    # One picture of the colours and two on the neighbouring worlds.
    expect(leaflet(page).locator("img.csp-values")).to_have_count(3)
    expect(leaflet(page).locator(".csp-letter").first).to_be_visible()
    # Above the letters, which would hide it.
    expect(leaflet(page).locator(".leaflet-pin-pane path[stroke-width='3']")).to_have_count(1)
    before = page.locator(".csp-slope").inner_text()
    settle(page)
    click_map(page, *spot_of(page, *ROCKIES))
    expect(heading(page)).to_have_text(re.compile(ROCKIES_NAME))
    expect(page.get_by_text("The place changes the answer")).to_be_visible()
    expect(page.get_by_text("Clicked on the map")).to_be_visible()
    expect(page.locator(".csp-slope")).not_to_have_text(before, use_inner_text=True)
    expect(page.locator(".csp-slope img")).to_have_js_property("complete", True)
    settle(page)
    kept = params(page)
    page.reload()
    expect(heading(page)).to_have_text(re.compile(ROCKIES_NAME))
    assert params(page) == kept
    page.get_by_role("button", name="Back to the photo's own place").click()
    expect(heading(page)).to_have_text(re.compile(GULF_NAME))


def test_an_upload_with_a_place_and_one_whose_place_is_clicked(
    photo_app: str, open_page: OpenPage
) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_be_visible()
    upload(page, ("here.jpg", placed_jpeg(*ROCKIES)))
    expect(page.get_by_text("Date: 2024-05-17")).to_be_visible()
    # The boxes of the last photo stand beside those of this one until all is drawn.
    settle(page)
    expect(page.get_by_label("Longitude")).to_have_value("-111.0000")
    expect(page.get_by_text("From EXIF")).to_be_visible()
    upload(page, ("nowhere.jpg", encode(picture())))
    page.locator(".st-key-photo-row").get_by_role("button", name="nowhere.jpg", exact=True).click()
    expect(page.get_by_text("Where was this taken?")).to_be_visible()
    expect(page.get_by_text("By the image alone, as no place is known")).to_be_visible()
    settle(page)
    before = page.locator(".csp-slope").inner_text()
    click_map(page, *spot_of(page, *ROCKIES))
    expect(page.get_by_text("Clicked on the map")).to_be_visible()
    expect(page.locator(".csp-slope")).not_to_have_text(before, use_inner_text=True)


def test_bad_files_get_their_sentence_and_the_rest_goes_on(
    photo_app: str, open_page: OpenPage
) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_be_visible()
    files = odd_files()
    upload(page, *((file.name, file.content) for file in files))
    refused = [file for file in files if file.refused]
    expect(page.get_by_test_id("stAlertContentError")).to_have_count(len(refused))
    for file in refused:
        expect(page.get_by_text(file.says).first).to_be_visible()
    row = page.locator(".st-key-photo-row")
    expect(row.get_by_role("img")).to_have_count(len(files) - len(refused))
    for file in (file for file in files if not file.refused):
        row.get_by_role("button", name=file.name, exact=True).click()
        expect(page.locator(".st-key-photo-box")).to_contain_text(file.says)
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_the_weight_can_be_moved_by_keys(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{photo_app}photo?lat=38&lon=-111")
    expect(heading(page)).to_have_text(re.compile(ROCKIES_NAME))
    settle(page)
    focus_by_tab(page, ".st-key-weight_box input")
    page.keyboard.press("Home")
    page.wait_for_url("**weight=0**")
    # The image alone cannot tell the look-alikes apart: it names the most frequent one.
    expect(heading(page)).to_have_text(re.compile("fabula (alpha|beta)"))
    focus_by_tab(page, ".st-key-fitted_weight button")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(re.compile(ROCKIES_NAME))


def test_a_phone_shows_it_without_scrolling_sideways(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(
        f"{photo_app}photo", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    expect(heading(page)).to_be_visible()
    expect(page.get_by_role("button", name="Download JSON")).to_be_visible()
    assert page.evaluate(WIDER) <= 0
    map_box = page.locator(".st-key-map-box").bounding_box()
    place_box = page.locator(".st-key-records-box").bounding_box()
    chart = page.locator(".csp-slope").bounding_box()
    assert map_box and place_box and chart
    assert map_box["y"] < chart["y"] < place_box["y"]
    assert chart["x"] >= 0 and chart["x"] + chart["width"] <= 390


def test_the_dark_theme_reaches_chart_and_map(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{photo_app}photo", color_scheme="dark")
    expect(heading(page)).to_be_visible()
    colour = page.locator(".csp-name").first.evaluate("e => getComputedStyle(e).color")
    assert brightness(colour) > 150
    sea = leaflet(page).locator("#map_div").evaluate("e => getComputedStyle(e).backgroundColor")
    assert brightness(sea) < 60


def test_without_leaflet_there_is_a_cell_map(
    photo_app_without_leaflet: str, open_page: OpenPage
) -> None:
    page = open_page(f"{photo_app_without_leaflet}photo")
    expect(heading(page)).to_have_text(re.compile(GULF_NAME))
    canvas = page.locator(".st-key-map-box [data-testid=stDeckGlJsonChart] canvas").first
    expect(canvas).to_be_visible(timeout=DECK_TIMEOUT)
    expect(page.get_by_text("Leaflet is not installed")).to_be_visible()
