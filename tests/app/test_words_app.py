"""What pages say to those who meet them for the first time, in words that are explained once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from csp_core.errors import ConfigError
from csp_core.files import ASSETS
from csp_core.inference import OFTEN, RARELY, SOMETIMES, UNKNOWN
from csp_core.model import LEVEL_MEANING, LEVEL_RADIUS_KM
from csp_core.store import catalog, check_introduction
from shared.glossary import GLOSSARY, LEVELS, LICENSES
from shared.tour import TOUR
from shared.words import explain, headline, licence
from tests.toy import save_toy_model

MAIN = Path(__file__).parents[2] / "app" / "main.py"
# What only those know who made it.
JARGON = re.compile(
    r"\bsupport\b|extrapolat|listed (species|classes)|overall share|weights:|training records|prior"
)
Open = Callable[..., AppTest]


@pytest.fixture
def open_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Open]:
    def start(folder: Path | None = None, page: str = "explore", **params: str) -> AppTest:
        monkeypatch.setattr(catalog, "ASSETS", ASSETS if folder is None else tmp_path / "none")
        monkeypatch.setenv("CSP_MODELS", str(folder or ""))
        st.cache_data.clear()
        app = AppTest.from_file(MAIN, default_timeout=60)
        for name, value in params.items():
            app.query_params[name] = value
        app.run()
        return app if page == "explore" else app.switch_page(f"views/{page}.py").run()

    yield start
    st.cache_data.clear()


def said(app: AppTest) -> str:
    shown = [
        *app.title,
        *app.markdown,
        *app.caption,
        *app.header,
        *app.subheader,
        *app.error,
        *app.warning,
    ]
    parts = [element.value for element in shown] + [button.label for button in app.button]
    bodies = [element.proto.body for element in app.get("html")]
    return "\n".join([*parts, *(body for body in bodies if "<style>" not in body)])


def greeting(app: AppTest, page: str) -> bool:
    return any(TOUR[page].says == element.value for element in app.markdown)


def test_every_word_is_explained_in_two_plain_sentences() -> None:
    for term, text in GLOSSARY.items():
        told = explain(term)
        assert not JARGON.search(told) and "{" not in told, term
        # Three where a colon lists the words of one scale.
        assert 1 <= len(re.findall(r"[.](?: |$)", told)) <= 4 and len(text) < 260, term
    words = explain("often, sometimes, rarely") + explain("too few recordings to say")
    for word in (OFTEN, SOMETIMES, RARELY):
        assert word.capitalize() in words
    assert UNKNOWN in GLOSSARY and LEVELS.keys() == LEVEL_MEANING.keys()
    assert f"within {LEVEL_RADIUS_KM:.0f} km" in GLOSSARY


def test_about_lists_all_words_and_folds_the_cards(open_app: Open) -> None:
    app = open_app(page="about")
    assert not app.exception and not app.error
    shown = said(app)
    for term in GLOSSARY:
        assert explain(term) in shown, term
    folded = {box.label: box.proto.expanded for box in app.expander}
    assert not any(folded.values())
    for name in ("birds", "demo", "eurosat", "landcover"):
        assert any(label.startswith(name) for label in folded)
    links = [link.proto.page for link in app.get("page_link") if "→" in link.proto.label]
    assert links == ["", "range-map", "few-shot", "photo", "segment", "clusters", "train"]


@pytest.mark.parametrize("place", [{}, {"lat": "-12", "lon": "-77"}, {"lat": "0", "lon": "-140"}])
@pytest.mark.parametrize("model", ["birds", "demo", "eurosat"])
def test_explore_speaks_plainly(open_app: Open, model: str, place: dict[str, str]) -> None:
    app = open_app(model=model, **place)
    assert not app.exception and not app.error
    shown = said(app)
    assert not JARGON.findall(shown)
    assert set(re.findall(r"within ([\d,]+) km", shown)) == {"250"}
    did, several = ("mapped", "patches") if model == "eurosat" else ("recorded", "recordings")
    told = set(re.findall(f"{did} here: <b>(.+?)</b>", shown))
    unknown = UNKNOWN.replace("recordings", several)
    assert told == {unknown} if f"○○○ **Hardly {did}**" in shown else OFTEN in told


def test_explore_tells_the_set_of_kinds_of_land(open_app: Open) -> None:
    app = open_app(model="landcover")
    assert not app.exception and not app.error
    shown = said(app)
    assert not JARGON.findall(shown)
    assert "**The label set of a patch here:**" in shown and "Well mapped" in shown
    assert re.search(r"in the label set of a patch here: <b>[\d.]+ %</b>", shown)
    assert "Salzburg" in app.header[0].value


@pytest.mark.parametrize(
    ("model", "title", "place"),
    [
        ("birds", "Which species are recorded here?", "Near Nairobi, Kenya"),
        ("eurosat", "Which kinds of land cover are mapped here?", "Near Amsterdam, Netherlands"),
        ("demo", "Which invented species are recorded here?", "from Bukama, Congo"),
    ],
)
def test_each_model_brings_its_words_and_its_place(
    open_app: Open, model: str, title: str, place: str
) -> None:
    app = open_app(model=model)
    assert app.title[0].value == title and place in app.header[0].value
    (info,) = [info for info in catalog.list_models() if info.name == model]
    assert headline(info).split(":")[0] in app.markdown[0].value
    examples = [button for button in app.button if str(button.key).startswith("example-")]
    assert len(examples) == len(info.introduction.examples)
    if examples:
        examples[1].click().run()
        assert examples[1].label.split()[0] in app.header[0].value


def test_a_model_that_says_nothing_opens_where_most_was_recorded(
    open_app: Open, tmp_path: Path
) -> None:
    card = save_toy_model(tmp_path / "mute", train_steps=1) / "README.md"
    card.write_text(card.read_text("utf-8").replace("introduction:", "other:"), encoding="utf-8")
    app = open_app(tmp_path / "mute")
    assert not app.exception and not app.error
    assert "Invented birds\\: 6 species" in app.markdown[0].value
    assert ".5" in app.query_params.get("lat", [".5"])[0]
    assert float(app.number_input(key="lat_box").value or 0) % 1 == 0.5
    assert "●●● **Well recorded**" in said(app)


def test_a_hostile_card_is_only_read(open_app: Open, tmp_path: Path) -> None:
    card = save_toy_model(tmp_path / "bad", train_steps=1) / "README.md"
    text = card.read_text("utf-8").replace("Invented birds", "'<b>x</b> ![a](b) $y$'")
    text = text.replace("introduction:\n", "introduction:\n  singular: '**a**'\n  plural: b\n")
    card.write_text(text, encoding="utf-8")
    app = open_app(tmp_path / "bad")
    assert not app.exception and app.title[0].value == "Which species are recorded here?"
    assert "\\<b\\>x" in app.markdown[0].value and "![a]" not in said(app)


@pytest.mark.parametrize(
    "page", ["explore", "range_map", "few_shot", "photo", "segment", "clusters", "train"]
)
def test_a_page_says_what_it_is_for_until_that_is_closed(
    open_app: Open, tmp_path: Path, page: str
) -> None:
    save_toy_model(tmp_path / "one", train_steps=1)
    app = open_app(tmp_path / "one", page)
    name = page.replace("_", "-")
    assert greeting(app, name) and TOUR[name].says.count(". ") == 2
    app.button(key="welcome-close").click().run()
    assert not greeting(app, name)
    app.switch_page("views/about.py").run().switch_page(f"views/{page}.py").run()
    assert not app.exception and not greeting(app, name)


def test_the_tour_leaves_out_what_is_not_there(
    open_app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSP_ALLOW_TRAINING", "0")
    app = open_app(page="about")
    links = [link.proto.page for link in app.get("page_link") if "→" in link.proto.label]
    stays = ["", "range-map", "few-shot", "photo", "segment", "clusters"]
    assert not app.exception and links == stays
    # The page opens on a model without recordings, whose greeting has words of its own.
    app.query_params["model"] = "birds"
    app.switch_page("views/clusters.py").run()
    assert not app.exception and greeting(app, "clusters")


def test_the_changed_list_is_said_in_one_sentence(open_app: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path / "one")
    app = open_app(tmp_path / "one", lat="48.2", lon="16.4")
    (live,) = [element.value for element in app.markdown if 'role="status"' in element.value]
    assert re.search(r">Near Vienna, Austria: 3 species, first .+\.<", live)
    app = open_app(tmp_path / "one", lat="48.2", lon="16.4", find="Bad")
    (live,) = [element.value for element in app.markdown if 'role="status"' in element.value]
    assert "first Bad *name* [x](y) $z$." in live
    app = open_app(tmp_path / "one", find="<i>")
    assert not app.exception and "No name on the list holds “\\<i\\>”" in said(app)


def test_the_order_and_the_name_stand_in_the_address(open_app: Open, tmp_path: Path) -> None:
    save_toy_model(tmp_path / "one")
    app = open_app(tmp_path / "one")
    app.segmented_control(key="order_box").set_value("More here than elsewhere").run()
    assert app.query_params["sort"] in ("lift", ["lift"]) and "as much as elsewhere" in said(app)
    app.text_input(key="find_box").set_value("kenya").run()
    picks = [button.label for button in app.button if str(button.key).startswith("pick-")]
    assert len(picks) == 1 and "Kenya Inventor" in picks[0]
    link = app.code[0].value
    assert "sort=lift" in link and "find=kenya" in link
    app.text_input(key="find_box").set_value("").run()
    assert "find" not in app.query_params


def test_licences_are_told_in_words() -> None:
    for info in catalog.list_models():
        if info.directory.is_relative_to(ASSETS):
            assert licence(info) == LICENSES[info.license]


@pytest.mark.parametrize("place", [{}, {"lat": "-1.3", "lon": "36.8"}, {"lat": "0", "lon": "-140"}])
@pytest.mark.parametrize("page", ["range_map", "photo", "segment", "clusters", "train"])
def test_every_page_speaks_plainly(open_app: Open, page: str, place: dict[str, str]) -> None:
    app = open_app()
    for name, value in place.items() if page != "train" else ():
        app.query_params[name] = value
    if page == "clusters":
        app.query_params["points"] = "500"
    app.switch_page(f"views/{page}.py").run()
    assert not app.exception and not app.error
    assert not JARGON.findall(said(app))


def test_land_is_mapped_in_patches(open_app: Open) -> None:
    app = open_app(model="landcover")
    shown = said(app)
    assert app.title[0].value == "Which kinds of land are mapped here?"
    assert "**Well mapped**: " in shown and " patches of " in shown
    assert "within which patches are counted" in shown and "what is likely there" in shown
    assert "**Too few patches to say.** Fewer than 10 patches of any kind of land" in shown
    assert not re.search(r"[Rr]ecording|[Rr]ecorded|survey", shown)
    order = next(box for box in app.get("button_group") if box.key == "order_box")
    assert [one.content for one in order.proto.options] == ["Most likely", "More likely here"]
    app.segmented_control(key="order_box").set_value("More likely here").run()
    assert "as likely as elsewhere" in said(app)
    shown = said(open_app(model="landcover", lat="0", lon="20"))
    assert "mapped here: <b>too few patches to say</b>" in shown
    assert not re.search(r"[Rr]ecording|[Rr]ecorded", shown)


def test_the_map_of_a_kind_of_land_speaks_of_chances(open_app: Open) -> None:
    app = open_app(page="explore")
    app.query_params["model"], app.query_params["taxon"] = "landcover", "Beaches, dunes, sands"
    app.query_params["lat"], app.query_params["lon"] = "38.57", "-7.91"
    app.switch_page("views/range_map.py").run()
    shown = said(app)
    assert not app.exception and app.title[0].value == "Where is a kind of land mapped?"
    assert "hardly likely: below 0.5 %" in shown and "fewer than 10 patches of anything" in shown
    assert "looked, and hardly" not in shown and "Mapped most in" in shown
    assert not re.search(r"[Rr]ecording|[Rr]ecorded", shown)


@pytest.mark.parametrize("page", ["explore", "range_map", "clusters", "photo"])
@pytest.mark.parametrize("place", [{}, {"lat": "0", "lon": "-140"}])
def test_every_page_speaks_of_patches_where_a_card_does(
    open_app: Open, page: str, place: dict[str, str]
) -> None:
    app = open_app(model="eurosat", **place)
    app.query_params["points"] = "500"
    app.switch_page(f"views/{page}.py").run()
    assert not app.exception and not app.error
    assert not re.findall(r".{0,40}[Rr]ecord(?:ing|ed).{0,20}", said(app))


def test_clusters_of_a_part_of_the_world_open_there(open_app: Open) -> None:
    app = open_app()
    app.query_params["model"], app.query_params["points"] = "landcover", "500"
    app.switch_page("views/clusters.py").run()
    assert not app.exception and not app.error
    assert app.number_input(key="clusters-west").value == -10.0
    assert app.number_input(key="clusters-north").value == 70.0
    assert "they are what it made of the patches" in said(app)
    app.button(key="clusters-world").click().run()
    assert not app.exception and "-180,-90,180,90" in app.query_params["bounds"]
    app = open_app()
    app.query_params["model"], app.query_params["points"] = "eurosat", "500"
    app.switch_page("views/clusters.py").run()
    assert app.number_input(key="clusters-west").value == -180.0
    assert "they are what it made of the patches" in said(app)


def test_the_words_for_records_go_together() -> None:
    told = check_introduction({"record": "patch", "records": "patches", "recorded": "mapped"})
    assert (told.record, told.records, told.recorded) == ("patch", "patches", "mapped")
    with pytest.raises(ConfigError, match="all of record, records, recorded"):
        check_introduction({"record": "patch"})
