"""Importing into a file: what is counted, what is written, what is said of bad input."""

from __future__ import annotations

import errno
import gzip
import json
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from csp_core import cli
from csp_core.data import read_occurrences
from csp_core.data.reading import import_records, scientific
from csp_core.data.reading.duplicates import SeenKeys, keys_of
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from tests.data.reading import exports

HEADER = "species,lon,lat,date,coordinateUncertaintyInMeters\n"
REPEATED = "same name, place and day as an earlier record"


@pytest.fixture
def load(tmp_path):
    """Import a text: the report, the kept rows, the dropped rows."""

    def run(text, **options):
        source, out = tmp_path / "source.csv", tmp_path / "out" / "records.parquet"
        source.write_text(text, encoding="utf-8")
        report = import_records(source, out, **options)
        beside = out.with_suffix(".dropped.parquet")
        assert report.rows_read == report.rows_kept + sum(report.dropped.values())
        kept = pl.read_parquet(out) if out.exists() else None
        return report, kept, pl.read_parquet(beside) if beside.exists() else None

    return run


def files_in(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


# What is kept, dropped, changed


def test_every_reason_is_counted_and_written_beside(load):
    rows = [
        ("Aus bus,1,2,2020-01-01,5", None),
        ("Aus bus,,2,,", "coordinates are missing"),
        ("Aus bus,x,2,,", "coordinates are not numbers"),
        ("Aus bus,50,120,,", "longitude and latitude look swapped (latitude out of range)"),
        ("Aus bus,0,0,,", "coordinates are exactly 0, 0"),
        (",1,2,,", "scientific name is missing"),
        ("Aus,1,2,,", "name is not that of a species"),
        ("Aus sp.,1,2,,", "name is not that of a species"),
        ("Aus Linnaeus,1,2,,", "name is not that of a species"),
        ("Aus bus,1,2,,5000", "coordinate uncertainty is above 1000 m"),
        ("Aus bus,1", "wrong number of fields"),
        ("Aus (Aus) bus,3,2,01.02.20,1000", None),
        ("Aus × bus,3,2,2020-13-01,", None),
    ]
    text = HEADER + "".join(row + "\n" for row, _ in rows)
    report, kept, dropped = load(text, max_uncertainty_m=1000)
    expected = [(i + 2, why) for i, (_, why) in enumerate(rows) if why]
    assert sorted(dropped.select("line", "reason").rows()) == expected
    assert sum(report.dropped.values()) == len(expected) == report.rows_read - len(kept)
    assert kept["date"].null_count() == 2 and sum(report.changed.values()) == 3
    assert any("two digits" in reason for reason in report.changed)
    assert report.examples["name is not that of a species"][0] == (8, "Aus")


def test_names_above_species_stay_where_the_user_names_the_column(load):
    text = "class,lon,lat\nForest,1,2\n"
    assert load(text, mapping={"scientific_name": "class"})[0].rows_kept == 1
    assert load(text.replace("class", "species"), species_only=False)[0].rows_kept == 1
    assert load(text.replace("class", "species"))[0].rows_kept == 0


def test_rank_counts_more_than_the_look_of_the_name(load):
    text = "scientificName,taxonRank,lon,lat\nAus von Hand,GENUS,1,2\nAus bus,SPECIES,1,2\n"
    report, kept, _ = load(text)
    assert kept["scientific_name"].to_list() == ["Aus bus"] and report.rows_kept == 1


def test_duplicates_are_counted_and_dropped_only_when_asked(load):
    text = HEADER + "Aus bus,1,2,2020-01-01,\n" * 3 + "Aus bus,1,2,2020-01-02,\nAus bus,1,2,,\n"
    report, kept, dropped = load(text)
    assert len(kept) == 5 and report.flagged == {REPEATED: 2} and dropped is None
    report, kept, dropped = load(text, drop_duplicates=True)
    assert load(text)[2] is None, "dropped rows of an earlier import stay"
    report, kept, dropped = load(text, drop_duplicates=True)
    assert len(kept) == 3 and report.dropped == {REPEATED: 2} and not report.flagged
    assert dropped["line"].to_list() == [3, 4]


def test_changes_of_dropped_duplicates_do_not_count(load):
    text = HEADER + "Aus bus,1,2,2020-13-01,\n" * 3
    report, _, _ = load(text, drop_duplicates=True)
    assert report.rows_kept == 1 and sum(report.changed.values()) == 1


def test_many_duplicates_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("csp_core.data.reading.lines.BLOCK", 1 << 18)
    source = tmp_path / "many.csv.gz"
    row = b"Aus bus,1,2,2020-01-01,\n"
    source.write_bytes(gzip.compress(HEADER.encode() + row * 100_000))
    report = import_records(source, tmp_path / "o.parquet", drop_duplicates=True)
    assert (report.rows_read, report.rows_kept) == (100_000, 1)
    assert report.dropped == {REPEATED: 99_999} and len(report.examples[REPEATED]) == 100


def test_seen_keys_against_a_set():
    chance = np.random.default_rng(0)
    seen, known, total = SeenKeys(), set(), 0
    for _ in range(60):
        keys = chance.integers(0, 9_000, chance.integers(0, 900)).astype(np.uint64)
        keys *= np.uint64(2**64 // 9_000)  # over the whole range of 64 bits
        found = seen.add(keys)
        for key, again in zip(keys.tolist(), found.tolist(), strict=True):
            assert again == (key in known)
            known.add(key)
        total += len(keys)
    held = sum(run.nbytes for runs in seen._parts for run in runs)
    assert held == 8 * len(known) and total > 20_000


def test_keys_of_different_records_differ():
    count = 200_000
    table = pl.DataFrame(
        {
            "scientific_name": [f"Aus b{i % 7}" for i in range(count)],
            "lon": np.arange(count) % 360 - 180.0,
            "lat": np.arange(count) / count,
            "date": pl.Series([None] * count, dtype=pl.Date),
        }
    )
    assert len(np.unique(keys_of(table))) == count


def test_what_is_written_is_what_reading_gives(load, tmp_path):
    text = HEADER + "".join(f"Aus bus,{i % 180},{i % 90},2020-01-01,\n" for i in range(500))
    _, kept, _ = load(text)
    records, report = read_occurrences(tmp_path / "source.csv")
    assert kept.equals(records.table) and kept.schema == records.table.schema
    assert json.loads(json.dumps(report.to_dict())) == report.to_dict()


def test_the_sign_of_a_coordinate_against_the_country(load):
    text = "species,lon,lat,countryCode\n" + "".join(
        f"Aus bus,{place}\n"
        for place in ("13,52,DE", "13,-52,de", "151,33,AU", "-50,-10,BR", "50,-10,BR")
    )
    report, kept, _ = load(text)
    assert len(kept) == 5
    assert {k: [line for line, _ in report.examples[k]] for k in report.flagged} == {
        "sign of the latitude does not fit the country": [3, 4],
        "sign of the longitude does not fit the country": [6],
    }


# Bad archives


def zip_with(path, name):
    return exports.pack(path, {name: "x", "occurrence.txt": exports.tabbed()})


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "a/../../b.txt", "C:\\evil.txt"])
def test_paths_that_leave_the_archive(tmp_path, name):
    path = zip_with(tmp_path / "a.zip", name)
    with pytest.raises(BadRecordError, match=r"^a\.zip: .*path that leaves it"):
        read_occurrences(path)
    assert files_in(tmp_path) == ["a.zip"]


