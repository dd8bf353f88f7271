"""What every command shares: the Typer application and the two streams."""

from __future__ import annotations

import json
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from csp_core.files import harmless

app = typer.Typer(
    name="csp",
    help="What does a place tell you about a picture?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class PlainConsole(Console):
    """Prints what users and files say as it is: no markup, no pictures, nothing a terminal obeys.

    It does so for tables and progress bars too, so that no command has to think of it.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string to text, before its width is measured."""
        return super().render_str(harmless(text), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Give the parts of anything that is printed."""
        for part in super().render(renderable, options):
            yield part if part.control else Segment(harmless(part.text), part.style)


out = PlainConsole(soft_wrap=True, markup=False, emoji=False)
err = PlainConsole(stderr=True, soft_wrap=True, markup=False, emoji=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run directory or its name.")]
ModelArgument = Annotated[
    str, typer.Argument(help="A bundled model, model directory, run or hf:OWNER/NAME.")
]


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
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # Escaped they are the same values, and no terminal obeys them.
    text = re.sub(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]", _escaped, text)
    sys.stdout.write(text + "\n")


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
