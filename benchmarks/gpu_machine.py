"""Says what a machine has: GPU, Python, torch and packages; needs the standard library alone."""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUERY = "name,memory.total,driver_version"


def required() -> list[str]:
    """List the packages of requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines)
    return [name.group() for name in names if name]


def installed() -> dict[str, str]:
    """Give the version of every package that is there."""
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found[re.sub(r"[-_.]+", "-", name).lower()] = distribution.version
    return dict(sorted(found.items()))


def gpu() -> str:
    """Say what `nvidia-smi` says of the GPU."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"nvidia-smi does not answer ({type(error).__name__})"
    return asked.stdout.strip()


def has_gpu() -> bool:
    """Tell whether torch is there and finds a GPU, and print both."""
    try:
        import torch
    except ImportError as error:
        print(f"torch: cannot be imported ({error})")
        return False
    found = torch.cuda.is_available()
    name = torch.cuda.get_device_name(0) if found else "none"
    print(f"torch {torch.__version__}, CUDA {torch.version.cuda}, GPU that torch finds: {name}")
    return found


def main() -> int:
    """List the machine.

    Returns:
        Exit code: 2 where a GPU is wanted and there is none.
    """
    parser = argparse.ArgumentParser(description="What this machine has.")
    parser.add_argument("--quick", action="store_true", help="a CPU is enough")
    parser.add_argument("--list", type=Path, help="write all packages to this file")
    options = parser.parse_args()
    packages = installed()
    print(f"GPU: {gpu()}")
    print(f"Python {platform.python_version()}, {platform.machine()}, {sys.executable}")
    found = has_gpu()
    for name in required():
        print(f"  {name}: {packages.get(re.sub(r'[-_.]+', '-', name).lower(), 'missing')}")
    sys.stdout.flush()
    if options.list:
        options.list.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"{name} {version}\n" for name, version in packages.items()]
        options.list.write_text("".join(lines), encoding="utf-8")
    if not found and not options.quick:
        sentence = "No GPU that torch can use was found; `--quick` runs the small form on a CPU."
        print(sentence, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
