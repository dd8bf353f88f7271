"""A place is chosen by name: suggestions by keys and by touch, towns of all scripts, refusals."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from csp_core.gazetteer.index import connect
from tests.browser.steps import click_map, focus_by_tab, leaflet, map_view, params, settle

OpenPage = Callable[..., Page]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(connect() is None, reason="needs the list of places (tools/setup.sh test)"),
]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
# Towns as the people there write them.
TOWNS = [
    ("Wien", 16.37, 48.21), ("Zürich", 8.55, 47.37), ("München", 11.58, 48.14),
    ("Köln", 6.95, 50.93), ("Genève", 6.15, 46.2), ("Firenze", 11.25, 43.77),
    ("Sevilla", -5.98, 37.38), ("Lisboa", -9.13, 38.72), ("København", 12.57, 55.68),
    ("Göteborg", 11.97, 57.71), ("Tromsø", 18.96, 69.65), ("Reykjavík", -21.9, 64.14),
    ("Kraków", 19.94, 50.06), ("Praha", 14.42, 50.09), ("București", 26.11, 44.43),
    ("Αθήνα", 23.73, 37.98), ("İstanbul", 28.95, 41.01), ("Москва", 37.62, 55.75),
    ("Київ", 30.52, 50.45), ("София", 23.32, 42.7), ("თბილისი", 44.79, 41.69),
    ("Երևան", 44.51, 40.18), ("القاهرة", 31.25, 30.06), ("بغداد", 44.39, 33.34),
    ("ירושלים", 35.22, 31.77), ("تهران", 51.42, 35.69), ("मुंबई", 72.88, 19.07),
    ("ঢাকা", 90.41, 23.71), ("சென்னை", 80.28, 13.09), ("กรุงเทพ", 100.5, 13.75),
    ("Hà Nội", 105.84, 21.02), ("北京", 116.4, 39.9), ("香港", 114.17, 22.28),
    ("서울", 126.98, 37.57), ("東京", 139.69, 35.69), ("大阪", 135.5, 34.69),
    ("አዲስ አበባ", 38.75, 9.02), ("São Paulo", -46.63, -23.55), ("Bogotá", -74.08, 4.61),
    ("Ciudad de México", -99.13, 19.43),
]  # fmt: skip


def box(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Place or coordinates")


def options(page: Page) -> Locator:
    return page.get_by_role("option")


def heading(page: Page) -> Locator:
    return page.get_by_role("heading", level=2).first


def start(page: Page) -> None:
    leaflet(page)
    page.locator(".st-key-row-1").wait_for()
    settle(page)


def test_forty_towns_by_their_own_names(app: str, open_page: OpenPage) -> None:
    assert len(TOWNS) == 40
    page = open_page(app)
    start(page)
    wrong = []
    for name, lon, lat in TOWNS:
        box(page).click()
        page.keyboard.press("Control+A")
        page.keyboard.type(name)
        page.keyboard.press("Enter")
        try:
            page.wait_for_function(
                "(wanted) => { const p = new URLSearchParams(location.search);"
                " return Object.entries(wanted).every(([k, v]) => Math.abs(p.get(k) - v) < 0.3) }",
                arg={"lon": lon, "lat": lat},
                timeout=15_000,
            )
        except PlaywrightTimeoutError:
            wrong.append((name, params(page)))
            continue
        # The box takes the place's full name, which must not come between the next letters.
        expect(box(page)).not_to_have_value(name)
    assert not wrong


def test_suggestions_by_keys_alone(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    start(page)
    focus_by_tab(page, ".st-key-place_text")
    page.keyboard.type("mun")
    expect(box(page)).to_have_attribute("aria-expanded", "true")
    expect(options(page).first).to_have_text("Munich, Germany")
    assert 1 < options(page).count() <= 8
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    chosen = page.locator("[role=option][aria-selected=true]")
    expect(chosen).to_have_text("Munich, Germany")
    expect(box(page)).to_have_attribute(
        "aria-activedescendant", chosen.get_attribute("id") or "none"
    )
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Near Munich, Germany")
    expect(box(page)).to_have_value("Munich, Germany")
    expect(box(page)).to_have_attribute("aria-expanded", "false")
    settle(page)
    page.keyboard.press("Tab")
    settle(page)
    expect(heading(page)).to_have_text("Near Munich, Germany")
    assert map_view(page)[:2] == pytest.approx((11.58, 48.14), abs=0.3)
    # The list goes, and the text stays.
    focus_by_tab(page, ".st-key-place_text")
    page.keyboard.press("Control+A")
    page.keyboard.type("lake vic")
    expect(options(page).first).to_have_text("Lake Victoria · lake")
    page.keyboard.press("Escape")
    expect(options(page)).to_have_count(0)
    expect(box(page)).to_have_value("lake vic")
    assert params(page)["lat"].startswith("48.1")


def test_suggestions_tell_towns_apart_and_are_forgiving(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    start(page)
    for typed, label in (
        ("springfield", "Springfield, Illinois, United States"),
        ("Copenhagn", "Copenhagen, Denmark"),
        ("keny", "Kenya · country"),
        ("Моск", "Moscow, Russia"),
    ):
        box(page).click()
        page.keyboard.press("Control+A")
        page.keyboard.type(typed)
        expect(options(page).get_by_text(label, exact=True)).to_be_visible()
    options(page).get_by_text("Moscow, Russia", exact=True).click()
    expect(heading(page)).to_have_text("Near Moscow, Russia")
    # Of several with one name, the one that was picked.
    box(page).click()
    page.keyboard.press("Control+A")
    page.keyboard.type("springfield")
    options(page).get_by_text("Springfield, Illinois, United States", exact=True).click()
    expect(heading(page)).to_have_text("Near Springfield, Illinois, United States")
    click_map(page, 120, 120)
    expect(box(page)).to_have_value("")


def test_suggestions_by_touch(app: str, open_page: OpenPage) -> None:
    page = open_page(app, **PHONE)
    start(page)
    box(page).tap()
    page.keyboard.type("helsin")
    option = options(page).get_by_text("Helsinki, Finland", exact=True)
    expect(option).to_be_visible()
    shape = option.bounding_box()
    assert shape is not None and shape["height"] >= 44 and shape["x"] + shape["width"] <= 390
    option.tap()
    expect(heading(page)).to_have_text("Near Helsinki, Finland")
    expect(options(page)).to_have_count(0)


def test_one_misspelt_town_is_found_by_enter(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    start(page)
    focus_by_tab(page, ".st-key-place_text")
    page.keyboard.type("Reykavik")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Near Reykjavík, Iceland")
    expect(box(page)).to_have_value("Reykjavík, Iceland")


def test_a_refused_latitude_keeps_list_and_address(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?lat=48.2&lon=16.4")
    start(page)
    rows, address = page.locator(".st-key-ranked").inner_text(), page.url
    latitude = page.get_by_label("Latitude")
    latitude.fill("95")
    latitude.press("Enter")
    expect(page.get_by_text("Latitude 95 does not exist")).to_have_count(1)
    settle(page)
    expect(latitude).to_have_value("95.0000")
    assert page.url == address and page.locator(".st-key-ranked").inner_text() == rows
    click_map(page, 120, 120)
    settle(page)
    expect(page.get_by_text("Latitude 95 does not exist")).to_have_count(0)
    assert float(latitude.input_value()) == pytest.approx(float(params(page)["lat"]), abs=1e-4)


def test_an_emptied_latitude_waits_for_a_number(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}?lat=48.2&lon=16.4")
    start(page)
    latitude, address = page.get_by_label("Latitude"), page.url
    latitude.fill("")
    latitude.press("Enter")
    expect(page.get_by_text("needs a latitude and a longitude")).to_be_visible()
    settle(page)
    expect(latitude).to_have_value("")
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    assert page.url == address
    latitude.fill("-1.3")
    latitude.press("Enter")
    page.wait_for_url("**lat=-1.3&**")
    page.go_back()
    expect(heading(page)).to_have_text("Near Vienna, Austria")
    expect(latitude).to_have_value("48.2000")


def test_the_range_map_searches_a_place_too(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}range-map")
    leaflet(page)
    settle(page)
    focus_by_tab(page, ".st-key-place_text")
    page.keyboard.type("kampa")
    expect(options(page).first).to_have_text("Kampala, Uganda")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Near Kampala, Uganda", exact=True)).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Link to this view").click()
    link = page.locator("[data-testid=stPopoverBody] code").inner_text().strip()
    other = open_page(link)
    expect(other.get_by_text("Near Kampala, Uganda", exact=True)).to_be_visible()
