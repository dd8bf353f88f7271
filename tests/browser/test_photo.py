import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from csp_core.files import ASSETS
from tests.browser.steps import (
    DECK_TIMEOUT,
    WIDER,
    brightness,
    check_headings,
    choose_files,
    click_map,
    focus_by_tab,
    heading_levels,
    leaflet,
    params,
    settle,
)
from tests.photos import encode, exif_with, odd_files, picture

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.browser
GULF_NAME, ROCKIES_NAME = "Blue Kite beta", "Blue Kite gamma"
ROCKIES = (-111.0, 38.0)


REAL = Path(__file__).parents[3] / "shared" / "data" / "photos"


def heading(page: Page) -> Locator:
    """The verdict."""
    return page.locator(".st-key-photo-verdict").get_by_role("heading", level=2)


def with_place(name: str) -> re.Pattern[str]:
    """Match a verdict that ends with a class, the place heard."""
    return re.compile(rf"[^:]: {name}, [\d.<]+ %\.$")


def fitting(lonlat: tuple[float, float] | None = None) -> bytes:
    """Make a picture that the model is for, at a place."""
    image = Image.open(ASSETS / "examples" / "kite-gulf.png").convert("RGB")
    return encode(image, "PNG", exif=exif_with(lonlat))


def upload(page: Page, *files: tuple[str, bytes]) -> None:
    payload: list[Any] = [
        {"name": name, "mimeType": "image/jpeg", "buffer": content} for name, content in files
    ]
    choose_files(page, "photo-input", payload)


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
    expect(heading(page)).to_have_text(with_place(GULF_NAME))
    expect(page.get_by_text("From EXIF")).to_be_visible()
    # One picture of the colours and two on the neighbouring worlds.
    expect(leaflet(page).locator("img.csp-values")).to_have_count(3)
    expect(leaflet(page).locator(".csp-letter").first).to_be_visible()
    # Above the letters, which would hide it.
    expect(leaflet(page).locator(".leaflet-pin-pane path[stroke-width='3']")).to_have_count(1)
    before = page.locator(".csp-slope").inner_text()
    settle(page)
    click_map(page, *spot_of(page, *ROCKIES))
    expect(heading(page)).to_have_text(with_place(ROCKIES_NAME))
    expect(page.get_by_text("Clicked on the map")).to_be_visible()
    expect(page.locator(".csp-slope")).not_to_have_text(before, use_inner_text=True)
    expect(page.locator(".csp-slope img")).to_have_js_property("complete", True)
    settle(page)
    kept = params(page)
    page.reload()
    expect(heading(page)).to_have_text(with_place(ROCKIES_NAME))
    assert params(page) == kept
    page.get_by_role("button", name="Back to the photo's own place").click()
    expect(heading(page)).to_have_text(with_place(GULF_NAME))


def test_an_upload_with_a_place_and_one_whose_place_is_clicked(
    photo_app: str, open_page: OpenPage
) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_be_visible()
    upload(page, ("here.png", fitting(ROCKIES)))
    expect(page.get_by_text("Date: 2024-05-17, by EXIF DateTimeOriginal")).to_be_visible()
    # The boxes of the last photo stand beside those of this one until all is drawn.
    settle(page)
    expect(page.get_by_label("Longitude")).to_have_value("-111.0000")
    expect(page.get_by_text("From EXIF")).to_be_visible()
    upload(page, ("nowhere.png", fitting()))
    page.locator(".st-key-photo-row").get_by_role("button", name="nowhere.png", exact=True).click()
    expect(page.get_by_text("Where was this taken?")).to_be_visible()
    expect(heading(page)).to_contain_text("No place is known.")
    settle(page)
    before = page.locator(".csp-slope").inner_text()
    click_map(page, *spot_of(page, *ROCKIES))
    expect(page.locator(".st-key-photo-verdict")).to_contain_text("Clicked on the map")
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
    expect(heading(page)).to_have_text(with_place(ROCKIES_NAME))
    settle(page)
    focus_by_tab(page, ".st-key-weight_box input")
    page.keyboard.press("Home")
    page.wait_for_url("**weight=0**")
    expect(heading(page)).to_contain_text("The place counts for nothing")
    focus_by_tab(page, ".st-key-fitted_weight button")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text(with_place(ROCKIES_NAME))


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
    said = heading(page).bounding_box()
    assert map_box and place_box and chart and said
    assert said["y"] < map_box["y"] < chart["y"] < place_box["y"]
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
    expect(heading(page)).to_have_text(with_place(GULF_NAME))
    canvas = page.locator(".st-key-map-box [data-testid=stDeckGlJsonChart] canvas").first
    expect(canvas).to_be_visible(timeout=DECK_TIMEOUT)
    expect(page.get_by_text("Leaflet is not installed")).to_be_visible()


