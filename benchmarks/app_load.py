"""How long clicks take while many people click, what they cost, and whether places stay apart.

Sessions speak Streamlit's protocol; beside them a real browser clicks the same page. Several
checkouts (``--app NAME=FOLDER``) are measured in turn, so that a busy machine meets all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from app_profile import ALL, PAGES
from app_sessions import Session
from report import arguments, markdown, write_report

from csp_core.errors import DataNotFoundError
from csp_core.files import write_json

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

SESSIONS, EVERY, SECONDS, PATIENCE = (1, 5, 20), 2.0, 60.0, 180.0
ADDRESSES = {"Explore": "", "Range map": "range-map"}
HEAD = ("page", "sessions", "app", "clicks", "of due", "click p50, s", "p95, s", "browser p50, s",
        "p95, s", "processor, s a click", "server busy", "MB at rest", "MB a session",
        "foreign places", "load before")  # fmt: skip
COMMAND = (
    "import json, sys; from csp_core.cli.serve import serve_command;"
    " print(json.dumps(serve_command(port=int(sys.argv[1]), headless=True)))"
)
SETTLED = "[data-test-script-state='notRunning']"
PLACE = (
    "['Latitude', 'Longitude'].map(name =>"
    " document.querySelector(`input[aria-label=${name}]`)?.value).join()"
)
SHOWN = f'before => {PLACE} !== before && !!document.querySelector("{SETTLED}")'


def environment(checkout: Path) -> dict[str, str]:
    """Give what makes Python take the modules of a checkout, whatever is installed."""
    return {"PYTHONPATH": os.pathsep.join([str(checkout), str(checkout / "app")])}


def content(checkout: Path) -> str:
    """Tell a checkout from others by its code."""
    found = hashlib.sha256()
    for folder in ("app", "csp_core"):
        for path in sorted((checkout / folder).rglob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()[:8]


def memory(server: psutil.Process) -> float:
    """Give the memory of a server and its children, MB."""
    return sum(one.memory_info().rss for one in (server, *server.children(recursive=True))) / 1e6


def processor(server: psutil.Process) -> float:
    """Give the processor time that a server and its children have used, seconds."""
    return sum(sum(one.cpu_times()[:2]) for one in (server, *server.children(recursive=True)))


async def visit(session: Session, until: float, delay: float) -> dict[str, Any]:
    """Click every two seconds, or as soon as the last click is answered."""
    seconds, foreign = [], 0
    due = time.monotonic() + delay
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        answer = await session.click()
        seconds.append(answer.seconds)
        foreign += len(session.strangers(answer))
        # Address, boxes and pin each tell the place.
        assert len(answer.places) >= 3, "the page did not say which place it shows"
        due = max(due + EVERY, time.monotonic())
    return {"seconds": seconds, "foreign": foreign}


@contextlib.asynccontextmanager
async def person(address: str, page: str) -> AsyncIterator[Any]:
    """Open a page in a browser; gives None where there is no Chromium."""
    from playwright.async_api import async_playwright

    from tests.browser.server import CHROMIUM_FLAGS, find_chromium

    program = find_chromium()
    if program is None:
        yield None
        return
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=list(CHROMIUM_FLAGS)
        )
        try:
            tab = await browser.new_page(viewport={"width": 1280, "height": 900})
            tab.set_default_timeout(120_000)
            await tab.goto(f"{address}{page}?lat=-1.28&lon=36.8&zoom=5")
            frame = tab.frame_locator(".st-key-map-box iframe")
            await frame.locator(":is(svg path, canvas):visible").first.wait_for()
            await tab.locator(SETTLED).wait_for(state="attached")
            yield tab
        finally:
            await browser.close()


async def watch(tab: Any, until: float) -> list[float]:
    """Click as a person does, and time until the new place stands there and the page rests."""
    if tab is None:
        return []
    world = tab.frame_locator(".st-key-map-box iframe").locator("#map_div")
    chance, seconds, due = random.Random(0), [], time.monotonic()
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        before = await tab.evaluate(PLACE)
        spot = {"x": chance.randint(80, 460), "y": chance.randint(80, 380)}
        began = time.perf_counter()
        await world.click(position=spot)
        await tab.wait_for_function(SHOWN, arg=before)
        seconds.append(time.perf_counter() - began)
        due = max(due + EVERY, time.monotonic())
    return seconds


async def measure(
    server: psutil.Process, address: str, page: str, count: int, seconds: float
) -> dict[str, Any]:
    """Let sessions and a browser click one page of a running app for some time."""
    async with Session(address, page, 1000) as first:  # loads the model
        await first.open()
        for _ in range(3):
            await first.click()
    rest = memory(server)
    async with contextlib.AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(Session(address, page, seed)) for seed in range(count)
        ]
        for session in sessions:
            await session.open()
        tab = await stack.enter_async_context(person(address, page))
        used, began = processor(server), time.monotonic()
        until = began + seconds
        visits = (
            visit(session, until, EVERY * number / count) for number, session in enumerate(sessions)
        )
        *told, seen = await asyncio.gather(*visits, watch(tab, until))
        took, used = time.monotonic() - began, processor(server) - used
        full = memory(server)
    clicks = [value for one in told for value in one["seconds"]]
    return {
        "clicks": clicks,
        "browser": seen,
        "due": count * seconds / EVERY,
        "processor": used / (len(clicks) + len(seen)),
        "busy": used / took,
        "rest": rest,
        "each": (full - rest) / (count + bool(seen)),
        "foreign": sum(one["foreign"] for one in told),
    }


def cell(checkout: Path, page: str, count: int, seconds: float) -> dict[str, Any]:
    """Start an app and measure one row."""
    from tests.browser.server import free_port, running_server

    port, load = free_port(), os.getloadavg()[0]
    known = environment(checkout)
    command = json.loads(
        subprocess.run(
            [sys.executable, "-c", COMMAND, str(port)],
            env=os.environ | known, cwd=checkout, check=True, capture_output=True, text=True,
        ).stdout
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        with running_server(command, Path(folder), port, **known) as server:
            watched = psutil.Process(server.pid)
            address = f"http://127.0.0.1:{port}/"
            work = measure(watched, address, ADDRESSES[page], count, seconds)
            # A browser that the machine has ended answers no more.
            found = asyncio.run(asyncio.wait_for(work, PATIENCE + seconds))
    return {"load": load, **found}


def parts(checkout: Path, page: str, clicks: int) -> dict[str, float]:
    """Give where a click's time goes, by a process of its own."""
    command = [sys.executable, str(ROOT / "benchmarks" / "app_profile.py"), page]
    done = subprocess.run(
        [*command, "--app", str(checkout), "--clicks", str(clicks)],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment(checkout),
        cwd=checkout, check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def kept(path: Path, make: Any, *words: Any) -> Any:
    """Read a finished cell, or measure it and keep it."""
    if not path.is_file():
        print(f"{path.stem} …", flush=True)
        try:
            found = make(*words)
        except TimeoutError:
            print("once more: it came to no end", flush=True)
            found = make(*words)
        write_json(path, found)
    return json.loads(path.read_text(encoding="utf-8"))


def at(values: Sequence[float], share: float) -> str:
    """Give a quantile of measured seconds."""
    return f"{sorted(values)[int(share * len(values))]:.2f}" if values else "–"


def row(page: str, count: int, name: str, found: dict[str, Any]) -> list[str]:
    """Write one row of the table."""
    clicks, seen = found["clicks"], found["browser"]
    return [
        page, str(count), name, str(len(clicks)), f"{min(1, len(clicks) / found['due']):.0%}",
        at(clicks, 0.5), at(clicks, 0.95), at(seen, 0.5), at(seen, 0.95),
        f"{found['processor']:.3f}", f"{found['busy']:.0%}", f"{found['rest']:.0f}",
        f"{found['each']:.1f}", str(found["foreign"]), f"{found['load']:.1f}",
    ]  # fmt: skip


def profile_table(found: dict[tuple[str, str], dict[str, float]]) -> str:
    """Write where a click's time goes, a column for each page and checkout."""
    # In the order of the pages' own lists, the sum last.
    names = dict.fromkeys(name for column in found.values() for name in column if name != ALL)
    rows = [
        [name, *(f"{column[name]:.1f}" if name in column else "" for column in found.values())]
        for name in (*names, ALL)
    ]
    return markdown(["part, ms", *(f"{page}, {name}" for page, name in found)], rows)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--seconds", type=float, help="of clicking in each cell")
    parser.add_argument("--profile", action="store_true", help="say where a click's time goes too")
    parser.add_argument("--app", action="append", metavar="NAME=FOLDER", default=[],
                        help="another checkout to measure beside this one")  # fmt: skip
    parser.add_argument("--cells", type=Path, default=ROOT / "build" / "app_load",
                        help="folder of the finished cells; remove it to measure anew")  # fmt: skip


def checkouts(given: Sequence[str]) -> dict[str, Path]:
    """Read ``NAME=FOLDER``; this checkout stands last.

    Raises:
        DataNotFoundError: If one is no checkout with Leaflet.
    """
    found = {
        name: Path(folder).resolve() for name, _, folder in (one.partition("=") for one in given)
    }
    found["now"] = ROOT
    for name, folder in found.items():
        if not (folder / "app/static/node_modules/leaflet/dist/leaflet.js").is_file():
            raise DataNotFoundError(
                f"{name}: {folder} has no app with Leaflet; give --app NAME=FOLDER, where FOLDER"
                " is a checkout in which `sh tools/setup.sh app` ran or app/static/node_modules was"
                " copied."
            )
    return found


def main() -> None:
    """Run the benchmark."""
    options = arguments((__doc__ or "").splitlines()[0], add_options)
    apps = checkouts(options.app)
    seconds = options.seconds or (4.0 if options.quick else SECONDS)
    plan = [(page, count) for page in PAGES for count in SESSIONS]
    plan = [("Range map", 3)] if options.quick else plan
    marks = {name: f"{content(folder)}-{seconds:g}s" for name, folder in apps.items()}
    rows, cells = [], {}
    for page, count in plan:
        for name, folder in apps.items():
            words = f"{page}-{count}-{name}".replace(" ", "-")
            path = options.cells / f"{words}-{marks[name]}.json"
            cells[words] = kept(path, cell, folder, page, count, seconds)
            rows.append(row(page, count, name, cells[words]))
    body = markdown(HEAD, rows) + "\n\n" + NOTE.format(every=EVERY, seconds=seconds)
    data: dict[str, Any] = {"cells": cells}
    if options.profile:
        clicks = 4 if options.quick else 48
        profiles = {
            (page, name): kept(options.cells / f"profile-{page}-{name}-{marks[name]}.json",
                               parts, folder, page, clicks)
            for page in PAGES for name, folder in apps.items()
        }  # fmt: skip
        body += f"\n\n## Where a click's time goes\n\n{profile_table(profiles)}\n\n{PARTS_NOTE}"
        data["profile"] = {f"{page}, {name}": one for (page, name), one in profiles.items()}
    write_report("app_load", "Many people clicking", body, data, options, command=asked(options))


def asked(options: argparse.Namespace) -> str:
    """Give the command without folders of this machine."""
    words = ["python benchmarks/app_load.py", "--quick" if options.quick else ""]
    words += [f"--app {name.partition('=')[0]}=CHECKOUT" for name in options.app]
    words += [f"--seconds {options.seconds:g}" if options.seconds else ""]
    words += ["--profile" if options.profile else ""]
    return " ".join(filter(None, words))


NOTE = (
    "Each session clicks another place every {every:g} s for {seconds:g} s, and waits for the"
    " answer if that takes longer (*of due*: how many clicks it came to). *Click*: from the"
    " request until the script has finished and all of its messages have come. *Browser*:"
    " headless Chromium beside the sessions, from the press until the new place stands in the"
    " boxes and the page rests; it draws in software. *Processor*: of the server, all its"
    " threads and children, over all clicks, the browser's included. *MB a session*: growth of"
    " the server while the sessions are open. *Foreign places*: pins, boxes and addresses in a"
    " session's answers that it did not choose. *Load*: of the machine in the minute before a"
    " cell, by other programs and the cell before; sessions and browser run on the same cores as"
    " the server, so the waits of a server alone are shorter. All cells of a row's app start a"
    " server of their own, and apps take turns."
)
PARTS_NOTE = (
    "Milliseconds of processor time of the script's thread, median over clicks at other places,"
    " `st.testing.v1`; what a part calls counts where it has a row of its own. What comes on top:"
    " the socket, the messages, for a browser its files, and Streamlit's pass for garbage after"
    " each run, .15 s where it goes through everything that was imported."
)

if __name__ == "__main__":
    main()
