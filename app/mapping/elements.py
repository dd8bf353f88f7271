"""What is put on a Leaflet map beside folium's own parts: GeoJSON as it is, scripts, numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import branca.element
import folium
from branca.element import MacroElement
from jinja2 import Template


class _Text:
    """What is rendered already, as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, **kwargs: Any) -> str:
        return self.text


# branca takes what a template made, names from a model's files among it, for a template once more:
# a name with `{%` in it would end the map, and every click compile some twenty texts of 120 kB.
branca.element.Template = _Text  # type: ignore[assignment,attr-defined]


class GeoJson(MacroElement):
    """GeoJSON text put on the map as it is; folium's own class would restyle every feature.

    It is drawn on the neighbouring worlds too, as a map near longitude 180 shows both sides.
    """

    _template = Template(
        "{% macro script(this, kwargs) %}"
        "(function (data) { {{ this.options }}.forEach(function (options) {"
        " [0, -360, 360].forEach(function (shift) { L.geoJSON(data, Object.assign("
        "{coordsToLatLng: function (at) { return L.latLng(at[1], at[0] + shift); }},"
        " options)).addTo({{ this._parent.get_name() }}); }); }); })({{ this.data }});"
        "{% endmacro %}"
    )

    def __init__(self, data: str, *options: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "geo_json"
        # One layer for each set of options.
        self.data, self.options = data, f"[{', '.join(options)}]"


class Script(MacroElement):
    """JavaScript that is run once on what it is added to, which it calls ``here``."""

    _template = Template(
        "{% macro script(this, kwargs) %}"
        "(function (here) { {{ this.code }} })({{ this._parent.get_name() }});"
        "{% endmacro %}"
    )

    def __init__(self, code: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._name = "script"
        self.code = code


def number_group(numbers: Mapping[int, tuple[float, float]]) -> folium.FeatureGroup:
    """Write numbers on the map.

    Args:
        numbers: Each with its longitude and latitude.

    Returns:
        The layer.
    """
    group = folium.FeatureGroup(name="numbers")
    rows = [[number, lat, lon] for number, (lon, lat) in numbers.items()]
    if rows:
        group.add_child(
            Script(
                f"{json.dumps(rows)}.forEach(function (row) {{ [0, -360, 360].forEach("
                "function (shift) { L.marker([row[1], row[2] + shift], {interactive: false,"
                " keyboard: false, icon: L.divIcon({className: 'csp-number', html: '' + row[0],"
                " iconSize: [22, 16]})}).addTo(here); }); });"
            )
        )
    return group
