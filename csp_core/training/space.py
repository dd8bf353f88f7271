"""How a location encoder sees places while it learns, kept for a film of its space."""

from __future__ import annotations

import logging

from csp_core.errors import BadRecordError
from csp_core.inference.clusters.series import write_frame
from csp_core.model import DualEncoder
from csp_core.runs import RunDir
from csp_core.runs.artifacts import SPACE, frame_path

log = logging.getLogger(__name__)


def keep_space(run: RunDir, stage: str, model: DualEncoder, epoch: int, every: int | None) -> None:
    """Keep the embeddings of places after some epochs; the model stays as it is.

    A model that sees a place as zero or as no number leaves out a frame, and a warning says so.

    Args:
        run: The run.
        stage: Name of the stage.
        model: The model, which may be an average of the one that trains.
        epoch: Epochs done; 0 before the first.
        every: Epochs from one to the next, or None for never.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    if every is None or epoch % every:
        return
    if model.location is None:
        if not epoch:
            log.info("nothing is kept of a space of places: the model has no location side")
        return
    modes = [(part, part.training) for part in model.modules()]
    path = frame_path(run, epoch, stage, SPACE)
    try:
        write_frame(model, path)
    except BadRecordError as error:  # of what it sees: no reason to end a run
        log.warning("no frame of the space of places after epoch %d: %s", epoch, error)
    except OSError as error:
        raise BadRecordError(f"Cannot write {path} ({error.strerror or error}).") from error
    finally:
        for part, mode in modes:
            part.training = mode
