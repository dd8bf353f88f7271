"""Gathers the wheels that a machine with a GPU and no network lacks, and measures what travels.

It runs the small form of benchmarks/gpu.sh here, takes down which packages are imported, leaves out
those that the machine's list has, and downloads the others in the version that is installed here,
for Python 3.12 on x86-64. What travels is the working tree and the wheels.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MACHINE = Path(__file__).with_name("gpu_machine.txt")
MIB = 1 << 20
LIMIT = 64 * MIB
PYTHON = "3.12"
# pip takes a wheel only for a platform that is named exactly.
GLIBC = (28, 27, 24, 31, 34, 35, 17)
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in GLIBC), "manylinux2014_x86_64",
             "manylinux1_x86_64")  # fmt: skip
# A list without versions does not say whether this is as new as pydantic needs it.
ALWAYS = ("typing-extensions",)
OURS = "csp-explorer"
TIMED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)\s*$", re.MULTILINE)


def plain(name: str) -> str:
    """Write a package's name as an index does.

    Args:
        name: As anyone writes it.

    Returns:
        In small letters, with hyphens.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def read_machine(text: str) -> dict[str, str]:
    """Read what a machine has.

    Args:
        text: A package a line, with its version if known; lines that begin with # say nothing.

    Returns:
        Name to version, empty where it is not known.
    """
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {plain(name): "".join(version[:1]) for name, *version in filter(None, lines)}


def imported_packages(told: str, homes: Mapping[str, Iterable[str]]) -> set[str]:
    """Tell which packages were imported.

    Args:
        told: What Python prints with ``PYTHONPROFILEIMPORTTIME``.
        homes: Name of a module to the packages that may have brought it.

    Returns:
        Names of packages.
    """
    modules = {name.split(".")[0] for name in TIMED.findall(told)}
    return {plain(package) for name in modules for package in homes.get(name, ())}


def missing_packages(imported: Iterable[str], machine: Mapping[str, str]) -> list[str]:
    """Tell what has to be carried.

    Args:
        imported: Packages that the benchmark imports.
        machine: What the machine has.

    Returns:
        Names, sorted.
    """
    lacking = {name for name in imported if name not in machine} - {OURS}
    return sorted(lacking | set(ALWAYS)) if lacking else []


def size_of(paths: Iterable[Path]) -> int:
    """Add up the bytes of files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def tree_files() -> list[Path]:
    """List the working tree: what git knows, and what it neither knows nor ignores."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / name for name in set(said.split("\0")) if name]


def pack_again(wheel: Path) -> int:
    """Pack a wheel anew with LZMA, which pip reads as well; its files stay as they are.

    Args:
        wheel: The file, which is replaced.

    Returns:
        Bytes won.
    """
    before, fresh = wheel.stat().st_size, wheel.with_suffix(".tmp")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(fresh, "w") as new:
        for member in old.infolist():
            entry = zipfile.ZipInfo(member.filename, member.date_time)
            entry.external_attr = member.external_attr
            new.writestr(entry, old.read(member), zipfile.ZIP_LZMA)
    fresh.replace(wheel)
    return before - wheel.stat().st_size


def shrink(wheels: Iterable[Path], allowed: int) -> list[str]:
    """Pack wheels anew, the largest first, until all fit.

    Args:
        wheels: Files.
        allowed: Bytes that they may have together.

    Returns:
        Names of those that were packed anew.
    """
    files = sorted(wheels, key=lambda path: path.stat().st_size, reverse=True)
    over, packed = size_of(files) - allowed, []
    for wheel in files:
        if over <= 0:
            break
        over -= pack_again(wheel)
        packed.append(wheel.name)
    return packed


def watch_imports() -> str:
    """Run the small form and give what Python prints of its imports, of all its processes."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PYTHONPROFILEIMPORTTIME": "1", "PYTHON": sys.executable}
        found = subprocess.run(
            ["bash", "benchmarks/gpu.sh", "--quick", "--out", folder],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
    if found.returncode:
        lines = [line for line in found.stderr.splitlines() if not TIMED.match(line)]
        raise RuntimeError("\n".join(["The small form of benchmarks/gpu.sh fails:", *lines[-20:]]))
    return found.stderr


def download(names: Iterable[str], folder: Path) -> list[Path]:
    """Fetch wheels in the versions that are installed here.

    Args:
        names: Packages.
        folder: Where to; older wheels there go.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    wanted = [f"{name}=={metadata.version(name)}" for name in names]
    options = ["--no-deps", "--only-binary=:all:", "--python-version", PYTHON]
    options += ["--implementation", "cp", *(f"--platform={name}" for name in PLATFORMS)]
    command = [sys.executable, "-m", "pip", "download", "-q", *options, "-d", str(folder)]
    if wanted:
        subprocess.run([*command, *wanted], check=True)
    return sorted(folder.glob("*.whl"))


def main() -> int:
    """Gather the wheels.

    Returns:
        Exit code: 1 where tree and wheels are too large together.
    """
    parser = argparse.ArgumentParser(description="Wheels for a machine with a GPU, no network.")
    parser.add_argument("--machine", type=Path, default=MACHINE, help="what that machine has")
    parser.add_argument("--wheels", type=Path, default=ROOT / ".wheels", help="where to put them")
    options = parser.parse_args()
    machine = read_machine(options.machine.read_text(encoding="utf-8"))
    imported = imported_packages(watch_imports(), metadata.packages_distributions())
    missing = missing_packages(imported, machine)
    print(f"{len(imported)} packages are imported, {len(missing)} of them to be carried.")
    wheels, tree = download(missing, options.wheels), size_of(tree_files())
    published = size_of(wheels)
    packed = shrink(wheels, LIMIT - tree)
    for wheel in wheels:
        note = " (packed anew)" if wheel.name in packed else ""
        print(f"  {wheel.stat().st_size / MIB:6.2f} MiB  {wheel.name}{note}")
    total = tree + size_of(wheels)
    print(
        f"Working tree {tree / MIB:.1f} MiB, wheels {size_of(wheels) / MIB:.1f} MiB (as published"
        f" {published / MIB:.1f}), together {total / MIB:.1f} of {LIMIT / MIB:.0f} MiB."
    )
    if total > LIMIT:
        print("Too large: import less, or leave files out of the working tree.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
