"""What the system refuses is told in one sentence, and what users wrote is printed as it is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from csp_core.cli.console import out
from csp_core.store import catalog, load_model, save_model

# A process whose files may not grow is as one on a full disk.
FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
sys.argv = ["csp", *sys.argv[1:]]
from csp_core.cli import main
main()
"""


@pytest.mark.parametrize("name", ["m.tif", "m.png", "m.geojson", "m.zarr"])
def test_a_full_disk(tmp_path, model_dir, name):
    limit = ["--threshold", "0.01"] if name.endswith("geojson") else []
    command = [sys.executable, "-c", FULL, "heatmap", str(model_dir), "High Aba", *limit]
    done = subprocess.run(
        [*command, str(tmp_path / name), "--step", "1"], capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("Error: Cannot write") and name in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_full_disk_behind_the_output():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "csp_core", "models"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_end_that_is_asked_for_leaves_nothing(tmp_path, model_dir):
    command = [sys.executable, "-m", "csp_core", "heatmap", str(model_dir), "High Aba"]
    run = subprocess.Popen([*command, str(tmp_path / "m.zarr"), "--step", "0.01"])
    for _ in range(600):
        if any(tmp_path.rglob("zarr.json")):
            break
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    assert run.wait(60) == 143 and os.listdir(tmp_path) == []


def test_names_are_printed_as_they_are(csp, model_dir, tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    folder = Path(shutil.copytree(model_dir, shelf / "m"))
    card = "---\ntitle: t\nsummary: '[red]a[/red] [/b] :bird:'\nlicense: '[link=x]y'\n---\nx"
    (folder / "README.md").write_text(card)
    (shelf / "[bold]n").mkdir()
    (shelf / "[bold]n" / "config.json").write_text("[/]")
    monkeypatch.setenv("CSP_MODELS", str(shelf))
    monkeypatch.setattr(catalog, "ASSETS", tmp_path)
    monkeypatch.setattr(out, "_width", 300)
    code, told, _ = csp("models")
    assert code == 0
    assert all(text in told for text in ("[red]a[/red] [/b] :bird:", "[link=x]y", "[bold]n"))


def test_a_class_of_brackets(csp, model_dir, tmp_path):
    model = load_model(model_dir)
    names = (*model.classes.names[:-1], "=[/red] :bird:")
    object.__setattr__(model.classes, "names", names)
    code, told, _ = csp("predict", save_model(model, tmp_path / "m"), "--lon", 30, "--lat", 0)
    assert code == 0 and "=[/red] :bird:" in told
