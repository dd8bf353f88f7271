"""Why a run failed, in one word that a program can ask for, and what helps."""

from __future__ import annotations

import errno
from collections.abc import Iterator

from csp_core.errors import (
    BadRecordError,
    CheckpointError,
    ConfigError,
    DataNotFoundError,
    DivergedError,
    UnknownNameError,
)

# What the system says of a place that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
REMEDIES = {
    "diverged": (
        "Lower training.learning_rate, to a third for example, or give training.warmup 0.05, and"
        " start it anew."
    ),
    "disk": (
        "Make room on the disk, or allow writing to the run's folder; then resume, and it goes on"
        " from its last checkpoint."
    ),
    "data": "Check that data.root names the records and that they can be read (`csp import-data`).",
    "memory": (
        "Lower training.batch_size, or model.dim and the width of its network, or end other"
        " programs; then start it anew."
    ),
    "config": "Change what the message names, in the configuration or as key=value, and start it.",
    "other": "Read the last lines of the log; resume tries again from the last checkpoint.",
}
CAUSES = tuple(REMEDIES)
# How torch tells of it on a processor; on a GPU it has an error of its own.
NO_MEMORY = ("can't allocate memory", "not enough memory", "CUDA out of memory")


def remedy(cause: str) -> str:
    """Say what helps against a failure.

    Args:
        cause: One of ``CAUSES``; anything else, as files may hold, counts as ``other``.

    Returns:
        One sentence.
    """
    return REMEDIES.get(cause, REMEDIES["other"])


def cause_of(error: BaseException) -> str:
    """Tell why a run failed, by its error and those that led to it.

    Args:
        error: What ended the run.

    Returns:
        One of ``CAUSES``.
    """
    found = list(_chain(error))
    if any(_is_memory(one) for one in found):
        return "memory"
    # A run that may not write to its own folder says so as one whose disk is full.
    refused = isinstance(error, CheckpointError) and any(
        isinstance(one, PermissionError) for one in found
    )
    if refused or any(isinstance(one, OSError) and one.errno in FULL for one in found):
        return "disk"
    kinds = (
        ("diverged", (DivergedError,)),
        ("data", (DataNotFoundError, BadRecordError)),
        ("config", (ConfigError, UnknownNameError)),
    )
    return next((name for name, kind in kinds if isinstance(error, kind)), "other")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _is_memory(error: BaseException) -> bool:
    # By its name, as nothing that watches runs imports torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(said in str(error) for said in NO_MEMORY)
