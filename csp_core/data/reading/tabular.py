"""Parquet and GeoParquet."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from csp_core.data.reading.columns import ALIASES, plain
from csp_core.data.reading.source import Chunk, Opener, Source
from csp_core.data.shapes import points_of, to_wgs84
from csp_core.errors import BadRecordError

ROWS = 100_000


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
                schema = pq.ParquetFile(stream).schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise _damaged(error) from error
        names = list(schema.names)
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
            header += ["lon", "lat"]
            notes.append(f"places are those of the column {computed!r}")
        if self._transform:
            notes[-1] += f", converted to WGS84 from {self._transform.source_crs.name}"
        name = "geoparquet" if self._geometry else "parquet"
        super().__init__(name, header, notes=notes)

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
        stored = [name for name in columns if not (places and name in ("lon", "lat"))]
        line = 2
        try:
            with seekable(self._opener) as stream:
                file = pq.ParquetFile(stream)
                for batch in file.iter_batches(ROWS, columns=[*stored, *([computed] * places)]):
                    raw = pl.DataFrame(pl.from_arrow(batch))
                    if places:
                        raw = raw.with_columns(self._places(raw[computed]))
                    lines = pl.int_range(line, line + len(raw), dtype=pl.Int64, eager=True)
                    line += len(raw)
                    yield Chunk(raw.select(columns), lines)
        except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as error:
            raise _damaged(error) from error

    def _places(self, column: pl.Series) -> list[pl.Series]:
        if self._location:
            values = column.cast(pl.List(pl.Float64))
            return [
                values.list.get(1, null_on_oob=True).alias("lon"),
                values.list.get(0, null_on_oob=True).alias("lat"),
            ]
        lon, lat = points_of(column, self._transform)
        return [pl.Series("lon", lon, nan_to_null=True), pl.Series("lat", lat, nan_to_null=True)]


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
            shutil.copyfileobj(stream, copy)
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
