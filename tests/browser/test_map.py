"""How the maps behave: clicks, double clicks, wheel, keys, and the view in the address."""

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import leaflet, map_view, params, settle

PLACE = "?lat=48.2&lon=16.4&zoom=5"


def opened(open_page: OpenPage, address: str, **options: object) -> tuple[Page, FrameLocator]:
    page = open_page(address, **options)
    frame = leaflet(page)
    page.locator(".st-key-row-1").wait_for()
    settle(page)
    return page, frame


def steps_back(page: Page) -> int:
    return int(page.evaluate("history.length"))


def test_a_double_click_zooms_and_leaves_the_pin(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    before = map_view(page)
    frame.locator("#map_div").dblclick(position={"x": 300, "y": 120})
    page.wait_for_url("**centre=**")
    settle(page)
    assert map_view(page)[2] == before[2] + 1
    found = params(page)
    assert (found["lat"], found["lon"], found["zoom"]) == ("48.2", "16.4", "6")


@pytest.mark.parametrize("pause", [330, 450])
def test_a_slow_double_click_puts_the_pin_back(app: str, open_page: OpenPage, pause: int) -> None:
    page, _ = opened(open_page, app + PLACE)
    before = map_view(page)
    box = page.locator(".st-key-map-box iframe").bounding_box()
    assert box
    at = box["x"] + 300, box["y"] + 120
    page.mouse.click(*at)
    page.wait_for_timeout(pause)
    page.mouse.move(*at)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_url("**zoom=6**")
    settle(page)
    # On a busy machine the click is taken over, and taken back, only now.
    page.wait_for_function("location.search.includes('lat=48.2&')")
    settle(page)
    assert map_view(page)[2] == before[2] + 1
    assert (params(page)["lat"], params(page)["lon"]) == ("48.2", "16.4")
    expect(page.locator(".st-key-lat_box input")).to_have_value("48.2000")
    # The next click counts as ever.
    page.mouse.click(*at)
    page.wait_for_function("!location.search.includes('lat=48.2&')")
    page.wait_for_timeout(1000)
    assert params(page)["lat"] != "48.2"


def test_a_slow_double_click_leaves_no_pin_where_there_was_none(
    app: str, open_page: OpenPage
) -> None:
    page = open_page(app + "range-map")
    leaflet(page)
    settle(page)
    box = page.locator(".st-key-map-box iframe").bounding_box()
    assert box
    at = box["x"] + 300, box["y"] + 120
    page.mouse.click(*at)
    page.wait_for_url("**lat=**")
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)
    page.wait_for_function("!location.search.includes('lat=')")
    settle(page)
    assert "lat" not in params(page) and "lon" not in params(page)
    expect(page.locator(".st-key-lat_box input")).to_have_value("")


