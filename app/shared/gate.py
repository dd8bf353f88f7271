"""What every request passes before Streamlit sees it, and what every answer bears."""

from __future__ import annotations

import os
import posixpath

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.hosts import Hosts
from shared.quota import Quota
from shared.style import FOLDER as STYLE
from shared.tiles import tiles

SETTING = "CSP_ALLOWED_HOSTS"
# The page that opens at the root, as it is called elsewhere.
FIRST = "explore"
LEAFLET, MAP = "static/node_modules/leaflet/dist", "static/map"


class Gate:
    """Refuse foreign hosts and origins, narrow what is served, and add headers to answers.

    Streamlit would look up the machine's external address, at a server elsewhere, for every page
    of another origin that asks for a socket.

    Args:
        app: The ASGI application behind it.
        hosts: The names it answers to; by default from Streamlit's ``server.address`` and
            ``CSP_ALLOWED_HOSTS``.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts | None = None) -> None:
        self.app = app
        self.hosts = hosts or Hosts.read(
            st.get_option("server.address"), os.environ.get(SETTING, "")
        )
        self.headers = answer_headers()
        self.quota = Quota()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        answer: Response | None = self._refusal(hosts, origins) or _missing(scope["path"])
        answer = answer or _moved(scope) or self.quota.refusal(scope)
        if answer is None:
            if scope["type"] == "websocket" and origins:
                # Behind a proxy that changes the host, Streamlit would take the page for foreign.
                asked = origins[0].partition("://")[2]
                scope = {**scope, "headers": _with_host(scope["headers"], asked)}
            with self.quota.arriving(scope):
                await self.app(scope, receive, self._with_headers(send))
        elif scope["type"] == "websocket":
            # Closed before it is accepted, it is answered with status 403.
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})
        else:
            await answer(scope, receive, self._with_headers(send))

    def _refusal(self, hosts: list[str], origins: list[str]) -> PlainTextResponse | None:
        # Not echoed: the answer is the same whatever was sent.
        if len(hosts) != 1 or not self.hosts.admits(hosts[0]):
            return PlainTextResponse(
                "The app does not answer to this name. Open it by the address that it printed when"
                f" it started, or have {SETTING} name this host when it is started.\n",
                status_code=421,
            )
        if len(origins) > 1 or (origins and not self.hosts.trusts(origins[0], hosts[0])):
            return PlainTextResponse(
                "The app does not answer to pages from elsewhere. If it stands behind a proxy, have"
                f" {SETTING} name the host that people open when it is started.\n",
                status_code=403,
            )
        return None

    def _with_headers(self, send: Send) -> Send:
        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        return wrapped


def answer_headers() -> dict[str, str]:
    """Give the headers of every answer.

    Returns:
        Name to value. Scripts may be made of text, which streamlit-folium does with a map and
        charts do with their formulas; nothing comes from or goes to another machine, but for the
        tile server that the user asked for.
    """
    chosen = tiles()
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": " ".join(["'self' data: blob:", *([chosen.source] if chosen else [])]),
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self' data: blob:",
        "worker-src": "'self' blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
        "X-Frame-Options": "SAMEORIGIN",
        "X-Content-Type-Options": "nosniff",
        # An address holds a place. Tile servers ask who uses them, and are told the host alone.
        "Referrer-Policy": "strict-origin" if chosen else "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _missing(path: str) -> PlainTextResponse | None:
    """Of the app's static folder, only what pages and maps load is served."""
    path = posixpath.normpath(path.replace("\\", "/"))
    served = any(f"/app/{folder}/" in path for folder in (LEAFLET, MAP, STYLE))
    if "/app/static" in path and not served:
        return PlainTextResponse("Not found.\n", status_code=404)
    return None


def _moved(scope: Scope) -> Response | None:
    """Send on who asks for the first page by its name: Streamlit knows it by the root alone."""
    root = f"/{str(st.get_option('server.baseUrlPath') or '').strip('/')}/".replace("//", "/")
    if scope["type"] != "http" or scope["path"].rstrip("/") != f"{root}{FIRST}":
        return None
    asked = scope.get("query_string", b"").decode("latin-1")
    return RedirectResponse(f"{root}?{asked}" if asked else root)


def _with_host(headers: list[tuple[bytes, bytes]], host: str) -> list[tuple[bytes, bytes]]:
    kept = [(name, value) for name, value in headers if name != b"host"]
    return [*kept, (b"host", host.encode("latin-1"))]
