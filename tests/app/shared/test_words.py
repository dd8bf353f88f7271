import pytest

from csp_core.files import ASSETS
from csp_core.gazetteer.index import connect
from csp_core.store import catalog
from shared.words import (
    is_plain_enough,
    knows_species,
    percent,
    place_title,
    without_pictures,
)


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "<0.1 %"), (0.0004, "<0.1 %"), (0.0005, "0.1 %"), (1.0, "100.0 %")]
)
def test_no_share_is_written_as_nothing(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.skipif(connect() is None, reason="needs the list of places")
@pytest.mark.parametrize(
    ("lon", "lat", "words"),
    [
        (11.58, 48.14, "Near Munich, Germany"),
        (-73.97, 40.78, "Near New York City, New York, United States"),
        (2.35, 48.85, "Near Paris, France"),
        (139.7, 35.68, "Near Tokyo, Japan"),
        (36.8, -1.3, "Near Nairobi, Kenya"),
        (-43.2, -22.9, "Near Rio de Janeiro, Brazil"),
        (151.2, -33.86, "Near Sydney, New South Wales, Australia"),
        (13.65, 47.56, "Near Hallstatt, Austria"),
        (-3.43, 56.4, "Near Perth, Scotland, United Kingdom"),
        (-68.3, -54.8, "Near Ushuaia, Argentina"),
        (0.0, -80.0, "Antarctica"),
        (-150.0, 10.0, "10° N, 150° W"),
    ],
)
def test_a_place_is_named_as_people_name_it(lon: float, lat: float, words: str) -> None:
    assert place_title(lon, lat)[0].replace("\\", "") == words


def test_land_cover_is_not_called_species() -> None:
    bundled = {path.name: path for path in (ASSETS / "models").iterdir()}
    told = {
        name: knows_species(catalog.ModelInfo(name, path, name, "", "share", 10, ""))
        for name, path in bundled.items()
    }
    taxa = dict.fromkeys(("birds", "butterflies", "demo", "world_birds"), True)
    assert told == taxa | dict.fromkeys(
        ("earth", "eurosat", "eurosat_words", "korea_landuse", "landcover"), False
    )


@pytest.mark.parametrize("text", ["![a](u)", "!![a](u)", "\\![a][r]", "a!!![a](u)", "[![a](u)](v)"])
def test_a_card_fetches_no_pictures(text: str) -> None:
    assert "![" not in without_pictures(text) and "[a]" in without_pictures(text)


@pytest.mark.parametrize("text", ["[" * 3000, ">" * 100 + "x", "*a_ " * 800, "- a\n" * 3000,
                                  "a" * 70_000, "- " * 40 + "a"])  # fmt: skip
def test_what_would_hold_up_the_browser_is_no_markdown(text):
    assert not is_plain_enough(text)


@pytest.mark.parametrize("path", sorted((ASSETS / "models").glob("*/README.md")))
def test_the_bundled_cards_are_drawn(path):
    assert is_plain_enough(path.read_text(encoding="utf-8"))
