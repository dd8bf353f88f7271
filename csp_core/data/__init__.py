"""Records with places, images and classes, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.data.batch import Batch, Sample, collate
    from csp_core.data.groups import SPLITS
    from csp_core.data.reading.occurrences import Occurrences, part_of_year, read_occurrences
    from csp_core.data.reading.report import ImportReport
    from csp_core.data.records import ClassTable, RecordDataset
    from csp_core.data.sets import DATASETS, load_dataset
    from csp_core.data.sets.occurrences import load_occurrences
    from csp_core.data.splits import Split, assign_parts, deal

_HOMES = {
    "Batch": "csp_core.data.batch",
    "ClassTable": "csp_core.data.records",
    "DATASETS": "csp_core.data.sets",
    "ImportReport": "csp_core.data.reading.report",
    "Occurrences": "csp_core.data.reading.occurrences",
    "RecordDataset": "csp_core.data.records",
    "SPLITS": "csp_core.data.groups",
    "Sample": "csp_core.data.batch",
    "Split": "csp_core.data.splits",
    "assign_parts": "csp_core.data.splits",
    "collate": "csp_core.data.batch",
    "deal": "csp_core.data.splits",
    "load_dataset": "csp_core.data.sets",
    "load_occurrences": "csp_core.data.sets.occurrences",
    "part_of_year": "csp_core.data.reading.occurrences",
    "read_occurrences": "csp_core.data.reading.occurrences",
}

__all__ = [
    "DATASETS",
    "SPLITS",
    "Batch",
    "ClassTable",
    "ImportReport",
    "Occurrences",
    "RecordDataset",
    "Sample",
    "Split",
    "assign_parts",
    "collate",
    "deal",
    "load_dataset",
    "load_occurrences",
    "part_of_year",
    "read_occurrences",
]

__getattr__ = lazily(__name__, _HOMES)
