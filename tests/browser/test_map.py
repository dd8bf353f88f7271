"""How the maps behave: clicks, double clicks, wheel, keys, and the view in the address."""

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import leaflet, map_view, params, settle

PLACE = "?lat=48.2&lon=16.4&zoom=5"

# The server's words come later by so many milliseconds, in their order.
LATE = """
const { prototype } = WebSocket, late = %d;
const { set } = Object.getOwnPropertyDescriptor(prototype, "onmessage");
const held = (f) => function (event) { setTimeout(() => f.call(this, event), late); };
Object.defineProperty(prototype, "onmessage", { set(f) { set.call(this, f && held(f)); } });
const add = prototype.addEventListener;
prototype.addEventListener = function (type, f, ...how) {
  return add.call(this, type, type === "message" ? held(f) : f, ...how);
};
"""


def opened(
    open_page: OpenPage, address: str, *, late: int = 0, **options: object
) -> tuple[Page, FrameLocator]:
    page = open_page(address, **options)
    if late:
        page.add_init_script(LATE % late)
        page.reload()
    frame = leaflet(page)
    page.locator(".st-key-row-1").wait_for()
    settle(page)
    return page, frame


def steps_back(page: Page) -> int:
    return int(page.evaluate("history.length"))


def click_again(page: Page, at: tuple[float, float], pause: int) -> None:
    page.mouse.click(*at)
    page.wait_for_timeout(pause)
    page.mouse.move(*at)
    page.mouse.down(click_count=2)
    page.mouse.up(click_count=2)


def spot(page: Page, x: int = 300, y: int = 120) -> tuple[float, float]:
    box = page.locator(".st-key-map-box iframe").bounding_box()
    assert box
    return box["x"] + x, box["y"] + y


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
    before, steps, at = map_view(page), steps_back(page), spot(page)
    click_again(page, at, pause)
    page.wait_for_url("**lat=48.2&**zoom=6**")
    settle(page)
    assert map_view(page)[2] == before[2] + 1
    assert (params(page)["lat"], params(page)["lon"]) == ("48.2", "16.4")
    expect(page.locator(".st-key-lat_box input")).to_have_value("48.2000")
    assert steps_back(page) <= steps + 1
    # The next click counts as ever.
    page.mouse.click(*at)
    page.wait_for_function("!location.search.includes('lat=48.2&')")
    page.wait_for_timeout(1000)
    assert params(page)["lat"] != "48.2"


@pytest.mark.parametrize("late", [300, 900])
def test_a_double_click_is_one_step_where_answers_are_late(
    app: str, open_page: OpenPage, late: int
) -> None:
    page, _ = opened(open_page, app + PLACE, late=late)
    before, steps = map_view(page), steps_back(page)
    click_again(page, spot(page), 330)
    page.wait_for_url("**lat=48.2&**zoom=6**")
    # Whatever is late has come by then.
    page.wait_for_timeout(4 * late)
    settle(page)
    assert (params(page)["lat"], params(page)["lon"]) == ("48.2", "16.4")
    expect(page.locator(".st-key-lat_box input")).to_have_value("48.2000")
    assert map_view(page)[2] == before[2] + 1
    assert steps_back(page) == steps + 1
    page.go_back()
    page.wait_for_url("**lat=48.2&**zoom=5**")
    page.wait_for_timeout(4 * late)
    settle(page)
    assert params(page)["lat"] == "48.2"
    assert map_view(page) == pytest.approx(before, abs=0.01)


def test_a_look_around_after_a_click_keeps_it_where_answers_are_late(
    app: str, open_page: OpenPage
) -> None:
    page, frame = opened(open_page, app + PLACE, late=1500)
    before, steps = params(page), steps_back(page)
    frame.locator("#map_div").click(position={"x": 200, "y": 200})
    page.wait_for_timeout(400)
    frame.get_by_role("button", name="Zoom in").click()
    page.wait_for_url("**zoom=6**")
    page.wait_for_timeout(4000)
    settle(page)
    assert params(page)["lat"] != before["lat"] and params(page)["lon"] != before["lon"]
    number = page.locator(".st-key-lat_box input")
    expect(number).to_have_value(f"{float(params(page)['lat']):.4f}")
    assert steps_back(page) == steps + 1


def test_a_slow_double_click_leaves_no_pin_where_there_was_none(
    app: str, open_page: OpenPage
) -> None:
    page = open_page(app + "range-map")
    leaflet(page)
    settle(page)
    page.mouse.click(*spot(page))
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
    page.wait_for_function("!location.search.includes('lat=48.2&')")
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


def test_a_window_of_another_size_keeps_the_centre(app: str, open_page: OpenPage) -> None:
    page, frame = opened(open_page, app + PLACE)
    frame.get_by_role("button", name="Zoom in").click()
    page.wait_for_url("**zoom=6**")
    settle(page)
    before, address, steps = map_view(page), page.url, steps_back(page)
    for width, height in ((1281, 851), (1190, 938), (1101, 777)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(1000)
        assert map_view(page) == pytest.approx(before, abs=1e-6)
    assert (page.url, steps_back(page)) == (address, steps)
