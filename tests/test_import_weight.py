"""Reading files of records and listing models import no torch, so that they start at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

MODULES = [
    "csp_core.data",
    "csp_core.data.reading.importing",
    "csp_core.data.pictures.photo",
    "csp_core.data.pictures.position",
    "csp_core.store.catalog",
]


@pytest.mark.parametrize("module", MODULES)
def test_without_torch(module):
    code = f"import sys, {module}; print('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
