"""The fast way over a grid: equal to asking place by place, for every encoding that it takes."""

from __future__ import annotations

import math
import threading
from dataclasses import replace

import pytest
import torch

from csp_core import geo
from csp_core.inference import location_prior
from csp_core.location import ENCODINGS, make_location_encoder
from csp_core.location.multiscale import Grid as GridEncoding
from csp_core.location.network import ResidualMLP
from csp_core.location.separable import SPLITS
from csp_core.model import DualEncoder
from csp_core.raster import GridPrior, features, make_grid
from csp_core.raster.features import can_split, grid_features

TAKEN = sorted(name for name, kind in ENCODINGS.items() if kind in SPLITS)
NETWORKS = {
    "one hidden layer": {"name": "residual_mlp", "hidden_dim": 24},
    "three hidden layers": {"name": "residual_mlp", "hidden_dim": 24, "num_hidden": 3},
    "no hidden layer": {"name": "residual_mlp", "num_hidden": 0},
    "gelu, final relu": {
        "name": "residual_mlp", "hidden_dim": 24, "activation": "gelu", "final_activation": "relu"
    },
    "siren": {"name": "siren", "hidden_dim": 24, "first_w0": 3.0},
    "fcnet": {"name": "fcnet"},
}  # fmt: skip


def make_model(encoding, network="one hidden layer", kind="relative", classes=5, **options):
    """Give a model whose every weight counts."""
    torch.manual_seed(0)
    name = None if encoding == "geoclip" else NETWORKS[network]
    encoder = make_location_encoder(encoding, 12, network=name, **options)
    names = [str(number) for number in range(classes)]
    model = DualEncoder(None, encoder, dim=12, classes=names, prior_kind=kind)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
        model.classifier.weight *= 4
    model.calibration = replace(model.calibration, temperature=1.3)
    return model.eval()


def by_place(model, grid, label=2):
    return location_prior(model, grid.lonlat())[:, label].view(grid.shape)


def test_the_encodings_that_are_taken():
    assert set(TAKEN) == {
        "direct", "wrap", "wrap_radians", "rff", "grid", "theory", "xyz", "harmonics", "sphere_c",
        "sphere_c_plus", "sphere_c_seamless", "sphere_m", "sphere_m_plus", "dfs"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["relative", "share"])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_equal_to_place_by_place(encoding, kind):
    model = make_model(encoding, kind=kind, **ENCODINGS[encoding].example_options)
    grid = GridPrior(model, (100, -90, -130, 90), 6.0)
    assert grid_features(model, grid.grid).quick == (encoding in TAKEN)
    torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("encoding", TAKEN)
def test_equal_in_the_usual_size(encoding):
    # At 10 radians a degree, angles reach 1,800, which single precision knows to 1e-4.
    model = make_model(encoding).double()
    grid = GridPrior(model, (-30, 20, 30, 60), 2.5)
    exact = by_place(model, grid.grid)
    torch.testing.assert_close(grid.values(2), exact.float(), rtol=1e-4, atol=1e-9)
    single = GridPrior(make_model(encoding), (-30, 20, 30, 60), 2.5)
    torch.testing.assert_close(single.values(2), exact.float(), rtol=2e-3, atol=1e-9)


@pytest.mark.parametrize("kind", ["relative", "share"])
@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("encoding", ["grid", "sphere_m_plus", "harmonics", "rff_sphere"])
def test_every_network(encoding, network, kind):
    options = ENCODINGS[encoding].example_options
    model = make_model(encoding, network, kind, **options)
    grid = GridPrior(model, (-40, -45, 50, 45), 5.0)
    torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)


def test_a_skip_connection_over_the_first_layer_needs_the_places_themselves():
    model = make_model("grid", num_scales=6)  # 24 features, as many as hidden
    grid = GridPrior(model, (-40, -45, 50, 45), 5.0)
    assert not grid_features(model, grid.grid).quick
    torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("classes", [3, 400])
def test_shares_of_few_and_of_many_classes(classes):
    model = make_model("grid", kind="share", classes=classes, num_scales=4)
    grid = GridPrior(model, (-40, -45, 50, 45), 5.0)
    features = grid_features(model, grid.grid)
    # With many classes a detour over the 12 numbers of the embedding is shorter than 24.
    assert features.weight.shape == (classes, 24 if classes == 3 else 12)
    torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)


def test_without_biases():
    model = make_model("sphere_c", kind="share", num_scales=4)
    model.classifier.bias = None
    model.location.network.hidden[0].bias = None
    model.location.network.output.bias = None
    grid = GridPrior(model, (-40, -45, 50, 45), 5.0)
    torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)


def test_other_types_fall_back():
    class Doubled(GridEncoding):
        def forward(self, lonlat):
            return 2 * super().forward(lonlat)

    class Odd(ResidualMLP):
        def forward(self, features):
            return super().forward(features) + 1

    for encoding, network in ((Doubled(4), None), (GridEncoding(4), Odd(16, 12))):
        encoder = make_location_encoder(encoding, 12, network=network)
        model = DualEncoder(None, encoder, dim=12, classes=["a", "b", "c"]).eval()
        grid = GridPrior(model, (-40, -45, 50, 45), 5.0)
        assert not grid_features(model, grid.grid).quick
        torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)

    class Own(DualEncoder):
        pass

    assert not can_split(Own(None, make_location_encoder("xyz", 12), dim=12, classes=["a"]))
    assert not can_split(DualEncoder(None, make_location_encoder("xyz", 12), dim=12))


