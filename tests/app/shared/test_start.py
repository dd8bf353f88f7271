import asyncio
import json
import webbrowser
from pathlib import Path

import pytest
import streamlit as st

from shared.start import app_address, serving
from tests.workers import run_apart

STATIC = Path(__file__).parents[3] / "app" / "static"
TESTED = Path(__file__).parents[2] / "browser"


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    values: dict[str, object] = {
        "server.headless": False,
        "server.sslCertFile": None,
        "server.baseUrlPath": "",
        "browser.serverAddress": "127.0.0.1",
        "browser.serverPort": 8501,
    }
    monkeypatch.setattr(st, "get_option", values.get)
    return values


@pytest.mark.parametrize("headless", [True, False])
def test_a_browser_is_opened_unless_headless(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch, headless: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    options["server.headless"] = headless

    async def start() -> None:
        async with serving(None):  # type: ignore[arg-type]
            pass
        await asyncio.get_running_loop().shutdown_default_executor()

    run_apart(start())
    assert opened == ([] if headless else ["http://127.0.0.1:8501/"])


def test_the_address(options: dict[str, object]) -> None:
    options.update({"server.sslCertFile": "x.pem", "server.baseUrlPath": "/csp/"})
    options["browser.serverAddress"] = "[::1]"
    assert app_address() == "https://[::1]:8501/csp"


def test_what_npm_installs_names_no_registry() -> None:
    assert not (STATIC / ".npmrc").exists()
    for folder in (STATIC, TESTED):
        lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
        assert not [name for name, package in lock["packages"].items() if "resolved" in package]
