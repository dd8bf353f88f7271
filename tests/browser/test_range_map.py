import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    DECK_TIMEOUT,
    WIDER,
    brightness,
    click_map,
    focus_by_tab,
    leaflet,
    map_view,
    params,
    settle,
)

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.browser
PICTURE = "img.csp-values"


def pictures(page: Page, box: str = "map-box") -> str:
    """Wait until the values are on the map, and give the picture of them."""
    picture = leaflet(page, box).locator(PICTURE)
    expect(picture).to_have_count(3)
    return str(picture.first.get_attribute("src"))


def pick(page: Page, label: str, number: int) -> str:
    """Pick one of the first options of a box, and give its name."""
    page.get_by_role("combobox", name=re.compile(label)).click()
    option = page.get_by_role("option").nth(number)
    name = option.inner_text()
    option.click()
    return name


def test_it_opens_with_a_map_a_legend_and_an_area(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map")
    assert pictures(page).startswith("data:image/png;base64,")
    frame = leaflet(page)
    assert frame.locator(PICTURE).first.evaluate("e => e.complete && e.naturalWidth") == 720
    expect(frame.locator("path.csp-hatch").first).to_have_attribute(
        "fill", re.compile(r"url\(#hatch-")
    )
    expect(frame.locator("pattern")).to_have_count(1)
    expect(frame.locator("path.csp-above")).to_have_count(3)
    expect(page.locator(".csp-steps i")).to_have_count(10)
    expect(page.get_by_text("nobody looked enough")).to_be_visible()
    expect(page.get_by_test_id("stMetricValue")).to_contain_text("km²")


def test_colours_lie_above_the_land_and_below_the_borders(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map")
    pictures(page)
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    above = (
        "([a, b]) => { const level = e => { let z = [];"
        " for (; e && e.id !== 'map_div'; e = e.parentElement)"
        " z.unshift(+getComputedStyle(e).zIndex || 0); return z; };"
        " const [x, y] = [a, b].map(s => level(document.querySelector(s)));"
        " for (let i = 0; i < Math.min(x.length, y.length); i++)"
        " if (x[i] !== y[i]) return x[i] > y[i]; return null; }"
    )
    assert frame.evaluate(above, [PICTURE, ".leaflet-tile-pane svg"]) is True
    assert frame.evaluate(above, [".leaflet-overlay-pane svg", PICTURE]) is True


def test_a_click_shows_the_value_and_leaves_the_map_alone(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map")
    picture = pictures(page)
    settle(page)
    view = map_view(page)
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    frame.evaluate("window.kept = true")
    # Central Europe, where the records of both models lie thick.
    spot = frame.evaluate(
        "(() => { const p = map_div.latLngToContainerPoint([48.2, 16.4]); return [p.x, p.y]; })()"
    )
    click_map(page, *map(round, spot))
    label = leaflet(page).locator(".leaflet-tooltip")
    expect(label).to_have_text(re.compile("%"))
    expect(page.locator(".st-key-place-box")).to_contain_text("its share of all recordings")
    expect(page.locator(".st-key-place-box")).to_contain_text(" recorded: ")
    settle(page)
    assert frame.evaluate("window.kept") is True and pictures(page) == picture
    assert map_view(page) == pytest.approx(view)
    pin = leaflet(page).locator("path[stroke-width='3']").first.bounding_box()
    tip = label.bounding_box()
    assert pin is not None and tip is not None
    assert tip["x"] + tip["width"] / 2 == pytest.approx(pin["x"] + pin["width"] / 2, abs=6)
    assert tip["y"] + tip["height"] <= pin["y"] + 4


def test_another_species_changes_the_map_and_a_reload_keeps_it(
    app: str, open_page: OpenPage
) -> None:
    page = open_page(f"{app}range-map")
    before = pictures(page)
    settle(page)
    first = params(page).get("taxon")
    name = pick(page, "Species", 2)
    page.wait_for_url("**taxon=**")
    settle(page)
    shown = pictures(page)
    assert shown != before and params(page)["taxon"] != first
    expect(page.locator(".st-key-recent-box button")).to_have_count(1)
    box = page.locator(".st-key-threshold_box")
    # A click that has to scroll first closes the list again.
    box.evaluate("e => e.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(500)
    box.get_by_role("combobox").click()
    page.get_by_role("option", name="A value of my own").click()
    page.wait_for_url("**threshold=**")
    settle(page)
    area, address = page.get_by_test_id("stMetricValue").inner_text(), page.url
    page.reload()
    settle(page)
    assert pictures(page) == shown and page.url == address
    expect(page.get_by_test_id("stMetricValue")).to_have_text(area)
    expect(page.get_by_role("combobox", name=re.compile("Species"))).to_have_value(name)
    page.go_back()
    page.go_back()
    settle(page)
    assert pictures(page) == before


def test_opacity_and_threshold_change_only_what_they_should(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map?threshold=0.02")
    pictures(page)
    settle(page)
    image = leaflet(page).locator(PICTURE).first
    assert image.evaluate("e => e.style.opacity") == "0.8"
    line = leaflet(page).locator("path.csp-above").first.get_attribute("d")
    focus_by_tab(page, ".st-key-threshold_slider")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**threshold=0.03**")
    expect(leaflet(page).locator("path.csp-above").first).not_to_have_attribute("d", line or "")
    focus_by_tab(page, ".st-key-opacity")
    page.keyboard.press("ArrowLeft")
    expect(leaflet(page).locator(PICTURE).first).to_have_css("opacity", "0.7")


def test_two_maps_move_together_and_share_a_click(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map")
    pictures(page)
    settle(page)
    pick(page, "Compare with", 1)
    page.wait_for_url("**compare=**")
    settle(page)
    assert pictures(page) != pictures(page, "map-box-2")
    leaflet(page, "map-box-2").locator(".leaflet-control-zoom-in").click()
    page.wait_for_timeout(1500)
    views = [
        frame.evaluate("[map_div.getCenter().lng, map_div.getCenter().lat, map_div.getZoom()]")
        for frame in page.frames
        if "streamlit_folium" in frame.url
    ]
    assert len(views) == 2 and views[0] == pytest.approx(views[1], abs=0.01)
    leaflet(page, "map-box-2").locator("#map_div").click(position={"x": 250, "y": 200})
    page.wait_for_url("**lat=**")
    for box in ("map-box", "map-box-2"):
        expect(leaflet(page, box).locator("path[stroke-width='3']").first).to_be_visible()
    page.get_by_role("radio", name="Difference").click()
    page.wait_for_url("**show=difference**")
    expect(page.locator(".st-key-map-box-2")).to_have_count(0)
    expect(page.get_by_text("Difference in percentage points")).to_be_visible()
    pictures(page)


def test_what_is_looked_at_stays_while_maps_are_compared(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map?centre=-1.3_36.8&zoom=5")
    pictures(page)
    settle(page)
    where = pytest.approx((36.8, -1.3, 5), abs=0.3)
    assert map_view(page) == where
    leaflet(page).locator(".leaflet-control-zoom-in").click()
    page.wait_for_url("**zoom=6**")
    settle(page)
    closer = pytest.approx((36.8, -1.3, 6), abs=0.3)
    pick(page, "Compare with", 1)
    page.wait_for_url("**compare=**")
    expect(page.locator(".st-key-map-box-2 iframe")).to_have_count(1)
    settle(page)
    for box in ("map-box", "map-box-2"):
        expect(page.locator(f".st-key-{box} iframe")).to_have_count(1)
        pictures(page, box)
    assert len([frame for frame in page.frames if "streamlit_folium" in frame.url]) == 2
    assert map_view(page) == closer
    page.get_by_role("radio", name="Difference").click()
    page.wait_for_url("**show=difference**")
    expect(page.locator(".st-key-map-box-2")).to_have_count(0)
    settle(page)
    expect(page.locator(".st-key-map-box iframe")).to_have_count(1)
    pictures(page)
    assert map_view(page) == closer
    # The way back to the first view leads to all of the map.
    leaflet(page).get_by_role("button", name="Back to the first view").click()
    page.wait_for_timeout(1500)
    assert map_view(page)[2] < 3


def test_files_are_made_when_they_are_asked_for(
    app: str, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(f"{app}range-map")
    pictures(page)
    settle(page)
    found = {}
    for name in ("GeoTIFF", "GeoJSON", "PNG"):
        with page.expect_download(timeout=60_000) as waiting:
            page.get_by_role("button", name=name, exact=True).click()
        waiting.value.save_as(tmp_path / name)
        found[name] = (tmp_path / name).read_bytes()
    assert found["GeoTIFF"][:2] in (b"II", b"MM")
    assert json.loads(found["GeoJSON"])["about"]["area_above_threshold_km2"] > 0
    assert Image.open(io.BytesIO(found["PNG"])).width > 1000


def test_from_the_list_to_the_map_and_back(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?lat=48.2&lon=16.4")
    page.locator(".st-key-row-1").get_by_role("link", name="Range map").click()
    page.wait_for_url("**/range-map?**")
    pictures(page)
    assert {"model", "taxon", "lat", "lon"} <= params(page).keys()
    expect(page.get_by_text("Near Vienna, Austria", exact=True)).to_be_visible()
    taxon = params(page)["taxon"]
    page.get_by_role("link", name="Explore what else is here").click()
    expect(page.locator(".st-key-row-1")).to_contain_text("on the map")
    assert params(page)["taxon"] == taxon and params(page)["lat"] == "48.2"
    links = page.locator(".st-key-ranked").get_by_role("link")
    expect(links).to_have_count(10)
    settle(page)
    names = [" ".join(said.split()) for said in links.all_inner_texts()]
    # Each says of what it is, to those who hear it; the eye sees that it stands in the same line.
    assert len(set(names)) == len(names) and all(name.startswith("Range map of ") for name in names)
    expect(page.get_by_role("link", name=names[0], exact=True)).to_be_visible()
    width = links.first.bounding_box()
    assert width and width["width"] < 120
    links.first.click()
    pictures(page)
    assert params(page)["taxon"] == taxon


def test_the_keyboard_alone_is_enough(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map")
    pictures(page)
    settle(page)
    focus_by_tab(page, ".st-key-lat_box", most=80)
    page.keyboard.type("48.2")
    page.keyboard.press("Enter")
    focus_by_tab(page, ".st-key-lon_box")
    page.keyboard.type("16.4")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Near Vienna, Austria", exact=True)).to_be_visible()
    expect(leaflet(page).locator(".leaflet-tooltip")).to_be_visible()


def test_keys_lead_from_the_first_page_to_a_map_on_disk(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    leaflet(page)
    expect(page.locator(".st-key-row-1")).to_be_visible()
    settle(page)
    focus_by_tab(page, ".st-key-row-1 [data-testid=stPageLink]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/range-map?**")
    pictures(page)
    settle(page)
    focus_by_tab(page, ".st-key-file0-png")
    with page.expect_download(timeout=60_000) as waiting:
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename.endswith(".png")


def test_a_phone_shows_the_world_without_scrolling_sideways(app: str, open_page: OpenPage) -> None:
    page = open_page(
        f"{app}range-map", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    pictures(page)
    settle(page)
    assert page.evaluate(WIDER) <= 0
    box = page.locator(".st-key-map-box iframe").bounding_box()
    assert box is not None and box["height"] <= 0.4 * 844 and box["width"] <= 390
    # One world, from edge to edge.
    assert map_view(page)[2] == 0.5
    leaflet(page).locator("#map_div").tap(position={"x": 190, "y": 110})
    expect(leaflet(page).locator(".leaflet-tooltip")).to_be_visible()


def test_the_dark_theme_reaches_map_and_legend(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map", color_scheme="dark")
    pictures(page)
    background = "e => getComputedStyle(e).backgroundColor"
    assert brightness(leaflet(page).locator(".leaflet-container").evaluate(background)) < 60
    steps = page.locator(".csp-steps i")
    low, high = (brightness(steps.nth(i).evaluate(background)) for i in (0, 8))
    # On a dark page more is lighter.
    assert low < high


def test_it_works_without_leaflet(app_without_leaflet: str, open_page: OpenPage) -> None:
    page = open_page(f"{app_without_leaflet}range-map")
    page.locator("[data-testid=stDeckGlJsonChart] canvas").first.wait_for(timeout=DECK_TIMEOUT)
    expect(page.get_by_text("Leaflet is not installed")).to_be_visible()
    expect(page.locator(".csp-steps i")).to_have_count(10)
    page.get_by_label("Latitude").fill("48.2")
    page.keyboard.press("Enter")
    page.get_by_label("Longitude").fill("16.4")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Near Vienna, Austria", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    "query", ["model=nope", "taxon=%3Cb%3E", "threshold=x", "lat=95&lon=3", "month=%00", "zoom=x"]
)
def test_a_bad_address_is_answered_in_words(app: str, open_page: OpenPage, query: str) -> None:
    page = open_page(f"{app}range-map?{query}")
    pictures(page)
    expect(page.locator("[data-testid=stAlert]").first).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)
