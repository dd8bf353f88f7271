"""Folders of models and runs made to cost much, or to say what they should not."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEGABYTE = 1 << 20
Make = Callable[[Path], object]


def _edit(name: str, old: str, new: str) -> Make:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")

    return change


def _set(**values: Any) -> Make:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def _header(length: int, body: bytes = b"") -> Make:
    def change(folder: Path) -> None:
        with (folder / "model.safetensors").open("wb") as stream:
            stream.write(struct.pack("<Q", length) + body)
            stream.truncate(min(length + 8, 8 * MEGABYTE))

    return change


def _tensors(count: int) -> Make:
    head = {f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(count)}
    body = json.dumps(head).encode()

    return lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", len(body)) + body)


def _shape(*sides: int) -> Make:
    head = {"x": {"dtype": "F32", "shape": list(sides), "data_offsets": [0, 0]}}
    body = json.dumps(head).encode()

    return lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", len(body)) + body)


def _card(text: str) -> Make:
    return lambda f: (f / "README.md").write_text(text, encoding="utf-8")


def _loop(name: str) -> Make:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(name)

    return change


def _rows(count: int) -> Make:
    def change(folder: Path) -> None:
        with (folder / "classes.csv").open("w") as stream:
            stream.write("class,scientific_name,common_name,count\n")
            stream.writelines(f"{n},a{n},,1\n" for n in range(count))

    return change


MODELS: dict[str, Make] = {
    "num_classes_huge_int": _set(num_classes=10**18),
    "num_classes_text": _set(num_classes="77"),
    "num_classes_true": _set(num_classes=True),
    "num_classes_float": _set(num_classes=77.0),
    "dim_1e999": _edit("config.json", '"dim":', '"dim": 1e999, "was":'),
    "format_list": _set(format=["csp-model/1"]),
    "header_of_2_63": _header(2**63),
    "header_of_4mb": _header(4 * MEGABYTE - 8, b"{" + b'"a":[' * 100_000),
    "tensors_50000": _tensors(50_000),
    "shape_overflow": _shape(2**40, 2**40),
    "shape_deep": _shape(*[1] * 5000),
    "classes_300000_rows": _rows(300_000),
    "classes_loop": _loop("classes.csv"),
    "card_loop": _loop("README.md"),
    "card_controls": _card("---\ntitle: \"\\e]0;owned\\a\\e[2J:bomb: [red]x\\u202e\"\nsummary:"
                           " \"\\e[31m[link=file:///etc/passwd]y\"\nlicense: \"\\r\\n\\x9b2J\"\n"
                           "---\n\x1b[2J<script>alert(1)</script>[a](javascript:alert(1))"),
    "card_of_brackets": _card("---\ntitle: t\n---\n" + "[" * 100_000),
    "card_of_quotes": _card("---\ntitle: t\n---\n" + ">" * 50_000 + "x"),
    "card_of_stars": _card("---\ntitle: t\n---\n" + "*a_ " * 25_000),
    "title_of_lists": _card("---\ntitle: " + "[" * 60 + "]" * 60 + "\n---\nx"),
    "provenance_deep": _set(provenance={"data": [{"sha256": [[[]]]}] * 1000}),
}  # fmt: skip

ALIVE = {"format": "csp-run/1", "state": "running", "pid": 2**22 + 1, "host": "elsewhere"}


def _status(**fields: Any) -> Make:
    def change(folder: Path) -> None:
        told = ALIVE | {"heartbeat": time.time()} | fields
        (folder / "status.json").write_text(json.dumps(told))

    return change


def _raw(text: str) -> Make:
    return lambda f: (f / "status.json").write_text(text)


def _sparse(name: str, size: int) -> Make:
    def change(folder: Path) -> None:
        _status()(folder)
        with (folder / name).open("ab") as stream:
            stream.truncate(size)

    return change


RUNS: dict[str, Make] = {
    "status_pipe": lambda f: os.mkfifo(f / "status.json"),
    "status_folder": lambda f: (f / "status.json").mkdir(),
    "status_device": lambda f: (f / "status.json").symlink_to("/dev/zero"),
    "status_loop": lambda f: (f / "status.json").symlink_to("status.json"),
    "status_10gb": _sparse("status.json", 10 << 30),
    "metrics_1gb": _sparse("metrics.jsonl", 1 << 30),
    "config_1gb": _sparse("config.yaml", 1 << 30),
    "log_pipe": lambda f: (_status()(f), os.mkfifo(f / "log.txt")),
    "heartbeat_nan": _status(heartbeat=float("nan")),
    "heartbeat_inf": _status(heartbeat=float("inf")),
    "heartbeat_negative": _status(heartbeat=-1e300),
    "heartbeat_bool": _status(heartbeat=True),
    "pid_negative": _status(pid=-1, host=os.uname().nodename),
    "pid_zero": _status(pid=0, host=os.uname().nodename),
    "pid_one": _status(pid=1, host=os.uname().nodename),
    "pid_float": _status(pid=1.5),
    "pid_list": _status(pid=[1]),
    "step_huge": _status(step=10**400),
    "state_list": _status(state=["running"]),
    "message_controls": _status(message="\x1b]0;owned\x07\x1b[2J:bomb: [red]x[/b]\u202e\x9b1m\r\n"),
    "message_surrogate": _raw(json.dumps(ALIVE | {"heartbeat": 1, "message": "\ud800"})),
    "message_long": _status(message="a" * 60_000),
    "deep": _raw('{"format":"csp-run/1","x":' + "[" * 30_000 + "]" * 30_000 + "}"),
    "empty": _raw(""),
    "not_utf8": lambda f: (f / "status.json").write_bytes(b'{"format":"\xff"}'),
}
