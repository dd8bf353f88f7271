"""Training on two processes of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ROOT)}


def run_python(*words: object) -> subprocess.CompletedProcess[str]:
    """Run Python on one thread and no GPU, and give what it said."""
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=180,
    )


def run_two(*words: object) -> str:
    """Run a script or module on two processes, which must end well; give what they print."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node", 2)
    done = run_python(*launcher, "--master_addr", "127.0.0.1", "--master_port", port, *words)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
