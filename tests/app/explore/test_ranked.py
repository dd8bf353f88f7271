import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from csp_core.inference import OFTEN, RARELY, UNKNOWN, PlaceReport, describe_place
from csp_core.store import catalog, checkpoint
from explore import files, ranked
from tests.toy import save_toy_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_model(tmp_path_factory.mktemp("ranked"))


@pytest.fixture(scope="module")
def info(folder: Path) -> catalog.ModelInfo:
    return catalog.ModelInfo("toy", folder, "Toy", "", "share", 6, "none")


@pytest.fixture(scope="module")
def near(folder: Path) -> PlaceReport:
    return describe_place(checkpoint.load_model(folder), 36.8, -1.3)


@pytest.fixture(scope="module")
def far(folder: Path) -> PlaceReport:
    return describe_place(checkpoint.load_model(folder), 100, -75)


def test_exports_leave_out_numbers_where_the_model_extrapolates(
    near: PlaceReport, far: PlaceReport, info: catalog.ModelInfo
) -> None:
    assert json.loads(files.to_json(near, info, "A", "link"))["results"][0]["value"] > 0
    assert json.loads(files.to_json(far, info, "A", "link"))["results"][0]["value"] is None
    lines = list(csv.DictReader(io.StringIO(files.to_csv(far, info, "A", "link"))))
    assert {(line["share"], line["lift"], line["recorded_here"]) for line in lines} == {
        ("", "", UNKNOWN)
    }
    assert len(list(csv.DictReader(io.StringIO(files.to_csv(near, info, "A", "link"))))) == 6


def test_every_line_of_a_csv_says_what_it_is(near: PlaceReport, info: catalog.ModelInfo) -> None:
    text = files.to_csv(near, info, "Near Nairobi, Kenya", "http://a/?b=c")
    lines = list(csv.DictReader(io.StringIO(text)))
    for line in lines:
        assert line["place"] == "Near Nairobi, Kenya" and line["model"] == "toy"
        assert line["license"] == "none" and line["link"] == "http://a/?b=c"
        assert float(line["lat"]) == -1.3 and "0 to 1" in line["unit"]
    first = near.results[0]
    assert lines[0]["taxon"] == first.taxon and float(lines[0]["share"]) == first.value
    assert int(lines[0]["records_within_250_km"]) == first.support
    assert lines[0]["recorded_here"] == OFTEN and lines[-1]["recorded_here"] == RARELY
    scores = files.to_csv(replace(near, kind="relative"), info, "A", "l").splitlines()[0]
    assert "relative_score" in scores and "share" not in scores


def test_json_explains_its_fields(near: PlaceReport, info: catalog.ModelInfo) -> None:
    told = json.loads(files.to_json(near, info, "Near Nairobi, Kenya", "link"))
    assert told["place"] == "Near Nairobi, Kenya" and told["license"] == "none"
    assert "not the chance" in told["fields"]["value"] and "250 km" in told["fields"]["support"]
    assert set(told["fields"]) <= set(told["results"][0])


def test_no_name_is_a_formula_in_a_spreadsheet(near: PlaceReport, info: catalog.ModelInfo) -> None:
    row = replace(near.results[0], taxon="=1+1", common_name="@a")
    report = replace(near, results=(row,))
    text = files.to_csv(report, replace(info, license="=2+2"), "+here", "link")
    assert "'=1+1,'@a" in text and "'=2+2" in text and "'+here" in text


def test_the_list_is_narrowed_by_either_name(near: PlaceReport) -> None:
    found = ranked.rows_of(near, by_lift=False, wanted="  FICTON ")
    assert {row.ranked.common_name for row in found} == {"Vienna Ficton", "Danube Ficton"}
    every = ranked.rows_of(near, by_lift=False, wanted="")
    assert [row.number for row in every] == [1, 2, 3, 4, 5, 6]
    (alta,) = ranked.rows_of(near, by_lift=False, wanted="fabula")
    assert alta in every and not ranked.rows_of(near, by_lift=False, wanted="<b>x")


def test_more_here_than_elsewhere_comes_first(near: PlaceReport, far: PlaceReport) -> None:
    rows = ranked.rows_of(near, by_lift=True, wanted="")
    lifts = [row.ranked.lift for row in rows if row.said != UNKNOWN]
    assert lifts == sorted(lifts, key=lambda lift: -(lift or 0.0))
    few = [replace(row, support=0, lift=99.0) for row in near.results[:1]]
    report = replace(near, results=(*few, *near.results[1:]))
    assert ranked.rows_of(report, by_lift=True, wanted="")[-1].ranked == few[0]
    assert ranked.can_compare(near) and not ranked.can_compare(far)
