"""Makes small fakes of the exports that people bring: archives, API pages, GeoParquet."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import shapely

TERMS = "http://rs.tdwg.org/dwc/terms/"
FIELDS = ("occurrenceID", "scientificName", "decimalLatitude", "decimalLongitude", "eventDate")


def part(
    file: str,
    fields: Mapping[str, int | str],
    *,
    tag: str = "core",
    row: str = "Occurrence",
    attributes: str = r'fieldsTerminatedBy="\t" fieldsEnclosedBy="" ignoreHeaderLines="1"',
    key: int | None = 0,
) -> str:
    """Write a core or extension of meta.xml; a field is its index, or its default as text."""
    ids = "" if key is None else f'<{"id" if tag == "core" else "coreid"} index="{key}"/>'
    lines = [
        f'<field term="{TERMS}{name}" '
        + (f'index="{at}"/>' if isinstance(at, int) else f'default="{at}"/>')
        for name, at in fields.items()
    ]
    files = "".join(f"<location>{one}</location>" for one in file.split())
    return (
        f'<{tag} encoding="UTF-8" linesTerminatedBy="\\n" {attributes} rowType="{TERMS}{row}">'
        f"<files>{files}</files>{ids}{''.join(lines)}</{tag}>"
    )


def meta(*parts: str) -> str:
    """Write a meta.xml."""
    body = "".join(parts)
    return f'<archive xmlns="http://rs.tdwg.org/dwc/text/" metadata="metadata.xml">{body}</archive>'


def default_meta(file: str = "occurrence.txt") -> str:
    """Write the meta.xml of a plain archive of occurrences."""
    return meta(part(file, {name: i for i, name in enumerate(FIELDS)}))


def tabbed(*rows: tuple[Any, ...], header: tuple[str, ...] | None = FIELDS) -> str:
    """Write rows as Darwin Core text."""
    return "".join(
        "\t".join(map(str, row)) + "\n" for row in ([header] if header else []) + [*rows]
    )


def pack(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a zip archive and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def spread(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files into a folder and return it."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def observation(**more: Any) -> dict[str, Any]:
    """Give one observation as the iNaturalist API does."""
    return {
        "id": 7,
        "location": "52.5,13.4",
        "geojson": {"type": "Point", "coordinates": [13.4, 52.5]},
        "taxon": {
            "name": "Turdus merula",
            "rank": "species",
            "preferred_common_name": "Eurasian Blackbird",
        },
        "observed_on": "2021-03-04",
        "user": {"login": "ada"},
        "positional_accuracy": 12,
        "captive": False,
        "obscured": False,
        "license_code": "cc-by",
    } | more


def feature(geometry: dict[str, Any] | None, **properties: Any) -> dict[str, Any]:
    """Give one GeoJSON feature."""
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def collection(*features: dict[str, Any], **more: Any) -> str:
    """Write a GeoJSON file."""
    return json.dumps({"type": "FeatureCollection", "features": features} | more)


def geoparquet(path: Path, shapes: list[Any], crs: Any = "absent", **columns: Any) -> Path:
    """Write a GeoParquet file; ``crs`` may be left out, null or anything."""
    about: dict[str, Any] = {"encoding": "WKB", "geometry_types": []}
    if crs != "absent":
        about["crs"] = crs
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": about}}
    table = pl.DataFrame(
        columns | {"geometry": [None if s is None else shapely.to_wkb(s) for s in shapes]}
    ).to_arrow()
    table = table.replace_schema_metadata({"geo": json.dumps(geo)})
    pq.write_table(table, path)
    return path
