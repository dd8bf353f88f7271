"""What the benchmarks share: options, the machine's description, and JSON with a Markdown table."""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import torch

from csp_core.files import write_json, write_text

if TYPE_CHECKING:
    from csp_core.training import TrainResult

DOCS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"


def arguments(
    description: str, extend: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Read the options that every benchmark has.

    Args:
        description: First line of the help.
        extend: Adds a benchmark's own options.

    Returns:
        ``quick`` and ``out``, the folder to write to.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a small run with the same columns")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of the tables")
    if extend is not None:
        extend(parser)
    return parser.parse_args()


def ended(result: TrainResult) -> TrainResult:
    """Give a training that went to its end, and end the benchmark where it was asked to stop.

    A signal to end stops a training, which then gives its model as it stands: no number is of it.

    Args:
        result: What ``train`` returned.

    Returns:
        The same.
    """
    if result.state == "stopped":
        raise SystemExit("stopped; the same command goes on.")
    return result


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Write a mean and its standard deviation over seeds.

    Args:
        values: One number a seed.
        digits: Decimals.

    Returns:
        ``"0.123 ± 0.004"``, without the deviation for one value.
    """
    head = f"{mean(values):.{digits}f}"
    return head if len(values) < 2 else f"{head} ± {stdev(values):.{digits}f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table.

    Args:
        head: Column names.
        rows: Cells.

    Returns:
        Markdown.
    """
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write_report(
    name: str,
    title: str,
    body: str,
    data: Mapping[str, Any],
    options: argparse.Namespace,
    *,
    command: str = "",
) -> None:
    """Write a benchmark's JSON and its page, and print the page.

    Args:
        name: File name without ending.
        title: Heading.
        body: Tables and text.
        data: The numbers behind it.
        options: As ``arguments`` returned.
        command: What makes it anew; if not given, this script with its options.
    """
    command = command or " ".join([f"python benchmarks/{name}.py", *_asked(sys.argv[1:])])
    machine = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, GPU: " + (
        torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    )
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    text = f"# {title}\n\n{body}\n\nCommand: `{command}`. Machine: {machine}. {versions}.\n"
    write_text(options.out / f"{name}.md", text)
    record = {"command": command, "machine": machine, "versions": versions, **data}
    write_json(options.out / f"{name}.json", record)
    print(text)


def _asked(words: Sequence[str]) -> list[str]:
    """Leave out of a command what says only where files lie."""
    folders = {index + 1 for index, word in enumerate(words) if word in ("--out", "--cells")}
    skip = {"--out", "--cells", "--tables-only"}
    return [word for index, word in enumerate(words) if index not in folders and word not in skip]


def code_mark(paths: Iterable[Path]) -> str:
    """Tell one state of some code from others.

    Args:
        paths: Its files, in any order.

    Returns:
        Eight letters and digits.
    """
    found = hashlib.sha256()
    for path in sorted(paths):
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:8]
