"""Parquet and GeoParquet."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO, cast

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from csp_core.data.reading.archives import copy_to
from csp_core.data.reading.columns import ALIASES, plain
from csp_core.data.reading.lists import (
    MOST,
    dictionary_lengths,
    is_several,
    joined,
    text_kind,
    text_lengths,
)
from csp_core.data.reading.source import IMPORTED, RADIUS, Chunk, Opener, Source
from csp_core.data.reading.twins import set_apart, shown
from csp_core.data.shapes import Places, places_of_wkb, to_wgs84
from csp_core.errors import BadRecordError

ROWS = 100_000
# A value that repeats is stored once; written out, a file may grow so much and so many times.
MAX_EXPANDED, MAX_RATIO = 1 << 28, 200
# What is written out at once, and what a column of a row group takes before that.
PIECE, MAX_CHUNK = 1 << 26, 1 << 29
# Each row group costs a millisecond, whatever it holds.
MANY_GROUPS, FEW_ROWS = 5_000, 1_000


class ParquetSource(Source):
    """Records in a Parquet file; its first row counts as line 2.

    A GeoParquet geometry becomes the columns ``lon`` and ``lat``, in WGS84 whatever its reference
    system. So does a list ``location`` of latitude and longitude, as iNaturalist has it.

    Args:
        opener: Opens the file.

    Raises:
        BadRecordError: If it is cut short or damaged, or its reference system is unknown.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        try:
            with seekable(opener) as stream:
                file = pq.ParquetFile(stream)
                schema = file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise _damaged(error) from error
        names, twins = set_apart(schema.names)
        self.imported = (schema.metadata or {}).get(IMPORTED[0]) == IMPORTED[1]
        self._kinds = dict(zip(names, schema.types, strict=True))
        self.nested = frozenset(
            n for n, k in self._kinds.items() if pa.types.is_nested(k) and not is_several(n, k)
        )
        self._geometry, self._crs, self._transform = "", None, None
        found = _geometry(schema)
        if found and found[0] in names:
            self._geometry, self._crs = found
            self._transform = to_wgs84(self._crs)
        self._location = "" if self._geometry else _location(schema)
        # Computed columns go by our own spelling, which is preferred to every alias.
        computed = self._geometry or self._location
        header = [*(n for n in names if not computed or n not in ("lon", "lat", computed))]
        notes = []
        if computed:
            header += ["lon", "lat", *[RADIUS] * bool(self._geometry)]
            notes.append(f"places are those of the column {computed!r}")
        if self._geometry and self._crs is None:
            notes[-1] += ", of which the file names no reference system; WGS84 was assumed"
        if self._transform:
            notes[-1] += f", converted to WGS84 from {self._transform.source_crs.name}"
        name = "geoparquet" if self._geometry else "parquet"
        super().__init__(name, shown(header), notes=notes)
        self.twins = {
            name: [n for n in others if n not in self.nested]
            for name, others in twins.items()
            if name not in self.nested
        }
        if computed:
            self.known = {"lon": "lon", "lat": "lat"}

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the records.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            100,000 records at a time.

        Raises:
            BadRecordError: If the file is cut short or damaged.
        """
        computed = self._geometry or self._location
        places = bool(computed) and bool({"lon", "lat"} & set(columns))
        stored = [name for name in columns if not (places and name in ("lon", "lat", RADIUS))]
        stored += [computed] * places
        self._check_plain(stored, computed)
        line = 2
        try:
            with seekable(self._opener) as stream:
                for raw in _pieces(stream, stored):
                    if places:
                        raw = self._with_places(raw, computed)
                    lines = pl.int_range(line, line + len(raw), dtype=pl.Int64, eager=True)
                    line += len(raw)
                    yield Chunk(raw.select(columns), lines)
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
            raise _damaged(error) from error

    def _check_plain(self, columns: Sequence[str], computed: str) -> None:
        """Refuse columns that hold no plain values, before any is read."""
        for name in columns:
            kind = self._kinds[name]
            if name != computed and (name in self.nested or pa.types.is_fixed_size_binary(kind)):
                held = pl.Series(pl.from_arrow(pa.array([], kind))).dtype
                raise BadRecordError(f"The column holds {held}; give one plain value.", column=name)

    def _with_places(self, raw: pl.DataFrame, computed: str) -> pl.DataFrame:
        if not self._location:
            return with_places(raw, places_of_wkb(raw[computed], self._transform), self.counts)
        values = raw[computed].cast(pl.List(pl.Float64))
        lon, lat = (values.list.get(at, null_on_oob=True) for at in (1, 0))
        return raw.with_columns(lon.alias("lon"), lat.alias("lat"))


def with_places(table: pl.DataFrame, places: Places, counts: Counter[str]) -> pl.DataFrame:
    """Add the columns of places, with a row for each.

    Args:
        table: ``(N,)`` records.
        places: Theirs.
        counts: Where to count what was done.

    Returns:
        ``(M,)`` records with ``lon``, ``lat`` and ``RADIUS``.
    """
    counts.update(places.counts)
    if len(places.row) > len(table):
        table = table[places.row]
    named = {"lon": places.lon, "lat": places.lat, RADIUS: places.radius_m}
    return table.with_columns(
        pl.Series(name, values, nan_to_null=True) for name, values in named.items()
    )


def _pieces(stream: BinaryIO, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Read columns in pieces that stay small when values that repeat are written out."""
    size = stream.seek(0, io.SEEK_END)
    most = max(MAX_EXPANDED, MAX_RATIO * size)
    stream.seek(0)
    file = pq.ParquetFile(stream)
    given = file.schema_arrow.names
    own, _ = set_apart(given)
    stored = {given[own.index(name)] for name in columns}
    fields = [field for field in file.schema_arrow if field.name in stored]
    several = {field.name for field in fields if is_several(field.name, field.type)}
    _check_metadata(file.metadata, stored, most, several)
    paths = [file.schema.column(at).path for at in range(len(file.schema))]
    texts = [field.name for field in fields if text_kind(field.type)]
    texts += [path for path in paths if path.split(".")[0] in several]
    # Values that repeat come as a dictionary and numbers in it, so that their size is known first.
    file = pq.ParquetFile(stream, read_dictionary=texts)
    for batch in file.iter_batches(ROWS, columns=list(stored)):
        batch.validate(full=True)
        lengths = np.full(len(batch), 8 * len(columns), dtype=np.int64)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name in several:
                lengths += text_lengths(column)
            elif pa.types.is_dictionary(column.type):
                lengths += dictionary_lengths(column)
        ends = np.cumsum(lengths)
        most -= int(ends[-1]) if len(ends) else 0
        if most < 0:
            raise _bomb()
        # Each piece ends with the record that fills it.
        cuts = np.unique(np.searchsorted(ends, np.arange(PIECE, ends[-1:].sum(), PIECE)) + 1)
        for start, end in itertools.pairwise([0, *cuts[cuts < len(ends)].tolist(), len(ends)]):
            if int(lengths[start:end].max(initial=0)) > PIECE:
                raise BadRecordError("A record is longer than 64 MB: this is no table of records.")
            yield _written_out(batch.slice(start, end - start), several, columns)


