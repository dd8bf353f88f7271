"""Links in the head, in a browser that is slow."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import leaflet, params, settle

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.browser


def test_a_link_leads_away_from_a_box_that_was_typed_in(app: str, open_page: OpenPage) -> None:
    page = open_page(app)
    leaflet(page)
    settle(page)
    box = page.get_by_label("Latitude").first
    box.click()
    page.keyboard.press("Control+A")
    page.keyboard.type("48.1")
    slow = page.context.new_cdp_session(page)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": 8})
    link = page.get_by_role("link", name="Range map", exact=True).first
    place = link.bounding_box()
    assert place
    page.mouse.move(place["x"] + 20, place["y"] + 10)
    page.mouse.down()
    page.wait_for_timeout(80)
    page.mouse.up()
    page.wait_for_timeout(1000)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    expect(page.get_by_role("heading", name="Where is a species recorded?")).to_be_visible()
    settle(page)
    expect(page.get_by_role("heading", name="Where is a species recorded?")).to_be_visible()
    assert "range-map" in page.url, params(page)
