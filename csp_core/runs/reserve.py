"""A little room that a run keeps on its disk, for what it says last once that is full."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# The last lines of the log, what the process prints, and a status.
ROOM_BYTES = 32 << 10


@contextmanager
def room(control: Path) -> Iterator[None]:
    """Keep room until the block ends; where there is none, do without.

    Args:
        control: The run's folder ``control``.

    Yields:
        Nothing.
    """
    give_room(control)  # of a run that was killed, and no link of another's making
    with suppress(OSError), _file(control).open("xb") as stream:
        # A file system may keep zeros for nothing.
        stream.write(os.urandom(ROOM_BYTES))
    try:
        yield
    finally:
        give_room(control)


def give_room(control: Path) -> None:
    """Give up the room that was kept, for what is written next.

    Args:
        control: The run's folder ``control``.
    """
    with suppress(OSError):
        _file(control).unlink()


def _file(control: Path) -> Path:
    return control / "room"
