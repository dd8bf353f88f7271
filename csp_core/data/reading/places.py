"""Places where one species was seen, and where it was not, read from a file of records."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from csp_core.data.names import identity
from csp_core.data.reading.cleaning import Rules
from csp_core.data.reading.importing import Import
from csp_core.data.reading.presence import ABSENCE, NO_COUNT
from csp_core.data.reading.report import ImportReport
from csp_core.errors import BadRecordError

SHOWN = 5
LonLat = tuple[float, float]
OTHERS = "of another species, or without a name"


@dataclass(frozen=True)
class Places:
    """Places of one species.

    Args:
        seen: Longitude and latitude, degrees, of each place where it was seen.
        missed: The same where it was looked for and not seen.
        name: Its name as the file has it, or ``""``.
        report: What was read, and what was left out before species were looked at.
        left_out: Reason to number of the records that are neither seen nor missed.
    """

    seen: tuple[LonLat, ...]
    missed: tuple[LonLat, ...]
    name: str
    report: ImportReport
    left_out: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return what was read as plain values, without the places.

        Returns:
            Name to value.
        """
        return {
            "file": self.report.file,
            "name": self.name,
            "rows_read": self.report.rows_read,
            "seen": len(self.seen),
            "missed": len(self.missed),
            "left_out": dict(self.left_out),
        }


def read_places(
    path: str | Path,
    name: str = "",
    *,
    mapping: Mapping[str, str] | None = None,
    all_missed: bool = False,
) -> Places:
    r"""Read where a species was seen, and where it was not, from any file that records come in.

    A file needs no names. Absences are told as ``read_occurrences`` tells them: by what a status
    says, or by a count of 0.

    Args:
        path: The file.
        name: The species; needed where the file names several.
        mapping: Canonical column to the column of the file.
        all_missed: Whether every record is one of an absence, whatever the file says of it, of
            whichever species if none is named.

    Returns:
        The places, with a report of every record that is not among them.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, or does not say which species is meant.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "seen.csv")
        >>> _ = file.write_text("lon,lat,occurrenceStatus\n13,52,present\n14,50,absent\n")
        >>> found = read_places(file)
        >>> found.seen, found.missed
        (((13.0, 52.0),), ((14.0, 50.0),))
    """
    seen, report = _read(path, mapping, absences=False)
    missed, _ = _read(path, mapping, absences=True)
    # Of another file, every record is of no matter which species.
    if name or not all_missed:
        meant, name = _of_one([seen, missed], name, Path(path).name)
    else:
        meant = [seen, missed]
    left = {why: many for why, many in report.dropped.items() if why not in (ABSENCE, NO_COUNT)}
    if others := len(seen) + len(missed) - sum(map(len, meant)):
        left[OTHERS] = others
    there, gone = (tuple(table.select("lon", "lat").rows()) for table in meant)
    if all_missed:
        there, gone = (), there + gone
    return Places(there, gone, name, report, left)


def _read(
    path: str | Path, mapping: Mapping[str, str] | None, *, absences: bool
) -> tuple[pl.DataFrame, ImportReport]:
    rules = Rules(today=datetime.date.today(), judged_before=True, named=False, absences=absences)
    work = Import(Path(path), mapping, rules)
    tables = [kept.select("scientific_name", "lon", "lat") for kept, _ in work.batches()]
    return pl.concat(tables), work.report()


def _of_one(tables: list[pl.DataFrame], name: str, file: str) -> tuple[list[pl.DataFrame], str]:
    """Leave the records of one species, and those without a name where none has any."""
    column = pl.concat([table["scientific_name"] for table in tables]).drop_nulls()
    known = column.value_counts(sort=True)["scientific_name"].to_list()
    if not known:
        return tables, name
    meant = [one for one in known if identity(one) == identity(name)] if name else known
    if len(meant) != 1:
        listed = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
        what = f"none of them is {name!r}" if name and not meant else "one at a time is learned"
        raise BadRecordError(
            f"The file names {len(known):,} species ({listed}), and {what}: give the name of one.",
            file=file,
        )
    return [table.filter(pl.col("scientific_name") == meant[0]) for table in tables], meant[0]
