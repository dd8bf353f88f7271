"""Explore as it opens: the birds of the world in the present week, and one of them week by week."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.server import running_app
from tests.browser.steps import WIDER, check_headings, heading_levels, params, settle
from tests.browser.test_axe import AXE, faults

pytestmark = pytest.mark.browser
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def world_app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_app(tmp_path_factory.mktemp("world-app"), CSP_OPENS_WITH="") as address:
        yield address


def test_it_opens_with_the_birds_of_this_week(world_app: str, open_page: OpenPage) -> None:
    page = open_page(world_app)
    expect(page.get_by_text("Near Vienna, Austria", exact=True)).to_be_visible()
    expect(page.get_by_text("Not known how well reported")).to_be_visible()
    expect(
        page.get_by_text(re.compile("^The first 20 of 6,522 at this place this week"))
    ).to_be_visible()
    expect(page.locator(".st-key-row-20")).to_be_visible()
    expect(page.locator(".st-key-row-21")).to_have_count(0)
    page.get_by_role("button", name="South Georgia").click()
    expect(page.get_by_role("button", name=re.compile("King Penguin Aptenodytes"))).to_be_visible()
    settle(page)
    page.locator(".st-key-ranked button").first.click()
    strip = page.locator(".csp-year")
    expect(strip.locator("span")).to_have_count(48)
    expect(strip.locator(".csp-now")).to_have_count(1)
    assert "week by week" in (strip.get_attribute("aria-label") or "")
    assert "taxon" in params(page) and "week" not in params(page)


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is missing: `sh tools/setup.sh test`")
@pytest.mark.parametrize("look", [{"color_scheme": "dark"}, PHONE])
def test_it_has_no_grave_faults(world_app: str, open_page: OpenPage, look: dict[str, Any]) -> None:
    page = open_page(f"{world_app}?lat=48.2&lon=16.37&taxon=Apus%20apus", **look)
    expect(page.locator(".csp-year")).to_be_visible()
    settle(page)
    assert page.evaluate(WIDER) <= 0
    assert faults(page) == []
    check_headings(heading_levels(page))
