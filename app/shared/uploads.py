"""Uploads are read in two child processes, which a file may end without the server.

A third-party pool of processes would start its children as copies of the script that runs, which
here is the page, and would exchange pickles with them; a child that answers on a pipe is less.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import numpy as np
import streamlit as st
from starlette.formparsers import MultiPartParser

from csp_core.child import end_child, start_child
from csp_core.data.pictures import Photo, make_photo
from csp_core.data.pictures.scene import HeldScene, SceneFacts
from csp_core.errors import BadRecordError
from shared.reader import SECONDS, TOO_MUCH_MEMORY, receive, send

MOST = 2
# A child that holds more than this after a task has grown by it, and a new one takes its place.
KEPT_BYTES = 256 << 20
# A child that waits for the processor is given longer by the clock than its processor time.
PATIENCE = 3 * SECONDS
# How often a session that waits looks whether it is still wanted, seconds.
TICK = 0.1
# After a large file allocators keep hundreds of megabytes for the next: glibc, unless its threshold
# is set, and jemalloc, which polars brings, for some seconds in which nothing may be asked of it.
GIVES_BACK = {
    "MALLOC_TRIM_THRESHOLD_": "131072",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0",
}
TOO_LONG = (
    f"Reading the file takes more than the {SECONDS} seconds of processor time that one upload may"
    " take: make it smaller, or read it with the command line."
)
ENDED = (
    "Reading the file ended the process that did it, so the file is damaged or made to do that:"
    " save it again, or copy it again."
)
Answer = tuple[dict[str, Any], bytearray]


class Child:
    """One process that reads uploads, started anew where it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(
        self, task: str, options: dict[str, Any], content: bytes, stop: threading.Event
    ) -> Answer:
        """Have a task done.

        Args:
            task: A key of ``reader.TASKS``.
            options: Plain values for it.
            content: The upload.
            stop: Ends the task, with its process, when it is set.

        Returns:
            Plain values and bytes.

        Raises:
            BadRecordError: If the file cannot be read within the limits; one sentence.
        """
        process, done, began = self._running(), threading.Event(), time.monotonic()
        late = threading.Thread(target=self._watch, args=(process, stop, done), daemon=True)
        late.start()
        try:
            assert process.stdin and process.stdout
            send(process.stdin, {"task": task, "options": options}, content)
            told, found = receive(process.stdout)
        except (EOFError, OSError) as error:
            self.end()
            raise BadRecordError(_why_ended(process, time.monotonic() - began)) from error
        finally:
            done.set()
            stop.set()
            late.join()
        if told.pop("holds") > KEPT_BYTES:
            self.end()
        if "error" in told:
            raise BadRecordError(told["error"])
        return told, found

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self.end()
            # One core each; Arrow's own allocator reserves more than a process may have here.
            few = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
            few["ARROW_DEFAULT_MEMORY_POOL"] = "system"
            few |= GIVES_BACK
            self._process = start_child("shared.reader", **few)
        return self._process

    @staticmethod
    def _watch(
        process: subprocess.Popen[bytes], stop: threading.Event, done: threading.Event
    ) -> None:
        stop.wait(PATIENCE)
        if not done.is_set():
            process.kill()

    def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        end_child(process)


def _why_ended(process: subprocess.Popen[bytes], seconds: float) -> str:
    by = -process.returncode
    if by == getattr(signal, "SIGXCPU", None) or seconds >= PATIENCE:
        return TOO_LONG
    # So libraries end that get no memory.
    return TOO_MUCH_MEMORY if by == signal.SIGABRT else ENDED


