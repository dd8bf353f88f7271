"""What every page has from the shell: one sentence for an error, and a memory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from csp_core.errors import BadRecordError
from shared import resources
from tests.toy import save_toy_model

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"
PAGES = ("explore", "range_map", "photo", "segment", "train", "about")
# What the session knows of all pages, and of each while another is open.
COMMON = {"page", "keeps", "addresses", "giver", "greeted"}
KEPT = {"explore-rows", "range-map-recent", "photo-current", "photo-letters", "photo-read"}
SCRIPT = """
import shell
from csp_core.errors import BadRecordError

def page():
    shell.title("Title")
    raise BadRecordError("No *such* record.")

shell.run("page", page)
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    save_toy_model(tmp_path)
    monkeypatch.setenv("CSP_MODELS", str(tmp_path))
    resources._list_models.clear()
    return AppTest.from_file(str(MAIN), default_timeout=60)


def remembered(app: AppTest) -> set[str]:
    # The size of a slider's choice is remembered by Streamlit itself, as it is told; the sidebar
    # stands on every page.
    known = {str(key) for key in app.session_state._state.filtered_state} - {"opacity"}
    return {key for key in known if not key.startswith("jobs-")}


def test_a_page_forgets_what_is_its_own(app: AppTest) -> None:
    app.run()
    for page in PAGES:
        app.switch_page(f"views/{page}.py").run()
        assert not app.exception
    assert COMMON <= remembered(app) <= COMMON | KEPT
    assert {"explore-rows", "range-map-recent"} <= remembered(app)


def test_a_question_about_a_typed_place_stays_on_its_page(app: AppTest) -> None:
    app.run().text_input(key="place_text").set_value("nowhere at all").run()
    words = app.error[0].value
    assert "explore-typed-place" in app.session_state
    app.switch_page("views/photo.py").run()
    assert words not in [error.value for error in app.error]
    app.switch_page("views/explore.py").run()
    assert not app.exception and not app.error


def test_an_error_of_a_page_is_one_sentence() -> None:
    app = AppTest.from_string(SCRIPT).run()
    assert not app.exception and app.title[0].value == "Title"
    assert [error.value for error in app.error] == ["No \\*such\\* record\\."]


@pytest.mark.parametrize("page", PAGES)
def test_no_page_breaks_where_a_model_cannot_be_loaded(
    app: AppTest, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise BadRecordError("It is gone.")

    monkeypatch.setattr(resources, "model", broken)
    app.run().switch_page(f"views/{page}.py").run()
    told = [] if page in ("about", "segment", "train") else ["It is gone\\."]
    assert not app.exception and [error.value for error in app.error] == told
