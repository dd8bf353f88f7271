"""Every page by the rules of axe-core: nothing serious or critical, in either theme."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import OpenPage
from tests.browser.steps import check_headings, heading_levels, leaflet, settle

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not AXE.is_file(),
        reason="axe-core is missing: `sh tools/setup.sh test` installs it where there is npm",
    ),
]
PAGES = {
    "explore": "?lat=-1.28&lon=36.8",
    "range-map": "range-map?lat=-1.3&lon=36.8",
    "few-shot": "few-shot?places=S52.5_13.4~S48.8_2.3~N-1.3_36.8&name=Aves",
    "clusters": "clusters?points=500&count=4&lat=-1.3&lon=36.8",
    "photo": "photo",
    "segment": "segment",
    "train": "train?all=1",
    "about": "about",
}
MAPS = ("explore", "range-map", "few-shot", "clusters")
GRAVE = ("serious", "critical")
LOOK = """async () => {
    const found = await axe.run(document, {iframes: false, resultTypes: ['violations']});
    return found.violations.flatMap(rule => rule.nodes.map(node => ({
        rule: rule.id, impact: rule.impact, element: node.html.slice(0, 300),
        why: node.failureSummary})));
}"""


def faults(page: Page) -> list[dict[str, Any]]:
    """Ask axe-core about a page and the frames of its maps, each on its own."""
    found: list[dict[str, Any]] = []
    for frame in page.frames:
        frame.evaluate(f"() => {{ {AXE.read_text(encoding='utf-8')} }}")
        found += frame.evaluate(LOOK)
    return [one for one in found if one["impact"] in GRAVE]


def all_there(page: Page, name: str) -> None:
    """Wait until all of a page is there."""
    page.locator("h1").first.wait_for()
    if name in MAPS:
        leaflet(page)
    if name == "clusters":
        page.get_by_role("button", name="GeoTIFF").wait_for()
    settle(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_page_has_grave_faults(app: str, open_page: OpenPage, name: str, scheme: str) -> None:
    page = open_page(app + PAGES[name], color_scheme=scheme)
    all_there(page, name)
    assert faults(page) == []
    check_headings(heading_levels(page))


@pytest.mark.parametrize("name", PAGES)
def test_nor_has_it_on_a_phone(app: str, open_page: OpenPage, name: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    page = open_page(app + PAGES[name], **phone)
    all_there(page, name)
    assert faults(page) == []
    check_headings(heading_levels(page))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_open_list_of_places_has_none(app: str, open_page: OpenPage, scheme: str) -> None:
    page = open_page(app, color_scheme=scheme)
    leaflet(page)
    settle(page)
    page.get_by_role("combobox", name="Place or coordinates").click()
    page.keyboard.type("nairo")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("ArrowDown")
    assert faults(page) == []
