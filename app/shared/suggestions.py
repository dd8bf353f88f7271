"""What an unfinished name may become, answered by the server itself, without a run of a page."""

from __future__ import annotations

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from csp_core import gazetteer

MOST, LONGEST = 8, 100


def address() -> str:
    """Give the path at which the server answers."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/suggest" if base else "/suggest"


def route() -> Route:
    """Give the route of ``GET /suggest?q=TEXT``."""
    return Route(address(), answer, methods=["GET"])


def answer(request: Request) -> JSONResponse:
    """List places that begin with a text, or are spelled alike, the larger ones first.

    Args:
        request: Its ``q`` is the text; what is longer than a name is cut off.

    Returns:
        ``{"places": [{"label", "lon", "lat"}]}``, degrees.
    """
    # Not a coroutine, so that it runs in a thread and a slow disk holds up nobody else.
    gazetteer.start_building()
    found = gazetteer.suggest(request.query_params.get("q", "")[:LONGEST], MOST)
    places = [{"label": place.label, "lon": place.lon, "lat": place.lat} for place in found]
    return JSONResponse({"places": places}, headers={"Cache-Control": "no-store"})
