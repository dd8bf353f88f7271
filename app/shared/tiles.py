"""The tile server that a user may name; by default there is none and nothing is fetched."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

OSM = "https://tile.openstreetmap.org/{z}/{x}/{y}.png"


@dataclass(frozen=True)
class Tiles:
    """A tile server that the user asked for.

    Args:
        url: Template with ``{z}``, ``{x}`` and ``{y}``.
        attribution: Whom to name on the map, as HTML.
    """

    url: str
    attribution: str

    @property
    def source(self) -> str:
        """The server as a Content-Security-Policy names it."""
        parts = urlsplit(self.url)
        # `{s}` stands for one of several servers; nothing may end the directive early.
        host = parts.netloc.rpartition("@")[2].replace("{s}", "*")
        return f"{parts.scheme}://{host}".translate({ord(mark): None for mark in " ;,'\"\r\n"})


def tiles() -> Tiles | None:
    """Give the tile server that ``CSP_BASEMAP`` names; by default none, so nothing is fetched."""
    choice = os.environ.get("CSP_BASEMAP", "offline").strip()
    if choice == "osm":
        return Tiles(OSM, "© OpenStreetMap contributors")
    if choice.startswith(("http://", "https://")) and "{z}" in choice:
        return Tiles(choice, "Tiles: as named by CSP_BASEMAP")
    return None