@pytest.mark.parametrize("cells", [1, 7, 50, 10_000])
@pytest.mark.parametrize("encoding", ["grid", "theory", "rff_sphere"])
def test_blocks_of_any_size(encoding, cells, monkeypatch):
    monkeypatch.setattr(features, "BLOCK_CELLS", cells)
    model = make_model(encoding, kind="share", **ENCODINGS[encoding].example_options)
    grid = GridPrior(model, (0, -15, 65, 40), 5.0)  # 11 rows of 13
    torch.testing.assert_close(grid.values(2), by_place(model, grid.grid), rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("kind", ["relative", "share"])
@pytest.mark.parametrize("encoding", sorted(ENCODINGS))
def test_some_cells_are_those_of_the_whole_grid(encoding, kind, monkeypatch):
    monkeypatch.setattr(features, "BLOCK_CELLS", 20)
    model = make_model(encoding, kind=kind, **ENCODINGS[encoding].example_options)
    grid = make_grid((100, -90, -130, 90), 6.0)  # 30 rows of 22
    wanted = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0)) < 0.3
    wanted[:4], wanted[9], wanted[11] = False, False, True  # a row of more cells than a block
    with torch.inference_mode():
        whole, some = (grid_features(model, grid, wanted=mask) for mask in (None, wanted))
        assert some.quick == whole.quick
        found = [torch.full((grid.rows * grid.columns, 5), math.nan) for _ in range(2)]
        for table, part in zip(found, (whole, some), strict=True):

            def work(own, block, table=table, part=part):
                assert torch.isnan(table[own]).all() and len(block) == own.stop - own.start
                table[own] = block @ part.weight.T + part.bias

            part.each(work)
    count = int(wanted.sum())
    assert torch.isnan(found[1][count:]).all() and not torch.isnan(found[1][:count]).any()
    assert len(some.cuts) < 2 * count / 20 + 2
    torch.testing.assert_close(found[1][:count], found[0][wanted.flatten()], rtol=1e-5, atol=1e-5)


def test_many_products_are_cut_into_fewer_rows(monkeypatch):
    model = make_model("dfs", num_scales=3)
    grid = make_grid((0, -15, 65, 40), 5.0)
    whole = GridPrior(model, grid.bounds, 5.0).values(1)
    monkeypatch.setattr(features, "MAX_PRODUCTS", 2 * 36 * 24)  # of two rows
    assert len(grid_features(model, grid).cuts) == 6
    torch.testing.assert_close(GridPrior(model, grid.bounds, 5.0).values(1), whole)


@pytest.mark.parametrize("kind", ["relative", "share"])
def test_threads_give_the_same_and_are_given_back(kind):
    model = make_model("rff_sphere", kind=kind, **ENCODINGS["rff_sphere"].example_options)
    alone = GridPrior(model, geo.WORLD, 2.0).values(1)
    torch.set_num_threads(2)
    try:
        together = GridPrior(model, geo.WORLD, 2.0).values(1)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert torch.get_num_threads() == 2 and seen == [2]
    finally:
        torch.set_num_threads(1)
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-9)


def test_an_error_in_a_thread_is_raised():
    model = make_model("xyz")
    torch.set_num_threads(2)
    try:
        found = grid_features(model, make_grid(geo.WORLD, 2.0))

        def work(own, block):
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            found.each(work)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("kind", ["relative", "share"])
@pytest.mark.parametrize("date", [None, 0.3])
def test_a_network_that_sees_what_is_known_is_asked_place_by_place(kind, date):
    torch.manual_seed(0)
    network = {"name": "tokens", "width": 16, "heads": 2, "layers": 1}
    encoder = make_location_encoder("sphere_c", 12, num_scales=4, network=network, time=True)
    classes = [str(number) for number in range(5)]
    model = DualEncoder(None, encoder, dim=12, classes=classes, prior_kind=kind).eval()
    with torch.no_grad():
        encoder.time.missing.fill_(0.7)
    assert not can_split(model)
    bounds = (-20.0, -10.0, 40.0, 30.0)
    grid = make_grid(bounds, 10.0)
    when = None if date is None else torch.full((grid.rows * grid.columns,), date)
    expected = location_prior(model, grid.lonlat(), date=when)[:, 2].view(grid.shape)
    found = GridPrior(model, bounds, 10.0, date).values(2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("encoding", ["xyz", "geoclip", "rff_sphere"])
@pytest.mark.parametrize("kind", ["relative", "share"])
def test_what_is_near_is_drawn_as_it_is_asked(encoding, kind):
    near = {"places": [(10.0, 50.0), (179.0, -20.0)], "km": 800.0}
    model = make_model(encoding, kind=kind, nearness=near)
    with torch.no_grad():  # it is small beside an embedding
        model.classifier.weight[:, -1] *= 1000
    grid = GridPrior(model, (-180, -90, 180, 90), 15.0)
    exact = by_place(model, grid.grid)
    torch.testing.assert_close(grid.values(2), exact, rtol=1e-4, atol=1e-6)
