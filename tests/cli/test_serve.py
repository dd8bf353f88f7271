import socket
import subprocess
import sys

import pytest

from csp_core.cli.serve import serve, serve_command
from csp_core.errors import ConfigError


def test_every_setting_is_a_flag() -> None:
    command = serve_command(port=8600, headless=True)
    assert command[0] == sys.executable and command[2] == "run"
    assert command[1].endswith("listen.py") and command[3].endswith("main.py")
    for flag in (
        "--server.port=8600",
        "--server.address=127.0.0.1",
        "--server.headless=true",
        "--server.enableStaticServing=true",
        "--browser.gatherUsageStats=false",
    ):
        assert flag in command
    assert any(flag.startswith("--theme.dark.backgroundColor=#") for flag in command)


def test_streamlit_knows_every_flag() -> None:
    command = [*serve_command(port=8600), "--help"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    known = found.stdout
    assert found.returncode == 0
    for flag in command[4:-1]:
        assert flag.split("=")[0] in known


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="65535"):
        serve_command(port=port)


def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="--port"):
            serve(port=taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "seen"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]")],
)
def test_the_address_that_is_opened_is_never_looked_up(host: str, seen: str) -> None:
    assert f"--browser.serverAddress={seen}" in serve_command(host=host)