def _written_out(
    batch: pa.RecordBatch, several: Collection[str], wanted: Sequence[str]
) -> pl.DataFrame:
    """Turn dictionaries to plain values, and lists of them to one, in columns told apart."""
    columns = [
        joined(c)
        if name in several
        else c.cast(_wide(c.type.value_type))
        if pa.types.is_dictionary(c.type)
        else c
        for name, c in zip(batch.schema.names, batch.columns, strict=True)
    ]
    own, _ = set_apart(batch.schema.names)
    # By number, as a name ends at a hidden mark where it passes from one library to the other.
    numbered = pa.RecordBatch.from_arrays(columns, names=[f"{at}" for at in range(len(own))])
    table = pl.DataFrame(pl.from_arrow(numbered))
    return table.select(pl.col(f"{own.index(name)}").alias(name) for name in wanted)


def _wide(kind: pa.DataType) -> pa.DataType:
    return kind if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) else pa.large_string()


def _check_metadata(
    about: pq.FileMetaData, columns: Collection[str], most: int, several: Collection[str]
) -> None:
    """Refuse what the file itself says would grow too much: rows cost time whatever they hold."""
    if about.num_rows * 8 * len(columns) > most:
        raise _bomb(about.num_rows)
    groups = about.num_row_groups
    if groups > MANY_GROUPS and about.num_rows < FEW_ROWS * groups:
        raise BadRecordError(
            f"The Parquet file holds {about.num_rows:,} records in {groups:,} row groups; more than"
            f" {MANY_GROUPS:,} groups are read if they hold {FEW_ROWS:,} records and more: write it"
            " in fewer."
        )
    for number in range(groups):
        group = about.row_group(number)
        for at in range(group.num_columns):
            chunk = group.column(at)
            name = chunk.path_in_schema.split(".")[0]
            if name not in columns:
                continue
            # Beside lists of flags that of two numbers, the place, is the longest that is read.
            each = MOST if name in several else 3
            if (
                chunk.total_uncompressed_size > MAX_CHUNK
                or chunk.num_values > each * group.num_rows
            ):
                raise BadRecordError(
                    f"A part of the column holds {chunk.num_values:,} values in"
                    f" {chunk.total_uncompressed_size / 1e6:.0f} MB; write the file in row groups"
                    f" of up to {MAX_CHUNK / 1e6:.0f} MB a column, a value for each record.",
                    column=chunk.path_in_schema[:80],
                )


