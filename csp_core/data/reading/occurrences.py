"""Occurrence tables: what a file of records holds, with a report of what was left out of it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from csp_core.data.reading.cleaning import SCHEMA, Rules
from csp_core.data.reading.importing import Import, import_records
from csp_core.data.reading.report import ImportReport
from csp_core.files import atomic_path


@dataclass(frozen=True, eq=False)
class Occurrences:
    """Occurrence records in one schema.

    Args:
        table: Columns ``scientific_name``, ``common_name``, ``lon``, ``lat`` (degrees, WGS84),
            ``date`` (day, may be empty), ``recorder``, ``uncertainty_m``, ``record_id``,
            ``license``; exact duplicates are kept, as two people may record one bird.
    """

    table: pl.DataFrame

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.table)

    def lonlat(self) -> Tensor:
        """Give the places.

        Returns:
            ``(N, 2)`` float32 degrees.
        """
        return self.table.select("lon", "lat").to_torch(dtype=pl.Float32)

    def write_parquet(self, path: str | Path) -> None:
        """Write the table, atomically; ``read_occurrences`` reads it back with equal content.

        Args:
            path: File to write.
        """
        with atomic_path(path) as temporary:
            self.table.write_parquet(temporary)


def read_occurrences(
    path: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    species_only: bool = False,
) -> tuple[Occurrences, ImportReport]:
    r"""Read occurrence records, whatever the format and the columns.

    Formats are told by content: CSV and TSV (also packed), Darwin Core Archives and Camtrap DP
    (zip or folder), spreadsheets, GeoJSON, JSON and JSON Lines, Parquet and GeoParquet, GeoPackage,
    zipped Shapefile, KML and GPX. The delimiter, the encoding and the columns (those of Darwin Core
    and of common exports) are found. Places are taken as
    WGS84 unless the file names another reference system. Records without a usable place or name
    and records of absences are dropped; impossible dates become empty; nothing is corrected by
    guessing. Names above species are kept, as classes need not be species.

    Args:
        path: The file, or the folder of a Darwin Core Archive.
        mapping: Canonical column to the column of the file, for columns that are not found or
            found wrongly, such as ``{"lon": "easting_deg"}``.
        species_only: Whether names of genera and above and open ones are dropped, as
            ``import_records`` does; not those of a column that ``mapping`` names, nor of a table
            that an import wrote, which was judged before.

    Returns:
        The records, and a report of every record that is not among them.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, holds no records, or lacks needed columns.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "birds.csv")
        >>> _ = file.write_text("species,longitude,latitude\nTurdus merula,13.4,52.5\n")
        >>> records, report = read_occurrences(file)
        >>> len(records), report.rows_read, report.mapping["lon"]
        (1, 1, 'longitude')
    """
    own_names = "scientific_name" in (mapping or {})
    rules = Rules(
        today=datetime.date.today(), species_only=species_only and not own_names, judged_before=True
    )
    work = Import(Path(path), mapping, rules)
    tables = [kept for kept, _ in work.batches()]
    return Occurrences(pl.concat(tables, rechunk=True)), work.report()


def part_of_year(dates: pl.Series) -> Tensor:
    """Turn dates into parts of the year.

    Args:
        dates: ``(N,)`` dates, may be empty in places.

    Returns:
        ``(N,)`` float32 in [0, 1), 0 on 1 January, NaN where there is no date.

    Example:
        >>> part_of_year(pl.Series([datetime.date(2023, 1, 1), None])).tolist()
        [0.0, nan]
    """
    day = dates.dt.ordinal_day().cast(pl.Float64) - 1
    days = 365 + dates.dt.is_leap_year().cast(pl.Float64)
    part = (day / days).cast(pl.Float32).fill_null(float("nan"))
    return torch.from_numpy(part.to_numpy().copy())


__all__ = [
    "SCHEMA",
    "ImportReport",
    "Occurrences",
    "import_records",
    "part_of_year",
    "read_occurrences",
]
