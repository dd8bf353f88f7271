"""Words on the map and where a picture may be from: by axe's rules, in both themes, on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests import comparing
from tests.browser.conftest import OpenPage
from tests.browser.server import running_app
from tests.browser.steps import (
    WIDER,
    check_headings,
    choose_files,
    heading_levels,
    leaflet,
    settle,
)
from tests.browser.test_axe import AXE, faults
from tests.browser.test_retrieval import red

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not AXE.is_file(),
        reason="axe-core is missing: `sh tools/setup.sh test` installs it where there is npm",
    ),
]
LOOKS: dict[str, dict[str, Any]] = {
    # High enough for all of a page to be in its screenshot.
    "light": {"viewport": {"width": 1280, "height": 1500}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 1500}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 3600},
        "is_mobile": True,
        "has_touch": True,
        "color_scheme": "dark",
    },
}


@pytest.fixture(scope="module")
def tokens_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A model that compares part by part, and knows pictures, places and words."""
    models = tmp_path_factory.mktemp("tokens-models")
    comparing.save(models, tokens=True, parts=True)
    with running_app(tmp_path_factory.mktemp("tokens-app"), CSP_MODELS=str(models)) as address:
        yield address


def looked_at(page: Page, path: Path) -> None:
    """Check what a page looks like once all of it is there."""
    settle(page)
    page.screenshot(path=path, full_page=True)
    assert page.evaluate(WIDER) <= 0
    assert faults(page) == []
    check_headings(heading_levels(page))


@pytest.mark.parametrize("look", LOOKS)
def test_a_picture_is_taken_apart(
    tokens_app: str, open_page: OpenPage, tmp_path: Path, look: str
) -> None:
    page = open_page(tokens_app + "photo?model=colours&lat=48.2&lon=16.4", **LOOKS[look])
    choose_files(
        page, "photo-input", [{"name": "red.png", "mimeType": "image/png", "buffer": red()}]
    )
    expect(page.get_by_role("heading", name="What agrees with what")).to_be_visible(timeout=60_000)
    leaflet(page).locator("img.csp-values").first.wait_for(state="attached")
    # The bars tell of each scale what it is, in words that have room.
    for label in page.locator(".csp-bars span").all():
        assert label.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
    assert page.locator(".csp-patches i").count() == 16
    looked_at(page, tmp_path / f"photo-{look}.png")


@pytest.mark.parametrize("look", LOOKS)
def test_words_are_on_the_map(
    tokens_app: str, open_page: OpenPage, tmp_path: Path, look: str
) -> None:
    page = open_page(
        tokens_app + "clusters?model=colours&points=500&count=4&words=a%20blue%20field",
        **LOOKS[look],
    )
    heading = page.get_by_text("Places that agree best with “a blue field”")
    expect(heading).to_be_visible(timeout=90_000)
    leaflet(page, "map-box-3").locator("img.csp-values").first.wait_for(state="attached")
    page.locator(".st-key-words-view").scroll_into_view_if_needed()
    looked_at(page, tmp_path / f"words-{look}.png")
