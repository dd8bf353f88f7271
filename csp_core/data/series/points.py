"""Tables as files of polars, and labelled points in them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from csp_core.errors import BadRecordError, DataNotFoundError

# What the columns may be called; the first that is there counts.
LON = ("longitude", "lon", "decimallongitude", "x")
LAT = ("latitude", "lat", "decimallatitude", "y")
LABEL = ("label", "class", "landcover")
TABLES = {".csv": ",", ".tsv": "\t", ".parquet": ""}


def read_table(path: Path, *, separator: str | None = None) -> pl.DataFrame:
    """Read a table.

    Args:
        path: CSV, TSV or Parquet.
        separator: What parts the columns of a text; None for what the file's name says.

    Returns:
        Its columns.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read.
    """
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}: give a table, CSV, TSV or Parquet.")
    if path.suffix.lower() not in TABLES:
        raise BadRecordError("give a CSV, TSV or Parquet table", file=path.name)
    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        own = separator or TABLES[path.suffix.lower()]
        return pl.read_csv(path, separator=own, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise BadRecordError(f"cannot be read as a table ({said})", file=path.name) from error


def find_columns(
    table: pl.DataFrame, names: dict[str, tuple[str, ...]], needed: tuple[str, ...], file: str
) -> dict[str, str]:
    """Find the columns of a table, whatever the case of their names.

    Args:
        table: The table.
        names: What each may be called; the first that is there counts.
        needed: Those that must be there.
        file: What to call the table.

    Returns:
        Each that is there to its name in the table.

    Raises:
        BadRecordError: If one that must be there is not.
    """
    lower = {name.lower(): name for name in reversed(table.columns)}
    found = {key: lower[name] for key, some in names.items()
             for name in reversed(some) if name in lower}  # fmt: skip
    missing = [key for key in needed if key not in found]
    if missing:
        raise BadRecordError(
            f"no column for {', '.join(missing)} (such as"
            f" {', '.join(names[key][0] for key in missing)}); the columns are"
            f" {', '.join(table.columns)[:200]}",
            file=file,
        )
    return found


def read_points(path: Path) -> pl.DataFrame:
    """Read labelled points.

    Args:
        path: CSV, TSV or Parquet with longitude, latitude and label.

    Returns:
        ``lon`` and ``lat``, degrees, and ``label`` of the points that have all three.

    Raises:
        CspError: If there is no such file, a column is missing, or no point has all three.
    """
    table = read_table(path)
    names = {"lon": LON, "lat": LAT, "label": LABEL}
    found = find_columns(table, names, ("lon", "lat", "label"), path.name)
    points = table.select(
        lon=pl.col(found["lon"]).cast(pl.Float64, strict=False),
        lat=pl.col(found["lat"]).cast(pl.Float64, strict=False),
        label=pl.col(found["label"]).cast(pl.String).str.strip_chars(),
    )
    points = points.filter(
        pl.col("lon").is_between(-180, 180),
        pl.col("lat").is_between(-90, 90),
        pl.col("label").str.len_chars() > 0,
    )
    if not len(points):
        raise BadRecordError("no point has a place and a label", file=path.name)
    return points
