"""What browser tests of several pages do: find the map, click it, wait, read the address."""

import re
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import FrameLocator, Page, expect

# Software rendering on a busy machine draws the first deck.gl frame late.
DECK_TIMEOUT = 60_000
expect.set_options(timeout=30_000)
# What scrolls is a part of the page, so the page itself is never wider.
WIDER = (
    "Math.max(...[document.documentElement, document.querySelector('.stMain')].filter(each => each)"
    ".map(each => each.scrollWidth - each.clientWidth))"
)


def leaflet(page: Page, box: str = "map-box") -> FrameLocator:
    # While a page is drawn anew, the map of before may stand beside the new one.
    expect(page.locator(f".st-key-{box} iframe")).to_have_count(1)
    frame = page.frame_locator(f".st-key-{box} iframe")
    # Of the coarse world, or of the finer one, which is painted.
    frame.locator(":is(svg path, canvas):visible").first.wait_for()
    return frame


def choose_files(page: Page, box: str, files: list[Any]) -> None:
    """Give files to the uploader in a box, once the one of before has left the page."""
    chooser = page.locator(f".st-key-{box} input[type=file]")
    expect(chooser).to_have_count(1)
    chooser.set_input_files(files)


def params(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def map_view(page: Page) -> tuple[float, float, int]:
    frame = next(frame for frame in page.frames if "streamlit_folium" in frame.url)
    # While the frame loads, the name is that of the element.
    frame.wait_for_function("typeof map_div !== 'undefined' && 'getCenter' in map_div")
    look = "[map_div.getCenter().lng, map_div.getCenter().lat, map_div.getZoom()]"
    view, before = frame.evaluate(look), None
    while view != before:  # it glides
        page.wait_for_timeout(300)
        view, before = frame.evaluate(look), view
    return view[0], view[1], view[2]


def click_map(page: Page, x: int, y: int) -> None:
    before = params(page).get("lat"), params(page).get("lon")
    frame = leaflet(page)
    # A click would scroll there itself, and hit what stood there before.
    page.locator(".st-key-map-box iframe").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    frame.locator("#map_div").click(position={"x": x, "y": y})
    page.wait_for_function(
        "([lat, lon]) => { const p = new URLSearchParams(location.search);"
        " return p.get('lat') !== lat || p.get('lon') !== lon }",
        arg=list(before),
    )


def settle(page: Page) -> None:
    """Wait until a run has ended and no other has begun."""
    page.wait_for_timeout(300)
    expect(page.locator("[data-test-script-state='notRunning']")).to_have_count(1)
    page.wait_for_timeout(300)


def focus_by_tab(page: Page, selector: str, *, most: int = 120) -> None:
    for _ in range(most):
        if page.evaluate("s => !!document.activeElement?.closest(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


def choose_by_keys(page: Page, selector: str) -> None:
    """Reach a list by the Tab key, open it, and take its first entry."""
    focus_by_tab(page, selector)
    active = page.locator(f"{selector} input[aria-activedescendant]")
    # A list closes as the page moves under it, and Tab may have set the page in motion.
    for _ in range(10):
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(500)
        if active.count():
            break
    expect(active).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")


def brightness(colour: str) -> float:
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return (red + green + blue) / 3


def heading_levels(page: Page) -> list[int]:
    """Give the levels of the headings that can be seen on a page, from its top."""
    found: list[int] = page.evaluate(
        """[...document.querySelectorAll('.stMain :is(h1, h2, h3, h4, h5, h6)')]
            .filter(e => e.checkVisibility()).map(e => +e.tagName[1])"""
    )
    return found


def check_headings(levels: list[int]) -> None:
    """Fail unless headings begin at one of the first level and go down one step at a time."""
    assert levels[0] == 1 and levels.count(1) == 1, levels
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
