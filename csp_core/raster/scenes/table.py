"""The areas of a map's classes as a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from csp_core.errors import ConfigError
from csp_core.files import spreadsheet_cell
from csp_core.files.writing import writing
from csp_core.raster.scenes.files import number_text
from csp_core.raster.scenes.report import MapReport

COLUMNS = (
    *("file", "number", "class", "pixels", "share", "unit", "area", "hectares"),
    *("expected_area", "low", "high", "doubtful_area"),
)
HECTARE_M2 = 10_000


def area_rows(report: MapReport) -> Iterator[dict[str, Any]]:
    """Give the areas of one map.

    Args:
        report: What was drawn.

    Yields:
        A row of ``COLUMNS`` for each class.
    """
    for number, area in zip(report.legend.numbers, report.areas, strict=True):
        yield {
            "file": report.name,
            "number": number,
            "class": area.name,
            "pixels": area.pixels,
            "share": area.share,
            "unit": report.unit,
            "area": area.counted,
            "hectares": area.counted / HECTARE_M2 if report.placed else None,
            "expected_area": area.expected,
            "low": area.low,
            "high": area.high,
            "doubtful_area": area.doubtful,
        }


def check_areas_ending(path: Path) -> None:
    """Refuse a name that is not one of a table.

    Args:
        path: The file to write.

    Raises:
        ConfigError: If it does not end in ``.csv``.
    """
    if path.suffix.lower() != ".csv":
        raise ConfigError(f"{path} has no ending of a table of areas; give .csv.")


def write_areas(reports: Sequence[MapReport], path: str | Path) -> None:
    """Write the areas of maps as CSV.

    Shares are written in full, so that they are those of the map's pixels exactly.

    Args:
        reports: What was drawn.
        path: File to write.

    Raises:
        ConfigError: If it does not end in ``.csv``.
        BadRecordError: If it cannot be written.
    """
    check_areas_ending(Path(path))
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for report in reports:
            for row in area_rows(report):
                writer.writerow([_cell(name, row[name]) for name in COLUMNS])


def _cell(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if name == "share":
        return repr(value)
    return number_text(value) if isinstance(value, float) else spreadsheet_cell(value)
