"""What one visitor waits for in a browser: the first view, a click on a map, another page."""

from __future__ import annotations

import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from app_load import PLACE as PLACE_SHOWN
from app_load import ROOT, SETTLED, SHOWN
from first_map import seconds_to_first_map
from report import arguments, markdown, write_report

# Links of the head, and what the heading of each page says, whatever the model is of.
HEADINGS = {
    "Explore": "recorded here",
    "Range map": "Where",
    "Clusters": "alike",
    "Photo": "picture",
    "Train": "Train",
    "About": "About",
}
MAPS = ("Explore", "Range map", "Clusters", "Photo")
HEAD = ("what", "times", "median, s", "slowest, s", "aim, s", "load before")
AIMS = {"first view": 8.0, "click": 0.9, "page": 1.3}


def click_seconds(page: Any, address: str, path: str, times: int) -> list[float]:
    """Click other places of a map; seconds until the place and all of the page stand."""
    page.goto(f"{address}{path}?lat=-1.28&lon=36.8&zoom=5")
    frame = page.frame_locator(".st-key-map-box iframe")
    frame.locator(":is(svg path, canvas):visible").first.wait_for()
    page.locator(SETTLED).first.wait_for(state="attached")
    page.wait_for_timeout(1500)
    world, chance, seconds = frame.locator("#map_div"), random.Random(0), []
    for number in range(times + 1):
        before = page.evaluate(PLACE_SHOWN)
        spot = {"x": chance.randint(80, 460), "y": chance.randint(80, 380)}
        began = time.perf_counter()
        world.click(position=spot)
        page.wait_for_function(SHOWN, arg=before)
        # The first loads what the others find.
        if number:
            seconds.append(time.perf_counter() - began)
        page.wait_for_timeout(800)
    return seconds


def switch(page: Any, link: str) -> float:
    """Follow a link of the head; seconds until the page rests, with its map where it has one."""
    began = time.perf_counter()
    page.get_by_test_id("stTopNavLinkContainer").get_by_text(link, exact=True).click()
    heading = page.get_by_role("heading", name=re.compile(HEADINGS[link]), level=1)
    heading.first.wait_for()
    if link in MAPS:
        frame = page.frame_locator(".st-key-map-box iframe").first
        frame.locator(":is(svg path, canvas):visible").first.wait_for()
    page.locator(SETTLED).first.wait_for(state="attached")
    seconds = time.perf_counter() - began
    page.wait_for_timeout(800)
    return seconds


def measure(rounds: int, clicks: int) -> dict[str, list[float]]:
    """Measure clicks and changes of page in one server and one tab.

    Args:
        rounds: Times that all pages are gone through, behind one that loads them.
        clicks: On each map.

    Returns:
        Seconds by what was waited for.
    """
    from playwright.sync_api import sync_playwright

    from tests.browser.server import CHROMIUM_FLAGS, find_chromium, running_app

    found: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        for name, path in (("Explore", ""), ("Range map", "range-map")):
            found[f"click: {name}"] = click_seconds(page, address, path, clicks)
        page.goto(address)
        for number in range(rounds + 1):
            for link in [*list(HEADINGS)[1:], "Explore"]:
                seconds = switch(page, link)
                name = "page, first time" if number == 0 else "page"
                found.setdefault(f"{name}: {link}", []).append(seconds)
        browser.close()
    return found


def main() -> None:
    """Run the benchmark."""
    options = arguments((__doc__ or "").splitlines()[0])
    load = os.getloadavg()[0]
    starts = [seconds_to_first_map()[0] for _ in range(1 if options.quick else 5)]
    found = {"first view: from a cold start": starts}
    found |= measure(1, 3) if options.quick else measure(5, 10)
    rows = []
    for name, seconds in found.items():
        aim = AIMS.get(name.split(":")[0])
        middle, slowest = statistics.median(seconds), max(seconds)
        numbers = f"{middle:.2f}", f"{slowest:.2f}", f"{aim:g}" if aim else ""
        rows.append([name, str(len(seconds)), *numbers, f"{load:.1f}"])
    body = f"{markdown(HEAD, rows)}\n\n{NOTE}"
    write_report("first_minute", "What one visitor waits for", body, {"seconds": found}, options)


NOTE = (
    "Headless Chromium, drawing in software, on the machine of the server. *First view*: from `make"
    " app`, once set up, until map and list stand. *Click*: on another place of the map until the"
    " boxes show it and the page rests; 0.28 s of it is the wait for a second click, which would"
    " zoom. *Page*: by the link in the head until heading and map stand and the page rests, each"
    " page seen before; the *first time* of each in a session loads what it needs. *Load*: of the"
    " machine in the minute before."
)

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
