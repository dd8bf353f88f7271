"""Every page on a phone and as it comes: fingers, width, a menu with a name, nothing that jumps."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from shared.palette import DARK, LIGHT, Palette
from tests.browser.conftest import OpenPage
from tests.browser.steps import WIDER, settle
from tests.browser.test_axe import PAGES, all_there

pytestmark = pytest.mark.browser
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
LEAST = 44
# What can be tapped and is smaller, but links in a line of text, which are as high as the line.
SMALL = """least => {
    const found = [], room = '.react-aria-ComboBox > div, label';
    const what = 'button, a[href], input, summary, [role=button], [role=radio], [role=tab]';
    const page = document.querySelector('.stMain') || document;
    for (const each of page.querySelectorAll(what)) {
        if (!each.checkVisibility({visibilityProperty: true}) || each.type === 'range') continue;
        if (each.tagName === 'A' && each.closest('p, li, .leaflet-control-attribution')) continue;
        // A box is tapped anywhere in its frame, a mark of a choice anywhere on its words.
        const taken = each.tagName === 'INPUT' ? each.closest(room) || each : each;
        const {width, height} = taken.getBoundingClientRect();
        if (width < 2 || height < 2) continue;
        if (width < least - 0.5 || height < least - 0.5) found.push(
            `${each.tagName} ${each.ariaLabel || each.textContent.slice(0, 30)}`
            + ` ${each.dataset.testid || ''} ${Math.round(width)}x${Math.round(height)}`);
    }
    return found;
}"""
# Boxes of numbers whose text is wider than they are.
CUT = """() => [...document.querySelectorAll('.stMain input[type=number]')]
    .filter(each => each.value && each.scrollWidth > each.clientWidth + 0.5)
    .map(each => `${each.ariaLabel} ${each.value} ${each.scrollWidth}>${each.clientWidth}`)"""
# Added up as browsers do, without what follows a tap or a key.
WATCH = """window.shift = 0; window.moved = [];
new PerformanceObserver(list => list.getEntries().forEach(entry => {
    if (entry.hadRecentInput) return;
    window.shift += entry.value;
    window.moved.push([entry.value.toFixed(3), Math.round(entry.startTime),
        ...entry.sources.slice(0, 4).map(({node, previousRect, currentRect}) => {
            const at = node && (node.nodeType === 3 ? node.parentElement : node);
            const key = at && at.closest('[class*=st-key]');
            return `${key ? key.className.match(/st-key-\\S+/)[0] : ''}`
                + ` ${at ? at.dataset.testid || at.tagName : ''}`
                + ` ${Math.round(previousRect.y)}>${Math.round(currentRect.y)}`; })]);
})).observe({type: 'layout-shift', buffered: true});"""


@pytest.mark.parametrize("name", PAGES)
def test_fingers_find_all_that_can_be_tapped(app: str, open_page: OpenPage, name: str) -> None:
    page = open_page("about:blank", **PHONE)
    page.goto(app + PAGES[name])
    all_there(page, name)
    small = [found for frame in page.frames for found in frame.evaluate(SMALL, LEAST)]
    assert not small, small
    assert page.evaluate(WIDER) <= 0, "the page scrolls sideways"
    menu = page.get_by_role("button", name="menu")
    expect(menu.first).to_be_visible()


@pytest.mark.parametrize("device", ["phone", "desk"])
@pytest.mark.parametrize(
    ("where", "label"),
    [
        ("explore?model=birds&lat=-41.2924&lon=-174.7787", "Longitude"),
        ("photo?lat=-41.2924&lon=-174.7787", "Longitude"),
        ("range-map?model=birds&lat=-41.2924&lon=-174.7787", "Longitude"),
        ("clusters?points=500&count=4&bounds=-170.25,-50.25,-30.75,-10.5", "West, degrees"),
    ],
)
def test_numbers_of_a_place_are_seen_whole(
    app: str, open_page: OpenPage, where: str, label: str, device: str
) -> None:
    page = open_page(app + where.removeprefix("explore"), **(PHONE if device == "phone" else {}))
    expect(page.get_by_label(label)).to_have_value(re.compile(r"-1\d\d\.\d\d"))
    settle(page)
    assert page.evaluate(CUT) == []


def test_an_open_card_leaves_the_page_as_wide_as_a_phone(app: str, open_page: OpenPage) -> None:
    page = open_page(f"{app}about", **PHONE)
    cards = page.locator(".stMain details > summary").filter(has_text="birds – ")
    cards.first.click()
    table = page.locator(".stMain [data-testid=stMarkdownContainer] table:visible").first
    expect(table).to_contain_text("macro top-5")
    assert page.evaluate(WIDER) <= 0, "the page scrolls sideways"
    assert table.evaluate("each => each.scrollWidth > each.clientWidth"), "it does so in itself"


@pytest.mark.parametrize("device", ["phone", "desk"])
@pytest.mark.parametrize("name", PAGES)
def test_nothing_jumps_as_a_page_comes(
    app: str, open_page: OpenPage, name: str, device: str
) -> None:
    seen = []
    # What is loaded when it is first needed comes in another order on a busy machine.
    for _ in range(3):
        page = open_page("about:blank", **(PHONE if device == "phone" else {}))
        page.add_init_script(WATCH)
        page.goto(app + PAGES[name])
        all_there(page, name)
        page.wait_for_timeout(500)
        seen.append((page.evaluate("window.shift"), page.evaluate("window.moved")))
        if seen[-1][0] < 0.1:
            return
    raise AssertionError(seen)


@pytest.mark.parametrize(("scheme", "colours"), [("light", DARK), ("dark", LIGHT)])
def test_the_colours_are_those_of_the_theme_in_use(
    app: str, open_page: OpenPage, scheme: str, colours: Palette
) -> None:
    theme = "dark_theme" if colours is DARK else "light_theme"
    page = open_page(f"{app}about?embed=true&embed_options={theme}", color_scheme=scheme)
    page.locator("h1").first.wait_for()
    settle(page)
    # The theme in use is known to the server one run after the page: wait for that run's colours.
    page.wait_for_function(
        "colour => getComputedStyle(document.documentElement)"
        ".getPropertyValue('--csp-text').trim() === colour",
        arg=colours.text,
    )
