"""A data set from a table of occurrence records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from csp_core.data.groups import UNKNOWN_RECORDER
from csp_core.data.parts import LEFT_OUT
from csp_core.data.reading import ImportReport, part_of_year, read_occurrences
from csp_core.data.records import ClassTable, RecordDataset
from csp_core.data.splits import Split, deal
from csp_core.errors import BadRecordError, ConfigError
from csp_core.files import hash_file


def load_occurrences(
    split: str = "train",
    *,
    root: str | Path | None = None,
    mapping: Mapping[str, str] | None = None,
    min_records: int = 1,
    species_only: bool = True,
    split_method: str = "site",
    val_fraction: float = 0.1,
    test_fraction: float = 0.0,
    block_degrees: float = 2.0,
    seed: int = 0,
    max_uncertainty_m: float | None = None,
    buffer_km: float = 0.0,
    label_fraction: float = 1.0,
    max_per_class: int | None = None,
) -> RecordDataset:
    """Load occurrence records as a data set with one class per taxon.

    Exact duplicates are kept: two records of one taxon at one place and time are two recordings.

    Args:
        split: ``train``, ``val``, ``test`` or ``all``.
        root: The file, in any form that ``read_occurrences`` takes.
        mapping: Canonical column to the column of the file.
        species_only: Whether names of genera and above and open ones are dropped, as by ``csp
            import-data``: not if ``mapping`` names the column of names, nor from what it wrote.
        min_records: Taxa with fewer records in the whole file are left out.
        split_method: ``random``, ``site`` (0.01 degrees), ``block`` or ``recorder``.
        val_fraction: Share of the records for validation, in [0, 1).
        test_fraction: Share of the records for test, in [0, 1).
        block_degrees: Side of a block, for ``block``.
        seed: Seed of the split.
        max_uncertainty_m: Records known to be less precise than this are left out, in metres.
        buffer_km: Training records this near to a held-out record are left out; 0 leaves out none.
        label_fraction: Part of the training records of each class to keep, in (0, 1]; at least one
            of each stays.
        max_per_class: Training records of one class to keep at most, drawn by the seed; None keeps
            all.

    Returns:
        The records of the part (``all`` has those left out of training too); classes are sorted by
        scientific name and counted in the training part, whichever part is asked for.

    Raises:
        ConfigError: If an option does not fit.
        DataNotFoundError: If there is no such file.
        BadRecordError: If the file cannot be read or too little of it is left.
    """
    how = Split(
        method=split_method,
        val=val_fraction,
        test=test_fraction,
        block_degrees=block_degrees,
        buffer_km=buffer_km,
        seed=seed,
        label_fraction=label_fraction,
        max_per_class=max_per_class,
    )
    path = _checked(root)
    records, report = read_occurrences(path, mapping=mapping, species_only=species_only)
    table, left_out = _select(records.table, min_records, max_uncertainty_m)
    if not len(table):
        raise _nothing_left(path, report, left_out)
    lonlat = table.select("lon", "lat").to_torch(dtype=pl.Float32)
    recorder = _recorder_codes(table["recorder"])
    names, labels = _labels(table["scientific_name"])
    dealt = deal(how, lonlat, labels, recorder=recorder)
    rows = dealt.rows(split)
    date = part_of_year(table["date"])
    if buffer_km or label_fraction < 1 or max_per_class is not None:
        left_out["rows_left_out_of_training"] = int((dealt.parts == LEFT_OUT).sum())
    return RecordDataset(
        lonlat=lonlat[rows],
        label=labels[rows],
        classes=_classes(table, names, dealt.counts(labels, len(names))),
        date=date[rows],
        name=path.name.split(".")[0],
        info={**_describe(path, table, report), **left_out, "split": how.words(split)},
        recorder=recorder[rows],
        test_hash=dealt.test_hash(names, lonlat, labels, date),
    )


def _checked(root: str | Path | None) -> Path:
    if root is None:
        raise ConfigError("The data set 'occurrences' needs root: the path of a table of records.")
    return Path(root)


def _nothing_left(path: Path, report: ImportReport, left_out: dict[str, object]) -> BadRecordError:
    if not report.rows_kept:
        why = "; ".join(f"{count:,}: {reason}" for reason, count in report.dropped.items())
        return BadRecordError(
            f"No record is left to use of {report.rows_read:,} ({why}). Names above species are"
            " kept with species_only: false.",
            file=path.name,
        )
    return BadRecordError(
        f"No record is left to use: of {report.rows_kept:,} kept,"
        f" {left_out['rows_left_out_by_min_records']:,} are of taxa with fewer than"
        f" {left_out['min_records']} records (min_records) and"
        f" {left_out['rows_left_out_by_uncertainty']:,} are too vague (max_uncertainty_m).",
        file=path.name,
    )


def _labels(taxon: pl.Series) -> tuple[list[str], Tensor]:
    """Sort the names of the taxa and number the records by them."""
    # Sorted by their bytes in UTF-8, which is the order of their letters.
    names: list[str] = taxon.unique().sort().to_list()
    codes = taxon.rank("dense").cast(pl.Int64) - 1
    return names, torch.from_numpy(codes.to_numpy().copy())


def _classes(table: pl.DataFrame, names: list[str], counts: tuple[int, ...]) -> ClassTable:
    return ClassTable(tuple(names), _common_names(table, names), counts)


def _recorder_codes(recorder: pl.Series) -> Tensor:
    """Number recorders by a hash of their name, so that data sets can be compared without names.

    Names are compared as they stand, but for case and outer spaces; a team is a recorder of its
    own.
    """
    plain = recorder.cast(pl.String).fill_null("").str.strip_chars().str.to_lowercase()
    codes = {
        name: int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1
        for name in plain.unique().to_list()
    }
    codes[""] = UNKNOWN_RECORDER
    of_rows = plain.replace_strict(codes, return_dtype=pl.Int64)
    return torch.from_numpy(of_rows.to_numpy().copy())


def _describe(path: Path, table: pl.DataFrame, report: ImportReport) -> dict[str, object]:
    """Tell what was read, by whom it was recorded and under which licences."""
    return {
        "file": path.name,
        "sha256": hash_file(path),
        "rows_read": report.rows_read,
        "rows_kept": report.rows_kept,
        "dropped": report.dropped,
        "changed": report.changed,
        "flagged": report.flagged,
        "import_report": str(report).splitlines(),
        "recorders": sorted(set(table["recorder"].drop_nulls().str.strip_chars()) - {""}),
        "licenses": dict(sorted(table["license"].drop_nulls().value_counts().rows())),
    }


def _select(
    table: pl.DataFrame, min_records: int, max_uncertainty_m: float | None
) -> tuple[pl.DataFrame, dict[str, object]]:
    """Keep taxa with enough records, then records that are precise enough."""
    if min_records < 1:
        raise ConfigError(f"min_records is {min_records}; give 1 or more.")
    if max_uncertainty_m is not None and not max_uncertainty_m > 0:
        raise ConfigError(f"max_uncertainty_m is {max_uncertainty_m}; give metres above 0.")
    # One is what every taxon has; to count those of a million names takes a second.
    enough = table
    if min_records > 1:
        enough = table.filter(pl.len().over("scientific_name") >= min_records)
    vague = pl.col("uncertainty_m").fill_null(0) > (max_uncertainty_m or float("inf"))
    precise = enough.filter(~vague)
    taxa = 0
    if len(enough) < len(table):
        taxa = table["scientific_name"].n_unique() - enough["scientific_name"].n_unique()
    return precise, {
        "min_records": min_records,
        "rows_left_out_by_min_records": len(table) - len(enough),
        "taxa_left_out_by_min_records": taxa,
        "rows_left_out_by_uncertainty": len(enough) - len(precise),
    }


def _common_names(table: pl.DataFrame, names: list[str]) -> tuple[str, ...]:
    """Give each taxon its most frequent common name; of equals, the first in the alphabet."""
    if table["common_name"].null_count() == len(table):
        return ("",) * len(names)
    counted = table.drop_nulls("common_name").group_by("scientific_name", "common_name").len()
    ranked = counted.sort(["len", "common_name"], descending=[True, False])
    best = dict(
        ranked.unique("scientific_name", keep="first", maintain_order=True)
        .select("scientific_name", "common_name")
        .rows()
    )
    return tuple(best.get(name, "") for name in names)
