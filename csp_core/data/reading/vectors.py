"""Layers of GeoPackages and Shapefiles, read through GDAL."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from csp_core.data.reading.beginning import is_header
from csp_core.data.reading.columns import ALIASES, EXTRAS, listed, plain
from csp_core.data.reading.source import RADIUS, Chunk, Source, empty_table
from csp_core.data.reading.tabular import with_places
from csp_core.data.reading.twins import twins_of
from csp_core.data.shapes import places_of_wkb, to_wgs84
from csp_core.errors import BadRecordError

ROWS = 10_000
# The length of a column's name in a Shapefile.
CUT = 10
# Gives the path of a file for as long as it is open.
OnDisk = Callable[[], contextlib.AbstractContextManager[Path]]


@dataclass(frozen=True)
class Layer:
    """One layer of a file.

    Args:
        name: Its name.
        fields: Its columns.
        geometry: Whether it has places.
        crs: Their reference system, None where the file names none.
    """

    name: str
    fields: tuple[str, ...]
    geometry: bool
    crs: str | None


class VectorSource(Source):
    """The records of a layer; the first counts as line 2.

    Of several layers the first counts that has the columns of records, else the first with places.

    Args:
        format: What it is read as.
        on_disk: Gives the path of the file.

    Raises:
        BadRecordError: If it is damaged, holds no layer, or its reference system is unknown.
    """

    def __init__(self, format: str, on_disk: OnDisk) -> None:
        self._on_disk = on_disk
        with on_disk() as path, _plainly(format):
            layers = _layers(path)
        if not layers:
            raise BadRecordError("The file holds no layer with records.")
        self._layer = next(filter(_is_records, layers), None) or next(
            (layer for layer in layers if layer.geometry), layers[0]
        )
        others = [repr(layer.name) for layer in layers if layer is not self._layer]
        notes = []
        if others:
            notes.append(f"layer {self._layer.name!r} was read, not {listed(others, 8)}")
        notes += _about_names(format, self._layer.fields)
        self._transform = None
        fields = list(self._layer.fields)
        if self._layer.geometry:
            fields = [name for name in fields if name not in ("lon", "lat", RADIUS)]
            fields += ["lon", "lat", RADIUS]
            self._transform = to_wgs84(self._layer.crs)
            notes += self._about_places()
        super().__init__(format, fields, notes=notes)
        self._format, self.twins = format, twins_of(fields)
        if self._layer.geometry:
            self.known = {"lon": "lon", "lat": "lat"}

    def _about_places(self) -> list[str]:
        if self._transform is not None:
            return [f"places converted to WGS84 from {self._transform.source_crs.name}"]
        if self._layer.crs is None:
            return ["the file names no reference system (.prj): places are taken as WGS84"]
        return []

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read the records.

        Args:
            columns: Those of ``header`` to read.

        Yields:
            Some thousand records at a time, typed as in the file.

        Raises:
            BadRecordError: If the file is damaged.
        """
        places = self._layer.geometry
        stored = [n for n in columns if not (places and n in ("lon", "lat", RADIUS))]
        line = 2
        with self._on_disk() as path, _plainly(self._format):
            for batch, geometry in _batches(path, self._layer, stored):
                table = pl.DataFrame({"\0row": np.arange(batch.num_rows)})
                if stored:
                    table = pl.DataFrame(pl.from_arrow(batch.select(stored)))
                if places:
                    shapes = batch.column(geometry)
                    # Some versions mark the bytes as a type of their own.
                    shapes = getattr(shapes, "storage", shapes).cast(pa.large_binary())
                    found = places_of_wkb(pl.Series("geometry", shapes), self._transform)
                    table = with_places(table, found, self.counts)
                lines = pl.int_range(line, line + len(table), dtype=pl.Int64, eager=True)
                line += len(table)
                yield Chunk(table.select(columns), lines)
        if line == 2:
            yield Chunk(empty_table(columns), pl.Series(dtype=pl.Int64))


def _about_names(format: str, fields: Sequence[str]) -> list[str]:
    """Say which names a Shapefile has cut, so that their columns were not known."""
    known = {name for names in (*ALIASES.values(), *EXTRAS.values()) for name in names}
    cut = [repr(n) for n in fields if len(n) == CUT and plain(n) not in known]
    if format != "shapefile" or not cut:
        return []
    return [
        f"a Shapefile cuts names at {CUT} signs; these columns were not known: {listed(cut, 8)}"
    ]


def _is_records(layer: Layer) -> bool:
    return is_header([*layer.fields, *(("lon", "lat") if layer.geometry else ())])


def _layers(path: Path) -> list[Layer]:
    """List the layers that hold records, in the order of the file."""
    import pyogrio

    layers = []
    for name in [str(row[0]) for row in pyogrio.list_layers(path)][:100]:
        about: dict[str, Any] = pyogrio.read_info(path, layer=name)
        kind, crs = about["geometry_type"], about["crs"]
        fields = tuple(str(field) for field in about["fields"])
        layers.append(Layer(name, fields, kind is not None, str(crs) if crs else None))
    return layers


def _batches(path: Path, layer: Layer, columns: Sequence[str]) -> Iterator[tuple[Any, str]]:
    """Read a layer piece by piece, each with the name of its geometry."""
    from pyogrio.raw import open_arrow

    with open_arrow(
        path,
        layer=layer.name,
        columns=list(columns),
        read_geometry=layer.geometry,
        batch_size=ROWS,
        use_pyarrow=True,
    ) as (about, reader):
        name = about.get("geometry_name") or "wkb_geometry"
        for batch in reader:
            yield batch, name


@contextlib.contextmanager
def _plainly(format: str) -> Iterator[None]:
    """Say in one sentence what goes wrong; what GDAL only warns of is not an error."""
    import pyogrio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    except BadRecordError:
        raise
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise _damaged(format, error) from error
    except (pyogrio.errors.FeatureError, pyogrio.errors.GeometryError, pa.ArrowException) as error:
        raise _damaged(format, error) from error
    except (RuntimeError, ValueError, UnicodeError, pl.exceptions.PolarsError) as error:
        raise _damaged(format, error) from error


def _damaged(format: str, error: Exception) -> BadRecordError:
    reason = (str(error).splitlines() or [""])[0][:120]
    return BadRecordError(f"The {format} is cut short or damaged ({reason}); copy it again.")
