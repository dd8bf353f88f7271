"""Files of records: every format ends in one table, with a report of what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.data.reading.importing import import_records
    from csp_core.data.reading.occurrences import Occurrences, part_of_year, read_occurrences
    from csp_core.data.reading.report import ImportReport

_HOMES = {
    "ImportReport": "csp_core.data.reading.report",
    "Occurrences": "csp_core.data.reading.occurrences",
    "import_records": "csp_core.data.reading.importing",
    "part_of_year": "csp_core.data.reading.occurrences",
    "read_occurrences": "csp_core.data.reading.occurrences",
}

__all__ = ["ImportReport", "Occurrences", "import_records", "part_of_year", "read_occurrences"]

__getattr__ = lazily(__name__, _HOMES)
