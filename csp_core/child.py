"""Child processes of Python that are asked through their pipes, and how they are ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys


def start_child(module: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start a module as a process that finds all that this one finds.

    Args:
        module: Its name.
        variables: Of the environment, beside those of this process.

    Returns:
        The process, with pipes for what it is asked and what it answers.
    """
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **variables, "PYTHONPATH": path},
    )


def end_child(process: subprocess.Popen[bytes] | None) -> None:
    """End a process that ``start_child`` gave, and wait until it is gone; None is none.

    Args:
        process: The process.
    """
    if process is None:
        return
    process.kill()
    for stream in (process.stdin, process.stdout):
        if stream:
            with contextlib.suppress(OSError):  # what could not be sent any more
                stream.close()
    process.wait()
