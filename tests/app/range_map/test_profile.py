"""What is told of a species beside its map."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from csp_core.store import check_introduction
from csp_core.store.introduction import LINKS
from mapping.evidence import Evidence, dots_geojson
from range_map import profile
from range_map.profile import AT_SEA, PLACES, countries, links_of


def info(**introduction: Any) -> Any:
    return SimpleNamespace(introduction=check_introduction(introduction), directory=".")


def test_records_are_counted_by_the_country_of_most_of_a_cell() -> None:
    # The middle of the second is sea; most of its land is Italy's. The last is far from any.
    cells = ((16.5, 48.5, 3), (12.5, 41.5, 2), (11.9, 41.9, 5), (-30.5, 0.5, 4))
    found = dict(countries(Evidence(cells, 1.0)))
    assert found == {"Italy": 7, AT_SEA: 4, "Austria": 3}


@pytest.mark.parametrize(("known", "usual"), [(True, profile.USUAL), (False, ())])
def test_names_are_looked_up_where_they_can_be_found(
    known: bool, usual: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profile, "knows_species", lambda _: known)
    assert links_of(info()) == usual
    assert links_of(info(singular="invented bird", plural="invented birds")) == ()
    assert links_of(info(links=["ebird"])) == ("ebird",) and links_of(info(links=[])) == ()


def test_every_link_carries_the_whole_name() -> None:
    assert tuple(PLACES) == LINKS
    for words, address in PLACES.values():
        parts = urlsplit(address("Aus bus & <b>"))
        assert parts.scheme == "https" and words.lower().replace("-", "") in parts.netloc.replace(
            "-", ""
        )
        assert "<" not in address("Aus <b>") and "&" not in address("A & b")
        assert "bus" in unquote(parts.path + parts.query)
    # Below /species stand its codes, of which a name is none.
    assert urlsplit(PLACES["ebird"][1]("Anas crecca"))[1:4] == (
        "ebird.org", "/explore", "q=Anas%20crecca",
    )  # fmt: skip


def test_dots_stand_where_it_was_recorded() -> None:
    cells = ((1.5, 2.5, 1), (3.5, 4.5, 1200), (0.5, 88.5, 7))
    told = json.loads(dots_geojson(Evidence(cells, 1.0)))
    # The map ends before the pole.
    assert told == {"type": "MultiPoint", "coordinates": [[1.5, 2.5], [3.5, 4.5]]}
