import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

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

LOADED = "[...document.images].every(image => image.complete)"


def first_row(page: Page) -> Locator:
    return page.locator(".st-key-row-1")


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=2).first


def test_it_opens_with_a_pin_and_a_filled_list(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    pin = leaflet(page).locator("path[stroke-width='3']")
    expect(pin).to_have_count(1)
    expect(heading(page)).to_have_text("Near Nairobi, Kenya")
    expect(first_row(page)).to_contain_text("%")
    expect(first_row(page).locator("summary")).to_contain_text("recorded here: often")
    expect(page).to_have_title("Explore · CSP Explorer")
    numbers = page.get_by_text("recordings made here of the species").first
    expect(numbers).to_be_hidden()
    first_row(page).locator("summary").click()
    expect(numbers).to_be_visible()
    page.get_by_role("button", name="What do the words mean?").click()
    expect(page.get_by_text("not the chance that the species is present")).to_be_visible()


def test_a_click_changes_the_list_and_leaves_the_map_alone(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    leaflet(page)
    expect(heading(page)).to_be_visible()
    before, view = heading(page).inner_text(), map_view(page)
    rows = page.locator(".st-key-ranked").inner_text()
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    frame.evaluate("window.kept = true")
    click_map(page, 120, 120)
    expect(heading(page)).not_to_have_text(before)
    expect(page.locator(".st-key-ranked")).not_to_have_text(rows)
    settle(page)
    assert frame.evaluate("window.kept") is True
    assert map_view(page) == pytest.approx(view)
    assert float(page.get_by_label("Latitude").input_value()) == pytest.approx(
        float(params(page)["lat"]), abs=1e-4
    )


def test_a_changed_list_is_told_to_those_who_hear_it(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    told = page.locator(".csp-heard[role=status]")
    expect(told).to_have_text(re.compile(r"^Near Nairobi, Kenya: .+, first .+\.$"))
    settle(page)
    box = told.bounding_box()
    assert box is not None and box["width"] <= 1 and box["height"] <= 1
    # Only what changes inside of an element is read out, not one that is new.
    told.evaluate("element => element.kept = true")
    page.get_by_label("Place or coordinates").fill("48.2 N 16.4 E")
    page.keyboard.press("Enter")
    expect(told).to_have_text(re.compile(r"^Near Vienna, Austria: "))
    assert told.evaluate("element => element.kept") is True


def test_the_list_is_narrowed_and_ordered(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    names = page.locator("[class*=st-key-pick-]")
    expect(names).to_have_count(10)
    settle(page)
    before = names.first.inner_text()
    page.get_by_role("radio", name="More here than elsewhere").or_(
        page.get_by_role("button", name="More here than elsewhere")
    ).first.click()
    page.wait_for_url("**sort=lift**")
    expect(first_row(page)).to_contain_text("as much as elsewhere")
    expect(names.first).not_to_have_text(before)
    find = page.get_by_label("Find a name in the list")
    find.fill("SUNBIRD")
    find.press("Enter")
    page.wait_for_url("**find=SUNBIRD**")
    expect(names.first).to_contain_text("Sunbird")
    settle(page)
    assert names.count() and all("Sunbird" in name for name in names.all_inner_texts())


def test_a_model_opens_where_it_knows_much_and_in_its_words(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?model=eurosat")
    expect(page.get_by_role("heading", level=1)).to_have_text(
        "Which kinds of land cover are mapped here?"
    )
    expect(page.get_by_text("Land cover of Europe: ten kinds")).to_be_visible()
    expect(heading(page)).to_have_text("Near Amsterdam, Netherlands")
    leaflet(page)
    page.get_by_role("button", name="Innsbruck").click()
    expect(heading(page)).to_contain_text("Innsbruck, Austria")
    settle(page)
    assert map_view(page)[:2] == pytest.approx((11.4, 47.27), abs=0.2)
    expect(page.locator("body")).not_to_contain_text("species is present")


def test_a_greeting_is_closed_for_good_and_the_tour_goes_on(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    greeting = page.locator(".st-key-welcome")
    expect(greeting).to_contain_text("Click the map")
    greeting.get_by_role("button", name="Close").click()
    expect(greeting).to_have_count(0)
    page.get_by_role("link", name="About", exact=True).first.click()
    expect(page).to_have_title("About · CSP Explorer")
    steps = ("Range map", "From places", "Photo", "Segment", "Clusters", "Train")
    for step in (f"{number}. {name}" for number, name in enumerate(steps, start=2)):
        expect(page.get_by_role("link", name=step)).to_be_visible()
    page.get_by_role("link", name="2. Range map").click()
    expect(greeting).to_contain_text("Hatched parts have too few recordings to say")
    settle(page)
    greeting.get_by_role("link", name="Next: From places").click()
    expect(greeting).to_contain_text("Click the map where you have seen")
    settle(page)
    greeting.get_by_role("link", name="Next: Photo").click()
    expect(greeting).to_contain_text("Give a picture")
    settle(page)
    page.get_by_role("link", name="Explore", exact=True).first.click()
    expect(heading(page)).to_have_text("Near Nairobi, Kenya")
    settle(page)
    expect(greeting).to_have_count(0)
    # The browser remembers it, for a visit of another day too.
    page.reload()
    expect(page.locator("h1").first).to_be_visible()
    settle(page)
    expect(page.locator(".st-key-welcome")).to_have_count(0)
    again = page.context.new_page()
    again.goto(app)
    expect(again.locator(".st-key-row-1")).to_be_visible()
    expect(again.locator(".st-key-welcome")).to_have_count(0)


def test_about_is_half_a_page_with_folded_cards(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}about")
    expect(page.get_by_text("Natural Earth, public domain")).to_be_visible()
    settle(page)
    assert page.locator(".stMainBlockContainer").evaluate("e => e.scrollHeight") < 1300
    page.get_by_text("What the words and numbers mean").click()
    expect(page.get_by_text("Too few recordings to say.")).to_be_visible()
    page.get_by_text("Birds of Africa and Europe").click()
    expect(page.get_by_text("It learned where recordists go")).to_be_visible()
    made = page.get_by_text("How it was made, with every setting").first
    expect(made).to_be_visible()
    expect(page.get_by_text("kernel_variance")).to_be_hidden()


def test_the_same_point_twice_is_fine(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    click_map(page, 200, 200)
    settle(page)
    address = page.url
    leaflet(page).locator("#map_div").click(position={"x": 200, "y": 200})
    settle(page)
    assert page.url == address
    expect(first_row(page)).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_a_reload_keeps_the_view(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    leaflet(page).locator(".leaflet-control-zoom-in").click()
    settle(page)
    click_map(page, 250, 300)
    settle(page)
    page.locator(".st-key-pick-2 button").click()
    page.wait_for_url("**taxon=**")
    settle(page)
    expect(first_row(page)).to_be_visible()
    kept, address, view = page.locator(".st-key-ranked").inner_text(), page.url, map_view(page)
    page.reload()
    leaflet(page)
    expect(page.locator(".st-key-ranked")).to_have_text(re.compile("on the map"))
    settle(page)
    assert page.url == address and page.locator(".st-key-ranked").inner_text() == kept
    assert map_view(page) == pytest.approx(view, abs=0.01)
    assert view[2] == int(params(page)["zoom"]) == 5


def test_the_link_opens_the_same_view(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?lat=48.2&lon=16.4")
    first_row(page).wait_for()
    settle(page)
    page.get_by_role("button", name="Link to this view").click()
    link = page.locator("[data-testid=stPopoverBody] code").inner_text().strip()
    rows = page.locator(".st-key-ranked").inner_text()
    other = open_page(link)
    expect(heading(other)).to_have_text("Near Vienna, Austria")
    expect(other.locator(".st-key-ranked")).to_have_text(re.compile(r"\S"))
    settle(other)
    assert other.locator(".st-key-ranked").inner_text() == rows


def test_the_back_button_goes_back(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    expect(heading(page)).to_have_text("Near Nairobi, Kenya")
    click_map(page, 150, 150)
    expect(heading(page)).not_to_have_text("Near Nairobi, Kenya")
    settle(page)
    page.go_back()
    expect(heading(page)).to_have_text("Near Nairobi, Kenya")
    expect(page.get_by_label("Latitude")).to_have_value("-1.3000")


def test_the_place_is_there_again_after_the_photo_page(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?lat=48.2&lon=16.4")
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    page.get_by_role("link", name="Photo", exact=True).first.click()
    expect(page.get_by_role("heading", name="What does the place add")).to_be_visible()
    settle(page)
    # A picture of a page that is left while it loads is gone from the server.
    page.wait_for_function(LOADED)
    page.get_by_role("link", name="Explore", exact=True).first.click()
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    page.get_by_role("link", name="Photo", exact=True).first.click()
    expect(page.get_by_role("heading", name="What does the place add")).to_be_visible()
    settle(page)
    page.wait_for_function(LOADED)
    page.go_back()
    expect(heading(page)).to_have_text("Near Vienna, Austria")


def test_picking_a_species_draws_its_cells(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    frame = leaflet(page)
    drawn = frame.locator("path.leaflet-interactive").count()
    page.locator(".st-key-pick-1 button").click()
    expect(page.get_by_text("Recordings per cell")).to_be_visible()
    expect(first_row(page)).to_contain_text("on the map")
    frame.locator("path.leaflet-interactive").nth(drawn).wait_for(state="attached")
    assert "taxon" in params(page)


def test_the_keyboard_alone_is_enough(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    leaflet(page)
    first_row(page).wait_for()
    focus_by_tab(page, ".st-key-place_text")
    page.keyboard.type("Vienna")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    lon, lat, _ = map_view(page)
    assert (lon, lat) == pytest.approx((16.4, 48.2), abs=0.2)
    focus_by_tab(page, ".st-key-lat_box")
    page.keyboard.press("Control+A")
    page.keyboard.type("-1.3")
    page.keyboard.press("Enter")
    page.wait_for_url("**lat=-1.3&**")
    focus_by_tab(page, ".st-key-pick-1")
    page.keyboard.press("Enter")
    page.wait_for_url("**taxon=**")


def test_a_phone_shows_map_and_list_without_scrolling_sideways(
    app: str, open_page: OpenPage
) -> None:
    page = open_page(app, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    frame = leaflet(page)
    first_row(page).wait_for()
    assert page.evaluate(WIDER) <= 0
    box = page.locator(".st-key-map-box iframe").bounding_box()
    assert box is not None and box["height"] <= 0.4 * 844 and box["width"] <= 390
    before = heading(page).inner_text()
    frame.locator("#map_div").tap(position={"x": 120, "y": 150})
    expect(heading(page)).not_to_have_text(before)
    # The answer is on the screen at once, and over nothing that is wider than it.
    said = page.locator(".csp-heard[role=status]")
    expect(said).to_contain_text(heading(page).inner_text())
    expect(said).to_be_in_viewport(ratio=1)
    row = first_row(page).bounding_box()
    assert row is not None and row["x"] >= 0 and row["x"] + row["width"] <= 390


@pytest.mark.parametrize("path", ["?model=world_birds", "range-map?model=butterflies&month=6"])
def test_a_phone_shows_the_time_of_year_without_scrolling(
    app: str, open_page: OpenPage, path: str
) -> None:
    page = open_page(
        app + path, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    leaflet(page)
    box = page.get_by_label("Time of year").first
    # The frame around it cuts a pixel off above and below.
    expect(box).to_be_in_viewport(ratio=0.9)
    assert page.evaluate(WIDER) <= 0
    around = page.locator(".st-key-month_box").bounding_box()
    assert around is not None and around["x"] >= 0 and around["x"] + around["width"] <= 390
    # Below the place, and a line of its own alone.
    place = page.locator(".st-key-controls > div").first.bounding_box()
    assert place is not None and around["y"] >= place["y"] + place["height"] - 1
    assert around["height"] < 60
    if "world_birds" in path:
        box.tap()
        page.get_by_role("option", name="Jun").tap()
        page.wait_for_url("**month=6**")


def test_the_dark_theme_reaches_the_map(app: str, open_page: OpenPage) -> None:
    page = open_page(app, color_scheme="dark")
    frame = leaflet(page)
    sea = "e => getComputedStyle(e).backgroundColor"
    assert brightness(frame.locator(".leaflet-container").evaluate(sea)) < 60
    assert brightness(page.locator(".stApp").evaluate(sea)) < 60
    text = page.locator("h1").evaluate("e => getComputedStyle(e).color")
    assert brightness(text) > 180


def test_it_works_without_leaflet(app_without_leaflet: str, open_page: OpenPage) -> None:
    page = open_page(app_without_leaflet)
    page.locator("[data-testid=stDeckGlJsonChart] canvas").first.wait_for(timeout=DECK_TIMEOUT)
    expect(page.get_by_text("Leaflet is not installed")).to_be_visible()
    expect(first_row(page)).to_be_visible()
    page.get_by_label("Place or coordinates").fill("48.2 N 16.4 E")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    chart = page.locator("[data-testid=stDeckGlJsonChart]")
    for _ in range(20):
        # The first clicks may come before the cells can be picked.
        chart.click(position={"x": 150, "y": 200})
        page.wait_for_timeout(3000)
        if params(page).get("lat") != "48.2":
            break
    expect(heading(page)).not_to_have_text("Near Vienna, Austria")


@pytest.mark.parametrize(
    "query",
    [
        "lat=abc",
        "lat=95&lon=3",
        "lon=1e999",
        "model=nope",
        "taxon=%3Cb%3E",
        "zoom=%00",
        "lat=1&lat=",
    ],
)
def test_a_bad_address_is_answered_in_words(app: str, open_page: OpenPage, query: str) -> None:
    page = open_page(f"{app}?{query}")
    leaflet(page)
    settle(page)
    if query != "lat=1&lat=":
        expect(page.locator("[data-testid=stAlert]").first).to_be_visible()
    expect(page.locator("[data-testid=stException]")).to_have_count(0)


def test_a_visit_to_about_keeps_the_place(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?lat=48.2&lon=16.4")
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    settle(page)
    page.get_by_role("link", name="About", exact=True).first.click()
    expect(page.get_by_text("Natural Earth, public domain")).to_be_visible()
    page.get_by_role("link", name="Explore", exact=True).first.click()
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    leaflet(page)
    settle(page)
    assert params(page)["lat"] == "48.2"
    assert map_view(page)[:2] == pytest.approx((16.4, 48.2), abs=0.2)


# Of the coarse world, which is made of paths, and of the finer one, which is painted.
LAND_AT = {
    3: "[...document.querySelectorAll('path')].some(p => p.getAttribute('fill') !== 'none'"
    " && p.isPointInFill(new DOMPoint(at.x, at.y)))",
    4: "(c => { const o = L.DomUtil.getPosition(c);"
    " return c.getContext('2d').getImageData(at.x - o.x, at.y - o.y, 1, 1).data[3] > 0 })("
    "document.querySelector('.leaflet-csp-land-pane canvas'))",
}


@pytest.mark.parametrize("zoom", [3, 4])
@pytest.mark.parametrize("lon", [179.9, -179.9])
def test_the_map_goes_on_across_longitude_180(
    app: str, open_page: OpenPage, lon: float, zoom: int
) -> None:
    page = open_page(f"{app}?lat=65&lon={lon}&zoom={zoom}")
    leaflet(page).locator("path[stroke-width='3']").first.wait_for(state="attached")
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    if zoom == 4:
        frame.locator(".leaflet-csp-land-pane canvas").wait_for(state="attached")
        page.wait_for_timeout(500)
    # Siberia lies left of the pin and Alaska right of it.
    for degrees in (-10, 22):
        assert frame.evaluate(
            "([lat, lon]) => { const at = map_div.latLngToLayerPoint([lat, lon]);"
            f" return {LAND_AT[zoom]} }}",
            [66, lon + degrees],
        ), degrees
