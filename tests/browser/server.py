"""Start the app and Chromium the way the browser tests and the screenshots use them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from csp_core.cli.serve import serve_command

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--use-gl=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """Find Chromium; ``CSP_CHROMIUM`` names another program."""
    named = os.environ.get("CSP_CHROMIUM")
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return named or next(filter(None, found), None)


@contextlib.contextmanager
def running_app(
    folder: Path, *, host: str = "127.0.0.1", before: str = "", **environment: str
) -> Iterator[str]:
    """Run the app on a free port.

    Args:
        folder: Working directory, which the app must not depend on; its log, ``app.log``, goes
            there.
        host: Address to listen on.
        before: Python code that the server runs before it starts.
        **environment: Variables to set for it.

    Yields:
        The app's address.
    """
    port = free_port()
    command = serve_command(host=host, port=port, headless=True)
    if before:
        start = "from streamlit.web.cli import main; main()"
        command = [command[0], "-c", f"{before}\n{start}", *command[command.index("run") :]]
    with running_server(command, folder, port, **environment):
        yield f"http://127.0.0.1:{port}/"


@contextlib.contextmanager
def running_server(
    command: list[str], folder: Path, port: int, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends.

    Args:
        command: Program and arguments.
        folder: Working directory; its log, ``app.log``, goes there.
        port: Where it listens.
        **environment: Variables to set for it.

    Yields:
        The process, which answers.
    """
    with (folder / "app.log").open("wb") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "CSP_OPENS_WITH": "birds"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_healthy(server, port, folder / "app.log")
            yield server
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        time.sleep(0.1)
    raise RuntimeError(f"The app did not start:\n{log.read_text(errors='replace')[-3000:]}")
