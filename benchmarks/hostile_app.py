"""Hostile inputs through a running app, while a second session clicks the map of Explore."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as BrowserError

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser.server import CHROMIUM_FLAGS, find_chromium, running_app  # noqa: E402

PATIENCE, SECONDS, MEGABYTES = 60.0, 10.0, 1500.0
RESTS = "[data-test-script-state='notRunning']"
# Which page takes which kind of file.
BOXES = {
    "pictures": ("photo", "photo_files"),
    "records": ("range-map?threshold=max_tss", "records_file"),
}
Rows = list[dict[str, Any]]


class Second:
    """A session that clicks the map of Explore again and again."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.number = page, 0
        page.goto(f"{address}?lat=38&lon=-100")
        rest(page)

    def click(self) -> float:
        """Click another place and wait for its answer; give the seconds that it took."""
        self.number += 1
        began, before = time.monotonic(), self.page.url
        frame = self.page.frame_locator(".st-key-map-box iframe")
        x, y = 150 + 37 * (self.number % 9), 100 + 29 * (self.number % 7)
        frame.locator("#map_div").click(position={"x": x, "y": y}, timeout=PATIENCE * 1000)
        self.page.wait_for_function(
            "before => location.href !== before", arg=before, timeout=PATIENCE * 1000
        )
        rest(self.page)
        return time.monotonic() - began


def rest(page: Page) -> None:
    """Wait until a page has been drawn."""
    page.wait_for_timeout(200)
    page.locator(RESTS).first.wait_for(state="attached", timeout=PATIENCE * 1000)


def server_of(address: str) -> int:
    """Find the process that listens on an address."""
    port = urlsplit(address).port
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                    return process.pid
    raise RuntimeError(f"No process listens on {address}.")


def upload(browser: Browser, address: str, path: Path, kind: str, second: Second) -> list[float]:
    """Give a page a file and click in the second session until the page rests; give its times."""
    place, box = BOXES[kind]
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{address}{place}")
        rest(page)
        field = page.locator(f".st-key-{box} input[type=file]")
        began, clicks = time.monotonic(), []
        # By its path: handed over as bytes, a large one takes the browser's driver half a minute.
        field.first.set_input_files(path)
        while True:
            clicks.append(second.click())
            over = time.monotonic() - began
            if over > PATIENCE or page.locator(RESTS).count():
                break
        rest(page)
        if page.locator("[data-testid=stException]").count():
            raise BrowserError("the page shows a raw error")
        return [time.monotonic() - began, *clicks]


def through_the_app(
    files: dict[str, list[Path]],
    folder: Path,
    peak: Callable[[int], Any],
    kept: Callable[[str, Callable[[], dict[str, Any]]], dict[str, Any]],
    *,
    quick: bool,
) -> Rows:
    """Give each file to its page, and have the pages list hostile models.

    Args:
        files: Kind to paths.
        folder: Where ``models`` and ``runs`` lie.
        peak: Watches the memory of a process while a block runs.
        kept: Gives the row of a cell, measured if it is not known yet.
        quick: Whether to take one file of each kind.

    Returns:
        One row an input, and one for the second session.
    """
    rows: Rows = []
    (folder / "app").mkdir()
    program = find_chromium()
    variables = {"CSP_MODELS": str(folder / "models"), "CSP_RUNS": str(folder / "runs")}
    with (
        running_app(folder / "app", **variables) as address,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS)) as browser,
    ):
        pid, second = server_of(address), Second(browser.new_page(), address)
        for place in ("", "range-map", "photo", "clusters", "train", "about"):
            work = partial(visit, browser, address, place)
            cell = partial(measured, "page", place or "explore", pid, peak, work)
            rows.append(kept(f"page {place}", cell))
        for kind in BOXES:
            for path in files[kind][: 1 if quick else None]:
                work = partial(upload, browser, address, path, kind, second)
                cell = partial(measured, kind, path.name, pid, peak, work)
                rows.append(kept(f"app {kind} {path.name!a}", cell))
    clicks = [click for row in rows for click in row["clicks"]]
    slowest = max(clicks)
    rows.append({"by": "app", "kind": "second session", "input": f"{len(clicks)} clicks",
                 "seconds": round(slowest, 1), "megabytes": 0, "said": "",
                 "wrong": ["slow"] if slowest > SECONDS else []})  # fmt: skip
    return rows


def visit(browser: Browser, address: str, place: str) -> Sequence[float]:
    """Open a page and wait until it rests."""
    with browser.new_context() as context:
        page, began = context.new_page(), time.monotonic()
        page.goto(f"{address}{place}")
        rest(page)
        page.locator("h1, h2, h3").first.wait_for(timeout=PATIENCE * 1000)
        # What the browser itself needs to draw it counts as well.
        page.evaluate("() => document.body.innerText.length")
        return [time.monotonic() - began]


def measured(
    kind: str,
    name: str,
    pid: int,
    peak: Callable[[int], Any],
    work: Callable[[], Sequence[float]],
) -> dict[str, Any]:
    """Do something to the app and see what it costs the server."""
    said, times, wrong = "", [PATIENCE], list[str]()
    with peak(pid) as rest_of_it:
        time.sleep(0.1)
    with peak(pid) as watched:
        try:
            times = list(work())
        except BrowserError as error:
            said, wrong = str(error)[:200], [*wrong, "raw"]
    if not psutil.pid_exists(pid):
        wrong = [*wrong, "ended"]
    seconds, clicks = times[0], [round(click, 2) for click in times[1:]]
    above = watched.megabytes - rest_of_it.megabytes
    wrong += ["slow"] * (seconds > SECONDS) + ["large"] * (above > MEGABYTES)
    print("app", kind, ascii(name), round(seconds, 1), round(above), wrong, said)
    return {"by": "app", "kind": kind, "input": name, "seconds": round(seconds, 1),
            "megabytes": round(above), "wrong": wrong, "said": said,
            "clicks": clicks}  # fmt: skip
