"""What a run says, in its log and in a terminal."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from csp_core.files import harmless


class PlainFormatter(logging.Formatter):
    """Writes what is said without what a terminal would obey: names come from files of others."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one message."""
        return harmless(super().format(record))


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
    handler.setFormatter(PlainFormatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
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
