"""The quick forms of the benchmarks run and write their tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


BIRDS = ROOT.parent / "shared" / "data" / "birds"
# What each needs besides the project, and options of its own.
BENCHMARKS = {
    "click_latency": (None, []),
    "photo_latency": (None, []),
    "encoder_speed": (None, []),
    "costs": (None, []),
    "world_prior": (None, []),
    "import_speed": (None, []),
    "pretraining_speed": (None, []),
    "seasons": (None, []),
    "bird_splits": (BIRDS, ["--cells", "cells"]),
    "demo_few_labels": (None, ["--cells", "cells"]),
    "eurosat_few_labels": (None, ["--cells", "cells"]),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_quick_form(name, tmp_path):
    needs, extra = BENCHMARKS[name]
    if needs is not None and not needs.is_dir():
        pytest.skip(f"needs {needs.name} in ../shared/data")
    extra = [str(tmp_path / word) if word == "cells" else word for word in extra]
    command = [sys.executable, f"benchmarks/{name}.py", "--quick", "--out", str(tmp_path), *extra]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=180)
    page = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert "|---" in page and f"benchmarks/{name}.py --quick" in page
    assert json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["machine"]
