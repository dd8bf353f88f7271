"""Importing records: read, judge and count chunk by chunk, keep them or write them."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from csp_core.data.reading.byvalues import by_values
from csp_core.data.reading.cleaning import SCHEMA, Habits, Judged, Rules, judge
from csp_core.data.reading.columns import competing, find_columns, instead, spare_places
from csp_core.data.reading.duplicates import SeenKeys, keys_of
from csp_core.data.reading.extras import EXTRAS
from csp_core.data.reading.nameschoice import choose_names
from csp_core.data.reading.numbers import PLACE
from csp_core.data.reading.preparing import Preparation
from csp_core.data.reading.readers import open_source, plainly
from csp_core.data.reading.report import ImportReport, Tally
from csp_core.data.reading.sexagesimal import find_minutes
from csp_core.data.reading.source import IMPORTED, RADIUS, Chunk
from csp_core.data.shapes import AREA
from csp_core.errors import BadRecordError, ConfigError, CspError
from csp_core.files import atomic_path

# Each chunk costs time of its own, so that small ones are put together up to so much.
FEW_ROWS, FEW_BYTES = 20_000, 1 << 22
REPEATED = "same name, place and day as an earlier record"
# A dictionary of values that hardly repeat costs time and saves nothing.
REPETITIVE = ("scientific_name", "common_name", "recorder", "license", "reason")
DROPPED_SCHEMA: dict[str, type[pl.DataType]] = {
    "line": pl.Int64,
    **dict.fromkeys(("reason", "detail", "scientific_name", "record_id"), pl.String),
}


class Import:
    """One pass over a file of records.

    Args:
        path: The file.
        mapping: Canonical column to the column of the file.
        rules: What is asked of a record.
    """

    def __init__(self, path: Path, mapping: Mapping[str, str] | None, rules: Rules) -> None:
        self._path = path
        with plainly(path):
            self._source = open_source(path)
            source = self._source
            told = source.header, mapping, source.known, source.fallback
            columns = find_columns(*told, named=rules.named)
            source.notes += instead(columns, source.fallback)
            source.notes += competing(source.header, columns, source.known)
            if not source.imported:
                flat = [name for name in source.header if name not in source.nested]
                sure = {**source.known, **(mapping or {})}
                columns, said = choose_names(flat, columns, sure, self._reread)
                source.notes += said
                for find in (by_values, find_minutes):
                    columns, said = find(flat, columns, self._reread)
                    source.notes += said
        written = source.format == "parquet" and {*SCHEMA} <= {*source.header}
        if written and rules.judged_before:
            rules = replace(rules, species_only=False)
        self._rules = rules
        nested = [k for k in columns if k in EXTRAS and columns[k] in source.nested]
        # What only helps to judge is done without where no plain value can be read.
        plain = {k: v for k, v in columns.items() if k not in nested}
        # A place that was computed from a geometry, or that the user names, is the only one.
        settled = {*PLACE} & {*source.known, *(mapping or {})}
        flat = [name for name in source.header if name not in source.nested]
        spare = [] if settled else spare_places(flat, plain)
        source.notes += [f"lists in {columns[key]!r} are not read" for key in nested]
        self._prepare = Preparation(source.header, plain, spare)
        self._columns = self._prepare.columns
        placed = all(columns[key] == source.known.get(key) for key in PLACE)
        own = columns.get("scientific_name") == "scientific_name"
        mended = written and source.imported and own and rules.judged_before
        self._habits = Habits(self._columns, self._reread, placed, mended, written)
        self._tallies = {kind: Tally() for kind in ("dropped", "changed", "flagged")}
        self._seen = SeenKeys()
        self._read = self._kept = self._undated = 0

    def batches(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Read and judge the records.

        Yields:
            Some kept records in the columns of ``SCHEMA``, and the dropped ones between them.

        Raises:
            BadRecordError: If the file is damaged, or holds no records.
        """
        with plainly(self._path):
            for raw in _ahead(_together(self._source.together(self._prepare.reads))):
                chunk, changed = self._prepare(raw)
                judged = judge(chunk, self._habits, self._rules)
                kept = judged.kept.select("line")
                mended = [c.join(kept, on="line", how="semi") for c in changed]
                yield self._count(chunk, replace(judged, changed=(*judged.changed, *mended)))
            if not self._read:
                raise BadRecordError("The file has a header but no records.")

    def _reread(self, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Read columns of the whole file again, for what only all of it can tell."""
        # By a source of its own, as one counts what it passes over.
        return (chunk.table for chunk in open_source(self._path).together(columns))

    def _count(self, chunk: Chunk, judged: Judged) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Set repetitions apart and count everything."""
        kept, dropped = judged.kept, judged.dropped
        again = pl.Series(self._seen.add(keys_of(kept)))
        repeated = kept.filter(again).select(
            "line",
            "scientific_name",
            "record_id",
            reason=pl.lit(REPEATED),
            detail=pl.format(
                "{} at {}, {}",
                pl.col("scientific_name").fill_null("one without a name"),
                *(pl.col(key).round(5) for key in PLACE),
            ),
        )
        if self._rules.drop_duplicates:
            kept = kept.filter(~again)
            dropped = pl.concat([dropped, repeated.select(dropped.columns)])
        else:
            self._tallies["flagged"].add(repeated)
        if chunk.rejected:
            dropped = pl.concat([dropped, _rejected(chunk).select(dropped.columns)])
        self._tallies["dropped"].add(dropped)
        lines = kept.select("line")
        for kind, tables in (("changed", judged.changed), ("flagged", judged.flagged)):
            for table in tables:
                if self._rules.drop_duplicates:
                    table = table.join(lines, on="line", how="semi", maintain_order="left")
                self._tallies[kind].add(table)
        self._read += len(chunk.table) + len(chunk.rejected)
        self._kept += len(kept)
        self._undated += kept["date"].null_count()
        return kept.select(*SCHEMA), dropped.select(
            pl.col(k).cast(v) for k, v in DROPPED_SCHEMA.items()
        )

    def report(self) -> ImportReport:
        """Tell what was done so far.

        Returns:
            The report.
        """
        told = {kind: tally.counts for kind, tally in self._tallies.items()}
        counts = self._source.counts
        return ImportReport(
            file=self._path.name,
            format=self._source.format,
            delimiter=self._source.delimiter,
            encoding=self._source.encoding,
            mapping={
                k: c
                for k, c in self._columns.items()
                if c != RADIUS or (counts[AREA] and k != "radius_m")
            },
            rows_read=self._read,
            rows_kept=self._kept,
            dropped=told["dropped"],
            changed=told["changed"],
            flagged=told["flagged"],
            examples={k: v for tally in self._tallies.values() for k, v in tally.examples.items()},
            notes=(*self._source.told(), *self._habits.notes(), *self._without_date()),
            spellings={k: tuple(v) for k, v in self._habits.names.spellings.items()},
        )

    def _without_date(self) -> list[str]:
        """Say how many records have no date, where the file has a column for it or for its year."""
        if not self._undated or not {"date", "year"} & self._columns.keys():
            return []
        return [f"{self._undated:,} of {self._kept:,} records have no date"]


def _together(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Put small chunks together, as a file may come in as many as it has records."""
    held: list[Chunk] = []
    rows = size = 0
    for chunk in chunks:
        if held and held[0].table.schema != chunk.table.schema:
            yield _joined(held)
            held, rows, size = [], 0, 0
        held.append(chunk)
        rows += len(chunk.table) + len(chunk.rejected)
        size += int(chunk.table.estimated_size())
        if rows >= FEW_ROWS or size >= FEW_BYTES:
            yield _joined(held)
            held, rows, size = [], 0, 0
    if held:
        yield _joined(held)


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    return Chunk(
        pl.concat([chunk.table for chunk in chunks]),
        pl.concat([chunk.lines.cast(pl.Int64) for chunk in chunks]),
        tuple(row for chunk in chunks for row in chunk.rejected),
    )


def _ahead(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """Read the next chunk while the last one is judged and written."""
    with (
        contextlib.closing(cast(Generator[Chunk, None, None], chunks)),
        ThreadPoolExecutor(1) as pool,
    ):
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


def _rejected(chunk: Chunk) -> pl.DataFrame:
    none = pl.lit(None, pl.String)
    table = pl.DataFrame(chunk.rejected, schema=["line", "detail", "reason"], orient="row")
    return table.with_columns(scientific_name=none, record_id=none)


def import_records(
    path: str | Path,
    out: str | Path,
    *,
    mapping: Mapping[str, str] | None = None,
    drop_duplicates: bool = False,
    max_uncertainty_m: float | None = None,
    species_only: bool = True,
    drop_flagged: bool = False,
    dropped_out: str | Path | None = None,
) -> ImportReport:
    """Write the usable records of a file as one tidy Parquet table, in bounded memory.

    Nothing is written if no record is usable, and nothing is left half-written. Names above species
    are kept where ``mapping`` says which column holds the names: those are the user's own classes.

    Args:
        path: The file, in any form that ``read_occurrences`` takes.
        out: Parquet file to write.
        mapping: Canonical column to the column of the file.
        drop_duplicates: Drop repetitions of name, place and day; they are counted in any case.
        max_uncertainty_m: Drop records known to be less precise, in metres.
        species_only: Drop names of genera and above, and open ones ("Aus cf. bus").
        drop_flagged: Drop records that their source itself holds something against.
        dropped_out: Where the dropped records go, with line and reason; beside ``out`` if not
            given. Written only if there are any; that of an earlier import is removed.

    Returns:
        The report.

    Raises:
        ConfigError: If ``max_uncertainty_m`` is no distance.
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read, or the output cannot be written.
    """
    if max_uncertainty_m is not None and not max_uncertainty_m > 0:
        raise ConfigError(f"max_uncertainty_m is {max_uncertainty_m}; give metres above 0.")
    out = Path(out)
    beside = Path(dropped_out) if dropped_out else out.with_suffix(".dropped.parquet")
    own_names = "scientific_name" in (mapping or {})
    rules = Rules(
        today=datetime.date.today(),
        species_only=species_only and not own_names,
        max_uncertainty_m=max_uncertainty_m,
        drop_duplicates=drop_duplicates,
        drop_flagged=drop_flagged,
    )
    work = Import(Path(path), mapping, rules)
    with contextlib.suppress(_Nothing), _saying(out), contextlib.ExitStack() as renames:
        # Both files are closed before either takes its place.
        with contextlib.ExitStack() as files:
            kept = _Writer(out, renames, files, {IMPORTED[0]: IMPORTED[1]})
            dropped = _Writer(beside, renames, files, {})
            for good, bad in work.batches():
                kept.write(good)
                dropped.write(bad)
            if not kept.rows:
                raise _Nothing
        if not dropped.rows:
            # One of an earlier import would tell of records that are not missing here.
            beside.unlink(missing_ok=True)
    return work.report()


class _Writer:
    """Writes a Parquet file row group by row group; it is made with its first row."""

    def __init__(
        self,
        path: Path,
        renames: contextlib.ExitStack,
        files: contextlib.ExitStack,
        metadata: dict[bytes, bytes],
    ) -> None:
        self._path, self._renames, self._files = path, renames, files
        self._metadata = metadata
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def write(self, table: pl.DataFrame) -> None:
        """Append rows."""
        if not len(table):
            return
        arrow = table.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            temporary = self._renames.enter_context(atomic_path(self._path))
            stream = self._files.enter_context(temporary.open("wb"))
            schema = arrow.schema.with_metadata(self._metadata)
            writer = pq.ParquetWriter(
                stream, schema, compression="zstd", use_dictionary=list(REPETITIVE)
            )
            self._writer = self._files.enter_context(writer)
        self._writer.write_table(arrow)
        self.rows += len(table)


class _Nothing(Exception):
    """No record can be used, so no file shall appear."""


@contextlib.contextmanager
def _saying(out: Path) -> Iterator[None]:
    """Say in one sentence why the output cannot be written."""
    try:
        yield
    except CspError:
        raise
    except (OSError, pa.ArrowException) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise BadRecordError(f"Cannot write {out} ({said}); nothing was left there.") from error
