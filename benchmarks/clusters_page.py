"""How long the Clusters page takes in a browser: first draw, all that is told, and once more."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from app_load import ROOT, SETTLED, environment, processor
from playwright.sync_api import Browser, Page, sync_playwright
from report import arguments, markdown, write_report

from csp_core.cli.serve import serve_command
from csp_core.errors import DataNotFoundError
from tests.browser.server import CHROMIUM_FLAGS, find_chromium, free_port, running_server

# What is opened, in this order, in a server that showed another page before.
VISITS = (
    ("first", "k-means, PCA", "clusters?model={model}&points={points}"),
    ("again, new session", "k-means, PCA", "clusters?model={model}&points={points}"),
    ("another number", "k-means, PCA", "clusters?model={model}&points={points}&count=12"),
    ("another layout", "k-means, UMAP", "clusters?model={model}&points={points}&projection=umap"),
)
PICTURE = "img.csp-values"
MARKS = ".st-key-clusters-scatter :is(svg, canvas).marks"
HEAD = ("visit", "shown", "model", "places", "drawn, s", "all told, s", "processor until drawn, s",
        "until told, s", "back in the tab, s", "load before")  # fmt: skip


def drawn(page: Page) -> None:
    """Wait until map and scatter stand there."""
    page.frame_locator(".st-key-map-box iframe").locator(PICTURE).first.wait_for(state="attached")
    page.locator(MARKS).first.wait_for()


def visit(browser: Browser, server: psutil.Process, address: str) -> dict[str, float]:
    """Open an address in a new session of a browser that knows nothing yet.

    Returns:
        Seconds until map and scatter are drawn and until all is told, on the clock and of the
        server's processor, and the machine's ``load`` before.
    """
    load, context = os.getloadavg()[0], browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.set_default_timeout(300_000)
        began, used = time.perf_counter(), processor(server)
        page.goto(address)
        drawn(page)
        first, first_used = time.perf_counter() - began, processor(server) - used
        page.get_by_role("button", name="GeoTIFF").wait_for()
        page.locator(SETTLED).first.wait_for(state="attached")
        seconds = time.perf_counter() - began
        return {
            "drawn": first,
            "told": seconds,
            "processor_drawn": first_used,
            "processor_told": processor(server) - used,
            "load": load,
            "back": come_back(page),
        }
    finally:
        context.close()


def come_back(page: Page) -> float:
    """Go to Explore and back by the links in the head; seconds until all is drawn once more."""
    head = page.get_by_test_id("stTopNavLinkContainer")
    # Of what a model knows the heading speaks, be it species or kinds.
    alike = page.get_by_role("heading", name=re.compile("alike"), level=1)
    head.get_by_text("Explore", exact=True).click()
    page.locator("h1").filter(has_not_text="alike").first.wait_for()
    alike.wait_for(state="detached")
    page.locator(SETTLED).first.wait_for(state="attached")
    began = time.perf_counter()
    head.get_by_text("Clusters", exact=True).click()
    alike.wait_for()
    drawn(page)
    return time.perf_counter() - began


def measure(model: str, points: int, repeats: int, umap: bool) -> list[dict[str, Any]]:
    """Measure all visits, each time in a new server.

    Returns:
        One a visit and repetition.
    """
    program = find_chromium()
    if program is None:
        raise DataNotFoundError("No Chromium; CSP_CHROMIUM names the program.")
    found: list[dict[str, Any]] = []
    for _ in range(repeats):
        port = free_port()
        address = f"http://127.0.0.1:{port}/"
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            command = serve_command(port=port, headless=True)
            server = stack.enter_context(
                running_server(command, Path(name), port, **environment(ROOT))
            )
            watched = psutil.Process(server.pid)
            tools = stack.enter_context(sync_playwright())
            browser = tools.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
            stack.callback(browser.close)
            page = browser.new_page()
            page.goto(f"{address}?lat=-1.28&lon=36.8")
            page.get_by_role("heading", level=1).wait_for()
            page.locator(SETTLED).first.wait_for(state="attached")
            page.close()
            for words, shown, where in VISITS if umap else VISITS[:-1]:
                where = where.format(model=model, points=points)
                seen = visit(browser, watched, address + where)
                found.append(
                    {"visit": words, "shown": shown, "model": model, "points": points, **seen}
                )
    return found


def rows(found: list[dict[str, Any]]) -> list[list[str]]:
    """Write the rows: of each visit the quickest repetition, as others only wait longer."""
    best: dict[tuple[str, str], dict[str, Any]] = {}
    for one in found:
        key = (one["model"], one["visit"])
        if key not in best or one["drawn"] < best[key]["drawn"]:
            best[key] = one
    return [
        [one["visit"], one["shown"], one["model"], f"{one['points']:,}", f"{one['drawn']:.1f}",
         f"{one['told']:.1f}", f"{one['processor_drawn']:.1f}", f"{one['processor_told']:.1f}",
         f"{one['back']:.1f}",
         f"{one['load']:.1f}"]
        for one in best.values()
    ]  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--models", nargs="+", default=["birds", "demo"], help="by name")
    parser.add_argument("--points", type=int, help="places; 20,000 if not given")
    parser.add_argument("--umap", action="store_true", help="measure that layout too, minutes")
    parser.add_argument("--repeats", type=int, help="servers that are started for each model")


def main() -> None:
    """Run the benchmark."""
    options = arguments((__doc__ or "").splitlines()[0], add_options)
    points = options.points or (2000 if options.quick else 20_000)
    repeats = options.repeats or (1 if options.quick else 3)
    found = [
        one for model in options.models for one in measure(model, points, repeats, options.umap)
    ]
    body = f"{markdown(HEAD, rows(found))}\n\n{NOTE.format(repeats=repeats)}"
    write_report(
        "clusters_page", "The Clusters page in a browser", body, {"visits": found}, options
    )


NOTE = (
    "Headless Chromium, with software rendering, on the same machine as the server, which showed"
    " the Explore page before and nothing else. Every visit is a new session of a new browser"
    " profile, so its seconds hold the loading of the page itself. *Drawn*: from the address until"
    " map and scatter stand there. *Told*: until legend, facts, quality and files are there too and"
    " the page rests. *Processor*: of the server, all its threads and children. *Load*: of the"
    " machine in the minute before. *Back*: to Explore and back by the links, in the same tab."
    " The quickest of {repeats} servers is shown, all are in the JSON."
)

if __name__ == "__main__":
    main()
