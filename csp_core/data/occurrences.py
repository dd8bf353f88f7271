"""Occurrence tables: what a file of records holds, with a report of what was left out of it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from csp_core.data.cleaning import SCHEMA, Examples, judge
from csp_core.data.columns import find_columns
from csp_core.data.readers import read_table
from csp_core.errors import BadRecordError
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


@dataclass(frozen=True)
class ImportReport:
    """What reading a file did; ``rows_read`` is ``rows_kept`` plus all that is in ``dropped``.

    Args:
        file: Name of the file, without its folder.
        format: What it was read as.
        delimiter: Name of the delimiter, ``""`` for formats without one.
        encoding: Text encoding, ``""`` for formats without one.
        mapping: Canonical column to the column of the file that it was read from.
        rows_read: Records in the file; blank lines do not count.
        rows_kept: Records that were kept.
        dropped: Reason to number of records left out.
        changed: Reason to number of kept records in which a value was changed.
        examples: Reason to its first (line, what stood there), header at line 1.
    """

    file: str
    format: str
    delimiter: str
    encoding: str
    mapping: dict[str, str]
    rows_read: int
    rows_kept: int
    dropped: dict[str, int]
    changed: dict[str, int]
    examples: dict[str, Examples]

    def to_dict(self) -> dict[str, object]:
        """Return the report as JSON can hold it.

        Returns:
            One entry per field.
        """
        some = {reason: [list(pair) for pair in pairs] for reason, pairs in self.examples.items()}
        return asdict(self) | {"examples": some}

    def __str__(self) -> str:
        """Return the report as a few lines of text."""
        kind = ", ".join(filter(None, (self.format, self.delimiter, self.encoding)))
        columns = ", ".join(f"{key} from {column!r}" for key, column in self.mapping.items())
        lines = [
            f"{self.file} ({kind}): {self.rows_kept:,} of {self.rows_read:,} records kept",
            f"  columns: {columns}",
        ]
        for title, counts in (("dropped", self.dropped), ("changed", self.changed)):
            for reason, count in counts.items():
                line, what = self.examples[reason][0]
                lines.append(f"  {title} {count:,}: {reason}; first at line {line}: {what}")
        return "\n".join(lines)


def read_occurrences(
    path: str | Path, *, mapping: Mapping[str, str] | None = None
) -> tuple[Occurrences, ImportReport]:
    r"""Read occurrence records from CSV, TSV (plain or gzip) or Parquet, whatever the columns.

    The delimiter, the encoding and the columns (Darwin Core, GBIF, iNaturalist and plain names) are
    found from the content. Coordinates are taken as WGS84. Records without a usable place or name
    are dropped; impossible dates become empty; nothing is corrected by guessing.

    Args:
        path: The file.
        mapping: Canonical column to the column of the file, for columns that are not found or
            found wrongly, such as ``{"lon": "easting_deg"}``.

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
    path = Path(path)
    columns: dict[str, str] = {}

    def choose(header: Sequence[str]) -> list[str]:
        columns.update(find_columns(header, mapping))
        return list(dict.fromkeys(columns.values()))

    try:
        raw = read_table(path, choose)
        judged = judge(raw, columns, today=datetime.date.today())
    except BadRecordError as error:
        if error.file is not None:
            raise
        raise BadRecordError(str(error), file=path.name) from error
    read = len(raw.table) + len(raw.rejected)
    if not read:
        raise BadRecordError("The file has a header but no records.", file=path.name)
    report = ImportReport(
        file=path.name,
        format=raw.format,
        delimiter=raw.delimiter,
        encoding=raw.encoding,
        mapping=columns,
        rows_read=read,
        rows_kept=len(judged.table),
        dropped=judged.dropped,
        changed=judged.changed,
        examples=judged.examples,
    )
    return Occurrences(judged.table), report


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


__all__ = ["SCHEMA", "ImportReport", "Occurrences", "part_of_year", "read_occurrences"]
