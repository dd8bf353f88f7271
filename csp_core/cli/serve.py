"""Start the app: one Streamlit process with every setting passed as a flag."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from csp_core.errors import ConfigError, DataNotFoundError
from csp_core.files import ASSETS

ROOT = ASSETS.parent


def serve_command(
    *, host: str = "127.0.0.1", port: int = 8501, headless: bool | None = None
) -> list[str]:
    """Give the command line that starts the app.

    Streamlit looks for `.streamlit/config.toml` in the working directory only, so its settings are
    turned into flags and the command works from any folder.

    Args:
        host: Address to listen on; the default is reachable from this machine alone.
        port: Port to listen on, 1 to 65535.
        headless: Whether to leave the browser closed; by default Streamlit decides.

    Returns:
        Program and arguments.

    Raises:
        DataNotFoundError: If the app is not beside csp_core.
        ConfigError: If the port is out of range.
    """
    main = ROOT / "app" / "main.py"
    if not main.is_file():
        raise DataNotFoundError(
            f"The app is not at {main}. It runs from a clone of the repository: install csp_core"
            " there with `pip install -e .`."
        )
    if not 1 <= port <= 65535:
        raise ConfigError(f"Port {port} does not exist; give a number from 1 to 65535.")
    settings = dict(_flatten(_read_settings(ROOT / ".streamlit" / "config.toml")))
    settings |= {"server.address": host, "server.port": port}
    settings["browser.serverAddress"] = _seen_as(host)
    if headless is not None:
        settings["server.headless"] = headless
    flags = [f"--{name}={_flag_value(value)}" for name, value in settings.items()]
    return [sys.executable, str(main.with_name("listen.py")), "run", str(main), *flags]


def serve(host: str = "127.0.0.1", port: int = 8501, headless: bool | None = None) -> int:
    """Run the app until it is stopped.

    On POSIX this process becomes the server, so that a signal sent to it reaches the server. Ctrl+C
    ends it with status 0.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        headless: Whether to leave the browser closed; by default Streamlit decides.

    Returns:
        The server's exit status.

    Raises:
        ConfigError: If the address cannot be listened on, for example because another program does.
    """
    command = serve_command(host=host, port=port, headless=headless)
    _check_free(host, port)
    if os.name == "posix":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(command[0], command)
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:  # which the server got too
        return 0


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataNotFoundError(f"No file {path}: the clone is incomplete.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML ({error}).") from error


def _flatten(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _seen_as(host: str) -> str:
    """Give the host in the address that is printed and opened, on this machine."""
    if host in ("0.0.0.0", "::", ""):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _flag_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on {host}:{port} ({error.strerror}). Give another --host or --port."
            ) from error
