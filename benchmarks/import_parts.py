"""Where the time of an import goes: each part timed, one after the other, on some rows.

Usage: python benchmarks/import_parts.py FILE OUT; prints JSON, seconds by part.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from csp_core.data.reading import cleaning, duplicates, importing, report, scientific, sourceflags
from csp_core.data.reading.datums import Datums
from csp_core.data.reading.numbers import Numbers
from csp_core.data.reading.preparing import Preparation

SECONDS: defaultdict[str, float] = defaultdict(float)
# Where a part lies -> what to call it; what another part calls counts with that one alone.
PARTS: tuple[tuple[Any, str, str], ...] = (
    (Preparation, "__call__", "invisible signs, columns put together"),
    (scientific.NameBook, "judge", "names"),
    (Numbers, "read", "numbers and their commas"),
    (cleaning, "with_sides", "hemispheres"),
    (Datums, "convert", "datums"),
    (cleaning, "with_dates", "dates"),
    (sourceflags.SourceFlags, "read", "flags of the source"),
    (importing, "judge", "reasons, changes, suspicions"),
    (importing, "keys_of", "repetitions"),
    (duplicates.SeenKeys, "add", "repetitions"),
    (report.Tally, "add", "counting"),
    (importing._Writer, "write", "writing Parquet"),
)
_inside: list[list[float]] = []


def timed(work: Callable[..., Any], part: str) -> Callable[..., Any]:
    """Count what a function takes, without what the parts inside it take."""

    def run(*args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        _inside.append([0.0])
        try:
            return work(*args, **options)
        finally:
            taken = time.perf_counter() - began
            SECONDS[part] += taken - _inside.pop()[0]
            if _inside:
                _inside[-1][0] += taken

    return run


def in_turn(chunks: Iterator[Any]) -> Iterator[Any]:
    """Read in the same thread as everything else, and count it."""
    step = timed(next, "reading the text")
    while (chunk := step(chunks, None)) is not None:
        yield chunk


def main() -> None:
    """Import the file and print what each part took."""
    importing._ahead = in_turn
    for home, name, part in PARTS:
        setattr(home, name, timed(getattr(home, name), part))
    began = time.perf_counter()
    importing.import_records(sys.argv[1], sys.argv[2])
    SECONDS["everything else"] = time.perf_counter() - began - sum(SECONDS.values())
    print(json.dumps(SECONDS))


if __name__ == "__main__":
    main()
