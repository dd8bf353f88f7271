"""Training from the sidebar: it goes on without page and server, stops, resumes, and is used."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from csp_core.runs import RunDir
from csp_core.runs.jobs import stop
from tests.browser.server import running_app
from tests.browser.steps import WIDER, brightness, focus_by_tab, leaflet, params, settle

OpenPage = Callable[..., Page]

pytestmark = pytest.mark.browser
SLOW = 180_000
# Whether what has the focus has a ring around it.
SHOWS_FOCUS = """() => {
    const style = getComputedStyle(document.activeElement);
    return style.boxShadow !== "none" ||
        (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
}"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for runs; none of them outlives the test."""
    yield tmp_path
    for path in (tmp_path / "runs").glob("*-*"):
        if RunDir(path).read_status()["state"] in ("queued", "starting", "running"):
            stop(path, wait=1.0, kill=True)


def sidebar(page: Page) -> Locator:
    return page.locator('[data-testid="stSidebar"]')


def main(page: Page) -> Locator:
    return page.locator(".stMain")


def one_run(folder: Path) -> Path:
    (path,) = (folder / "runs").glob("first-*")
    return path


def state(folder: Path) -> dict[str, Any]:
    return RunDir(one_run(folder)).read_status()


def wait_until(what: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.2)


def press(page: Page, selector: str, key: str) -> None:
    """Reach something by the Tab key, see that it shows the focus, and press a key on it."""
    page.locator(selector).first.wait_for()
    focus_by_tab(page, selector)
    page.wait_for_function(SHOWS_FOCUS, timeout=5000)  # it comes by a transition
    page.keyboard.press(key)
    settle(page)


def test_a_run_outlives_page_and_server_and_its_model_is_used(
    folder: Path, open_page: OpenPage
) -> None:
    """All of it by the keyboard alone."""
    with running_app(folder) as address:
        page = open_page(address)
        settle(page)
        focus_by_tab(page, ".st-key-jobs-name")
        page.keyboard.type("first")
        page.keyboard.press("Enter")
        settle(page)
        focus_by_tab(page, ".st-key-jobs-train")
        page.keyboard.press("Enter")
        expect(sidebar(page).get_by_role("link", name=re.compile("^first-"))).to_be_visible()
        wait_until(lambda: state(folder)["state"] == "running")
        page.close()
    wait_until(lambda: state(folder).get("epoch", 0) >= 2)
    # It takes seconds: held up, it is not done before the app is up again.
    process = psutil.Process(state(folder)["pid"])
    process.suspend()

    with running_app(folder) as address:
        page = open_page(f"{address}train")
        settle(page)
        press(page, '[class*="st-key-row-run-first-"] a', "Enter")
        expect(main(page).get_by_text("▶ running")).to_be_visible()
        expect(main(page).get_by_text("Range of", exact=False).first).to_be_visible()
        press(page, ".st-key-train-stop", "Space")
        process.resume()
        expect(main(page).get_by_text("◼ stopped")).to_be_visible()
        step = state(folder)["step"]
        press(page, ".st-key-train-resume", "Enter")
        expect(main(page).get_by_text("✔ finished")).to_be_visible(timeout=SLOW)
        found = state(folder)
        assert 0 < step < found["step"] == found["total_steps"]
        press(page, ".st-key-train-use-this-model", "Space")
        expect(main(page).get_by_role("link", name="See it on Explore")).to_be_visible()
        press(page, ".st-key-train-controls a", "Enter")
        expect(page.get_by_role("combobox", name="Model")).to_have_value(one_run(folder).name)
        assert params(page)["model"] == one_run(folder).name
        leaflet(page)


def test_on_a_phone_the_launcher_waits_until_it_is_asked_for(
    folder: Path, open_page: OpenPage
) -> None:
    with running_app(folder) as address:
        page = open_page(
            f"{address}train?new=1",
            viewport={"width": 390, "height": 844},
            has_touch=True,
            color_scheme="dark",
        )
        settle(page)
        expect(sidebar(page)).not_to_be_in_viewport()
        assert page.evaluate(WIDER) <= 0
        background = page.locator(".stApp").evaluate("e => getComputedStyle(e).backgroundColor")
        assert brightness(background) < 60
        expect(main(page).get_by_role("button", name="Train", exact=True)).to_be_visible()
        page.get_by_test_id("stExpandSidebarButton").click()
        expect(sidebar(page).get_by_role("button", name="Train")).to_be_in_viewport()


def test_a_failure_says_why_where_it_was_started(folder: Path, open_page: OpenPage) -> None:
    with running_app(folder) as address:
        page = open_page(address)
        settle(page)
        page.locator(".st-key-jobs-set [role=combobox]").click()
        page.get_by_role("option", name="occurrences").click()
        page.locator(".st-key-jobs-root input").fill("none.csv")
        page.keyboard.press("Enter")
        settle(page)
        page.locator(".st-key-jobs-train button").click()
        expect(sidebar(page).get_by_text("✖ failed")).to_be_visible(timeout=60_000)
        expect(sidebar(page).get_by_text("none.csv").last).to_be_visible()
        # A second try after the mistake is mended is no trouble.
        page.locator(".st-key-jobs-root input").fill("/etc/passwd")
        page.keyboard.press("Enter")
        settle(page)
        page.locator(".st-key-jobs-train button").click()
        expect(sidebar(page).get_by_text("data may lie", exact=False)).to_be_visible()


def test_few_labels_are_learned_from_and_the_model_is_used(
    folder: Path, open_page: OpenPage
) -> None:
    """A preset from the sidebar, followed to its end; its model looks at pictures alone."""
    with running_app(folder) as address:
        page = open_page(address)
        settle(page)
        page.locator(".st-key-jobs-preset [role=combobox]").click()
        page.get_by_role("option", name="few labels").click()
        page.locator(".st-key-jobs-name input").fill("first")
        page.keyboard.press("Enter")
        settle(page)
        page.locator(".st-key-jobs-train button").click()
        sidebar(page).get_by_role("link", name=re.compile("^first-")).click()
        expect(main(page).get_by_text("✔ finished")).to_be_visible(timeout=SLOW)
        expect(main(page).get_by_text("Labels given that count, share")).to_be_visible()
        main(page).get_by_role("button", name="Use this model").click()
        main(page).get_by_role("link", name="Ask it about a photo").click()
        expect(page.get_by_role("combobox", name="Model")).to_have_value(one_run(folder).name)
        settle(page)
        # What the page may still load would be missed once the server is gone.
        page.goto("about:blank")
