"""What a run leaves for whoever watches it: the range of a class as it forms, and baselines."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.errors import CspError
from csp_core.runs.directory import RunDir
from csp_core.runs.reading import is_number, read_object

MAIN = "main"
BASELINES = "baselines.json"
# What is listed of a folder that anybody may have filled.
MOST_FRAMES = 5000
FRAME_BYTES = 16 << 20
RANGE, SPACE = "range", "space"
ENDINGS = {RANGE: ".tif", SPACE: ".safetensors"}
NAME = re.compile(r"(range|space)-([a-z0-9-]{1,80})-(\d{5,9})(\.tif|\.safetensors)", re.ASCII)


@dataclass(frozen=True)
class RangeFrame:
    """The range of the watched class, a GeoTIFF, or how places are seen, after an epoch.

    Args:
        epoch: Epochs done; 0 before the first.
        stage: ``stage_slug`` of the stage, ``main`` in a run of one.
        path: The file, to be opened as any that others may have written.
        kind: ``range`` or ``space``.
    """

    epoch: int
    stage: str
    path: Path
    kind: str = RANGE


def stage_slug(stage: str) -> str:
    """Name a stage in the name of a file.

    Args:
        stage: As lines of metrics call it; empty in a run of one stage.

    Returns:
        Small letters, digits and hyphens.
    """
    return re.sub(r"[^a-z0-9]+", "-", stage.casefold()).strip("-")[:80] or MAIN


def frame_path(run: RunDir, epoch: int, stage: str, kind: str = RANGE) -> Path:
    """Name the file of a frame.

    Args:
        run: The run.
        epoch: Epochs done.
        stage: As lines of metrics call it.
        kind: ``range`` or ``space``.

    Returns:
        ``artifacts/range-STAGE-EPOCH.tif`` or ``artifacts/space-STAGE-EPOCH.safetensors``.
    """
    return run.artifacts / f"{kind}-{stage_slug(stage)}-{epoch:05d}{ENDINGS[kind]}"


def range_frames(
    run: RunDir, *, rows: Sequence[Mapping[str, Any]] | None = None, kind: str = RANGE
) -> list[RangeFrame]:
    """List the frames of a run's watched class in the order in which they were made.

    Args:
        run: The run.
        rows: Its lines of metrics, where they are read already; they tell the order of stages.
        kind: ``range``, or ``space`` for how places were seen.

    Returns:
        At most 5,000 of them: plain files of at most 16 MB. None if no class is watched.
    """
    stages: dict[str, int] = {}
    with suppress(CspError):
        for row in run.read_last_metrics()[0] if rows is None else rows:
            stages.setdefault(stage_slug(str(row.get("stage", ""))), len(stages))
    frames = sorted(
        (f for f in _frames(run) if f.kind == kind),
        key=lambda f: (stages.get(f.stage, len(stages)), f.stage, f.epoch),
    )
    return frames[:MOST_FRAMES]


def drop_frames(run: RunDir, epoch: int, *, stage: str, before: Sequence[str]) -> None:
    """Remove the frames of epochs that a resumed run will do again.

    Args:
        run: The run.
        epoch: First epoch to drop.
        stage: Which stage it is of.
        before: The stages whose frames are all kept; those of later ones go.
    """
    kept, own = {stage_slug(name) for name in before}, stage_slug(stage)
    for frame in list(_frames(run)):
        if frame.stage not in kept and (frame.stage != own or frame.epoch >= epoch):
            frame.path.unlink(missing_ok=True)


def baselines(run: RunDir) -> dict[str, dict[str, float]]:
    """Read what cheap baselines reach on the records that a run holds out.

    Args:
        run: The run.

    Returns:
        Name of a baseline to its values, by the keys of the lines of metrics (``val_log_loss``, …);
        empty if there are none, or the file is not as it was written.
    """
    try:
        found = read_object(run.artifacts / BASELINES)
    except CspError:
        return {}
    return {
        name: {key: float(value) for key, value in values.items() if is_number(value)}
        for name, values in found.items()
        if isinstance(values, dict)
    }


def _frames(run: RunDir) -> Iterator[RangeFrame]:
    try:
        paths = list(run.artifacts.iterdir())
    except OSError:
        return
    for path in paths:
        named = NAME.fullmatch(path.name)
        if named is None or ENDINGS[named[1]] != named[4]:
            continue
        with suppress(OSError):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode) and about.st_size <= FRAME_BYTES:
                yield RangeFrame(int(named[3]), named[2], path, named[1])