class Readers:
    """The child processes, and the queue before them.

    Args:
        most: How many there are; they start when they are first needed.
    """

    def __init__(self, most: int = MOST) -> None:
        self._threads = ThreadPoolExecutor(most, thread_name_prefix="uploads")
        self._local = threading.local()
        self._children: list[Child] = []

    def run(
        self,
        task: str,
        options: dict[str, Any],
        content: bytes = b"",
        tick: Callable[[], object] = lambda: None,
    ) -> Answer:
        """Wait until a child has done a task.

        Args:
            task: A key of ``reader.TASKS``.
            options: Plain values for it.
            content: The upload.
            tick: Called while waiting; what it raises ends the task, with the child that does it.

        Returns:
            Plain values and bytes.

        Raises:
            BadRecordError: If the file cannot be read within the limits; one sentence.
        """
        stop = threading.Event()
        coming = self._threads.submit(self._work, task, options, content, stop)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    return coming.result(timeout=TICK)
                tick()
        finally:
            coming.cancel()
            stop.set()

    def _work(
        self, task: str, options: dict[str, Any], content: bytes, stop: threading.Event
    ) -> Answer:
        if stop.is_set():
            raise CancelledError
        if not hasattr(self._local, "child"):
            self._local.child = Child()
            self._children.append(self._local.child)
        child: Child = self._local.child
        return child.ask(task, options, content, stop)

    def end(self) -> None:
        """End all children."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for child in self._children:
            child.end()


READERS = Readers()
atexit.register(READERS.end)


def keep_in_memory(megabytes: int) -> None:
    """Have the server hold uploads in memory alone, which it would spill to a file past 1 MB.

    Args:
        megabytes: What one may have at the most.
    """
    MultiPartParser.spool_max_size = max(MultiPartParser.spool_max_size, 2 * megabytes << 20)


def still_wanted() -> None:
    """End the script here where its session has left or runs anew; Streamlit looks then."""
    _ = "any" in st.session_state


def check_length(length: int, megabytes: int) -> None:
    """Refuse what is too large, whatever the browser allowed.

    Args:
        length: Of the upload, bytes.
        megabytes: The limit.

    Raises:
        BadRecordError: If it is larger.
    """
    if length > megabytes << 20:
        raise BadRecordError(
            f"The file has {math.ceil(length / (1 << 20))} MB; up to {megabytes} are taken: make it"
            " smaller."
        )


def read_photo(content: bytes, name: str, fit: int) -> Photo:
    """Read an uploaded photo in a child process.

    Args:
        content: The upload.
        name: The file's name.
        fit: No side may have more pixels; pictures of many bands get shorter ones.

    Returns:
        The photo.

    Raises:
        BadRecordError: If it cannot be read within the limits; one sentence.
    """
    options = {"name": name, "fit": fit}
    told, found = READERS.run("photo", options, content, tick=still_wanted)
    pixels = np.frombuffer(found, dtype=np.dtype(told["kind"])).reshape(told["shape"])
    return make_photo(pixels, told["photo"])


def read_scene(content: bytes, name: str, most: int) -> HeldScene:
    """Read an uploaded scene in a child process.

    Args:
        content: The upload.
        name: The file's name.
        most: Pixels that it may have.

    Returns:
        The scene.

    Raises:
        BadRecordError: If it cannot be read within the limits; one sentence.
    """
    options = {"name": name, "most": most}
    told, found = READERS.run("scene", options, content, tick=still_wanted)
    given, shape = told["facts"], tuple(told["shape"])
    points = tuple(map(tuple, given["points"]))
    facts = SceneFacts(**{**given, "transform": tuple(given["transform"]), "points": points})
    kind, size = np.dtype(facts.kind), math.prod(shape)
    values = np.frombuffer(found, kind, size).reshape(shape)
    bits = np.frombuffer(found, np.uint8, offset=size * kind.itemsize)
    valid = np.unpackbits(bits, count=math.prod(shape[1:])).astype(bool)
    return HeldScene(facts, values, valid.reshape(shape[1:]))


def read_columns(path: str) -> tuple[list[str], dict[str, str]]:
    """Read the columns of an uploaded file of records in a child process.

    Args:
        path: The file.

    Returns:
        Their names, and which of them is taken for what.

    Raises:
        BadRecordError: If it cannot be read within the limits; one sentence.
    """
    told, _ = READERS.run("columns", {"path": path}, tick=still_wanted)
    return list(told["columns"]), dict(told["found"])


def read_places(path: str, most: int, name: str = "") -> dict[str, Any]:
    """Read an uploaded list of places of one species in a child process.

    Args:
        path: The file.
        most: Places that are taken at most.
        name: The species, where the file names several.

    Returns:
        ``seen`` and ``missed``, lists of longitude and latitude; ``name``; reasons to numbers of
        records in ``left_out``; how many were ``read``.

    Raises:
        BadRecordError: If it cannot be read within the limits, or is of several species; one
            sentence.
    """
    options = {"path": path, "most": most, "name": name}
    return READERS.run("places", options, tick=still_wanted)[0]


def import_upload(
    path: str, out: str, most: int, columns: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Import an uploaded file of records in a child process.

    Args:
        path: The file.
        out: The tidy Parquet file to write.
        most: Records that are taken at most.
        columns: Canonical column to the column of the file, where others are meant than are found.

    Returns:
        How many records there are, and what was left out, in words.

    Raises:
        BadRecordError: If it cannot be read within the limits; one sentence.
    """
    options = {"path": path, "out": out, "most": most, "columns": dict(columns or {})}
    told, _ = READERS.run("records", options, tick=still_wanted)
    return int(told["kept"]), str(told["report"])
