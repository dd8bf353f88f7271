"""What it costs to watch a run: changes of page, and the server's work for a session at rest."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from app_load import ROOT, SETTLED, at, environment, processor
from first_minute import HEADINGS
from playwright.sync_api import Page, sync_playwright
from report import arguments, markdown, write_report

from csp_core.cli.serve import serve_command
from csp_core.errors import DataNotFoundError
from csp_core.runs import RunDir
from tests.browser.server import CHROMIUM_FLAGS, find_chromium, free_port, running_server

CHANGES, SECONDS, WARM = 6, 60.0, 15.0
NAME, SHORT = "watched", "short"
# How long the short run shall last, and how much of that may be looked at.
LASTS, MOST = 150.0, 45.0
# What a session at rest looks at, and below which address.
WATCHED = {
    "nobody": None,
    "Explore": "?lat=-1.28&lon=36.8",
    "Train, all runs": "train?all=1",
    "Train, the run": f"train?run={NAME}",
}
CHANGE_HEAD = ("change", "number", "median, s", "p95, s", "longest, s")
LIVE = {
    "live": "under way, for hours",
    "short": "under way, for two minutes",
    "none": "none",
}
REST_HEAD = ("run", "session", "processor of one core", "load before")


@contextlib.contextmanager
def live_run(home: Path, name: str = NAME, epochs: int = 100_000) -> Iterator[RunDir]:
    """Train on the invented world, with a watched range, for as long as the block lasts.

    Yields:
        The run; its process is none of the server's.
    """
    run = RunDir(home / name)
    settings = ["configs/presets/demo-seconds.yaml", f"training.epochs={epochs}"]
    command = [sys.executable, "-m", "csp_core", "train", *settings]
    process = subprocess.Popen(
        [*command, "--run-dir", str(run.path)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment(ROOT),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while len(run.read_metrics()) < 3:
            if process.poll() is not None:
                raise DataNotFoundError("The run that was to be watched has ended at once.")
            time.sleep(0.2)
        yield run
    finally:
        process.kill()
        process.wait()


def settle(page: Page) -> None:
    """Wait until the page rests."""
    page.locator(SETTLED).first.wait_for(state="attached")


def change(page: Page, link: str, title: str | re.Pattern[str]) -> float:
    """Go to another page by its link in the head, and time until it stands there and rests."""
    began = time.perf_counter()
    page.get_by_test_id("stTopNavLinkContainer").get_by_text(link, exact=True).click()
    page.get_by_role("heading", name=title, level=1).wait_for()
    settle(page)
    return time.perf_counter() - began


def changes(page: Page, address: str, number: int) -> dict[str, list[float]]:
    """Go from Train, where the run is, to each page and back, several times; the first is for free.

    Returns:
        Seconds of each change, by the page that was gone to.
    """
    page.goto(f"{address}{WATCHED['Train, the run']}")
    page.get_by_text("▶ running").first.wait_for()
    found: dict[str, list[float]] = {link: [] for link in HEADINGS}
    for turn in range(number + 1):
        for link in HEADINGS:
            seconds = change(page, link, re.compile(HEADINGS[link]))
            page.wait_for_timeout(500)
            if turn:
                found[link].append(seconds)
    return found


def at_rest(
    server: psutil.Process, page: Page, address: str, where: str | None, seconds: float
) -> dict[str, float]:
    """Let one session look at a page and do nothing.

    Args:
        server: The app.
        page: A browser's tab.
        address: The app's, with a slash at the end.
        where: The page; None for no session.
        seconds: How long.

    Returns:
        ``share`` of one core that the server took, ``load`` of the machine before.
    """
    load = os.getloadavg()[0]
    page.goto(address + where if where is not None else "about:blank")
    if where is not None:
        page.get_by_role("heading", level=1).wait_for()
        settle(page)
    page.wait_for_timeout(WARM * 1000)
    used, began = processor(server), time.monotonic()
    page.wait_for_timeout(seconds * 1000)
    return {"share": (processor(server) - used) / (time.monotonic() - began), "load": load}


def measure(number: int, seconds: float) -> dict[str, Any]:
    """Start an app, a browser and a run, and measure all.

    Returns:
        ``changes``: seconds by page; ``rest``: by a key of ``LIVE``, by what is looked at.
    """
    program = find_chromium()
    if program is None:
        raise DataNotFoundError("No Chromium; CSP_CHROMIUM names the program.")
    port = free_port()
    address = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        home = folder / "runs"
        known = environment(ROOT) | {"CSP_RUNS": str(home)}
        command = serve_command(port=port, headless=True)
        server = stack.enter_context(running_server(command, folder, port, **known))
        watched = psutil.Process(server.pid)
        tools = stack.enter_context(sync_playwright())
        browser = tools.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        rest: dict[str, dict[str, Any]] = {kind: {} for kind in LIVE}
        # So that no look at a page pays for what it is the first to import.
        at_rest(watched, page, address, WATCHED["Explore"], 1.0)
        with live_run(home) as run:
            moved = changes(page, address, number)
            for words, where in WATCHED.items():
                rest["live"][words] = at_rest(watched, page, address, where, seconds)
            last = run.read_metrics()[-1]
        with live_run(home, SHORT, int(LASTS * last["epoch"] / last["seconds"])):
            where = f"train?run={SHORT}"
            few = min(seconds, MOST)
            rest["short"]["Train, the run"] = at_rest(watched, page, address, where, few)
        for words in ("nobody", "Explore"):
            rest["none"][words] = at_rest(watched, page, address, WATCHED[words], seconds)
    return {"changes": moved, "rest": rest}


def change_rows(found: dict[str, Sequence[float]]) -> list[list[str]]:
    """Write the rows on changes of page."""
    return [
        [f"to {name}", str(len(values)), f"{median(values):.2f}", at(values, 0.95),
         f"{max(values):.2f}"]
        for name, values in found.items()
    ]  # fmt: skip


def rest_rows(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Write the rows on sessions at rest."""
    return [
        [LIVE[live], words, f"{one['share']:.1%}",
         f"{one['load']:.1f}"]
        for live, cells in found.items() for words, one in cells.items()
    ]  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--seconds", type=float, help="to look at each page")


def main() -> None:
    """Run the benchmark."""
    options = arguments((__doc__ or "").splitlines()[0], add_options)
    seconds = options.seconds or (6.0 if options.quick else SECONDS)
    number = 2 if options.quick else CHANGES
    found = measure(number, seconds)
    body = "\n\n".join(
        [
            "## Changes of page while a run is live",
            markdown(CHANGE_HEAD, change_rows(found["changes"])),
            "## A session that looks on",
            markdown(REST_HEAD, rest_rows(found["rest"])),
            NOTE.format(seconds=seconds),
        ]
    )
    write_report("train_page", "Watching a run", body, found, options)


NOTE = (
    "Headless Chromium on the same machine as server and run, which trains on the invented world"
    " with a watched class, an epoch a second or faster. *Change*: from the press on the link in"
    " the head until the page's title stands there and the page rests; the first of each is left"
    " out. *Processor*: of the server, all its threads and children, without the run and the"
    " browser, over {seconds:g} s (the short run: at most 45) in which nobody touches anything."
    " The page asks anew every 2 s for a run that has up to three minutes to go, 5 s up to an hour,"
    " 10 s beyond; the sidebar half as often. *Nobody*: the server alone. *Load*: of the machine in"
    " the minute before, by other programs, the run and the browser."
)

if __name__ == "__main__":
    main()
