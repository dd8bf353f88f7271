"""Real occurrence files: what is read from them, and what is said of the rest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from csp_core.data import load_dataset, read_occurrences
from csp_core.data.reading import import_records
from csp_core.errors import BadRecordError, CspError

ROOT = Path(__file__).parents[2].parent / "shared" / "data"
ROOT = Path(os.environ.get("CSP_SHARED_DATA", ROOT))
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        not (ROOT / "birds").is_dir(),
        reason="needs the real data: put it beside the project as ../shared/data, or name its"
        " folder in CSP_SHARED_DATA",
    ),
]
BIRDS = ROOT / "birds" / "xeno_canto_birds.csv.gz"
EXPORTS = ROOT / "occurrence_exports"


def test_all_birds_are_read(tmp_path):
    records, report = read_occurrences(BIRDS)
    assert len(records) == report.rows_read == 24_603 and not report.dropped
    assert records.table["scientific_name"].n_unique() == 405
    # 1,604 as written; five names differ from others by a space at an end alone.
    assert records.table["recorder"].n_unique() == 1599
    records.write_parquet(tmp_path / "birds.parquet")
    again, _ = read_occurrences(tmp_path / "birds.parquet")
    assert again.table.equals(records.table)


def test_birds_as_a_data_set():
    parts = [load_dataset("occurrences", split, root=BIRDS) for split in ("train", "val", "all")]
    assert len(parts[0]) + len(parts[1]) == len(parts[2]) == 24_603
    assert sum(parts[1].classes.counts) == len(parts[0])
    assert parts[0].date.isnan().all()


def test_crustaceans_have_dates_and_cross_the_antimeridian():
    data = load_dataset("occurrences", "all", root=ROOT / "crustaceans" / "obis_mnhn.csv.gz")
    assert len(data) == 17_793 and len(data.classes) == 2081
    assert (~data.date.isnan()).sum() == 12_042
    assert data.lonlat[:, 0].min() < -170 and data.lonlat[:, 0].max() > 170


@pytest.mark.parametrize(
    ("file", "read", "kept"),
    [
        ("gbif_lions/occurrence.txt", 1000, 1000),
        ("dwca_ccby_denmark/occurrence.txt", 1843, 1843),
        ("gbif_dwca_seaexp/occurrence.txt", 573, 0),
        ("inaturalist/observations_export.csv", 47, 47),
        ("inaturalist/observations_dwca.csv", 50, 50),
    ],
)
def test_exports_as_they_come(file, read, kept):
    records, report = read_occurrences(EXPORTS / file)
    assert (report.rows_read, report.rows_kept, len(records)) == (read, kept, kept)
    assert read == kept + sum(report.dropped.values())


def everything() -> list[Path]:
    """List every file, and every folder that is a Darwin Core Archive."""
    found = [p for name in ("occurrence_exports", "crustaceans") for p in (ROOT / name).rglob("*")]
    return sorted(p for p in found if p.is_file() or (p / "meta.xml").is_file())


@pytest.mark.parametrize("path", everything(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_export_is_accounted_for_or_refused_in_one_line(path, tmp_path):
    try:
        records, read = read_occurrences(path)
        report = import_records(path, tmp_path / "out.parquet")
    except CspError as error:
        assert len(str(error).splitlines()) == 1
        assert not list(tmp_path.iterdir())
        return
    assert len(records) == read.rows_kept
    for told in (read, report):
        assert told.rows_read == told.rows_kept + sum(told.dropped.values())
    assert (tmp_path / "out.parquet").exists() == (report.rows_kept > 0)


@pytest.mark.parametrize(
    ("file", "format", "read", "kept"),
    [
        ("archives/gbif-results-whitespace-in-xml.zip", "darwin core archive", 158, 49),
        ("archives/dwca-simple-csv-dos.zip", "text", 3, 2),
        ("gbif_dwca_seaexp", "darwin core archive", 573, 0),
        ("inaturalist/observation.json", "inaturalist", 1, 1),
        ("inaturalist/observations.parquet", "parquet", 50, 48),
    ],
)
def test_formats(file, format, read, kept):
    _, report = read_occurrences(EXPORTS / file)
    assert (report.format, report.rows_read, report.rows_kept) == (format, read, kept)


def test_archive_of_taxa_has_no_places():
    with pytest.raises(BadRecordError, match="No column for lon, lat"):
        read_occurrences(EXPORTS / "archives" / "dwca-ids.zip")
