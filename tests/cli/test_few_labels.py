"""A model that few labels taught, from the command line: it is asked about pictures, not places."""

from __future__ import annotations

import json

import pytest

from csp_core.cli.photo import PLACELESS
from csp_core.config import load_config
from csp_core.config.presets import preset_file
from csp_core.files import ASSETS
from csp_core.training import train

PICTURE = ASSETS / "examples" / "lookalike-gulf.png"


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "student"
    short = ["data.size=700", "training.epochs=1", "data.labels=48"]
    train(load_config(preset_file("demo", "few labels"), short), run_dir=folder)
    return folder


def ok(result):
    code, out, err = result
    assert code == 0, err
    return " ".join(out.split())


def test_a_picture_is_ranked_and_the_place_is_said_to_count_for_nothing(csp, student):
    asked = ("predict", student, "--image", PICTURE)
    alone, placed = ok(csp(*asked)), ok(csp(*asked, "--lon", "3", "--lat", "4"))
    # The picture's file names a place of its own.
    assert PLACELESS in alone and "image and place" not in alone and "Place:" not in alone
    assert placed == alone
    one, other = (
        json.loads(ok(csp(*asked, *place, "--json")))
        for place in ((), ("--lon", "3", "--lat", "4", "--date", "2024-05-01"))
    )
    assert one["image_only"] == other["image_only"]
    assert [line["value"] for line in other["combined"]] == [
        line["value"] for line in one["image_only"]
    ]


def test_plain_data_say_why_the_place_counts_for_nothing(csp, student):
    for place in ((), ("--lon", "3", "--lat", "4")):
        told = json.loads(ok(csp("predict", student, "--image", PICTURE, *place, "--json")))
        assert told["image"]["why_no_place"] == PLACELESS


def test_a_place_alone_is_refused_in_a_sentence(csp, student):
    code, _, err = csp("predict", student, "--lon", "3", "--lat", "4")
    assert code != 0 and "by a picture alone" in " ".join(err.split())


def test_it_is_measured_by_its_pictures(csp, student):
    report = json.loads(ok(csp("evaluate", student, "demo", "--json")))
    # Without a side for places there is one answer alone.
    assert "have no labels, and only the others are measured" in report["note"]
    assert report["splits"]["train"]["n"] == 48 and report["splits"]["all"]["n"] == 700
    assert "top1" in report["splits"]["test"] and "image+place" not in report["splits"]["test"]
