"""How pages look: the theme's colours, and the styles that are loaded with every page."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.palette import DARK, LIGHT, Palette

# Of a map in pixels, where the styles say nothing else.
HEIGHT = 500
FOLDER = "static/style"
PAGE, SIDEBAR, LEAVING = "page.css", "sidebar.css", "page.js"


def is_dark() -> bool:
    """Tell whether the page is shown in its dark theme."""
    return st.context.theme.type == "dark"


def palette() -> Palette:
    """Give the map colours of the theme in use."""
    return DARK if is_dark() else LIGHT


def apply_style() -> None:
    """Set the colours of the theme in use, of which the styles make the rest."""
    bar, link = ("#56b4e9", "#7fd6cf") if is_dark() else ("#0072b2", "#0b6a70")
    # White, which Streamlit takes, has half the contrast on the dark theme's light colour.
    pressed = ground = "#12181a" if is_dark() else "#ffffff"
    colours = palette()
    st.html(
        f"<style>:root {{--csp-bar: {bar}; --csp-link: {link}; --csp-pressed: {pressed};"
        f" --csp-ground: {ground}; --csp-text: {colours.text}; --csp-sea: {colours.sea}}}</style>"
    )


class Dressed:
    """Have the page load the app's styles itself: those that Streamlit is given come too late.

    Args:
        app: The ASGI application behind it.
        sidebar: Whether there is a sidebar, whose room is kept.
    """

    def __init__(self, app: ASGIApp, *, sidebar: bool) -> None:
        self.app, self.files = app, (PAGE, SIDEBAR) if sidebar else (PAGE,)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; pages get the styles at their end, where they rank last."""
        if not _asks_for_page(scope):
            await self.app(scope, receive, send)
            return
        # The page is changed, so it is neither taken packed nor from a browser's memory.
        unwanted = (b"accept-encoding", b"if-none-match", b"if-modified-since")
        headers = [pair for pair in scope["headers"] if pair[0].lower() not in unwanted]
        await self.app({**scope, "headers": headers}, receive, self._with_styles(send))

    def _with_styles(self, send: Send) -> Send:
        begun: list[Message] = []
        body = bytearray()

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = MutableHeaders(scope=message).get("content-type", "")
                if kind.startswith("text/html") and message["status"] == 200:
                    begun.append(message)
                    return
            if not begun or message["type"] != "http.response.body":
                await send(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                page = bytes(body).replace(b"</body>", f"{links(self.files)}</body>".encode(), 1)
                headers = MutableHeaders(scope=begun[0])
                headers["content-length"] = str(len(page))
                for name in ("etag", "last-modified"):
                    del headers[name]
                await send(begun[0])
                await send({"type": "http.response.body", "body": page})

        return wrapped


def _asks_for_page(scope: Scope) -> bool:
    """Tell whether a page is asked for, and none of what it loads: frames have their own styles."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    parts = scope["path"].split("/")
    inner = {"component", "_stcore", "media", "static"} & {*parts}
    return not inner and "text/html" in Headers(scope=scope).get("accept", "")


def links(files: tuple[str, ...]) -> str:
    """Give the HTML that loads styles from this server, and the script that every page has."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    root = f"/{base}/" if base else "/"
    where = {name: f"{root}app/{FOLDER}/{name}?{_mark(name)}" for name in (*files, LEAVING)}
    styles = "".join(f'<link rel="stylesheet" href="{where[name]}">' for name in files)
    return f'{styles}<script defer src="{where[LEAVING]}"></script>'


@lru_cache(maxsize=8)
def _mark(name: str) -> str:
    """Tell one content of a file from another, as browsers keep them."""
    content = Path(__file__).parents[1].joinpath(FOLDER, name).read_bytes()
    return hashlib.sha256(content).hexdigest()[:12]
