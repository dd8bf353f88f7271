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
        file: ``metrics.jsonl``; missing, cut or edited lines of the stage are written anew.
        known: The stage's lines by the checkpoint; if it knows none, the file's are kept.
        epoch: Epochs done of the stage; lines of later ones are dropped.
        stage: Which stage it is.
        before: The stages whose lines are kept whole; lines of later ones are dropped.

    Returns:
        The stage's lines.
    """
    try:
        found = read_rows(file)
    except CheckpointError as error:
        aside = file.with_name("metrics.damaged.jsonl")
        log.warning("%s It is kept as %s.", error, aside.name)
        file.replace(aside)
        found = []
    own = known or [
        row
        for row in found
        if row.get("stage", "") == stage and is_number(n := row.get("epoch", 0)) and n <= epoch
    ]
    rows = [row for row in found if row.get("stage", "") in before]
    write_text(file, "".join(map(as_line, [*rows, *own])))
    return own
