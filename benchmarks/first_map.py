"""How long `make app` takes, once set up, until the map and the list are drawn in a browser."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import arguments, markdown, spread, write_report

ROOT = Path(__file__).resolve().parent.parent


def seconds_to_first_map() -> tuple[float, float]:
    """Start the app as `make app` does and open it in Chromium, which runs already.

    Returns:
        Seconds until the coastlines of the click map and the ranked list stand, and the part of
        them that the set-up check took.
    """
    from playwright.sync_api import sync_playwright

    from tests.browser.server import CHROMIUM_FLAGS, find_chromium, running_app

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=list(CHROMIUM_FLAGS)
        )
        page = browser.new_page()
        started = time.monotonic()
        subprocess.run(["sh", "tools/setup.sh", "app"], cwd=ROOT, check=True)
        checked = time.monotonic() - started
        with running_app(Path(folder)) as address:
            page.goto(address)
            world = page.frame_locator(".st-key-map-box iframe")
            world.locator(":is(svg path, canvas):visible").first.wait_for()
            page.locator(".st-key-pick-1 button").wait_for()
            seconds = time.monotonic() - started
        browser.close()
    return seconds, checked


def main() -> None:
    """Run the benchmark."""
    options = arguments("Time from make app to the first drawn map.")
    runs = [seconds_to_first_map() for _ in range(1 if options.quick else 5)]
    totals, checks = zip(*runs, strict=True)
    head = ["starts", "seconds to map and list", "slowest", "of which set-up check"]
    row = [str(len(runs)), spread(totals, 2), f"{max(totals):.2f}", spread(checks, 2)]
    write_report(
        "first_map",
        "From `make app` to the first drawn map",
        markdown(head, [row]),
        {"seconds": totals, "setup_seconds": checks},
        options,
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
