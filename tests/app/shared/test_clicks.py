"""A click on the map chooses a place, and one that became a double click gives it back."""

from __future__ import annotations

from typing import Any

from streamlit.testing.v1 import AppTest

FIRST = {"lat": 10.0, "lng": 20.0, "count": 1}
UNDONE = FIRST | {"undone": True}
HOME = {"lat": "48.2", "lon": "16.4"}


def told(app: AppTest, click: dict[str, Any], zoom: int = 5) -> dict[str, str]:
    app.session_state["map"] = {"last_clicked": click, "zoom": zoom, "centre": "48.000_16.000"}
    app.run()
    assert not app.exception
    params = app.query_params.items()
    return {name: value if isinstance(value, str) else value[0] for name, value in params}


def page(**params: str) -> AppTest:
    def script() -> None:
        from shared import clicks

        clicks.on_map("map")

    app = AppTest.from_function(script)
    for name, value in params.items():
        app.query_params[name] = value
    return app


def place(params: dict[str, str]) -> dict[str, str]:
    return {name: params[name] for name in ("lat", "lon") if name in params}


def test_a_click_that_became_a_double_click_gives_the_place_back() -> None:
    app = page(**HOME)
    assert place(told(app, FIRST)) == {"lat": "10", "lon": "20"}
    after = told(app, UNDONE, zoom=6)
    assert place(after) == HOME and after["zoom"] == "6"
    # It is reported again with every move, and the next click counts.
    assert place(told(app, UNDONE, zoom=7)) == HOME
    assert place(told(app, {"lat": 1.0, "lng": 2.0, "count": 2})) == {"lat": "1", "lon": "2"}


def test_no_place_is_given_back_where_there_was_none() -> None:
    app = page()
    assert place(told(app, FIRST))
    assert place(told(app, UNDONE)) == {}


def test_two_words_of_one_click_at_once_change_nothing() -> None:
    app = page(**HOME)
    assert place(told(app, UNDONE)) == HOME


def test_what_was_chosen_after_the_click_stays() -> None:
    app = page(**HOME)
    told(app, FIRST)
    app.query_params["lat"] = "33"
    assert place(told(app, UNDONE)) == {"lat": "33", "lon": "20"}
