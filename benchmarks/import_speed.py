"""How fast a GBIF-like file is imported, and whether memory stays where it was as it grows."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from report import arguments, markdown, write_report

NAMED = (
    *("gbifID", "occurrenceID", "species", "scientificName", "taxonRank", "countryCode"),
    *("decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters", "eventDate"),
    *("recordedBy", "license", "occurrenceStatus", "vernacularName"),
    *("basisOfRecord", "individualCount", "geodeticDatum", "issue"),
)
# Flags of the portal, as they stand in downloads; most records have one that harms nothing.
FLAGS = (
    "COORDINATE_ROUNDED",
    "GEODETIC_DATUM_ASSUMED_WGS84",
    "",
    "COORDINATE_ROUNDED;TAXON_MATCH_FUZZY",
)
OTHERS = tuple(f"term{i}" for i in range(50 - len(NAMED)))
CHUNK = 50_000
TARGET = 300_000


def write_rows(path: Path, rows: int) -> None:
    """Write a tab-separated file of 50 columns; about one row in a hundred is unusable."""
    chance = np.random.default_rng(0)
    days = np.arange(np.datetime64("2000-01-01"), np.datetime64("2024-01-01")).astype(str)
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write("\t".join((*NAMED, *OTHERS)) + "\n")
        for start in range(0, rows, CHUNK):
            some = min(CHUNK, rows - start)
            lat = chance.uniform(-90, 90.9, some).round(6).tolist()
            lon = chance.uniform(-180, 180, some).round(6).tolist()
            taxon = chance.integers(0, 20_000, some).tolist()
            day = days[chance.integers(0, len(days), some)].tolist()
            metres = chance.integers(1, 30_000, some).tolist()
            stream.writelines(
                f"{start + i}\turn:catalog:{start + i}\tGenus species{t}\tGenus species{t} (L.)"
                f"\tSPECIES\tXX\t{lat[i]}\t{lon[i]}\t{metres[i]}\t{day[i]}T08:30:00"
                f"\tRecorder {t % 99}\tCC_BY_4_0\tPRESENT\tName {t}"
                f"\tHUMAN_OBSERVATION\t{1 + t % 5}\tWGS84\t{FLAGS[t % 4]}" + FILL
                for i, t in enumerate(taxon)
            )


# Half of the other fields are empty, as in downloads; no row has quotes.
FILL = "".join("\t" if i % 2 else f"\tsome value {i}" for i in range(len(OTHERS))) + "\n"

MEASURE = """
import json, sys, time
from csp_core.data.reading import import_records
# The largest since this program began; getrusage also knows what the one that started it held.
def largest():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
base = largest()
started = time.perf_counter()
told = import_records(sys.argv[1], sys.argv[2])
seconds = time.perf_counter() - started
peak = largest()
assert told.rows_read == told.rows_kept + sum(told.dropped.values())
print(json.dumps({"seconds": seconds, "peak_mb": peak / 1024, "base_mb": base / 1024,
                  "rows_read": told.rows_read, "rows_kept": told.rows_kept}))
"""


# The columns that such a file is imported for.
SEVEN = ("species", "decimalLatitude", "decimalLongitude", "coordinateUncertaintyInMeters",
         "eventDate", "recordedBy", "license")  # fmt: skip
SCAN = """
import json, sys, time
import polars as pl
started = time.perf_counter()
table = pl.scan_csv(sys.argv[1], separator="\\t", quote_char=None, infer_schema=False)
rows = len(table.select(sys.argv[2].split(",")).collect(engine="streaming"))
print(json.dumps({"scan_seconds": time.perf_counter() - started, "scan_rows": rows}))
"""


def script(*words: str) -> dict[str, float]:
    """Run Python in a process of its own and read what it prints."""
    here = Path(__file__).resolve().parent
    done = subprocess.run(
        [sys.executable, *words], check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(here.parent), str(here)))},
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(rows: int, folder: Path) -> dict[str, float]:
    """Generate a file and import it in a process of its own."""
    source, output = folder / "occurrence.txt", folder / "records.parquet"
    started = time.perf_counter()
    write_rows(source, rows)
    print(f"generated {rows:,} rows in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    size = source.stat().st_size
    found = script("-c", MEASURE, str(source), str(output))
    found |= script("-c", SCAN, str(source), ",".join(SEVEN))
    source.unlink()
    return {"rows": rows, "file_mb": size / 1e6, **found}


def parts(rows: int, folder: Path) -> dict[str, float]:
    """Time the parts of an import, one after the other."""
    source = folder / "occurrence.txt"
    write_rows(source, rows)
    program = Path(__file__).resolve().parent / "import_parts.py"
    found = script(str(program), str(source), str(folder / "records.parquet"))
    source.unlink()
    return found


def sizes(options: argparse.Namespace, folder: Path) -> list[int]:
    """Choose how many rows to measure, as far as the disk allows."""
    if options.quick:
        return [2_000, 200_000]
    row = 700
    room = int(shutil.disk_usage(folder).free * 0.8 / row)
    return [1_000_000, 2_000_000, min(10_000_000, room)]


def shares(split: dict[str, float]) -> str:
    """Write what each part of an import takes."""
    total = sum(split.values())
    ranked = sorted(split.items(), key=lambda pair: -pair[1])
    rows = [[part, f"{seconds:.2f}", f"{seconds / total:.0%}"] for part, seconds in ranked]
    note = (
        "One after the other, so that the reading of the next rows does not hide behind the judging"
        " of these, as it does otherwise."
    )
    return markdown(["part", "seconds", "share"], rows) + f"\n\n{note}"


def main() -> None:
    """Run the benchmark."""
    options = arguments("Rows a second and peak memory of importing a 50-column file.")
    with tempfile.TemporaryDirectory() as name:
        wanted = sizes(options, Path(name))
        found = [measure(rows, Path(name)) for rows in wanted]
        split = parts(20_000 if options.quick else 1_000_000, Path(name))
    head = ["rows", "file, MB", "seconds", "rows a second", "polars' scan, rows a second",
            "of the scan's rate", "peak memory, MB", "before import, MB"]  # fmt: skip
    table = [
        [
            f"{one['rows']:,}",
            f"{one['file_mb']:,.0f}",
            f"{one['seconds']:.1f}",
            f"{one['rows'] / one['seconds']:,.0f}",
            f"{one['rows'] / one['scan_seconds']:,.0f}",
            f"{one['scan_seconds'] / one['seconds']:.0%}",
            f"{one['peak_mb']:,.0f}",
            f"{one['base_mb']:,.0f}",
        ]
        for one in found
    ]
    ratio = found[-1]["peak_mb"] / found[0]["peak_mb"]
    speed = found[-1]["rows"] / found[-1]["seconds"]
    short = "" if options.quick or wanted[-1] == 10_000_000 else " The disk had no room for more."
    body = (
        f"A generated tab-separated file of 50 columns, {len(NAMED)} of them named as GBIF names"
        " them; reading, judging, counting repetitions and writing Parquet.\n\n"
        + markdown(head, table)
        + f"\n\nThe larger file: {speed:,.0f} rows a second (aim: {TARGET:,}), {ratio:.2f} times"
        f" the peak memory of the smaller (aim: at most 1.3).{short} *Polars' scan*: seven columns"
        " of the same file as text, by `scan_csv`, in a process of its own right after the"
        " import.\n\n"
        "## Where the time goes\n\n" + shares(split)
    )
    data = {"runs": found, "parts": split, "rows_per_second": speed, "peak_ratio": ratio}
    write_report("import_speed", "Importing records", body, data, options)


if __name__ == "__main__":
    main()