def test_zip_bomb(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("occurrence.txt", bytes(1 << 26))
    with pytest.raises(BadRecordError, match=r"zip bomb.*Nothing was unpacked"):
        import_records(path, tmp_path / "o.parquet")
    assert files_in(tmp_path) == ["bomb.zip"]


def test_zip_that_lies_about_its_size(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("occurrence.txt", "species,lon,lat\n" + "Aus bus,1,2\n" * 3_000_000)
    data = path.read_bytes()
    true = struct.pack("<I", 16 + 12 * 3_000_000)
    assert data.count(true) == 2
    path.write_bytes(data.replace(true, struct.pack("<I", 1000)))
    with pytest.raises(BadRecordError, match="damaged"):
        import_records(path, tmp_path / "o.parquet")
    assert files_in(tmp_path) == ["bomb.zip"]


def test_gzip_bomb_and_endless_line(tmp_path, monkeypatch):
    monkeypatch.setattr("csp_core.data.reading.archives.GZIP_RATIO_COUNTS_FROM", 1 << 20)
    path = tmp_path / "bomb.csv.gz"
    bomb = gzip.compress(HEADER.encode() + b"Aus bus,1,2,,\n" * 500_000)
    # What says of itself that it is one, and what is one behind a small last part.
    for content in (bomb, bomb + gzip.compress(b"Aus bus,1,2,,\n")):
        path.write_bytes(content)
        with pytest.raises(BadRecordError, match="unpacks to more than it should"):
            import_records(path, tmp_path / "o.parquet")
    monkeypatch.setattr("csp_core.data.reading.lines.LONGEST_LINE", 1 << 20)
    monkeypatch.setattr("csp_core.data.reading.lines.BLOCK", 1 << 20)
    (tmp_path / "line.csv").write_text(HEADER + "a" * (3 << 20))
    with pytest.raises(BadRecordError, match="longer than"):
        import_records(tmp_path / "line.csv", tmp_path / "o.parquet")
    assert files_in(tmp_path) == ["bomb.csv.gz", "line.csv"]


GOOD = exports.default_meta()
ENTITY = '<!DOCTYPE a [<!ENTITY x "y">]>'


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        (ENTITY + GOOD, "DTD"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd">' + GOOD, "DTD"),
        (GOOD[:200], "meta.xml is damaged"),
        ("<archive/>", "no core"),
        (exports.default_meta("elsewhere.txt"), "'elsewhere.txt', which is not in the archive"),
        (exports.default_meta("../occurrence.txt"), "which is not in the archive"),
        (exports.default_meta("/etc/passwd"), "which is not in the archive"),
        (GOOD.replace("<location>occurrence.txt</location>", ""), "names no file"),
        (GOOD.replace('index="3"', 'index="33"'), "beyond the 5 fields"),
        (GOOD.replace('index="3"', 'index="x"'), "no count"),
        (GOOD.replace(r'fieldsTerminatedBy="\t"', 'fieldsTerminatedBy="||"'), "single characters"),
        (GOOD.replace(r'linesTerminatedBy="\n"', 'linesTerminatedBy="|"'), "ends lines"),
        (GOOD.replace("UTF-8", "KLINGON"), "no text encoding 'KLINGON'"),
        (GOOD.replace("Occurrence", "Taxon").replace("decimal", "x"), "No column for lon, lat"),
    ],
)
@pytest.mark.parametrize("as_folder", [False, True])
def test_bad_meta(tmp_path, meta, said, as_folder):
    files = {"meta.xml": meta, "occurrence.txt": exports.tabbed(("1", "Aus bus", 1, 2, ""))}
    make = exports.spread if as_folder else exports.pack
    path = make(tmp_path / "archive", files)
    with pytest.raises(BadRecordError, match=said) as caught:
        read_occurrences(path)
    assert caught.value.file == "archive" and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "not one table alone"),
        ({"a.csv": "x", "b.csv": "x"}, "not one table alone.*a.csv, b.csv"),
        ({"inner.zip": "x"}, "not one table alone.*inner.zip"),
        ({"a.csv": "PK\x03\x04"}, "archive inside the archive"),
        ({"[Content_Types].xml": "x", "xl/a.xml": "x"}, "spreadsheet"),
        ({"a.csv": ""}, "empty"),
    ],
)
def test_zips_that_are_no_archive_of_records(tmp_path, files, said):
    path = exports.pack(tmp_path / "a.zip", files)
    with pytest.raises(BadRecordError, match=rf"^a\.zip: .*{said}"):
        read_occurrences(path)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_cut_files(tmp_path, keep):
    archive = exports.pack(
        tmp_path / "whole.zip",
        {"meta.xml": GOOD, "occurrence.txt": exports.tabbed(*[("1", "Aus bus", 1, 2, "")] * 999)},
    )
    page = json.dumps({"results": [exports.observation()] * 9}).encode()
    for name, data, said in (
        ("a.zip", archive.read_bytes(), "zip archive is cut short"),
        ("a.json", page, "JSON file is cut short or damaged"),
        ("a.json.gz", gzip.compress(page), "gzip file is cut short"),
    ):
        path = tmp_path / name
        path.write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(BadRecordError, match=said):
            read_occurrences(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}', "neither GeoJSON nor iNaturalist"),
        (b"[1, 2]", "neither GeoJSON nor iNaturalist"),
        (b"[]", "No column for"),
        (b'{"type": "FeatureCollection", "features": 3}', "no list of features"),
        (b'{"type": "FeatureCollection", "features": [], "crs": 3}', "names no system"),
        (b"[" * 100_000, "JSON"),
        (gzip.compress(b"PK\x03\x04 and more", mtime=0), "archive inside a gzip"),
        (b"SQLite format 3\0 and more", "GeoPackage"),
        (bytes(257) + b"ustar", "tar archive"),
        ("species,lon,lat\n".encode("utf-16") + b"\x00", "not utf-16"),
    ],
)
def test_files_that_are_something_else(tmp_path, content, said):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(BadRecordError, match=said):
        read_occurrences(path)


