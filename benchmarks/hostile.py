"""Files and folders made to do harm, through every command that takes them and a running app."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from hostile_app import through_the_app
from hostile_files import write_files
from report import arguments, code_mark, markdown, write_report

SECONDS, MEGABYTES = 10.0, 1500.0
# A command that takes longer is ended.
PATIENCE = 60.0
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
Files = dict[str, list[Path]]
Command = tuple[str, str, list[str]]


def memory(process: psutil.Process) -> float:
    """Give the memory of a process and all below it, MB."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            try:
                total += one.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total / 1e6


def processor() -> float:
    """Give the processor time of all children that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Peak:
    """The largest memory of a tree of processes while a block runs."""

    def __init__(self, pid: int) -> None:
        self._process, self._done, self.megabytes = psutil.Process(pid), threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._done.is_set():
            self.megabytes = max(self.megabytes, memory(self._process))
            time.sleep(0.02)

    def __enter__(self) -> Peak:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        self._done.set()
        self._thread.join()


class Kept:
    """The finished rows of an earlier run, one a line of a file.

    Args:
        path: The file; a cut last line is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self._rows: dict[str, dict[str, Any]] = {}
        for line in lines:
            with suppress(ValueError):
                key, row = json.loads(line)
                self._rows[key] = row

    def __call__(self, key: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Give the row of a cell, measured now if it is not there."""
        if key not in self._rows:
            self._rows[key] = measure()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as stream:
                # On a line of its own, after half a line too.
                stream.write("\n" + json.dumps([key, self._rows[key]]))
        return self._rows[key]


def run(kind: str, name: str, words: Sequence[str], environment: dict[str, str]) -> dict[str, Any]:
    """Run a command and see what it costs and says."""
    began, before = time.monotonic(), processor()
    process = subprocess.Popen(
        [sys.executable, "-m", "csp_core", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
    )
    with Peak(process.pid) as peak:
        try:
            said = process.communicate(timeout=PATIENCE)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()[0]
    seconds, text = time.monotonic() - began, said.decode("utf-8", "replace")
    used = processor() - before
    wrong = {
        # Beside other programs a command waits for its turn; what waits for a pipe takes no turn.
        "slow": used > SECONDS or seconds > 3 * SECONDS,
        "large": peak.megabytes > MEGABYTES,
        "raw": "Traceback" in text or "CSP_DEBUG" in text,
        "obeyed": bool(OBEYED.search(text)),
        "ended": process.returncode not in (0, 1),
    }
    return {
        "by": f"csp {words[0]}", "kind": kind, "input": name, "seconds": round(seconds, 1),
        "processor": round(used, 1),
        "megabytes": round(peak.megabytes), "code": process.returncode,
        "wrong": [what for what, so in wrong.items() if so], "said": text.strip()[-200:],
    }  # fmt: skip


def commands(files: Files, out: Path) -> Iterator[Command]:
    """Give every command for every input that it takes."""
    model = "demo"
    for path in files["pictures"]:
        yield "picture", path.name, ["predict", model, "--image", str(path)]
    for path in files["records"]:
        yield "records", path.name, ["import-data", str(path), str(out / "o.parquet")]
        yield "records", path.name, ["evaluate", model, str(path)]
        yield "records", path.name, [
            "heatmap", model, "0", str(out / "o.tif"), "--step", "10", "--threshold", "max_tss",
            "--records", str(path)]  # fmt: skip
    for path in files["configs"]:
        yield "configuration", path.name, ["train", str(path), "--run-dir", str(out / path.stem)]
        yield "configuration", path.name, ["sweep", str(path), "--dry-run"]
    for path in files["models"]:
        yield "model", path.name, ["predict", str(path), "--lon", "1", "--lat", "2"]
        yield "model", path.name, ["import-model", str(path), str(out / f"i_{path.name}")]
        yield "model", path.name, ["heatmap", str(path), "0", str(out / "o.png"), "--step", "10"]
    for path in files["runs"]:
        yield "run", path.name, ["stop", str(path), "--wait", "0"]
        yield "run", path.name, ["resume", str(path)]
    for word in ("models", "doctor", "runs"):
        for options in ([], ["--json"]):
            yield "all folders", " ".join(["beside good ones", *options]), [word, *options]


def through_commands(files: Files, folder: Path, kept: Kept, quick: bool) -> list[dict[str, Any]]:
    """Run the commands; a small run takes each with its first input only."""
    out, rows = folder / "out", []
    out.mkdir()
    environment = {"CSP_MODELS": str(folder / "models"), "CSP_RUNS": str(folder / "runs"),
                   "OMP_NUM_THREADS": "1", "COLUMNS": "200"}  # fmt: skip
    taken: dict[str, int] = {}
    for kind, name, words in commands(files, out):
        taken[words[0]] = taken.get(words[0], 0) + 1
        if quick and taken[words[0]] > 1:
            continue
        cell = partial(run, kind, name, words, environment)
        rows.append(kept(f"{words[0]} {kind} {name!a} {taken[words[0]]}", cell))
        print(*(str(rows[-1][key]) for key in ("by", "input", "seconds", "megabytes", "wrong")))
    return rows


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Write a line for each command and kind: how many, the slowest and the largest."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["by"], row["kind"]), []).append(row)
    lines = []
    for (by, kind), some in groups.items():
        slow, large = (max(some, key=_value(key)) for key in ("seconds", "megabytes"))
        lines.append([
            f"`{by}`", kind, str(len(some)), f"{slow['seconds']} ({_plain(slow['input'])})",
            f"{large['megabytes']} ({_plain(large['input'])})",
            str(sum(bool(row["wrong"]) for row in some)),
        ])  # fmt: skip
    head = ("by", "kind", "inputs", "slowest, s", "largest, MB", "beyond limits")
    return markdown(head, lines)


def _value(key: str) -> Callable[[dict[str, Any]], float]:
    return lambda row: float(row[key])


def _plain(name: str) -> str:
    return OBEYED.sub("�", name)


def extend(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--given", type=Path, help="folder of further inputs")
    parser.add_argument("--no-app", action="store_true", help="the commands alone")
    home = Path(__file__).resolve().parents[1] / "build" / "hostile"
    parser.add_argument("--cells", type=Path, default=home, help="folder of the finished rows")


def main() -> None:
    """Run everything and write the table."""
    options = arguments(__doc__ or "", extend)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_files(folder, options.given)
        root, own = Path(__file__).resolve().parents[1], Path(__file__).parent.glob("hostile*.py")
        # What another state of the code came to says nothing of this one.
        state = code_mark([*(root / "csp_core").rglob("*.py"), *(root / "app").rglob("*.py"), *own])
        kept = Kept(options.cells / f"rows-{state}{'-quick' * options.quick}.jsonl")
        rows = through_commands(files, folder, kept, options.quick)
        if not options.no_app:
            rows += through_the_app(files, folder, Peak, kept, quick=options.quick)
    wrong = [row for row in rows if row["wrong"]]
    body = (
        f"{summary(rows)}\n\nLimits: {SECONDS:.0f} s of processor time and {MEGABYTES:.0f} MB"
        " of a command with all below it, or by the clock and of the server above its rest;"
        " no traceback, nothing that a terminal"
        " obeys, and no command ends by a signal. While the app has an input, a second session"
        " clicks the map of Explore; its slowest answer stands in the line *second session*.\n"
    )
    if wrong:
        found = [f"- {row['by']} {_plain(row['input'])}: {', '.join(row['wrong'])}"
                 for row in wrong]  # fmt: skip
        body += "\nBeyond the limits:\n\n" + "\n".join(found) + "\n"
    for row in rows:
        row["input"] = _plain(row["input"])
        row["said"] = _plain(row["said"]).replace(str(folder), "…")
    write_report("hostile", "Inputs made to do harm", body, {"rows": rows}, options)


if __name__ == "__main__":
    main()
