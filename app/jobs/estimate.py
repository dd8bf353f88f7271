"""What a run would take: some of its steps are run by a process of its own, which answers."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from csp_core.errors import CspError
from csp_core.runs.reading import is_number
from jobs import listing
from jobs.start import anchored, as_yaml
from shared.words import escape_markdown

SECONDS, MOST = 180.0, 2
# A session without a browser for so many seconds has left; a weak connection comes back sooner.
GONE, WATCH = 20.0, 2.0
KEPT = "train-estimate"
# One session at a time looks how many are under way and begins another.
_DOOR = threading.Lock()


@dataclass
class Trial:
    """An estimate in work. A thread of its own ends it in time, whoever looks at it or does not.

    Args:
        settings: What it is of, as YAML.
        process: What computes it.
        home: Folder of its files, which go with its end.
        is_there: Tells whether the session that asked is there.
        began: When, by the monotonic clock.
        found: What came out: numbers, or a sentence; None while it computes.
    """

    settings: str
    process: subprocess.Popen[bytes]
    home: Path
    is_there: Callable[[], bool] = lambda: True
    began: float = field(default_factory=time.monotonic)
    found: dict[str, Any] | str | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self) -> None:
        """Begin to watch it."""
        atexit.register(self.end)  # a server that is stopped leaves none behind
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        seen = time.monotonic()
        while self.look() is None:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(WATCH)
            now = time.monotonic()
            seen = now if self.is_there() else seen
            if now - seen > GONE:
                self.end()

    def look(self) -> dict[str, Any] | str | None:
        """Look whether it has an answer by now; one that takes too long is ended."""
        with self._lock:
            if self.found is None and self.process.poll() is not None:
                self.found = self._read()
                self.end()
            elif self.found is None and time.monotonic() - self.began > SECONDS:
                self.found = (
                    f"No answer within {SECONDS:.0f} s; loading the data alone takes longer."
                )
                self.end()
            return self.found

    def _read(self) -> dict[str, Any] | str:
        try:
            said = (self.home / "said").read_text("utf-8", "replace")
            if self.process.returncode:
                lines = [line for line in said.splitlines() if line.strip()] or ["no reason given"]
                errors = [line for line in lines if line.startswith("Error: ")]
                return (errors or lines)[-1].removeprefix("Error: ")
            found = json.loads((self.home / "answer").read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            return f"The answer cannot be read ({error})."
        return found if isinstance(found, dict) else "The answer is no estimate."

    def end(self) -> None:
        """End it, and remove its files."""
        with self._lock:
            self.process.kill()
            self.process.wait()
            self.found = self.found or "It was ended before it had an answer."
            shutil.rmtree(self.home, ignore_errors=True)
        atexit.unregister(self.end)


@st.cache_resource(show_spinner=False)
def _under_way() -> list[Trial]:
    """Keep the trials of all sessions, also of those that left."""
    return []


def _session() -> Callable[[], bool]:
    """Give what tells whether the session that is served now has a browser."""
    context = get_script_run_ctx()
    if context is None or not st.runtime.exists():
        return lambda: True
    return partial(st.runtime.get_instance().is_active_session, context.session_id)


def begin(tree: Mapping[str, Any]) -> Trial:
    """Start an estimate.

    Args:
        tree: Sections of plain values.

    Returns:
        The trial.

    Raises:
        CspError: If as many are under way as may be.
    """
    with _DOOR:
        running = _under_way()
        running[:] = [trial for trial in running if trial.look() is None]
        if len(running) >= MOST:
            raise CspError("Others are estimating now; try again in a minute.")
        running.append(_start(tree))
        return running[-1]


def _start(tree: Mapping[str, Any]) -> Trial:
    home = Path(tempfile.mkdtemp(prefix="csp-estimate-"))
    home.joinpath("asked.yaml").write_text(as_yaml(anchored(tree)), encoding="utf-8")
    command = [sys.executable, "-m", "csp_core", "train", str(home / "asked.yaml")]
    with home.joinpath("answer").open("wb") as answer, home.joinpath("said").open("wb") as said:
        process = subprocess.Popen(
            [*command, "--estimate", "--json"],
            stdin=subprocess.DEVNULL,
            stdout=answer,
            stderr=said,
            start_new_session=True,
        )
    return Trial(as_yaml(tree), process, home, _session())


def draw_estimate(tree: Mapping[str, Any]) -> None:
    """Draw the button that asks for an estimate, and the answer; a change of settings ends it."""
    trial: Trial | None = st.session_state.get(KEPT)
    if trial and trial.settings != as_yaml(tree):
        trial.end()
        del st.session_state[KEPT]
        trial = None
    if trial is None:
        st.button(
            "Estimate time and memory",
            key="train-estimate-button",
            on_click=_begin,
            args=(dict(tree),),
            help="Runs some steps, which takes some seconds and as much memory as training.",
        )
        return
    polled = trial.look() is None
    st.fragment(_draw_answer, run_every=1.0 if polled else None)(polled)


def _begin(tree: dict[str, Any]) -> None:
    try:
        st.session_state[KEPT] = begin(tree)
    except CspError as error:
        st.session_state["train-problem"] = str(error)


def _draw_answer(polled: bool) -> None:
    trial: Trial | None = st.session_state.get(KEPT)
    found = trial.look() if trial else None
    if trial is None or (found is not None and polled):
        st.rerun()  # the whole page, so that nothing is polled any more
    if found is None:
        seconds = time.monotonic() - trial.began
        st.caption(f"Running some steps, {seconds:.0f} s so far …")
        st.button("Cancel", key="train-estimate-cancel", on_click=_cancel)
    elif isinstance(found, str):
        st.error(escape_markdown(found))
    else:
        st.info(escape_markdown(sentence(found)))


def _cancel() -> None:
    trial: Trial | None = st.session_state.pop(KEPT, None)
    if trial:
        trial.end()


def sentence(found: Mapping[str, Any]) -> str:
    """Say an estimate in words.

    Args:
        found: What ``csp train --estimate --json`` answers.

    Returns:
        One or two sentences.
    """
    parts = []
    if is_number(total := found.get("seconds_total")):
        parts.append(f"About {listing.duration(total)} on {found.get('device', 'this machine')}")
    if is_number(steps := found.get("total_steps")):
        parts.append(f"{steps:,.0f} steps")
    if is_number(memory := found.get("memory_bytes")):
        parts.append(f"{listing.amount(memory)} of memory")
    if is_number(weights := found.get("parameters")):
        parts.append(f"{weights:,.0f} weights")
    if is_number(size := found.get("checkpoint_bytes")):
        parts.append(f"{listing.amount(3 * size)} of disk for checkpoints")
    return "; ".join(parts) + ". Measured on a few steps now; other programs slow it down."
