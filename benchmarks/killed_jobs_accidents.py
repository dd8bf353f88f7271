"""The accidents of jobs, each a function that gives a row of the table."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from killed_jobs_tools import (
    Disk,
    Result,
    files,
    kill,
    launch,
    listed,
    new_lines,
    newest,
    plain,
    reach,
    rest,
    result,
    runs_in,
    settings,
    slot_taken,
    state_of,
    undisturbed,
    wait,
)

from csp_core.config.presets import preset
from csp_core.errors import CspError
from csp_core.runs import RunDir, jobs

SEED = 20
# Steps between checkpoints; an epoch has 37 steps and ends with one.
EVERY = (3, 10, 25, 60)
LINES = "the weights are bit-equal, lines of metrics are lost or differ"
Cell = dict[str, Any]


def killed(number: int, home: Path, epochs: int) -> Cell:
    """Launch a job, end it by SIGKILL at a moment that is drawn, and resume it.

    Every third stands in the queue behind another run, which holds the only slot. Of the others
    two have a moment of their whole length, most of which is the start; the rest a step.
    """
    chance = random.Random(SEED * 1000 + number)
    seed, every = chance.randrange(10**6), chance.choice(EVERY)
    tree = settings(seed, epochs=epochs, checkpoint_every=every)
    whole = undisturbed(tree)
    run, then, tries, queued, early = None, {}, 0, number % 3 == 2, number in (0, 3)
    while run is None:
        tries += 1
        moment = chance.uniform(0, whole.seconds) / (2 if queued else 1)
        with contextlib.ExitStack() as stack:
            if queued:
                stack.enter_context(slot_taken(home))
            job = launch(tree)
            began = time.monotonic()
            if queued or early:
                time.sleep(moment)
            else:
                reach(job, chance.randrange(1, whole.rows[-1]["step"]))
            moment = time.monotonic() - began
            if state_of(job) != "finished":
                run, then = job, kill(job)
    name = f"SIGKILL {number + 1}, {moment:.1f} s after its launch"
    name += ", behind another run" if queued else ""
    cell = {"what": name, "seed": seed, "every": every, "tries": tries, **then}
    return {**cell, **look(run), **resumed(run, whole)}


@lru_cache
def common(epochs: int) -> tuple[dict[str, Any], Result]:
    """Give settings that all accidents but the kills share, and what they come to undisturbed."""
    chance = random.Random(SEED)
    tree = settings(chance.randrange(10**6), epochs=epochs, checkpoint_every=10)
    return tree, undisturbed(tree)


def look(run: RunDir) -> Cell:
    """Say how a run stands that something happened to."""
    state, said = listed(run)
    count, broken = files(run)
    return {"listed": state, "said": [said] if said else [], "files": count, "broken": broken}


def resumed(run: RunDir, whole: Result) -> Cell:
    """Resume a run as the page does, and compare what it comes to.

    Returns:
        ``later``: what was said, ``end``: its state, ``equal``: to the undisturbed run.
    """
    before = run.log.stat().st_size if run.log.exists() else 0
    try:
        jobs.resume_job(run.path)
    except CspError as error:
        return {"later": [plain(str(error), run)], "end": state_of(run), "equal": False}
    end = rest(run)
    later = [plain(line, run) for line in new_lines(run, before)]
    if end != "finished":
        later.append(plain(str(run.read_status().get("message", "")), run))
        return {"later": later, "end": end, "equal": False}
    found = result(run)
    if found.weights == whole.weights and not found.same(whole):
        later.append(LINES)
    return {"later": later, "end": end, "equal": found.same(whole)}


def half_way(tree: dict[str, Any], chance: random.Random) -> tuple[RunDir, Cell]:
    """Launch a job and kill it somewhere in the middle, with two checkpoints or more."""
    run, part = launch(tree), chance.uniform(0.3, 0.7)

    def is_there() -> bool:
        status = run.read_status()
        return bool(status.get("step", 0) >= part * status.get("total_steps", 1e9))

    wait(is_there, "the run is half-way")
    return run, kill(run)


def edit_status(run: RunDir) -> None:
    """Leave garbage where the status was."""
    run.status_file.write_bytes(b'{"format": "csp-run/1", \xff\x00 [')


def edit_step(run: RunDir) -> None:
    """Say in the status that more was done."""
    status = json.loads(run.status_file.read_text())
    run.status_file.write_text(json.dumps(status | {"step": 10**6, "epoch": 999}))


def edit_checkpoint(run: RunDir) -> None:
    """Say in the newest checkpoint that less was done."""
    path = run.checkpoints / f"step-{newest(run):09d}" / "state.json"
    state = json.loads(path.read_text())
    path.write_text(json.dumps(state | {"step": state["step"] - 1}))


def delete_newest(run: RunDir) -> None:
    """Remove the newest checkpoint."""
    shutil.rmtree(run.checkpoints / f"step-{newest(run):09d}")


def delete_all(run: RunDir) -> None:
    """Remove all checkpoints."""
    for path in run.checkpoints.glob("step-*"):
        shutil.rmtree(path)


def cut_metrics(run: RunDir) -> None:
    """Cut the metrics in the middle of a line."""
    os.truncate(run.metrics_file, run.metrics_file.stat().st_size - 40)


EDITS: dict[str, Callable[[RunDir], None]] = {
    "status.json is garbage": edit_status,
    "status.json names another step": edit_step,
    "the newest checkpoint is deleted": delete_newest,
    "all checkpoints are deleted": delete_all,
    "the newest checkpoint names another step": edit_checkpoint,
    "metrics.jsonl is cut inside a line": cut_metrics,
}


def edited(name: str, home: Path, epochs: int) -> Cell:
    """Kill a job half-way, edit its folder by hand, and resume it."""
    chance = random.Random(f"{SEED} {name}")
    tree, whole = common(epochs)
    run, then = half_way(tree, chance)
    EDITS[name](run)
    cell = {"what": f"Killed, then {name}", "seed": tree["seed"], **then}
    return {**cell, **look(run), **resumed(run, whole)}


def full_disk(home: Path, epochs: int, *, at_launch: bool) -> Cell:
    """Leave no room when a job is launched, or while it goes on; then make room."""
    chance = random.Random(f"{SEED} full {at_launch}")
    tree, whole = common(epochs)
    with Disk(home / "disk") as disk, runs_in(disk.folder / "runs"):
        if at_launch:
            (disk.folder / "runs").mkdir()
            return refused(disk, tree, whole)
        run = launch(tree)
        part = chance.uniform(0.2, 0.6)
        wait(lambda: run.read_status().get("epoch", 0) >= part * epochs, "the run is half-way")
        disk.fill(run)
        state = rest(run)
        status = run.read_status() if state != "unreadable" else {}
        then = {"state": "running", "step": status.get("step"), "of": status.get("total_steps")}
        cell = {
            "what": f"The disk fills while it runs ({disk.words})",
            "seed": tree["seed"],
            **then,
        }
        cell |= {"checkpoint": newest(run), "cause": status.get("cause"), **look(run)}
        disk.empty()
        return {**cell, **resumed(run, whole)}


def refused(disk: Disk, tree: dict[str, Any], whole: Result) -> Cell:
    """Launch a job on a full disk, and anew once there is room."""
    disk.fill()
    said = "nothing"
    try:
        launch(tree)
    except CspError as error:
        said = str(error).replace(f"{disk.folder}/", "")
    left = [path.name for path in jobs.runs_home().iterdir() if not path.name.startswith(".")]
    disk.empty()
    run = launch(tree)
    end = rest(run)
    count, broken = files(run)
    return {
        "what": f"The disk is full when it is launched ({disk.words}); launched anew with room",
        "seed": tree["seed"],
        "state": "not begun",
        "listed": f"{len(left)} folders left",
        "said": [said],
        "files": count,
        "broken": broken,
        "later": [],
        "end": end,
        "equal": end == "finished" and result(run).same(whole),
    }


def two_at_once(home: Path, epochs: int, *, resume: bool) -> Cell:
    """Launch a job twice into one folder at the same moment, or resume it twice."""
    chance = random.Random(f"{SEED} twice {resume}")
    (tree, whole), then = common(epochs), {"state": "not begun"}
    if resume:
        run, then = half_way(tree, chance)
        begin = lambda: jobs.resume_job(run.path)  # noqa: E731
    else:
        run, file = RunDir(home / "twice"), home / "asked.yaml"
        file.write_text(json.dumps(tree))
        begin = lambda: jobs.start(file, run_dir=run.path)  # noqa: E731
    won, lost = [], []

    def go() -> None:
        try:
            won.append(begin())
        except CspError as error:
            lost.append(plain(str(error), run))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state, _ = listed(run)
    end = rest(run)
    count, broken = files(run)
    what = "resumed" if resume else "launched into one folder"
    return {
        "what": f"Twice {what} at once: {len(won)} begun, {len(lost)} refused",
        "seed": tree["seed"], **then, "listed": state, "said": lost, "files": count,
        "broken": broken, "later": [], "end": end,
        "equal": end == "finished" and result(run).same(whole),
    }  # fmt: skip


def twice_by_the_page(home: Path, epochs: int) -> Cell:
    """Launch the same settings twice at the same moment, each as a run of its own."""
    (tree, whole), found = common(epochs), []
    threads = [threading.Thread(target=lambda: found.append(launch(tree))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait(lambda: any(state_of(run) == "running" for run in found), "one of the two runs")
    looks = [listed(run) for run in found]
    ends = [rest(run) for run in found]
    checked = [files(run) for run in found]
    return {
        "what": "Twice the same settings launched at once, each a run of its own",
        "seed": tree["seed"],
        "state": "not begun",
        "listed": " and ".join(sorted(state for state, _ in looks)),
        "said": [said for state, said in looks if state == "queued"],
        "files": sum(count for count, _ in checked),
        "broken": [name for _, broken in checked for name in broken],
        "later": [],
        "end": " and ".join(ends),
        "equal": set(ends) == {"finished"} and all(result(run).same(whole) for run in found),
    }


def without_server(home: Path) -> Cell:
    """Launch a job from the sidebar in a browser, end the server by SIGKILL, and start another.

    The job is that of the first preset on the invented world, with the seed that it has.
    """
    from playwright.sync_api import sync_playwright

    from csp_core.cli.serve import serve_command
    from tests.browser.server import CHROMIUM_FLAGS, find_chromium, free_port, running_server

    whole, program = undisturbed(preset("demo", "seconds")), find_chromium()
    known = set(home.glob("*-*"))
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        page = browser.new_page()
        port = free_port()
        with running_server(serve_command(port=port, headless=True), home.parent, port) as server:
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator(".st-key-jobs-train button").click(timeout=120_000)
            wait(lambda: bool(set(home.glob("*-*")) - known), "a run was launched")
            run = RunDir((set(home.glob("*-*")) - known).pop())
            wait(run.status_file.exists, "its status")
            wait(lambda: bool(run.read_status().get("epoch")), "its first epoch")
            server.kill()
            server.wait()
        status = run.read_status()
        then = {"state": status["state"], "step": status["step"], "of": status["total_steps"]}
        cell = {"checkpoint": newest(run), **look(run)}
        port = free_port()
        with running_server(serve_command(port=port, headless=True), home.parent, port):
            page.goto(f"http://127.0.0.1:{port}/train?run={run.path.name}")
            page.locator(".stMain").get_by_text("▶ running").first.wait_for(timeout=60_000)
            end = rest(run)
            page.locator(".stMain").get_by_text("✔ finished").first.wait_for(timeout=60_000)
        browser.close()
    return {
        "what": "The server is ended by SIGKILL while a job of its sidebar runs, and started anew",
        "seed": preset("demo", "seconds").get("seed", 0),
        **then, **cell,
        "later": ["the new server's page showed it running, then finished"],
        "end": end, "equal": end == "finished" and result(run).same(whole),
    }  # fmt: skip