# Output


def test_output_that_cannot_be_written(load, tmp_path, monkeypatch):
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(BadRecordError, match=r"Cannot write .*records\.parquet \("):
        load(HEADER + "Aus bus,1,2,,\n")
    assert files_in(tmp_path) == ["out", "source.csv"]


@pytest.mark.parametrize("at", [1, 2, 3])
def test_full_disk_leaves_nothing(load, tmp_path, monkeypatch, at):
    import pyarrow.parquet as pq

    write, calls = pq.ParquetWriter.write_table, []

    def full(self, *arguments, **options):
        calls.append(1)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    monkeypatch.setattr("csp_core.data.reading.lines.BLOCK", 100)
    monkeypatch.setattr("csp_core.data.reading.importing.FEW_ROWS", 1)
    with pytest.raises(BadRecordError, match=r"Cannot write .*No space left on device"):
        load(HEADER + "Aus bus,1,2,,\nAus bus,,2,,\n" * 50)
    assert files_in(tmp_path) == ["source.csv"]


def test_a_file_that_may_not_grow_leaves_nothing(load, tmp_path):
    chance = np.random.default_rng(0)
    places = chance.uniform(-80, 80, (20_000, 2)).tolist()
    text = HEADER + "".join(f"Aus bus,{x},{y},,\n" for x, y in places)
    load(HEADER + "Aus bus,1,2,,\n")
    before = (tmp_path / "out" / "records.parquet").read_bytes()
    (tmp_path / "source.csv").write_text(text)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(BadRecordError, match="Cannot write"):
            import_records(tmp_path / "source.csv", tmp_path / "out" / "records.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # What stood there before stands there still.
    assert (tmp_path / "out" / "records.parquet").read_bytes() == before
    assert files_in(tmp_path) == ["records.parquet", "source.csv"]


def test_no_usable_record_writes_nothing(load, tmp_path):
    report, kept, dropped = load(HEADER + "Aus bus,,2,,\n" * 3)
    assert report.rows_kept == 0 and kept is None and dropped is None
    assert files_in(tmp_path) == ["source.csv"]


def test_arguments(load, tmp_path):
    with pytest.raises(ConfigError, match="metres above 0"):
        load(HEADER + "Aus bus,1,2,,\n", max_uncertainty_m=-1)
    with pytest.raises(DataNotFoundError, match="No file"):
        import_records(tmp_path / "none.csv", tmp_path / "o.parquet")


@pytest.mark.parametrize("good", [True, False])
def test_command(tmp_path, monkeypatch, capsys, good):
    source, out, told = (tmp_path / n for n in ("s.csv", "o.parquet", "report.json"))
    source.write_text(
        HEADER + ("Aus bus,1,2,,\n" * 2 if good else "") + "Aus bus,1,2,,900\nAus,1,2,,\n"
    )
    arguments = ["--report", told, "--drop-duplicates", "--max-uncertainty", "100"]
    monkeypatch.setattr(sys, "argv", ["csp", "import-data", *map(str, (source, out, *arguments))])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capsys.readouterr()
    report = json.loads(told.read_text())
    assert report["rows_read"] == report["rows_kept"] + sum(report["dropped"].values())
    if good:
        assert not ended.value.code and pl.read_parquet(out).height == 1
        assert pl.read_parquet(tmp_path / "o.dropped.parquet").height == 3
    else:
        assert ended.value.code == 1 and len(printed.err.splitlines()) == 1
        assert not out.exists()


def test_the_benchmark_runs(tmp_path):
    script = Path(__file__).parents[3] / "benchmarks" / "import_speed.py"
    command = [sys.executable, str(script), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "import_speed.json").read_text())
    assert [run["rows"] for run in report["runs"]] == [2_000, 200_000]
    assert (tmp_path / "import_speed.md").exists()


def test_names_of_an_import_are_not_judged_again(tmp_path, monkeypatch):
    given = tmp_path / "given.csv"
    given.write_text("species,lon,lat\nTURDUS MERULA Linnaeus 1758,13,52\nWald_7 (alt),14,52\n")
    import_records(given, tmp_path / "tidy.parquet", mapping={"scientific_name": "species"})
    mended, _ = read_occurrences(tmp_path / "tidy.parquet")
    judged = []
    monkeypatch.setattr(scientific, "judge_name", judged.append)
    again, report = read_occurrences(tmp_path / "tidy.parquet")
    assert again.table.equals(mended.table) and not judged and report.rows_kept == 2
    # The same columns by anybody else are judged, as is what was dropped.
    monkeypatch.undo()
    other = mended.table.with_columns(scientific_name=pl.lit("TURDUS MERULA L."))
    other.write_parquet(tmp_path / "other.parquet")
    found, _ = read_occurrences(tmp_path / "other.parquet")
    assert set(found.table["scientific_name"]) == {"Turdus merula"}
