"""What is known of BigEarthNet's patches without their pixels, in one table of one form."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from csp_core.data.sets.bigearthnet_patches import TILE
from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError

METADATA = "metadata_lonlat.parquet"
SPLITS = "splits"
PARTS = {"train": 0, "validation": 1, "val": 1, "test": 2}
# The flags of the second version, and the lists that tell the same of the first.
FLAGS = {"snow": "contains_seasonal_snow", "clouds": "contains_cloud_or_shadow"}
LISTS = {
    "snow": "patches_with_seasonal_snow.csv",
    "clouds": "patches_with_cloud_and_shadow.csv",
}


def read_metadata(root: Path) -> pl.DataFrame:
    """Read the table of the second version.

    Args:
        root: The folder of ``metadata_lonlat.parquet``.

    Returns:
        ``patch_id``, ``labels_19``, ``part``, ``lon``, ``lat``, ``date``, ``tile``, ``snow`` and
        ``clouds``.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If columns are missing.
    """
    columns = ["patch_id", "labels", "split", "lon", "lat", "date", *FLAGS.values()]
    found = read_parquet(root / METADATA, columns)
    part = found["split"].cast(pl.String).replace_strict(PARTS, default=-1, return_dtype=pl.Int64)
    return found.select(
        "patch_id",
        pl.col("labels").alias("labels_19"),
        part.alias("part"),
        *(pl.col(axis).cast(pl.Float64) for axis in ("lon", "lat")),
        "date",
        pl.col("patch_id").str.extract(TILE).alias("tile"),
        *(pl.col(flag).alias(name) for name, flag in FLAGS.items()),
    )


def read_splits(root: Path) -> pl.DataFrame | None:
    """Read the lists of the first version, as ``convert_split`` wrote them.

    Args:
        root: The folder that holds ``splits/train.parquet``, ``val.parquet`` and ``test.parquet``.

    Returns:
        ``patch_id``, ``part``, and what the lists say of labels, place and date; None where there
        are no lists.
    """
    lists = []
    for name in ("train", "val", "test"):
        path = root / SPLITS / f"{name}.parquet"
        if path.is_file():
            listed = read_parquet(path, ["patch_id"])
            lists.append(listed.with_columns(part=pl.lit(PARTS[name], pl.Int64)))
        elif (path.with_suffix(".pkl")).is_file():
            raise _unconverted(path)
    if not lists:
        return None
    return pl.concat(lists, how="diagonal").unique("patch_id", keep="first", maintain_order=True)


def _unconverted(path: Path) -> DataNotFoundError:
    return DataNotFoundError(
        f"{path.with_suffix('.pkl').name} is a pickle, which is not read as it is; make"
        f" {path.name} of it: csp import-splits {path.with_suffix('.pkl')} {path.parent}"
    )


def read_labelled(root: Path, fraction: float, classes: int) -> tuple[pl.Series, pl.Series]:
    """Read which training patches are labelled, as published.

    Args:
        root: The folder that holds ``splits``.
        fraction: Part of the training patches, as in the names of the files.
        classes: 19 or 43.

    Returns:
        Names of the labelled and of the unlabelled patches.

    Raises:
        DataNotFoundError: If there are no such lists, in either spelling of their names.
    """
    found = []
    for kind in ("lb", "ulb"):
        # As the published page spells the name, and as its code does.
        names = [f"train{dash}{fraction:g}_{kind}_{classes}.parquet" for dash in ("_", "")]
        paths = [root / SPLITS / name for name in names]
        there = next((path for path in paths if path.is_file()), None)
        if there is None:
            pickled = [path for path in paths if path.with_suffix(".pkl").is_file()]
            if pickled:
                raise _unconverted(pickled[0])
            raise DataNotFoundError(f"Neither {' nor '.join(names)} is in {root / SPLITS}.")
        found.append(read_parquet(there, ["patch_id"])["patch_id"])
    return found[0], found[1]


def marked(root: Path, table: pl.DataFrame, kind: str) -> pl.Series:
    """Tell which patches show snow, or clouds and their shadow.

    Args:
        root: The folder of the data set, where the lists of the first version lie, or in
            ``splits``.
        table: The patches.
        kind: A key of ``FLAGS``.

    Returns:
        True for each that does.

    Raises:
        ConfigError: If nothing says so.
    """
    if kind in table.columns:
        return table[kind].fill_null(False)
    for path in (root / LISTS[kind], root / SPLITS / LISTS[kind]):
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            names = [line.split(",")[0].strip().strip('"') for line in text.splitlines()]
            return table["patch_id"].is_in(names)
    raise ConfigError(
        f"To leave out patches with {kind}, put {LISTS[kind]} into {root}: it holds their names,"
        " one a line."
    )


def read_parquet(path: Path, columns: list[str]) -> pl.DataFrame:
    """Read a Parquet file that must have some columns.

    Args:
        path: The file.
        columns: What it must have.

    Returns:
        All of its columns.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it cannot be read or lacks a column.
    """
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}: it holds {', '.join(columns)} of each patch.")
    try:
        found = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        said = (str(error).splitlines() or [""])[0][:120]
        raise BadRecordError(f"no Parquet file that can be read ({said})", file=path.name
                             ) from error  # fmt: skip
    missing = [name for name in columns if name not in found.columns]
    if missing:
        raise BadRecordError(
            f"no column {', '.join(missing)}; the columns are {', '.join(found.columns)[:200]}",
            file=path.name,
        )
    return found


def parts_of_year(dates: pl.Series) -> pl.Series:
    """Turn dates into parts of the year, 0 on 1 January; null where there is none.

    Args:
        dates: Dates, times, or text that begins with a date as in 2017-06-17.

    Returns:
        Numbers in [0, 1).

    Example:
        >>> parts_of_year(pl.Series(["2017-01-01 11:33:21", "2017-12-31", ""])).round(3).to_list()
        [0.0, 0.997, None]
    """
    if dates.dtype == pl.String:
        dates = dates.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    days = 365 + dates.dt.is_leap_year().cast(pl.Float64)
    return (dates.dt.ordinal_day().cast(pl.Float64) - 1) / days
