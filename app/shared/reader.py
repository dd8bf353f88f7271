"""The child process that reads what was uploaded: ``python -m shared.reader``.

It reads tasks from its standard input and answers on its standard output, in JSON with bytes
behind it, never pickled: what decoded a hostile file is not believed. It ends with its parent.
No torch is imported, so that it is small and starts at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import psutil

from csp_core.errors import BadRecordError, CspError

# What one upload may take: memory of the process, seconds of processor time, bytes it may write.
MEMORY, SECONDS, DISK = 1_250_000_000, 10, 2_000_000_000
TOO_MUCH_MEMORY = (
    f"Reading the file takes more than the {MEMORY / 1e9:g} GB of memory that one upload may take:"
    " make it smaller, or read it with the command line."
)
Answer = tuple[dict[str, Any], bytes | memoryview]


def send(stream: IO[bytes], told: dict[str, Any], content: bytes | memoryview = b"") -> None:
    """Write a message.

    Args:
        stream: Where to.
        told: Plain values.
        content: Bytes that go with them.
    """
    head = json.dumps(told).encode()
    with memoryview(content).cast("B") as view:
        stream.write(struct.pack("<IQ", len(head), len(view)))
        stream.write(head)
        stream.write(view)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytearray]:
    """Read a message.

    Args:
        stream: Where from.

    Returns:
        Plain values, and bytes that go with them.

    Raises:
        EOFError: If the other process has ended.
    """
    head, length = struct.unpack("<IQ", _exactly(stream, 12))
    told: dict[str, Any] = json.loads(bytes(_exactly(stream, head)))
    return told, _exactly(stream, length)


def _exactly(stream: IO[bytes], length: int) -> bytearray:
    found = bytearray(length)
    view, at = memoryview(found), 0
    while at < length:
        got = stream.readinto(view[at:])  # type: ignore[attr-defined]
        if not got:
            raise EOFError
        at += got
    return found


def read_photo(content: bytes, name: str, fit: int) -> Answer:
    """Decode a photo, no side longer than ``fit`` pixels."""
    from csp_core.data.pictures import describe_photo

    pixels, told = describe_photo(content, name, fit=fit)
    head = {"photo": told, "shape": pixels.shape, "kind": pixels.dtype.str}
    return head, np.ascontiguousarray(pixels).data


def read_scene(content: bytes, name: str, most: int) -> Answer:
    """Read a scene of at most so many pixels: its values, and eight a byte where there is data."""
    from csp_core.data.pictures.scene import open_scene

    with open_scene(content, name) as scene:
        held = scene.hold(most)
    head = {"facts": dataclasses.asdict(held.facts), "shape": held.values.shape}
    return head, np.ascontiguousarray(held.values).tobytes() + np.packbits(held.valid).tobytes()


def read_columns(content: bytes, path: str) -> Answer:
    """Name the columns of a file of records, and what they are taken for."""
    from csp_core.data.reading.columns import guess_columns
    from csp_core.data.reading.readers import open_source

    source = open_source(Path(path))
    found = guess_columns(source.header, source.known, source.fallback)
    return {"columns": [*source.header], "found": found}, b""


def read_records(
    content: bytes, path: str, out: str, most: int, columns: dict[str, str] | None = None
) -> Answer:
    """Import a file of records to a tidy Parquet file of at most so many records."""
    from csp_core.data.reading import import_records

    report = import_records(path, out, mapping=columns, species_only=False)
    if report.rows_kept > most:
        raise BadRecordError(
            f"The file holds {report.rows_kept:,} records; up to {most:,} are taken here: give"
            " fewer, such as those of one region."
        )
    return {"kept": report.rows_kept, "report": str(report)}, b""


def read_places(content: bytes, path: str, most: int, name: str = "") -> Answer:
    """Read where a species was seen and where not, at most so many places in all."""
    from csp_core.data.reading.places import read_places as read

    found = read(path, name)
    if len(found.seen) + len(found.missed) > most:
        raise BadRecordError(
            f"The file holds {len(found.seen) + len(found.missed):,} places; up to {most} are taken"
            " here, as all stand in the address: `csp few-shot` takes more."
        )
    told = {"seen": found.seen, "missed": found.missed, "name": found.name}
    return told | {"left_out": dict(found.left_out), "read": found.report.rows_read}, b""


TASKS: dict[str, Callable[..., Answer]] = {
    "photo": read_photo,
    "scene": read_scene,
    "columns": read_columns,
    "records": read_records,
    "places": read_places,
}


def answer(task: str, options: dict[str, Any], content: bytes) -> Answer:
    """Do a task; what goes wrong becomes one sentence.

    Args:
        task: A key of ``TASKS``.
        options: What the function takes beside the bytes.
        content: The upload.

    Returns:
        Plain values and bytes; ``{"error": sentence}`` where the file cannot be read.
    """
    try:
        return TASKS[task](content, **options)
    except CspError as error:
        return {"error": str(error)}, b""
    except MemoryError:
        return {"error": TOO_MUCH_MEMORY}, b""
    except BaseException as error:  # libraries written in Rust raise panics as such
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        if "alloc" in str(error) or "memory" in str(error):
            return {"error": TOO_MUCH_MEMORY}, b""
        kind = type(error).__name__
        return {"error": f"The file cannot be read ({kind}): save it again, or copy it again."}, b""


def limit_process() -> None:
    """Bound what this process may take, where the system can do that, and let clicks go first."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)


def limit_seconds() -> None:
    """Allow the next task its seconds of processor time; past them the system ends the process."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + 1 + SECONDS
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def held_bytes() -> int:
    """Measure the memory that this process holds, in bytes."""
    return int(psutil.Process().memory_info().rss)


def main() -> None:
    """Answer tasks until the parent ends."""
    # Ctrl+C reaches all that runs in a terminal; the parent, which ends by it, ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints shall not stand between the answers.
    sys.stdout = sys.stderr
    limit_process()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            told, content = receive(tasks)
            limit_seconds()
            found, pixels = answer(told["task"], told["options"], bytes(content))
            del content
            # What it holds beside the answer: the parent decides whether that is too much.
            held = held_bytes() - memoryview(pixels).nbytes
            send(answers, {**found, "holds": held}, pixels)
            del pixels


if __name__ == "__main__":
    main()
