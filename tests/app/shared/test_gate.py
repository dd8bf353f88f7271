"""What the running server answers to hosts, origins and paths that are not its own."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shared.gate import answer_headers
from shared.resources import leaflet_ready
from tests.browser.server import running_app

NAMED = "csp.example.org"
# Streamlit's function asks a server elsewhere for the machine's address.
WATCH = """
import streamlit.net_util
def look_up(): print("LOOKED UP", flush=True)
streamlit.net_util.get_external_ip = look_up
"""
SOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "streamlit",
}
STREAM, UPLOAD = "/_stcore/stream", "/_stcore/upload_file/session/file"


class Server:
    """A running app, asked without a browser."""

    def __init__(self, address: str, log: Path) -> None:
        self.netloc, self.log = urlsplit(address).netloc, log

    def ask(
        self, path: str = "/", method: str = "GET", **headers: str | None
    ) -> http.client.HTTPResponse:
        """Send one request; a header that is None is left out, ``_`` in its name is ``-``."""
        connection = http.client.HTTPConnection(self.netloc, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        for name, value in ({"Host": self.netloc} | headers).items():
            if value is not None:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        if answer.status != 101:
            answer.read()
        connection.close()
        return answer

    def open(self, **headers: str | None) -> int:
        """Open Streamlit's socket and give the status, 101 if it is open."""
        return self.ask(STREAM, **SOCKET | headers).status

    @property
    def looked_up(self) -> bool:
        return b"LOOKED UP" in self.log.read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gate")
    with running_app(folder, before=WATCH, CSP_ALLOWED_HOSTS="", CSP_BASEMAP="") as address:
        yield Server(address, folder / "app.log")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """It listens on every address and answers to a name."""
    folder = tmp_path_factory.mktemp("gate-extended")
    with running_app(folder, host="0.0.0.0", before=WATCH, CSP_ALLOWED_HOSTS=NAMED) as address:
        yield Server(address, folder / "app.log")


@pytest.mark.parametrize(
    "path", ["/", "/range-map", "/suggest", "/_stcore/health", "/_stcore/host-config"]
)
@pytest.mark.parametrize("host", ["rebound.example", "192.168.1.5", "", None])
def test_foreign_hosts_are_refused(server: Server, path: str, host: str | None) -> None:
    # Without any, uvicorn itself answers.
    assert server.ask(path, Host=host).status == (400 if host is None else 421)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:3000", "null"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_foreign_pages_read_nothing(server: Server, origin: str, method: str) -> None:
    for path in ("/", "/suggest", "/_stcore/health", "/_stcore/host-config"):
        assert server.ask(path, method, Origin=origin).status == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:3000", "http://localhost:3000", "null", ""]
)
def test_foreign_pages_get_no_socket_and_nothing_is_looked_up(server: Server, origin: str) -> None:
    assert server.open(Origin=origin) == 403
    assert not server.looked_up


def test_a_rebound_page_gets_no_socket(server: Server) -> None:
    assert server.open(Host="rebound.example", Origin="http://rebound.example") == 403
    assert server.open(Host="rebound.example") == 403
    assert not server.looked_up


def test_own_pages_and_programs_get_a_socket(server: Server) -> None:
    assert server.open(Origin=f"http://{server.netloc}") == 101
    assert server.open() == 101
    port = server.netloc.split(":")[1]
    local = f"localhost:{port}"
    assert server.open(Host=local, Origin=f"http://{local}") == 101
    assert not server.looked_up


def test_uploads_from_foreign_pages_are_refused(server: Server) -> None:
    cookie = SimpleCookie(server.ask("/_stcore/health").headers["Set-Cookie"])["_streamlit_xsrf"]
    own = {"Cookie": f"_streamlit_xsrf={cookie.value}", "X_Xsrftoken": cookie.value}
    own["Content_Length"] = "0"
    for method in ("PUT", "DELETE"):
        for origin in ("http://evil.example", "null"):
            assert server.ask(UPLOAD, method, Origin=origin, **own).status == 403
        assert server.ask(UPLOAD, method, Host="rebound.example", **own).status == 421
    # It is let through, and there is no such session.
    assert server.ask(UPLOAD, "PUT", Origin=f"http://{server.netloc}", **own).status == 400
    assert server.ask(UPLOAD, "PUT", **own).status == 400


@pytest.mark.parametrize("path", ["/explore", "/explore/"])
def test_the_first_page_answers_to_its_name_too(server: Server, path: str) -> None:
    answer = server.ask(f"{path}?lat=-1.3&lon=36.8")
    assert (answer.status, answer.headers["Location"]) == (307, "/?lat=-1.3&lon=36.8")
    assert server.ask(path).headers["Location"] == "/"
    assert server.ask(path, Host="rebound.example").status == 421


def test_a_named_host_and_its_pages_are_let_in(extended: Server) -> None:
    assert extended.ask(Host=NAMED).status == 200
    assert extended.open(Host=NAMED, Origin=f"https://{NAMED}") == 101
    # A proxy may put its own address for the host.
    assert extended.open(Origin=f"https://{NAMED}") == 101
    assert extended.ask("/_stcore/health", Origin=f"https://{NAMED}").status == 200
    # On every address, numbers are known and names are not.
    assert extended.ask(Host="192.168.1.5:8501").status == 200
    assert extended.ask(Host="rebound.example").status == 421
    assert extended.open(Origin="https://evil.example") == 403
    assert not extended.looked_up


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/app/static/package.json"])
def test_every_answer_bears_the_headers(server: Server, path: str) -> None:
    for answer in (server.ask(path), server.ask(path, Host="rebound.example")):
        assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        policy = answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'self'" in policy and "default-src 'self'" in policy
        assert "http" not in policy


def test_a_tile_server_is_let_in_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://me@{s}.tiles.example:8443/a;b/{z}/{x}/{y}.png"
    monkeypatch.setenv("CSP_BASEMAP", url)
    policy = answer_headers()["Content-Security-Policy"]
    assert "img-src 'self' data: blob: https://*.tiles.example:8443;" in policy
    monkeypatch.setenv("CSP_BASEMAP", "https://x; script-src http://evil.example/{z}")
    assert "script-src 'self'" in answer_headers()["Content-Security-Policy"]
    assert answer_headers()["Content-Security-Policy"].count("script-src ") == 1


@pytest.mark.parametrize(
    "path",
    [
        "package.json",
        "package-lock.json",
        ".npmrc",
        "node_modules/leaflet/package.json",
        "node_modules/leaflet/src/Leaflet.js",
        "node_modules/leaflet/dist/../package.json",
        "node_modules/leaflet/dist/%2e%2e/package.json",
        "node_modules/leaflet/dist/..%5cpackage.json",
        "map/../package.json",
    ],
)
def test_of_the_static_folder_only_the_map_is_served(server: Server, path: str) -> None:
    assert server.ask(f"/app/static/{path}").status == 404


def test_the_map_is_served(server: Server) -> None:
    if not leaflet_ready():
        pytest.skip("Leaflet is not installed: run make setup.")
    for path in ("node_modules/leaflet/dist/leaflet.js", "map/map.js?v=1", "map/detail.json"):
        assert server.ask(f"/app/static/{path}").status == 200


def test_streamlit_itself_finds_the_gate() -> None:
    code = (
        "from pathlib import Path; from streamlit.web.server.app_discovery import discover_asgi_app"
        "; print(discover_asgi_app(Path('app/main.py')).import_string)"
    )
    root = Path(__file__).parents[3]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert found.stdout.strip() == "main:app"
