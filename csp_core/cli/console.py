"""What every command shares: the Typer application and the two streams."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    name="csp",
    help="What does a place tell you about a picture?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
# What users and files say is printed as it is: brackets are no markup, :words: no pictures. The
# console does so for tables too, so that no command has to think of it.
out = Console(soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, soft_wrap=True, markup=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run directory or its name.")]
ModelArgument = Annotated[str, typer.Argument(help="A bundled model, model directory or run.")]


@contextmanager
def clearing_up() -> Iterator[None]:
    """Have a polite request to end (SIGTERM) remove what is half written, as Ctrl-C does."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout.

    Args:
        value: Plain values.
    """
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
