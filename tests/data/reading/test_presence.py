"""Absences, counts of none, captives and fossils, and what the source itself flags."""

from __future__ import annotations

import json
import sys

import polars as pl
import pytest

from csp_core import cli
from csp_core.data import read_occurrences
from csp_core.data.reading import import_records


def read(tmp_path, header, *rows):
    path = tmp_path / "x.csv"
    lines = [f"species,lon,lat,{header}", *(f"Aus bus,1,{i + 2},{r}" for i, r in enumerate(rows))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return import_records(path, tmp_path / "out.parquet")


@pytest.mark.parametrize(
    ("header", "absent", "present"),
    [
        ("individualCount", "0", "3"),
        ("individualCount", "0.0", "1"),
        ("organismQuantity", "0", "2.5"),
        ("OBSERVATION COUNT", "0", "X"),
        *(("occurrenceStatus", w, "present") for w in ("absent", "ABSENT", "not detected")),
        *(("occurrenceStatus", w, "PRESENT") for w in ("ausente", "0", "abwesend", "Not_Detected")),
        *(("occurrenceStatus", w, "presente") for w in ("assente", "no detectado", "afwezig")),
        *(("occurrenceStatus", w, "non-breeding") for w in ("non présent", "pas observé")),
        *(("occurrenceStatus", w, "présent") for w in ("keine Beobachtung", "Ausentes")),
        ("individualCount", "0 individuals", "10"),
        *(("absence", w, "false") for w in ("true", "TRUE", "1", "t")),
    ],
)
def test_absences_are_no_presences(tmp_path, header, absent, present):
    report = read(tmp_path, header, absent, present, "")
    assert report.rows_kept == 2
    ((reason, count),) = report.dropped.items()
    assert "absence" in reason and count == 1 and absent in report.examples[reason][0][1]


def test_either_of_two_counts_may_say_none(tmp_path):
    report = read(tmp_path, "individualCount,organismQuantity", ",0", ",3", "0,", "2,1")
    assert report.rows_kept == 2 and list(report.dropped.values()) == [2]


def test_a_status_that_nobody_knows_is_marked(tmp_path):
    report = read(tmp_path, "occurrenceStatus", "doubtful", "present", "")
    assert report.rows_kept == 3
    assert report.flagged == {"status of the occurrence is neither presence nor absence": 1}


@pytest.mark.parametrize(
    ("header", "odd", "fine"),
    [
        ("basisOfRecord", "LIVING_SPECIMEN", "HUMAN_OBSERVATION"),
        ("basisOfRecord", "FossilSpecimen", "PreservedSpecimen"),
        ("basisOfRecord", "Fossil specimen (cast)", "zoological museum"),
        *((h, "TRUE", "FALSE") for h in ("cultivated", "is_captive", "isCultivated")),
        *(("cultivationStatus", w, "not cultivated") for w in ("cultivated", "Cultivated plant")),
        *(("degreeOfEstablishment", w, "C3") for w in ("B1", "b2", "released (category B3)")),
        ("degreeOfEstablishment", "captive (category B1)", "casual (category C1)"),
        ("establishmentMeans", "escaped from garden", "naturalised garden escape"),
        ("captive", "wahr", "falsch"),
        ("basisOfRecord", "Living Specimen", "H"),
        ("establishmentMeans", "CULTIVATED", "introduced"),
        ("establishmentMeans", "managed", "NATIVE"),
        ("degreeOfEstablishment", "captive", "established"),
        ("degreeOfEstablishment", "cultivated (category B2)", "invasive (category E)"),
        ("degreeOfEstablishment", "http://rs.tdwg.org/dwcdoe/values/captive", "reproducing"),
        ("captive_cultivated", "true", "false"),
        ("EXOTIC CODE", "X", "N"),
    ],
)
def test_captives_and_fossils_are_marked(tmp_path, header, odd, fine):
    report = read(tmp_path, header, odd, fine, "")
    assert report.rows_kept == 3
    assert list(report.flagged.values()) == [1] and next(iter(report.examples.values()))[0][0] == 2


@pytest.mark.parametrize(
    ("header", "odd", "fine", "said"),
    [
        ("issue", "COORDINATE_ROUNDED;ZERO_COORDINATE", "COORDINATE_ROUNDED", "ZERO_COORDINATE"),
        ("issue", "COUNTRY_COORDINATE_MISMATCH", "GEODETIC_DATUM_ASSUMED_WGS84", "COUNTRY_COORD"),
        ("hasGeospatialIssues", "true", "false", "has geospatial issues"),
        ("quality_grade", "casual", "research", "quality grade casual"),
        ("quality_grade", "needs_id", "research", "quality grade needs_id"),
        ("APPROVED", "0", "1", "not approved"),
        ("visible", "false", "true", "marked as an outlier"),
        ("manually-marked-outlier", "true", "", "marked as an outlier"),
        ("flags", "ON_LAND|NO_DEPTH", "NO_DEPTH", "ON_LAND"),
        ("dropped", "true", "false", "left out by its quality control"),
        ("geoprivacy", "obscured", "open", "obscured"),
        ("taxon_geoprivacy", "private", "", "obscured"),
        ("coordinates_obscured", "true", "false", "obscured"),
    ],
)
def test_flags_of_the_source_are_shown_and_dropped_only_when_asked(
    tmp_path, header, odd, fine, said
):
    report = read(tmp_path, header, odd, fine, "")
    assert report.rows_kept == 3 and list(report.flagged.values()) == [1]
    assert said in next(iter(report.flagged))
    assert any("flagged by the source: 1 record," in note for note in report.notes)
    asked = import_records(tmp_path / "x.csv", tmp_path / "asked.parquet", drop_flagged=True)
    assert asked.rows_kept == 2 and not asked.flagged
    assert [said in reason for reason in asked.dropped] == [True]


def test_the_command_drops_what_is_flagged(tmp_path, monkeypatch):
    read(tmp_path, "issue", "ZERO_COORDINATE", "")
    out, told = tmp_path / "o.parquet", tmp_path / "report.json"
    given = [str(tmp_path / "x.csv"), str(out), "--drop-flagged", "--report", str(told)]
    monkeypatch.setattr(sys, "argv", ["csp", "import-data", *given])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert json.loads(told.read_text())["dropped"] == {"flagged by the source: ZERO_COORDINATE": 1}
    assert len(pl.read_parquet(out)) == 1


FLAGS = [["ON_LAND", "COORDINATE_ROUNDED"], [], None, [f"ODD_{n}" for n in range(9)]]
WITHIN = {
    "texts": FLAGS,
    "structures": [f and [{"array_element": one} for one in f] for f in FLAGS],
    "holes": [f and [*f, None] for f in FLAGS],
}


def listed(**columns):
    where = {"decimalLongitude": [1.0, 2.0, 3.0, 4.0], "decimalLatitude": [2.0, 3.0, 4.0, 5.0]}
    return pl.DataFrame({"scientificName": ["Aus bus"] * 4, **where, **columns})


@pytest.mark.parametrize("within", WITHIN)
def test_lists_of_flags_are_read_as_flags(tmp_path, within):
    listed(issue=WITHIN[within]).write_parquet(tmp_path / "x.parquet")
    records, report = read_occurrences(tmp_path / "x.parquet")
    assert len(records) == 4 and report.mapping["issue"] == "issue"
    flagged = {f"flagged by the source: {one}" for one in ("ON_LAND", *FLAGS[3])}
    assert {*report.flagged} - {"same name, place and day as an earlier record"} == flagged
    asked = import_records(tmp_path / "x.parquet", tmp_path / "o.parquet", drop_flagged=True)
    assert asked.rows_kept == 2


def test_lists_of_flags_in_json_are_read_as_flags(tmp_path):
    where = {"scientificName": "Aus bus", "decimalLongitude": 1, "decimalLatitude": 2}
    for flags in ([{"array_element": "ON_LAND"}, {"array_element": "COORDINATE_ROUNDED"}],
                  ["ON_LAND"], [{"code": "ON_LAND"}]):  # fmt: skip
        (tmp_path / "x.json").write_text(json.dumps([where | {"issue": flags}]))
        told = read_occurrences(tmp_path / "x.json")[1].flagged
        assert told == {"flagged by the source: ON_LAND": 1}, flags


def test_several_recorders_of_a_record_are_one_text(tmp_path):
    people = [["Ann Bee"], ["Ann Bee", "Cy Dee"], None, []]
    listed(recordedBy=people).write_parquet(tmp_path / "x.parquet")
    import_records(tmp_path / "x.parquet", tmp_path / "o.parquet")
    told = pl.read_parquet(tmp_path / "o.parquet")["recorder"].to_list()
    assert told == ["Ann Bee", "Ann Bee; Cy Dee", None, None]


def test_lists_that_are_no_flags_do_not_stop_the_import(tmp_path):
    listed(flags=[[1, 2], [], None, [3]]).write_parquet(tmp_path / "x.parquet")
    records, report = read_occurrences(tmp_path / "x.parquet")
    assert len(records) == 4 and any("lists in 'flags'" in note for note in report.notes)


@pytest.mark.parametrize(
    ("header", "absent", "present"),
    [
        *(("presence", w, "present") for w in ("absent", "0", "no", "not detected")),
        *(("Detected", w, p) for w, p in (("FALSE", "TRUE"), ("nein", "ja"), ("non", "oui"))),
        *(("PA", "0", "1"), ("detection", "0.0", "1.0"), ("presence_absence", "n", "y")),
        *((h, "0", "12") for h in ("number", "Abundance", "how many", "presence", "Anzahl")),
        *((h, "0", "1") for h in ("nombre", "effectif", "cantidad", "aantal", "total")),
        *(("individualCount", w, "3") for w in ("zero", "Nil")),
    ],
)
def test_absences_under_usual_names(tmp_path, header, absent, present):
    report = read(tmp_path, header, absent, present, "", present, present)
    ((reason, count),) = report.dropped.items()
    assert "absence" in reason and count == 1 and report.rows_kept == 4
    assert header == "individualCount" or any(
        note.startswith(f"{header!r} is read as") for note in report.notes
    )


@pytest.mark.parametrize(
    ("header", "values"),
    [
        ("presence", ("no", "seen by a lake", "yes")),
        ("nombre", ("0", "Juan", "2")),
        ("total", ("0", "12 kg", "3")),
        # The number of each line.
        ("number", ("0", "1", "2", "3", "4")),
        ("presence", ("", "", "")),
    ],
)
def test_columns_that_hold_something_else_are_left_alone(tmp_path, header, values):
    report = read(tmp_path, header, *values)
    assert report.rows_kept == len(values) and not report.dropped
    assert not any("is read as" in note for note in report.notes)
