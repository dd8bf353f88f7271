"""Tables of captions, CSV: written for a data set, and found again for its records."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import torch

from csp_core.data.captions.column import LONGEST, tidy
from csp_core.data.images import ImageDataset
from csp_core.data.pictures import parts_of_time
from csp_core.data.pictures.clock import read_time
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, DataNotFoundError

# Bytes of a table; some millions of captions.
MOST_BYTES = 1 << 30
ENDINGS = (".csv",)
FIRST = 5
CAPTION, FILE, LON, LAT, DATE = "caption", "file", "lon", "lat", "date"
Key = tuple[object, ...]


@dataclass(frozen=True)
class CaptionTable:
    """What a table of captions says.

    Args:
        by_file: Captions by the name of a file; empty where the table names none.
        by_place: Captions by longitude, latitude and, where ``dated``, part of the year.
        dated: Whether the table has a column of dates.
        told: Rows that are left out, and why, in sentences: all are counted, the first quoted.
    """

    by_file: Mapping[str, str] = field(default_factory=dict)
    by_place: Mapping[Key, str] = field(default_factory=dict)
    dated: bool = False
    told: tuple[str, ...] = ()

    def find(self, dataset: RecordDataset) -> tuple[list[str], int]:
        """Find the caption of each record, by the file of its image or else by its place.

        Args:
            dataset: The records.

        Returns:
            A caption for each, empty where the table has none; and how many entries of the table
            are of no record.
        """
        files = file_names(dataset) if self.by_file else ()
        if not files:
            places = place_keys(dataset, dated=self.dated)
            found = [self.by_place.get(key, "") for key in places]
            return found, len(self.by_place.keys() - set(places))
        # An archive and the folder that it unpacks to differ in what stands before.
        short = _by_tail(self.by_file)
        names = [one if one in self.by_file else short.get(tail(one), one) for one in files]
        found = [self.by_file.get(name, "") for name in names]
        return found, len(self.by_file.keys() - set(names))


def file_names(dataset: RecordDataset) -> tuple[str, ...]:
    """List the names of the files of the records' images.

    Args:
        dataset: The records.

    Returns:
        A name for each record; nothing where the images come from no files, or are not read.
    """
    if not isinstance(dataset, ImageDataset) or len(dataset.rows) != len(dataset):
        return ()
    names: Sequence[str] = getattr(dataset.store, "names", ())
    return tuple(names[row] for row in dataset.rows.tolist()) if names else ()


def place_keys(dataset: RecordDataset, *, dated: bool) -> list[Key]:
    """Give what a table without files knows records by.

    Args:
        dataset: The records.
        dated: Whether the date is a part of it.

    Returns:
        Longitude, latitude and maybe part of the year of each, with the digits that float32 has;
        empty where a record has no place, None for a date that is not known.
    """
    rows = zip(dataset.lonlat.tolist(), dataset.date.tolist(), strict=True)
    return [
        () if math.isnan(lon) or math.isnan(lat) else _key(lon, lat, date if dated else None)
        for (lon, lat), date in rows
    ]


def _key(lon: float, lat: float, date: float | None) -> Key:
    return (lon, lat) if date is None else (lon, lat, None if math.isnan(date) else date)


def write_captions(dataset: RecordDataset, texts: Sequence[str], path: Path) -> tuple[int, int]:
    """Write captions so that ``read_captions`` finds them again.

    Without names of files a record is found by its place and date, and of several there the first
    is written.

    Args:
        dataset: The records.
        texts: The caption of each; records without one are left out.
        path: The file, UTF-8.

    Returns:
        How many rows were written, and how many records would not find their own caption: they have
        neither file nor place, or share their place and date with one of another caption.
    """
    files = file_names(dataset)
    dated = bool((~dataset.date.isnan()).any())
    columns = [*([FILE] if files else []), LON, LAT, *([DATE] if dated else []), CAPTION]
    keys: Sequence[object] = files or place_keys(dataset, dated=dated)
    written: dict[object, str] = {}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row, (key, text) in enumerate(zip(keys, texts, strict=True)):
            if not text or not key or key in written:
                continue
            written[key] = text
            numbers = [*dataset.lonlat[row].tolist(), *([dataset.date[row].item()] * dated)]
            # Nine digits are enough to find a float32 again.
            cells = ["" if math.isnan(one) else f"{one:.9g}" for one in numbers]
            writer.writerow([*([files[row]] if files else []), *cells, text])
    pairs = zip(keys, texts, strict=True)
    return len(written), sum(bool(text) and written.get(key) != text for key, text in pairs)


def read_captions(path: Path) -> CaptionTable:
    """Read a table of captions.

    Args:
        path: CSV, UTF-8, with the columns ``caption`` and ``file``, or ``lon`` and ``lat`` and
            maybe ``date`` (such as 2024-05-17, or a part of the year in [0, 1)), in any order;
            others are left alone.

    Returns:
        Its captions. Rows that have none, or name no record, are told and left out; of several
        captions of one record the first counts.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no such table, not UTF-8 or too large.
    """
    lines = csv.reader(io.StringIO(_text(path), newline=""))
    try:
        at = _columns(next(lines, []), path)
        reading = _Reading(dated=DATE in at)
        for cells in lines:
            if cells:
                # A row may be shorter than the header.
                cell = {name: cells[i].strip() if i < len(cells) else "" for name, i in at.items()}
                reading.take(cell, lines.line_num)
    except csv.Error as error:
        raise BadRecordError(f"no CSV ({error})", file=path.name, line=lines.line_num) from error
    if not reading.by_file and not reading.by_place:
        raise BadRecordError(
            f"holds no caption of a record. {' '.join(reading.sentences())}", file=path.name
        )
    return CaptionTable(
        reading.by_file, reading.by_place, reading.dated, tuple(reading.sentences())
    )


def _columns(header: Sequence[str], path: Path) -> dict[str, int]:
    """Find the columns of a table."""
    names = [cell.strip().lower() for cell in header]
    if CAPTION not in names or not (FILE in names or {LON, LAT} <= set(names)):
        told = ", ".join(names[:20])[:200]
        raise BadRecordError(
            f"has the columns {told or 'none'}; give caption, and file or lon and lat",
            file=path.name,
        )
    return {name: names.index(name) for name in (CAPTION, FILE, LON, LAT, DATE) if name in names}


@dataclass
class _Reading:
    """What was read so far."""

    dated: bool
    by_file: dict[str, str] = field(default_factory=dict)
    by_place: dict[Key, str] = field(default_factory=dict)
    left_out: dict[str, list[int]] = field(default_factory=dict)

    def take(self, cell: Mapping[str, str], line: int) -> None:
        """Take the row of a table."""
        text = tidy(cell[CAPTION])
        keys: list[tuple[dict[Key, str] | dict[str, str], str | Key]] = []
        place = self._place(cell)
        if name := cell.get(FILE, "").replace("\\", "/").removeprefix("./"):
            keys.append((self.by_file, name))
        if place:
            keys.append((self.by_place, place))
        why = ""
        if not text:
            why = "have an empty caption"
        elif len(text) > LONGEST:
            why = f"have a caption of more than {LONGEST:,} letters"
        elif not keys:
            why = "name neither a file nor a place on Earth"
        elif keys[0][1] in keys[0][0]:
            why = "are of a record that has a caption already"
        if why:
            self.left_out.setdefault(why, []).append(line)
            return
        for known, key in keys:
            known.setdefault(key, text)  # type: ignore[arg-type]

    def _place(self, cell: Mapping[str, str]) -> Key:
        try:
            pair = torch.tensor([float(cell.get(LON, "")), float(cell.get(LAT, ""))])
        except ValueError:
            return ()
        lon, lat = pair.tolist()
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            return ()
        return _key(lon, lat, _part_of_year(cell.get(DATE, "")) if self.dated else None)

    def sentences(self) -> Iterator[str]:
        """Tell which rows are left out, and why."""
        for why, lines in self.left_out.items():
            first = ", ".join(map(str, lines[:FIRST]))
            more = ", …" if len(lines) > FIRST else ""
            yield f"{len(lines):,} rows {why} (lines {first}{more})."


def _part_of_year(text: str) -> float:
    """Read a date, or a part of the year; NaN where it is neither."""
    day, _ = read_time(text)
    if day is not None:
        return float(torch.tensor(parts_of_time(day)[0]))
    try:
        part = float(torch.tensor(float(text)))
    except ValueError:
        return math.nan
    return part if 0 <= part < 1 else math.nan


def tail(name: str) -> str:
    """Cut the name of a file to its last two parts.

    Args:
        name: Such as ``2750/Forest/Forest_1.jpg``.

    Returns:
        Such as ``Forest/Forest_1.jpg``.
    """
    return "/".join(PurePosixPath(name).parts[-2:])


def _by_tail(names: Mapping[str, str]) -> dict[str, str]:
    """Find names by their last two parts, where these tell them apart."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(tail(name), []).append(name)
    return {short: several[0] for short, several in found.items() if len(several) == 1}


def _text(path: Path) -> str:
    if not path.is_file():
        raise DataNotFoundError(
            f"No file {path}: `csp caption DATA {path.name}` writes captions of a data set."
        )
    if path.stat().st_size > MOST_BYTES:
        raise BadRecordError(f"larger than {MOST_BYTES:,} bytes", file=path.name)
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadRecordError("is not UTF-8; save it as CSV UTF-8", file=path.name, line=line
                             ) from error  # fmt: skip
