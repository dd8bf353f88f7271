"""Reading a run's small files, which anybody may have edited: within bounds, or with a reason."""

from __future__ import annotations

import itertools
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeGuard

from csp_core.errors import CheckpointError, CspError, DataNotFoundError

OBJECT_BYTES = 1 << 16
ROWS_BYTES = 1 << 28
TAIL_BYTES = 1 << 16
# What whoever watches a run reads of its lines: the last of them, as plain values.
WATCHED_BYTES, WATCHED_ROWS, LINE_BYTES = 1 << 23, 20_000, 1 << 16


def read_regular(path: Path, *, limit: int) -> bytes:
    """Read a file that is nothing but a file: no link, pipe or device.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        Its content.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is of another kind, too large or cannot be read.
    """
    with _regular(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise CheckpointError(f"{path} has more than the {limit} bytes that are read of it.")
    return content


def read_tail(path: Path, *, limit: int = TAIL_BYTES, start: int = 0) -> str:
    """Read the end of a text that grows, such as a log.

    Args:
        path: The file.
        limit: Bytes that are read at most.
        start: Bytes of the file that are passed over in any case.

    Returns:
        The text, from the first whole line on; what is no UTF-8 is replaced.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is of another kind or cannot be read.
    """
    content, first = _tail(path, limit, start)
    text = content.decode("utf-8", "replace")
    return text if first in (0, start) else text.partition("\n")[2]


def _tail(path: Path, limit: int, start: int = 0) -> tuple[bytes, int]:
    """Read the end of a file; gives the byte that it begins at too."""
    with _regular(path) as stream:
        size = stream.seek(0, os.SEEK_END)
        first = max(0, start, size - limit)
        stream.seek(first)
        return stream.read(limit), first


def last_error(path: Path, *, start: int = 0, otherwise: bool = False) -> str:
    """Find what a process said last that went wrong.

    Args:
        path: What it printed.
        start: Bytes that are of an earlier process.
        otherwise: Whether the last line will do if none tells of an error.

    Returns:
        The sentence, or nothing.
    """
    try:
        lines = read_tail(path, start=start).strip().splitlines()
    except CspError:
        return ""
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return (errors or (lines if otherwise else []) or [""])[-1]


@contextmanager
def _regular(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is nothing but a file."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            raise CheckpointError(f"{path} is a link; a run's files stand in its own folder.")
        if not stat.S_ISREG(kind):
            raise CheckpointError(f"{path} is no regular file.")
        # It may have become a pipe or a link since: wait for no other end, follow nothing.
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as stream:
            yield stream
    except FileNotFoundError as error:
        raise DataNotFoundError(f"No file {path}.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error


def read_object(path: Path, *, limit: int = OBJECT_BYTES) -> dict[str, Any]:
    """Read a JSON object whose numbers are all finite.

    Args:
        path: The file.
        limit: Bytes that it may have.

    Returns:
        The object; halves of surrogate pairs, which no file can hold, become question marks.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is of another kind, too large, too deep or no such object.
    """
    try:
        value = _parse(read_regular(path, limit=limit))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}).") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} is not readable JSON (it holds no object).")
    return value


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Read JSON objects, one a line; a half-written last line is passed over.

    Args:
        path: The file, which need not be there.

    Returns:
        The objects up to the first line that is none.

    Raises:
        CheckpointError: If it is of another kind or too large.
    """
    try:
        lines = read_regular(path, limit=ROWS_BYTES).splitlines()
    except DataNotFoundError:
        return []
    return list(_rows(lines))


def read_last_rows(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Read the last JSON objects of a file with one a line, for whoever watches it grow.

    However large the file is, at most ``WATCHED_BYTES`` and ``WATCHED_ROWS`` of it are read; a line
    of more than ``LINE_BYTES`` is none, and lists and objects within a line are left out.

    Args:
        path: The file, which need not be there.

    Returns:
        The objects up to the first line that is none, and whether there are earlier ones.

    Raises:
        CheckpointError: If it is of another kind or cannot be read.
    """
    try:
        content, first = _tail(path, WATCHED_BYTES)
    except DataNotFoundError:
        return [], False
    # Never more lines than are kept: a file may hold millions of empty ones.
    lines = content.removesuffix(b"\n").rsplit(b"\n", WATCHED_ROWS)
    cut = first > 0 or len(lines) > WATCHED_ROWS
    kept = itertools.takewhile(lambda line: len(line) <= LINE_BYTES, lines[cut:])
    plain = [
        {key: value for key, value in row.items() if not isinstance(value, (dict, list))}
        for row in _rows(kept)
    ]
    return plain, cut


def _rows(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Parse lines up to the first that is no object."""
    for line in lines:
        try:
            row = _parse(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(row, dict):
            return
        yield row


def as_line(row: Mapping[str, Any]) -> str:
    """Write an object as a line that ``read_rows`` reads.

    Args:
        row: Plain values; NaN and infinity become null.

    Returns:
        The line.
    """
    clean = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()
    }
    return json.dumps(clean, allow_nan=False) + "\n"


def is_number(value: object) -> TypeGuard[float]:
    """Say whether a value read from JSON is a number that can be counted and compared with.

    Args:
        value: The value.

    Returns:
        Whether it is a finite number of a size that times and counts can have.
    """
    return type(value) in (int, float) and abs(value) < 1e18  # type: ignore[arg-type]


def _parse(content: bytes) -> Any:
    text = content.decode("utf-8")
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    if "\\u" not in text.lower():
        return value
    whole = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    return json.loads(whole)


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:40]} is no finite number")
    return value
