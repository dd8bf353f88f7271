"""Records that are told in several tables: events within events, camera traps."""

from __future__ import annotations

import datetime
import json

import polars as pl
import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading.events import own_or_theirs
from csp_core.errors import BadRecordError
from tests.data.reading import exports

EVENTS = ("eventID", "parentEventID", "decimalLatitude", "decimalLongitude", "eventDate")
PLACE, DATE = ("54.5", "3.2"), "2019-06-01"
CRUISE = ("cruise", "", *PLACE, DATE)


def archive(tmp_path, *events, header=EVENTS, occurrences=(("haul", "o1", "Abra alba"),)):
    core = exports.part("event.txt", {n: i for i, n in enumerate(header)}, row="Event")
    found = exports.part(
        "occurrence.txt", {"occurrenceID": 1, "scientificName": 2}, tag="extension"
    )
    files = {
        "meta.xml": exports.meta(core, found),
        "event.txt": exports.tabbed(*events, header=header),
        "occurrence.txt": exports.tabbed(*occurrences, header=("eventID", "occurrenceID", "name")),
    }
    records, report = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    return records.table.select("lon", "lat", "date").rows(), report


@pytest.mark.parametrize(
    ("events", "places", "dates"),
    [
        ([CRUISE, ("haul", "cruise", "", "", "")], 1, 1),
        ([("haul", "cruise", "", "", ""), CRUISE], 1, 1),
        ([CRUISE, ("haul", " cruise ", " ", "", "2019-06-02")], 1, 0),
        ([("cruise", "", "1", "1", DATE), ("haul", "cruise", *PLACE, "")], 0, 1),
        ([CRUISE, ("leg", "cruise", "", "", ""), ("haul", "leg", "", "", "")], 2, 2),
        ([("cruise", "", "", "", DATE), ("leg", "cruise", *PLACE, ""), ("haul", "leg", "", "", "")],
         1, 2),
    ],
)  # fmt: skip
def test_a_part_takes_place_and_date_of_the_whole(tmp_path, events, places, dates):
    rows, report = archive(tmp_path, *events)
    day = 2 if not dates else 1
    assert rows == [(3.2, 54.5, datetime.date(2019, 6, day))]
    told = [note for note in report.notes if "part of" in note]
    expected = {"places": places, "dates": dates}
    assert told == [
        f"{what} of events taken from the event that they are part of: {number}"
        for what, number in expected.items()
        if number
    ]


@pytest.mark.parametrize(
    "events",
    [
        [("haul", "gone", "", "", "")],
        [("haul", "haul", "", "", "")],
        [("haul", "leg", "", "", ""), ("leg", "haul", "", "", "")],
        [("haul", "", "", "", ""), CRUISE],
    ],
)
def test_what_nobody_says_stays_empty(tmp_path, events):
    rows, report = archive(tmp_path, *events)
    assert rows == [] and report.dropped == {"coordinates are missing": 1}


def test_a_place_is_taken_with_its_uncertainty_or_not_at_all(tmp_path):
    header = (*EVENTS, "coordinateUncertaintyInMeters")
    events = [(*CRUISE, "500"), ("haul", "cruise", "1", "2", "", ""), ("x", "cruise", *[""] * 4)]
    found = [("haul", "o1", "Abra alba"), ("x", "o2", "Abra alba")]
    core = exports.part("event.txt", {n: i for i, n in enumerate(header)}, row="Event")
    rows = exports.part("o.txt", {"occurrenceID": 1, "scientificName": 2}, tag="extension")
    files = {
        "meta.xml": exports.meta(core, rows),
        "event.txt": exports.tabbed(*events, header=header),
        "o.txt": exports.tabbed(*found, header=("eventID", "occurrenceID", "name")),
    }
    records, _ = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    table = records.table.select("record_id", "lon", "uncertainty_m").rows()
    assert table == [("o1", 2.0, None), ("o2", 3.2, 500.0)]


# Camera traps

DEPLOYMENTS = "deploymentID,latitude,longitude,coordinateUncertainty\nd1,50.7,4.0,30\n"
OBSERVATIONS = (
    "observationID,deploymentID,eventStart,scientificName,count,observationType\n"
    "o1,d1,2020-05-02T00:00:00Z,Vulpes vulpes,1,animal\n"
)
PROFILE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.1/camtrap-dp-profile.json"


