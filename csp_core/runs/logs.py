"""What a run says, appended to a file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def log_to(path: Path, logger: logging.Logger) -> Iterator[None]:
    """Append what a logger says to a file, with the time.

    Args:
        path: The file.
        logger: The logger.

    Yields:
        Nothing.
    """
    handler = _LogFile(path, encoding="utf-8", errors="replace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        with suppress(OSError):  # a full disk has been spoken of by then
            handler.close()


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Pass over a full disk: the run itself ends with a sentence on it."""
