"""What the command line says of each file of a folder of inputs that go wrong elsewhere."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from report import arguments, markdown, write_report

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT.parent / "shared" / "cases"
PICTURES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".dng", ".webp", ".heic", ".avif"}
WEIGHTS = {".tar", ".pth", ".pt", ".ckpt", ".safetensors"}
HEAD = ("file", "command", "exit", "what it said")
# Of a long report the middle is left out.
MOST = 700


def command_for(path: Path, out: Path) -> list[str]:
    """Choose what a person would do with a file.

    Args:
        path: The file.
        out: A folder for what comes of it.

    Returns:
        The arguments of ``csp``.
    """
    if path.suffix.lower() in PICTURES:
        return ["predict", "demo", "--image", str(path)]
    if path.suffix.lower() in WEIGHTS:
        return ["import-model", str(path), str(out / "model")]
    return ["import-data", str(path), str(out / "records.parquet")]


def said_of(path: Path) -> list[str]:
    """Run the command for a file.

    Returns:
        A row of the table.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments_of = command_for(path, folder)
        done = subprocess.run(
            [sys.executable, "-m", "csp_core", *arguments_of],
            capture_output=True,
            text=True,
            errors="replace",
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        text = f"{done.stdout}\n{done.stderr}".replace(f"{path.parent}{os.sep}", "")
        text = text.replace(f"{folder}{os.sep}", "")
    # The ranks of a picture, a table drawn with lines, say nothing of how its file was read.
    told = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in told if line[0] not in "┏┃┡│├└┗┠"]
    said = " / ".join(lines).replace("|", "\\|")
    if len(said) > MOST:
        said = f"{said[: MOST // 2].rstrip()} … {said[-MOST // 2 :].lstrip()}"
    if "Traceback" in text:
        said = f"TRACEBACK: {said}"
    return [path.name, f"`csp {arguments_of[0]}`", str(done.returncode), said]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--given", type=Path, default=CASES, help="folder of the files")


def main() -> None:
    """Run the benchmark."""
    options = arguments((__doc__ or "").splitlines()[0], add_options)
    files = sorted(path for path in options.given.iterdir() if path.is_file())
    files = [path for path in files if path.name != "README.md"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        rows = list(pool.map(said_of, files[:3] if options.quick else files))
    traces = sum("TRACEBACK" in row[3] for row in rows)
    done = sum(row[2] == "0" for row in rows)
    body = f"{len(rows)} files: {done} read, {len(rows) - done} refused, {traces} tracebacks."
    body += f"\n\n{markdown(HEAD, rows)}\n\n{NOTE}"
    write_report("cases", "What is said of inputs that go wrong elsewhere", body,
                 {"rows": rows}, options)  # fmt: skip


NOTE = (
    "Records by `csp import-data`, pictures by `csp predict demo --image`, weights by `csp"
    " import-model`, each in a process of its own. The lines of a report are parted by a slash; the"
    " middle of long ones is left out."
)

if __name__ == "__main__":
    main()
