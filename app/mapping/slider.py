"""A map with a slider: a picture, and another over it, which the slider wipes away."""

from __future__ import annotations

import base64
import json

import folium

from mapping.elements import Script

# A picture, and what the slider of the map wipes away of what lies over it; below dots and letters.
UNDER, OVER = "under", "over"
RAISE_BOTH = "".join(
    f"here.createPane({json.dumps(name)}).style.zIndex = {level};"
    for name, level in ((UNDER, 380), (OVER, 390))
)


def picture_group(
    picture: bytes,
    bounds: tuple[float, float, float, float],
    label: str,
    *,
    opacity: float = 1.0,
    over: bool = False,
) -> folium.FeatureGroup:
    """Lay a picture of a part of the world on a map that has a slider.

    Args:
        picture: PNG in the map's projection.
        bounds: West, south, east and north of it, degrees; east may pass 180.
        label: What it shows, for those who cannot see it.
        opacity: 0 to 1.
        over: Whether the map's slider wipes it away.

    Returns:
        The layer.
    """
    west, south, east, north = bounds
    data = "data:image/png;base64," + base64.b64encode(picture).decode()
    options = {"opacity": opacity, "className": "csp-values", "alt": label}
    options["pane"] = OVER if over else UNDER
    group = folium.FeatureGroup(name="over" if over else "picture")
    group.add_child(
        Script(
            "[0, -360, 360].forEach(function (shift) {"
            f" L.imageOverlay({json.dumps(data)}, [[{south}, shift + {west}], [{north}, shift +"
            f" {east}]], {json.dumps(options)}).addTo(here); }});"
        )
    )
    return group
