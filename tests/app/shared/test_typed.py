import pytest

from csp_core.gazetteer import Place
from shared import typed

VIENNA = {"label": "Vienna, Austria", "lon": 16.37, "lat": 48}


@pytest.mark.parametrize(
    "picked",
    [None, "Vienna", [], {"label": "Vienna"}, VIENNA | {"lon": "16"}, VIENNA | {"label": None}],
)
def test_what_no_list_sends_is_no_place(monkeypatch: pytest.MonkeyPatch, picked: object) -> None:
    monkeypatch.setattr(typed, "_take", lambda place: pytest.fail(str(place)))
    typed._on_suggestion(picked)


def test_what_was_picked_is_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Place] = []
    monkeypatch.setattr(typed, "_take", taken.append)
    typed._on_suggestion(VIENNA)
    assert taken == [Place("Vienna, Austria", "", 16.37, 48.0)]


@pytest.mark.parametrize(
    ("text", "clear"),
    [("48.2, 16.37", False), ("-1.3 136.8", False), ("48º12' 16º22'", False), ("48.2 N 16 E", True),
     ("8FVC9G8F+6X", True), ("22222222+22", True), ("東京", True), ("geo:48.2,16.4", True)],
)  # fmt: skip
def test_only_bare_numbers_may_be_the_wrong_way_round(text: str, clear: bool) -> None:
    assert bool(typed.CLEAR.search(text)) == clear