def _bomb(rows: int | None = None) -> BadRecordError:
    held = "values that repeat" if rows is None else f"{rows:,} records"
    return BadRecordError(
        f"The Parquet file holds {held}, which would grow to more than {MAX_RATIO} times the file"
        f" and {MAX_EXPANDED / 1e6:.0f} MB: no table of records. Give the records alone."
    )


@contextlib.contextmanager
def seekable(opener: Opener) -> Iterator[BinaryIO]:
    """Open a file so that any part of it can be reached.

    Args:
        opener: Opens it.

    Yields:
        Its stream, or that of a nameless copy on disk where it comes out of an archive.
    """
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(opener())
        if not stream.seekable():
            copy = stack.enter_context(tempfile.TemporaryFile())
            copy_to(copy, stream)
            stream = cast(BinaryIO, copy)
        yield stream


def _geometry(schema: pa.Schema) -> tuple[str, Any] | None:
    """Read which column holds the geometry, with its reference system."""
    text = (schema.metadata or {}).get(b"geo")
    if text is None:
        return None
    try:
        geo = json.loads(text)
        name = geo["primary_column"]
        about = geo["columns"][name]
        # The standard takes longitude and latitude where nothing is said.
        return str(name), about.get("crs", "OGC:CRS84")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRecordError(f"The GeoParquet metadata is damaged ({error!r}).") from error


def _location(schema: pa.Schema) -> str:
    """Find a list of latitude and longitude where no other column holds a place."""
    known = {plain(name) for name in schema.names}
    if known & {*ALIASES["lon"]} and known & {*ALIASES["lat"]}:
        return ""
    kinds = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    for field in schema:
        if field.name == "location" and any(kind(field.type) for kind in kinds):
            return "location" if pa.types.is_floating(field.type.value_type) else ""
    return ""


def _damaged(error: Exception) -> BadRecordError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return BadRecordError(f"The Parquet file is cut short or damaged ({reason}); copy it again.")
