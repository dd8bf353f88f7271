"""The quick forms of the benchmarks run and write their tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["click_latency", "import_speed"])
def test_quick_form(name, tmp_path):
    command = [sys.executable, f"benchmarks/{name}.py", "--quick", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=180)
    page = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert "|---" in page and f"benchmarks/{name}.py --quick" in page
    assert json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["machine"]
