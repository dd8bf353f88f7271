"""BirdNET's Geomodel: a file of the published shapes, exported here, against onnxruntime."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from csp_core import import_checkpoint, load_model, location_prior, save_model
from csp_core.errors import CheckpointError, ConfigError
from csp_core.importers import read_checkpoint
from csp_core.importers.onnx_file import read_onnx
from csp_core.location import make_location_encoder
from csp_core.raster import heatmap

SPECIES, WIDTH, NARROW, WEEKS = 12_012, 384, 96, 48


class Residual(nn.Module):
    def __init__(self, dim):
        super().__init__()
        half = lambda: (nn.LayerNorm(dim, eps=1e-4), nn.GELU())  # noqa: E731
        self.block = nn.Sequential(
            *half(), nn.Linear(dim, dim), *half(), nn.Dropout(0.1), nn.Linear(dim, dim)
        )

    def forward(self, x):
        return x + self.block(x)


class Published(nn.Module):
    """The network as its description has it, with its names."""

    def __init__(self, species, dim, narrow, blocks=3, plain=2, waves=4, weekly=8):
        super().__init__()
        self.waves, self.weekly = waves, weekly
        self.encoder, self.species_head = nn.Module(), nn.Module()
        self.encoder.input_proj = nn.Linear(4 * waves, dim)
        self.encoder.blocks = nn.ModuleList(Residual(dim) for _ in range(blocks))
        self.encoder.film_generators = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * weekly, dim), nn.GELU(), nn.Linear(dim, 2 * dim))
            for _ in range(blocks)
        )
        self.encoder.norm = nn.LayerNorm(dim, eps=1e-4)
        self.species_head.blocks = nn.Sequential(*(Residual(dim) for _ in range(plain)))
        self.species_head.head = nn.Sequential(
            nn.LayerNorm(dim, eps=1e-4), nn.Linear(dim, narrow), nn.GELU(),
            nn.Linear(narrow, species),
        )  # fmt: skip

    def forward(self, x):
        def circle(angle, count):
            many = angle[:, None] * torch.arange(1, count + 1, dtype=torch.float32)
            return torch.cat((many.sin(), many.cos()), dim=1)

        lat, lon = x[:, 0] * (math.pi / 180), x[:, 1] * (math.pi / 180)
        week = circle(2 * math.pi * (x[:, 2] - 1) / WEEKS, self.weekly)
        hidden = torch.cat((circle(lat, self.waves), circle(lon, self.waves)), dim=1)
        hidden = self.encoder.input_proj(hidden)
        parts = zip(self.encoder.blocks, self.encoder.film_generators, strict=True)
        for block, film in parts:
            gamma, beta = film(week).chunk(2, dim=1)
            hidden = block(hidden) * (gamma + 1) + beta
        hidden = self.species_head.blocks(self.encoder.norm(hidden))
        return self.species_head.head(hidden).sigmoid()


class Wrapped(nn.Module):
    def __init__(self, *args, **options):
        super().__init__()
        self.model = Published(*args, **options)

    def forward(self, x):
        return self.model(x)


def made(*args, **options):
    torch.manual_seed(0)
    network = Wrapped(*args, **options).eval()
    with torch.no_grad():  # equal tensors would be written once, under one name
        for weight in network.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return network


def export(network, path, half=False):
    pytest.importorskip("onnxscript", reason="needs onnxscript")
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network, torch.randn(2, 3), str(path), input_names=["input"],
            output_names=["probabilities"], dynamic_axes={"input": {0: "batch"}},
            opset_version=18, external_data=False, verbose=False,
        )  # fmt: skip
    if half:
        model = onnx.load(str(path))
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                value = onnx.numpy_helper.to_array(tensor).astype(np.float16)
                tensor.CopyFrom(onnx.numpy_helper.from_array(value, tensor.name))
        onnx.save(model, str(path))
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("geomodel")
    lines = [f"code{k}\tGenus species{k}\tBird {k}" for k in range(SPECIES)]
    (folder / "BirdNET_Geomodel_Labels.txt").write_text("\n".join(lines), encoding="utf-8")
    return export(made(SPECIES, WIDTH, NARROW), folder / "BirdNET_Geomodel_FP32.onnx")


@pytest.fixture(scope="module")
def imported(published):
    return read_checkpoint(published)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return export(made(7, 16, 4, blocks=2, plain=1), tmp_path_factory.mktemp("s") / "s.onnx")


def drawn(number):
    generator = torch.Generator().manual_seed(1)
    unit = torch.rand(number, 2, generator=generator)
    lonlat = unit * torch.tensor([360.0, 180.0]) - torch.tensor([180.0, 90.0])
    week = torch.randint(1, WEEKS + 1, (number,), generator=generator)
    return lonlat, week


def given(lonlat, week):
    return torch.stack((lonlat[:, 1], lonlat[:, 0], week.float()), dim=1)


def test_it_agrees_with_onnxruntime(published, imported):
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    session = runtime.InferenceSession(str(published), providers=["CPUExecutionProvider"])
    lonlat, week = drawn(300)
    (want,) = session.run(None, {"input": given(lonlat, week).numpy()})
    ours = location_prior(imported.model, lonlat, date=(week.float() - 0.5) / WEEKS)
    assert (ours - torch.from_numpy(want)).abs().max() < 1e-4
    assert imported.model.classes.names[3] == "Genus species3"
    assert imported.model.classes.common_names[3] == "Bird 3"
    assert imported.provenance["source"] == "geomodel" and imported.model.uses_date


def test_the_year_is_the_highest_of_the_weeks(small, tmp_path):
    model = import_checkpoint(small)
    again = load_model(save_model(model, tmp_path / "m"))
    lonlat, week = drawn(9)
    weeks = torch.stack([
        made(7, 16, 4, blocks=2, plain=1)(given(lonlat, torch.full((9,), w + 1)))
        for w in range(WEEKS)
    ])  # fmt: skip
    for one in (model, again):
        torch.testing.assert_close(one.prior(lonlat), weeks.amax(0).detach(), atol=1e-5, rtol=0)
    date = torch.where(torch.arange(9) < 4, torch.nan, (week - 0.5) / WEEKS)
    both = again.prior(lonlat, date)
    torch.testing.assert_close(both[:4], weeks.amax(0)[:4].detach(), atol=1e-5, rtol=0)
    one = weeks[week - 1, torch.arange(9)].detach()
    torch.testing.assert_close(both[4:], one[4:], atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match=r"highest of its 48 weeks .* no embedding without one"):
        again.embed_location(lonlat)
    with pytest.raises(ConfigError, match="give a date"):
        again.embed_location(lonlat, date)
    assert again.embed_location(lonlat, (week - 0.5) / WEEKS).isfinite().all()
    raster = heatmap(again, 2, bounds=(0, 0, 20, 20), step=10.0)
    want = again.prior(raster.grid.lonlat())[:, 2]
    torch.testing.assert_close(raster.values.flatten(), want, atol=1e-6, rtol=0)


def test_half_precision(small, tmp_path):
    half = export(made(7, 16, 4, blocks=2, plain=1), tmp_path / "half.onnx", half=True)
    lonlat, week = drawn(20)
    date = (week.float() - 0.5) / WEEKS
    found = [import_checkpoint(path).prior(lonlat, date) for path in (half, small)]
    torch.testing.assert_close(*found, atol=5e-3, rtol=0)


def test_files_of_something_else(small, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    whole = small.read_bytes()
    path = tmp_path / "x.onnx"
    for part in (0.3, 0.9, 0.999):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(CheckpointError, match="cut short or damaged"):
            import_checkpoint(path)
    path.write_bytes(b"\x08" + b"\xff" * 40)
    with pytest.raises(CheckpointError, match="cut short or damaged"):
        import_checkpoint(path)
    graph = onnx.load(str(small))
    names = {one.name: one for one in graph.graph.initializer}
    graph.graph.initializer.remove(names["model.encoder.blocks.0.block.2.weight"])
    onnx.save(graph, str(path))
    with pytest.raises(CheckpointError, match="some are missing"):
        import_checkpoint(path)
    value = onnx.numpy_helper.from_array(np.ones((2, 3), dtype=np.float32), "weight")
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [value])), str(path))
    with pytest.raises(CheckpointError, match="none of the sources"):
        import_checkpoint(path)


def test_weights_in_another_file_are_asked_for(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    value = onnx.numpy_helper.from_array(np.ones(4000, dtype=np.float32), "w")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], [value]))
    onnx.save(model, str(tmp_path / "x.onnx"), save_as_external_data=True, location="x.data")
    with pytest.raises(CheckpointError, match="in another file beside it"):
        import_checkpoint(tmp_path / "x.onnx")


def test_numbers_written_in_every_way(tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    make, kinds = onnx.helper.make_tensor, onnx.TensorProto
    values = [1.5, -2.0, 0.25]
    tensors = [
        make("floats", kinds.FLOAT, [3], values),
        make("halves", kinds.FLOAT16, [3], values),
        make("doubles", kinds.DOUBLE, [3], values),
        make("whole", kinds.INT64, [3], [7, 300, -1]),
        make("raw", kinds.FLOAT, [3], np.array(values, "<f4").tobytes(), raw=True),
        make("other", kinds.STRING, [1], [b"text"]),
    ]
    path = tmp_path / "x.onnx"
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [], tensors))
    onnx.save(model, str(path))
    found = read_onnx(path)
    assert set(found) == {"floats", "halves", "doubles", "whole", "raw"}
    assert found.pop("whole").tolist() == [7, 300, -1]
    assert all(tensor.tolist() == values for tensor in found.values())


# The parts that it is made of


def test_modulation_by_hand():
    torch.manual_seed(0)
    network = {"name": "modulated", "modulating": 4, "hidden_dim": 6, "num_blocks": 1,
               "num_plain": 0, "dropout": 0.0}  # fmt: skip
    encoder = make_location_encoder("xyz", 3, network=network, time={"harmonics": 2}).eval()
    body, features = encoder.network, torch.randn(5, 7)
    place, light = features[:, :3], features[:, 3:]
    factor, shift = body.modulations[0](light).chunk(2, dim=1)
    hidden = body.blocks[0](body.place(place)) * (1 + factor) + shift
    want = nn.functional.gelu(body.output(body.last_norm(body.norm(hidden))))
    torch.testing.assert_close(body(features), want)


@pytest.mark.parametrize(
    ("network", "time", "said"),
    [
        ({"modulating": 3}, None, "fewer features than the 3"),
        ({"num_blocks": -1}, None, "0 blocks or more"),
        ({}, {"without_date": "highest_week"}, "beside weeks"),
        ({}, {"without_date": "never", "weeks": 4}, "give 'learned'"),
        ({}, {"weeks": 1}, "give 2 to"),
        ({}, {"weeks": 48, "hour": True}, "no hour"),
    ],
)
def test_options_that_do_not_fit(network, time, said):
    with pytest.raises(ConfigError, match=said):
        make_location_encoder("xyz", 4, network={"name": "modulated", **network}, time=time)


def test_harmonics_of_the_encoding():
    with pytest.raises(ConfigError, match="give 1 to 64"):
        make_location_encoder("birdnet", 4, harmonics=0)
    lonlat = torch.tensor([[-150.0, -80.0]])
    got = make_location_encoder("birdnet", 4, harmonics=2).encoding(lonlat)[0]
    a, b = math.radians(30), math.radians(20)
    angles = (a, b, 2 * a, 2 * b)
    want = [*(math.sin(x) for x in angles), *(math.cos(x) for x in angles)]
    torch.testing.assert_close(got, torch.tensor(want), atol=1e-6, rtol=0)
