import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from csp_core.files import ASSETS
from tests.browser.server import CHROMIUM_FLAGS, find_chromium, running_app
from tests.toy import save_demo_model, save_toy_model

# Below the address of a page that is not the first, Streamlit's own script looks for its server,
# and only then where the server is.
PROBES = ("/_stcore/health", "/_stcore/host-config")
LOCAL = ("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:", "about:")

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing; with CI=true the browser tests must run.")
        pytest.skip("Chromium is missing: apt-get install chromium, or name it in CSP_CHROMIUM.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The bundled model is used where there is one; an invented one stands in for it."""
    folder = tmp_path_factory.mktemp("models")
    if not (ASSETS / "models" / "birds" / "config.json").is_file():
        save_toy_model(folder)
    return str(folder)


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory, models: str) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("app"), CSP_MODELS=models) as address:
        yield address


@pytest.fixture(scope="session")
def app_without_leaflet(tmp_path_factory: pytest.TempPathFactory, models: str) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("app-without-leaflet")
    empty = Path(folder, "empty")
    with running_app(folder, CSP_MODELS=models, CSP_LEAFLET_DIR=str(empty)) as address:
        yield address


@pytest.fixture(scope="session")
def photo_models(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Models that see pictures: the bundled one, or one that stands in for it."""
    folder = tmp_path_factory.mktemp("photo-models")
    if not (ASSETS / "models" / "demo" / "config.json").is_file():
        save_demo_model(folder)
    return str(folder)


@pytest.fixture(scope="session")
def photo_app(tmp_path_factory: pytest.TempPathFactory, photo_models: str) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("photo-app"), CSP_MODELS=photo_models) as address:
        yield address


@pytest.fixture(scope="session")
def photo_app_without_leaflet(
    tmp_path_factory: pytest.TempPathFactory, photo_models: str
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("photo-app-without-leaflet")
    empty = str(folder / "empty")
    with running_app(folder, CSP_MODELS=photo_models, CSP_LEAFLET_DIR=empty) as address:
        yield address


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open pages that note every request to another machine and every error in the console."""
    outside: list[str] = []
    errors: list[str] = []
    contexts = []

    def note_request(url: str) -> None:
        if not url.startswith(LOCAL):
            outside.append(url)

    def note_line(line: ConsoleMessage) -> None:
        if line.type == "error" and not line.location["url"].endswith(PROBES):
            errors.append(f"{line.text} {line.location['url']}")

    def start(address: str, **options: Any) -> Page:
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        context.on("request", lambda request: note_request(request.url))
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("websocket", lambda socket: note_request(socket.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note_line)
        page.goto(address)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not outside, "requests left the machine"
    assert not errors, "errors in the browser's console"