def test_headings_go_down_one_step_at_a_time(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_be_visible()
    settle(page)
    levels = heading_levels(page)
    assert 2 in levels and 3 in levels
    check_headings(levels)


def test_nothing_jumps_as_the_map_comes(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{photo_app}photo")
    boxes = page.locator(".st-key-records-box")
    boxes.wait_for()
    # From when the styles are there: Streamlit loads what draws them when it is first needed.
    page.wait_for_function(
        "getComputedStyle(document.querySelector('.st-key-photo-map')).minHeight == '420px'"
    )
    page.evaluate("""() => { window.shifts = []; const box = '.st-key-records-box';
        const look = () => { const e = document.querySelector(box);
            if (e) window.shifts.push(Math.round(e.getBoundingClientRect().y + scrollY));
            requestAnimationFrame(look); }; look(); }""")
    expect(leaflet(page).locator(".csp-letter").first).to_be_visible()
    settle(page)
    seen = page.evaluate("window.shifts")
    assert max(seen) - min(seen) < 40, sorted(set(seen))


def test_a_picture_that_the_model_is_not_for_gets_no_name(
    photo_app: str, open_page: OpenPage
) -> None:
    page = open_page(
        f"{photo_app}photo", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    expect(heading(page)).to_be_visible()
    street = picture(900, 600)
    upload(page, ("street.jpg", encode(street, exif=exif_with((36.8, -1.3)))))
    expect(heading(page)).to_have_text("butterflies does not name this picture")
    expect(page.get_by_role("heading", name="What the place says by itself")).to_be_visible()
    settle(page)
    # The examples' names stand in their buttons; the folded ranking is not shown.
    assert "Kite" not in page.locator(".st-key-photo-box").inner_text()
    expect(page.locator(".csp-slope")).not_to_be_visible()
    assert page.evaluate(WIDER) <= 0
    fold = page.get_by_text("Show what butterflies says all the same")
    fold.click()
    expect(page.get_by_text("Not to be relied on")).to_be_visible()
    expect(page.locator(".csp-slope")).to_be_visible()
    page.get_by_role("link", name="See this place on the Explore page").click()
    page.wait_for_url(re.compile(r"lat=-1\.3.*lon=36\.8|lon=36\.8.*lat=-1\.3"))


@pytest.mark.skipif(not REAL.is_dir(), reason=f"there are no photos in {REAL}")
def test_no_real_photo_gets_an_invented_name(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_be_visible()
    paths = sorted(path for path in REAL.glob("*.jp*g"))[:8]
    upload(page, *((path.name, path.read_bytes()) for path in paths))
    expect(page.locator("[class*='st-key-photo-row-'] img")).to_have_count(len(paths))
    settle(page)
    expect(heading(page)).to_have_text("butterflies does not name this picture")
    assert "Kite" not in page.locator(".st-key-photo-row").inner_text()


def test_photos_stay_while_another_page_is_looked_at_and_are_a_table(
    photo_app: str, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(f"{photo_app}photo")
    expect(heading(page)).to_be_visible()
    upload(page, ("=here.png", fitting(ROCKIES)), ("nowhere.png", fitting()),
           ("letter.jpg", b"Dear bird"))  # fmt: skip
    rows = page.locator(".st-key-photo-row")
    rows.get_by_role("button", name="nowhere.png", exact=True).click()
    expect(heading(page)).to_contain_text("No place is known.")
    page.get_by_role("link", name="About", exact=True).first.click()
    page.wait_for_url("**/about**")
    page.get_by_role("link", name="Photo", exact=True).first.click()
    expect(heading(page)).to_contain_text("No place is known.")
    expect(rows.get_by_role("img")).to_have_count(2)
    expect(rows).to_contain_text(ROCKIES_NAME)
    rows.get_by_role("button", name="=here.png", exact=True).click()
    expect(heading(page)).to_have_text(with_place(ROCKIES_NAME))
    with page.expect_download() as given:
        page.get_by_role("button", name="Download the table as CSV").click()
    given.value.save_as(tmp_path / "photos.csv")
    with (tmp_path / "photos.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["photo"] for line in lines] == ["'=here.png", "nowhere.png"]
    assert lines[0]["common_name"] == ROCKIES_NAME and lines[0]["date"] == "2024-05-17"
    assert lines[1]["lon"] == "" and "GPS" in lines[1]["note"]
    page.get_by_role("button", name="Remove all photos").click()
    expect(heading(page)).to_have_text(with_place(GULF_NAME))
    expect(rows).to_have_count(0)


def test_what_is_wrong_stands_beside_its_box(photo_app: str, open_page: OpenPage) -> None:
    page = open_page(f"{photo_app}photo?radius=-1&date=never")
    box = page.locator(".st-key-records-box")
    expect(box).to_contain_text("radius=-1 in the address is not a radius")
    expect(box).to_contain_text("date=never in the address is no date")
    radius = page.get_by_role("spinbutton", name="Known to within (km)")
    radius.fill("5000")
    page.keyboard.press("Tab")
    expect(box).to_contain_text("between 0")
    upload(page, ("letter.jpg", b"Dear bird"))
    expect(page.locator(".st-key-photo-said-of-files")).to_contain_text("letter.jpg")
    expect(page.locator(".st-key-photo-said-of-files")).to_contain_text("no picture")
