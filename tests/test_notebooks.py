"""The notebooks run on small settings without a network, and are kept without outputs."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
SECONDS = 180
# What belongs to one machine: its folders, and where it installs from.
OF_A_MACHINE = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|work|usr|opt|mnt|Users)/|[A-Z]:\\|index-url"
)
# Sockets that a server listens on stay closed: what a notebook needs is in the repository.
OFFLINE = {
    "CSP_NOTEBOOK_QUICK": "1",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9"),
}


def read(path):
    return nbformat.read(path, as_version=4)


def test_there_are_five_in_order():
    assert NAMES == [
        "1_first_steps",
        "2_your_records_and_photos",
        "3_few_labels",
        "4_few_labels_many_pictures",
        "5_maps_from_few_labels",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_is_kept_without_outputs(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert not cell.metadata, cell.source
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_names_nothing_of_one_machine(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    assert OF_A_MACHINE.findall(text) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_its_links_lead_somewhere(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    named = [path.parent / target for target in re.findall(r"\]\((?!http)([^)#]+)\)", text)]
    files = re.findall(r"`((?:docs|configs|benchmarks)/[^`]+)`", text)
    named += [path.parents[1] / file for file in files]
    assert [target for target in named if not target.exists()] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_it_runs(path, tmp_path, monkeypatch):
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    # The kernel's own files, and what the notebook leaves, go to the test's folder.
    for name in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    work = tmp_path / "work"
    work.mkdir()
    notebook = read(path)
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(work)}},
    )
    client.execute()
    assert list(work.iterdir()) == []
    said = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert said
    # Without ipywidgets, tqdm says on its import that it has no bar to draw.
    errors = [output.text for output in said if output.get("name") == "stderr"]
    assert [text for text in errors if "IProgress not found" not in text] == []
