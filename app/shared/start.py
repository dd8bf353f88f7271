"""What happens when the server starts, and until it ends."""

from __future__ import annotations

import asyncio
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from shared.imports import Imports


@asynccontextmanager
async def serving(app: st.App) -> AsyncIterator[None]:
    """Open a browser unless the server runs without one, and keep clicks cheap.

    Streamlit opens a browser for scripts alone.
    """
    if not st.get_option("server.headless"):
        # In a thread, as a browser for terminals runs until it is closed.
        asyncio.get_running_loop().run_in_executor(None, webbrowser.open, app_address())
    watching = asyncio.create_task(Imports().watch())
    yield
    watching.cancel()


def app_address() -> str:
    """Give the address of the app for a browser on this machine."""
    scheme = "https" if st.get_option("server.sslCertFile") else "http"
    host, port = st.get_option("browser.serverAddress"), st.get_option("browser.serverPort")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"{scheme}://{host}:{port}/{base}"
