"""The lines of ``metrics.jsonl`` of a run that goes on, whatever was done to the file meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError
from csp_core.files import write_text
from csp_core.runs.reading import as_line, is_number, read_rows

log = logging.getLogger(__name__)


def restore_metrics(
    file: Path,
    known: list[dict[str, Any]],
    epoch: int,
    stage: str = "",
    before: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Write the metrics as they were when the checkpoint was written that a run resumes from.

    Args:
        file: ``metrics.jsonl``; missing, cut or edited lines are written anew.
        known: The lines by the checkpoint; if it knows none, those of the file are kept.
        epoch: Epochs done of the stage; lines of later ones are dropped.
        stage: Which stage it is.
        before: The stages whose lines are kept whole; lines of later ones are dropped.

    Returns:
        The lines.
    """
    rows = known or [row for row in _read(file) if _stays(row, epoch, stage, before)]
    write_text(file, "".join(map(as_line, rows)))
    return rows


def _stays(row: dict[str, Any], epoch: int, stage: str, before: Sequence[str]) -> bool:
    of, number = row.get("stage", ""), row.get("epoch", 0)
    return of in before or (of == stage and is_number(number) and number <= epoch)


def _read(file: Path) -> list[dict[str, Any]]:
    """Read the lines; a file that is none is kept under another name."""
    try:
        return read_rows(file)
    except CheckpointError as error:
        aside = file.with_name("metrics.damaged.jsonl")
        log.warning("%s It is kept as %s.", error, aside.name)
        file.replace(aside)
        return []