def test_clicks_beside_and_on_the_pin_count(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    seen = set()
    for x in (200, 206, 199, 203):
        before = page.url
        frame.locator("#map_div").click(position={"x": x, "y": 200})
        page.wait_for_function("before => location.href !== before", arg=before)
        settle(page)
        seen.add(params(page)["lon"])
    assert len(seen) == 4


def test_the_view_is_in_the_address_and_back_leads_back(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    frame.locator("#map_div").click(position={"x": 200, "y": 200})
    page.wait_for_url("**centre=**")
    settle(page)
    first, view, steps = params(page), map_view(page), steps_back(page)
    frame.get_by_role("button", name="Zoom in").click()
    page.wait_for_url("**zoom=6**")
    settle(page)
    # A look around is no step of the browser's history.
    assert steps_back(page) == steps
    closer = map_view(page)
    page.reload()
    leaflet(page)
    settle(page)
    assert map_view(page) == pytest.approx(closer, abs=0.01)
    frame.locator("#map_div").click(position={"x": 100, "y": 90})
    page.wait_for_function("lon => !location.search.includes(lon)", arg=f"lon={first['lon']}")
    settle(page)
    page.go_back()
    page.wait_for_url(f"**lon={first['lon']}**")
    settle(page)
    page.wait_for_timeout(500)  # the map glides there
    assert map_view(page)[:2] == pytest.approx(view[:2], abs=0.01)


def test_another_species_leaves_the_view(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    frame.get_by_role("button", name="Zoom out").click()
    page.wait_for_url("**zoom=4**")
    settle(page)
    before = map_view(page)
    page.locator(".st-key-pick-1 button").click()
    page.wait_for_url("**taxon=**")
    settle(page)
    assert map_view(page) == pytest.approx(before, abs=0.001)


def test_the_wheel_is_the_pages_and_zooms_with_ctrl(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    box = page.locator(".st-key-map-box iframe").bounding_box()
    assert box
    page.mouse.move(box["x"] + 150, box["y"] + 150)
    before = map_view(page)
    page.mouse.wheel(0, 200)
    expect(frame.get_by_text("Hold Ctrl to zoom with the wheel")).to_be_visible()
    assert map_view(page) == before
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_url("**centre=**")
    assert map_view(page)[2] > before[2]


def test_enter_chooses_the_centre(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    named = page.locator(".st-key-map-box iframe").get_attribute("title")
    assert named and "map" in named.lower()
    container = frame.locator(".leaflet-container")
    assert "Enter" in (container.get_attribute("aria-label") or "")
    container.focus()
    container.press("ArrowUp")
    container.press("ArrowUp")
    page.wait_for_timeout(1500)
    container.press("Enter")
    page.wait_for_function("!location.search.includes('lat=48.2&')")
    settle(page)
    lon, lat, _ = map_view(page)
    found = params(page)
    assert (float(found["lon"]), float(found["lat"])) == pytest.approx((lon, lat), abs=0.02)


def test_a_closer_look_shows_towns_and_countries(app: str, open_page: OpenPage) -> None:
    _, frame = opened(open_page, app + PLACE)
    expect(frame.get_by_text("Vienna", exact=True)).to_be_visible()
    expect(frame.get_by_text("Austria", exact=True)).to_be_visible()
    frame.get_by_role("button", name="Zoom out").click(click_count=1)
    frame.get_by_role("button", name="Zoom out").click(click_count=1)
    expect(frame.get_by_text("Vienna", exact=True)).to_have_count(0)
    expect(frame.locator(".leaflet-control-scale-line")).to_contain_text("km")


def test_large_countries_are_named_from_afar(app: str, open_page: OpenPage) -> None:
    page = open_page(app + "range-map?zoom=2&centre=20.000_10.000")
    frame = leaflet(page)
    settle(page)
    names = frame.locator(".csp-country span")
    expect(names.filter(has_text="Algeria")).to_be_visible()
    expect(frame.get_by_text("Austria", exact=True)).to_have_count(0)
    boxes = [name.bounding_box() for name in names.all()]
    assert 5 <= len(boxes) <= 30
    for number, one in enumerate(boxes):
        for other in boxes[:number]:
            assert one and other
            beside = abs(one["x"] - other["x"]) >= min(one["width"], other["width"]) / 2
            assert beside or abs(one["y"] - other["y"]) >= one["height"] / 2
    # They say nothing to the pointer, nor to those who hear the page.
    pane = frame.locator(".leaflet-csp-names-pane")
    expect(pane).to_have_attribute("aria-hidden", "true")
    expect(pane).to_have_css("pointer-events", "none")


def test_one_finger_is_the_pages_on_a_phone(app: str, open_page: OpenPage) -> None:
    page, _ = opened(
        open_page, app + PLACE, viewport={"width": 390, "height": 844}, has_touch=True,
        is_mobile=True,
    )  # fmt: skip
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    assert frame.evaluate("map_div.dragging.enabled()") is False
    assert frame.evaluate("map_div.touchZoom.enabled()") is True
    action = frame.evaluate("getComputedStyle(map_div.getContainer()).touchAction")
    assert "pan-y" in action


def test_the_map_is_as_high_as_the_window_leaves_room_for(app: str, open_page: OpenPage) -> None:
    heights = []
    for high in (700, 1000):
        page, _ = opened(open_page, app + PLACE, viewport={"width": 1280, "height": high})
        box = page.locator(".st-key-map-box iframe").bounding_box()
        assert box
        heights.append(box["height"])
    assert heights[1] - heights[0] == pytest.approx(300, abs=20)
