import json
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.requests import Request

from csp_core.gazetteer import index
from shared import suggestions


def ask(text: str) -> list[dict[str, object]]:
    query = f"q={quote(text, errors='replace')}".encode()
    answer = suggestions.answer(Request({"type": "http", "query_string": query, "headers": []}))
    found: list[dict[str, object]] = json.loads(bytes(answer.body))["places"]
    return found


@pytest.fixture
def without_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "index_path", lambda: tmp_path / "none.sqlite")
    monkeypatch.setattr(suggestions.gazetteer, "start_building", lambda: None)


def test_what_was_begun_is_answered_with_places() -> None:
    first = ask("nairo")[0]
    assert first["label"] == "Nairobi, Kenya"
    assert (first["lon"], first["lat"]) == pytest.approx((36.8, -1.3), abs=0.1)
    assert 1 < len(ask("san")) <= suggestions.MOST


@pytest.mark.parametrize("text", ["", "  ", "48.2, 16.4", "%", "' or 1=1 --", "x" * 5000, "\x00"])
def test_what_is_no_name_is_answered_with_none(text: str) -> None:
    assert ask(text) == []


@pytest.mark.usefixtures("without_the_list")
def test_large_cities_are_known_before_the_list_is_built() -> None:
    assert ask("nairo")[0]["label"] == "Nairobi, Kenya"


def test_the_address_follows_the_base_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggestions.st, "get_option", {"server.baseUrlPath": "/csp/"}.get)
    assert suggestions.address() == "/csp/suggest" and suggestions.route().path == "/csp/suggest"
