"""Streamlit's command line, which ends without a word when it is interrupted.

Ctrl+C is how a server is stopped, but Streamlit takes it for a failure: "Aborted!", status 1.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType


def leave(number: int, frame: FrameType | None) -> None:
    """End the process; uvicorn hands the signal on after it has closed what is open."""
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, leave)
    from streamlit.web.cli import main

    main(prog_name="streamlit")