def package(path, observations=OBSERVATIONS, deployments=DEPLOYMENTS, about=None, folder=""):
    files = {
        "datapackage.json": json.dumps(about or {"profile": PROFILE, "resources": []}),
        "deployments.csv": deployments,
        "media.csv": "mediaID,deploymentID\nm1,d1\n",
        "observations.csv": observations,
    }
    if path.suffix:
        return exports.pack(path, {folder + name: text for name, text in files.items()})
    return exports.spread(path, files)


@pytest.mark.parametrize("name", ["a.zip", "folder"])
@pytest.mark.parametrize("about", [None, {"resources": []}, {"profile": "camtrap-dp"}])
def test_observations_are_joined_to_their_deployments(tmp_path, name, about):
    records, report = read_occurrences(package(tmp_path / name, about=about))
    assert records.table.row(0, named=True) == {
        "scientific_name": "Vulpes vulpes",
        "common_name": None,
        "lon": 4.0,
        "lat": 50.7,
        "date": datetime.date(2020, 5, 2),
        "recorder": None,
        "uncertainty_m": 30.0,
        "record_id": "o1",
        "license": None,
    }
    assert report.format == "camtrap dp"


def test_a_package_in_a_folder_with_files_of_other_names(tmp_path):
    resources = [
        {"name": "deployments", "path": "./sites.csv"},
        {"name": "observations", "path": "seen.csv"},
    ]
    files = {
        "x/datapackage.json": json.dumps({"resources": resources}),
        "x/sites.csv": DEPLOYMENTS,
        "x/seen.csv": OBSERVATIONS.replace("eventStart", "timestamp"),
    }
    records, _ = read_occurrences(exports.pack(tmp_path / "a.zip", files))
    assert records.table["date"].to_list() == [datetime.date(2020, 5, 2)]
    del files["x/sites.csv"]
    with pytest.raises(BadRecordError, match=r"'\./sites\.csv' is not in the package"):
        read_occurrences(exports.pack(tmp_path / "a.zip", files))


def test_what_is_no_animal_and_single_pictures_of_events_are_dropped_and_told(tmp_path):
    text = (
        "observationID,deploymentID,observationLevel,eventStart,scientificName,observationType\n"
        "o1,d1,event,2020-05-02T00:00:00Z,Vulpes vulpes,animal\n"
        "o2,d1,media,2020-05-02T00:00:00Z,Vulpes vulpes,animal\n"
        "o3,d1,event,2020-05-02T00:00:00Z,Homo sapiens,human\n"
        "o4,d1,event,2020-05-02T00:00:00Z,,blank\n"
        "o5,gone,event,2020-05-02T00:00:00Z,Vulpes vulpes,animal\n"
    )
    records, report = read_occurrences(package(tmp_path / "a.zip", text))
    assert records.table["record_id"].to_list() == ["o1"] and report.rows_read == 5
    assert report.dropped == {
        "observation of no animal": 2,
        "observation of a single picture, where its event is a record too": 1,
        "coordinates are missing": 1,
    }
    assert report.examples["observation of no animal"][0] == (4, "human event")
    # Without events beside them, pictures are all there is.
    text = "\n".join(line for line in text.splitlines() if ",event," not in line)
    assert len(read_occurrences(package(tmp_path / "b.zip", text))[0]) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"deployments": "id,latitude,longitude\nd1,1,2\n"}, "has no column deploymentID"),
        ({"observations": "a,scientificName\n1,Aus bus\n"}, "has no column deploymentID"),
    ],
)
def test_a_package_that_cannot_be_joined(tmp_path, options, said):
    with pytest.raises(BadRecordError, match=said):
        read_occurrences(package(tmp_path / "a.zip", **options))


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        # Its own place, with no word of how well it is known: what the event says is not of it.
        (("1", "2", "", ""), ("1", "2", None, None)),
        (("1", "2", "10", ""), ("1", "2", "10", None)),
        (("", "", "", ""), ("8", "9", "500", "NAD27")),
    ],
)
def test_what_an_event_says_of_its_own_place_is_not_said_of_another(own, theirs):
    names = [
        "decimalLatitude",
        "decimalLongitude",
        "coordinateUncertaintyInMeters",
        "geodeticDatum",
    ]
    event = {f"{n}#": [v] for n, v in zip(names, ("8", "9", "500", "NAD27"), strict=True)}
    table = pl.DataFrame({n: [v] for n, v in zip(names, own, strict=True)} | event)
    assert table.select(own_or_theirs(table, names, names, "#")).row(0) == theirs
    # Where records have no columns for places, the event says all of it.
    only = table.select(pl.lit("8").alias(names[0]), pl.lit("").alias(names[2]), f"{names[2]}#")
    assert only.select(own_or_theirs(only, names[2:3], names, "#")).row(0) == ("500",)
