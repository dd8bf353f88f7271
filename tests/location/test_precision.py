"""Position encodings against their formulas in longer numbers, at many scales."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from csp_core.location import ENCODINGS

ROOT = Path(__file__).resolve().parents[2]
# Of a feature of size 1 at the rounding to that kind of number; of harmonics more, up to 2.5.
ROUNDING = {"float32": 1e-6, "float64": 1e-9, "float16": 3e-4, "bfloat16": 2.5e-3}


@pytest.fixture(scope="module")
def script():
    folder = ROOT / "benchmarks"
    spec = importlib.util.spec_from_file_location("precision", folder / "encoding_precision.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))  # where what the benchmarks share lies
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


@pytest.mark.parametrize("name", ENCODINGS)
def test_no_encoding_loses_digits_at_many_scales(name, script):
    assert script.ROWS[name]
    for options in script.ROWS[name]:
        found = script.measure(name, options, 8)
        largest = 4 if name == "harmonics" else 1
        for kind, most in ROUNDING.items():
            assert found[kind] <= largest * most, (options, kind)
        # Whole double precision, but for what is lost of the point itself at NeRF's finest waves.
        assert found["float64"] < (1e-9 if name == "nerf" else 3e-12)


@pytest.mark.parametrize(("name", "options", "loss"), [
    ("nerf", {"num_scales": 16}, 1e-3), ("nerf", {"num_scales": 20}, 2e-2), ("geoclip", {}, 1e-4),
])  # fmt: skip
def test_phases_in_single_precision_would_lose_them(name, options, loss, script):
    found = script.measure(name, options, 30)
    assert found["all_in_float32"] > loss > 500 * found["float32"]


def test_published_harmonics_lose_digits_towards_the_poles_and_ours_none(script):
    rows = script.by_latitude(40, (0, 45, 70, 90))
    published = [row["published"] for row in rows]
    assert published == sorted(published) and published[0] < 1e-13
    assert 1e-6 < published[1] < 1e-4 and published[2] > 1e-3 and published[3] > 1e-2
    assert max(row["ours"] for row in rows) < 1e-13
    few = script.by_latitude(10, (0, 45, 70, 90))
    assert max(row["published"] for row in few) < 1e-12


def test_the_exact_polynomials_are_those_of_legendre(script):
    z = np.array([-1.0, -0.3, 0.0, 0.5, 1.0])
    assert script.exact_legendre(0, 0, z) == pytest.approx([np.sqrt(1 / (4 * np.pi))] * 5)
    assert script.exact_legendre(2, 0, z) == pytest.approx(
        np.sqrt(5 / (4 * np.pi)) * (3 * z**2 - 1) / 2
    )
    assert script.exact_legendre(2, 1, z) == pytest.approx(np.sqrt(5 / (24 * np.pi)) * 3 * z)


def test_the_page_holds_what_was_measured():
    folder = ROOT / "docs" / "benchmarks"
    data = json.loads((folder / "encoding_precision.json").read_text(encoding="utf-8"))
    assert {row["encoding"] for row in data["encodings"]} == set(ENCODINGS)
    page = (ROOT / "docs" / "encoders.md").read_text(encoding="utf-8")
    lines = (folder / "encoding_precision.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    assert len(rows) == len(data["encodings"]) and all(row in page for row in rows)
    poles = [line for line in lines if line.startswith("| ") and "° |" in line]
    there = (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    assert len(poles) == 11 and all(row in there for row in poles)
