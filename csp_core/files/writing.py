"""Writing the file somebody asked for: refused early, whole or not at all, errors in a sentence."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from csp_core.errors import BadRecordError
from csp_core.files import atomic_path


def check_writable(path: str | Path) -> None:
    """Check that a file can be written before much is computed for it.

    Args:
        path: The file, or the folder of a Zarr group. Missing folders above it can be made.

    Raises:
        BadRecordError: If it cannot.
    """
    path = Path(path)
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir():
        raise BadRecordError(f"Cannot write {path}: {above} is a file, not a folder.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise BadRecordError(f"Cannot write {path}: nothing may be written to {above}.")
    if path.suffix.lower() != ".zarr" and path.is_dir():
        raise BadRecordError(f"Cannot write {path}: it is a folder; give the name of a file.")


@contextmanager
def writing(
    path: str | Path,
    place: Callable[[str | Path], AbstractContextManager[Path]] = atomic_path,
) -> Iterator[Path]:
    """Give a temporary path that takes the place of ``path`` when the block ends without error.

    Args:
        path: Where the file shall stand in the end.
        place: ``files.atomic_path`` or ``files.atomic_directory``.

    Yields:
        The temporary path.

    Raises:
        BadRecordError: If the file cannot be written.
    """
    check_writable(path)
    try:
        with place(path) as temporary:
            yield temporary
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise BadRecordError(f"Cannot write {path} ({reason}).") from error
