"""The birds of the world on the pages: what is not known is said so, and nothing is hatched."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from csp_core.files import ASSETS
from csp_core.inference import describe_place
from csp_core.store import list_models, load_model
from explore.files import to_csv, to_json

Open = Callable[..., AppTest]
FOLDER = ASSETS / "models"
VIENNA = {"lat": "48.21", "lon": "16.37"}
# What would say that somebody looked and found little.
WRONG = ("No recording", "Hardly recorded", "Too few recordings", "Too few checklists", "No record")


def texts(app: AppTest) -> str:
    parts = (*app.markdown, *app.caption, *app.warning, *app.info, *app.header, *app.get("html"))
    return "\n".join(str(getattr(part, "value", None) or part.proto.body) for part in parts)


def test_a_place_is_ranked_without_a_word_on_how_well_it_is_recorded(open_view: Open) -> None:
    app = open_view("explore", folder=FOLDER, model="world_birds", month="1", **VIENNA)
    shown = texts(app)
    assert not app.exception and not app.error and not app.warning
    assert "Not known how well" in shown and "Great Tit" in shown
    assert not [word for word in WRONG if word in shown]


def test_where_the_week_changes_nothing_that_is_said(open_view: Open) -> None:
    yakutsk = {"lat": "62", "lon": "129.7"}
    app = open_view("explore", folder=FOLDER, model="world_birds", month="1", **yakutsk)
    assert not app.exception and "there were too few checklists to learn them from" in texts(app)


def test_inland_ice_is_told(open_view: Open) -> None:
    ice = {"lat": "75", "lon": "-40"}
    app = open_view("explore", folder=FOLDER, model="world_birds", month="1", **ice)
    assert not app.exception and "This is inland ice" in texts(app)


def test_a_range_map_is_drawn_everywhere(open_view: Open) -> None:
    app = open_view(
        "range_map",
        folder=FOLDER,
        model="world_birds",
        taxon="Hirundo rustica",
        month="6",
        **VIENNA,
    )
    shown = texts(app)
    assert not app.exception and not app.error
    assert not [word for word in WRONG if word in shown]


def test_files_of_a_place_leave_counts_empty() -> None:
    (info,) = [one for one in list_models() if one.name == "world_birds"]
    report = describe_place(load_model("world_birds"), 16.37, 48.21, top=3)
    rows = list(csv.DictReader(io.StringIO(to_csv(report, info, "Vienna", "x"))))
    assert [row["records_within_250_km"] for row in rows] == [""] * 3
    assert all(float(row["relative_score"]) > 0.5 for row in rows)
    found = json.loads(to_json(report, info, "Vienna", "x"))
    assert found["support"]["level"] == "unknown" and found["results"][0]["support"] is None
    assert found["license"] == "cc-by-nc-sa-4.0"


def test_about_names_whose_it_is(open_view: Open) -> None:
    app = open_view("about", folder=FOLDER)
    assert not app.exception
    shown = texts(app)
    assert "CC BY-NC-SA 4.0" in shown and "BirdNET" in shown and "whatever mixes them in" in shown
