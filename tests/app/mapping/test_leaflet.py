import jinja2
import pytest
from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from mapping import leaflet
from shared.palette import LIGHT

state = st.session_state
state["lon"] = state.get("lon", 0.0) + 1.0
name = "{{ 6 * 7 }}{% nonsense %}{# y #}"
groups = [
    leaflet.value_group(b"", 0.5, name),
    leaflet.outline_group('{"name": "' + name + '"}', None, LIGHT),
    leaflet.pin_group((state["lon"], 2.0), LIGHT, radius_km=500, label=name),
]
leaflet.click_map("map", groups, start=(1.0, 2.0, 3.0), center=None, palette=LIGHT,
                  on_change=lambda key: None)
"""


def test_text_on_the_map_is_no_template() -> None:
    # A species' name comes from a model's files.
    app = AppTest.from_string(SCRIPT, default_timeout=30).run()
    drawn = app.get("component_instance")[0].proto.json_args
    assert not app.exception
    assert drawn.count("{{ 6 * 7 }}{% nonsense %}{# y #}") == 3


def test_a_map_that_moves_its_pin_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_it = jinja2.Environment.compile

    def noted(self: jinja2.Environment, source: str, *args: object, **options: object) -> object:
        compiled.append(source)
        return compile_it(self, source, *args, **options)  # type: ignore[call-overload]

    app = AppTest.from_string(SCRIPT, default_timeout=30).run()
    first = app.get("component_instance")[0].proto.json_args
    monkeypatch.setattr(jinja2.Environment, "compile", noted)
    app.run()
    second = app.get("component_instance")[0].proto.json_args
    assert not app.exception and compiled == []
    assert "[2.0, 1.0]" in first and "[2.0, 2.0]" in second
