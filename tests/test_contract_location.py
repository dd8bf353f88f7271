"""Every location encoder keeps one contract, and computes the formula of its paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError, UnknownNameError
from csp_core.location import ACTIVATIONS, ENCODINGS, NETWORKS, make_location_encoder
from csp_core.location.multiscale import geometric_frequencies
from csp_core.location.network import FCNet, ResidualMLP

NAMES = sorted(ENCODINGS)
# These frequencies are powers of two, exact in float32 and float64 alike.
SCALES = {"num_scales": 5, "min_radius": 0.5, "max_radius": 8.0}
FREQUENCIES = [2.0, 1.0, 0.5, 0.25, 0.125]
OPTIONS = {
    "rff": {"num_features": 6, "kernel_variance": 4.0},
    "rff_sphere": {"num_features": 6, "kernel_variance": [1.0, 25.0]},
    **dict.fromkeys(("grid", "theory", "sphere_c", "sphere_c_plus", "sphere_m"), SCALES),
}
CONTINUOUS_AT_THE_DATELINE = {"wrap", "xyz", "rff_sphere"}
CONTINUOUS_AT_THE_POLES = {"xyz", "rff_sphere"}
EDGES = [[-180, 0], [180, 0], [0, 90], [0, -90], [180, 90], [-180, -90], [0, 0]]
PLACES = torch.tensor([[36.8, -1.3], [-77.1, -12.05], [151.2, -33.9], *EDGES], dtype=torch.float64)


def encoding(name, **more):
    return ENCODINGS[name](**OPTIONS.get(name, {}), **more)


def encoder(name, dim=7, **more):
    return make_location_encoder(name, dim, **OPTIONS.get(name, {}), **more)


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def random_places(n, seed=0):
    u = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return u * torch.tensor([360.0, 180.0], dtype=torch.float64) - torch.tensor([180.0, 90.0])


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name):
    part, whole = encoding(name), encoder(name)
    lonlat = PLACES.float()
    assert part(lonlat).shape == (len(lonlat), part.out_dim)
    assert whole(lonlat).shape == (len(lonlat), 7) and whole.out_dim == 7
    assert part(lonlat[:0]).shape == (0, part.out_dim)
    assert whole(lonlat[:0]).shape == (0, 7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("defaults", [False, True])
def test_finite_everywhere(name, defaults):
    part = ENCODINGS[name]() if defaults else encoding(name)
    for lonlat in (PLACES, random_places(500)):
        features = part(lonlat.float())
        assert features.isfinite().all()
        assert (features.abs() <= 1 + 1e-6).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_the_coordinates(name):
    lonlat = random_places(6).requires_grad_()
    assert torch.autograd.gradcheck(encoding(name).double(), (lonlat,))
    encoder(name).double().eval()(lonlat).sum().backward()
    assert lonlat.grad.isfinite().all() and (lonlat.grad != 0).any(dim=0).all()


@pytest.mark.parametrize("name", NAMES)
def test_input_is_not_changed(name):
    lonlat = PLACES.float()
    before = lonlat.clone()
    encoder(name)(lonlat)
    assert torch.equal(lonlat, before)


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip(name):
    first = encoder(name).eval()
    torch.manual_seed(99)
    seeded = {"seed": 5} if "rff" in name else {}
    second = encoder(name, **seeded).eval()
    lonlat = PLACES.float()
    assert not torch.equal(first(lonlat), second(lonlat))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(lonlat), second(lonlat))


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_encoder(name):
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(encoder(name).eval()(PLACES.float()))
    assert torch.equal(*found)


@pytest.mark.parametrize("name", NAMES)
def test_float64(name):
    single, double = encoding(name), encoding(name).double()
    assert double(PLACES).dtype == torch.float64
    assert encoder(name).double()(PLACES).dtype == torch.float64
    torch.testing.assert_close(single(PLACES.float()).double(), double(PLACES), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_independent(name):
    part = encoding(name).double()
    together = part(PLACES)
    alone = torch.cat([part(row[None]) for row in PLACES])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def slow(name, lon, lat, module):
    """Compute one place's features, one number after the other."""
    x, y = math.radians(lon), math.radians(lat)
    unit = [math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)]
    u, v = lon / 180, lat / 90
    out = []
    if name == "direct":
        out = [u, v]
    elif name == "wrap":
        a, b = math.pi * u, math.pi * v
        out = [math.sin(a), math.sin(b), math.cos(a), math.cos(b)]
    elif name == "xyz":
        out = unit
    elif name in ("rff", "rff_sphere"):
        point = [u, v] if name == "rff" else unit
        omega, phase = module.omega.double().numpy(), module.phase.double().numpy()
        for i in range(len(phase)):
            dot = sum(point[d] * omega[d, i] for d in range(len(point)))
            out.append(math.sqrt(2 / len(phase)) * math.cos(dot + phase[i]))
    elif name == "grid":
        for c in (lon, lat):
            for f in FREQUENCIES:
                out += [math.sin(c * f), math.cos(c * f)]
    elif name == "theory":
        for f in FREQUENCIES:
            for degrees in (0, 120, 240):
                along = lon * math.cos(math.radians(degrees)) + lat * math.sin(
                    math.radians(degrees)
                )
                out += [math.sin(along * f), math.cos(along * f)]
    else:
        for f in FREQUENCIES:
            a, b = x * f, y * f
            sin_a, cos_a, sin_b, cos_b = math.sin(a), math.cos(a), math.sin(b), math.cos(b)
            if name == "sphere_c":
                out += [sin_b, cos_b * cos_a, cos_b * sin_a]
            elif name == "sphere_c_plus":
                out += [sin_b, cos_b, sin_a, cos_a, cos_b * cos_a, cos_b * sin_a]
            elif name == "sphere_m":
                out += [
                    sin_b,
                    cos_b * math.cos(x),
                    math.cos(y) * cos_a,
                    cos_b * math.sin(x),
                    math.cos(y) * sin_a,
                ]
    assert out, f"write the formula of {name} here"
    return out


@pytest.mark.parametrize("name", NAMES)
def test_formula(name):
    part = encoding(name).double()
    lonlat = torch.cat((PLACES, random_places(20)))
    want = float64([slow(name, *place, part) for place in lonlat.tolist()])
    # The directions of theory are kept in float32, which 180° at frequency 2 multiplies by 360.
    tolerance = 5e-5 if name == "theory" else 1e-12
    torch.testing.assert_close(part(lonlat), want, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_default_size(name):
    sizes = {
        "direct": 2, "wrap": 4, "xyz": 3, "rff": 64, "rff_sphere": 256, "grid": 4 * 32,
        "theory": 6 * 32, "sphere_c": 3 * 32, "sphere_c_plus": 6 * 32, "sphere_m": 5 * 32,
    }  # fmt: skip
    assert ENCODINGS[name]().out_dim == sizes[name]


@pytest.mark.parametrize("name", NAMES)
def test_dateline(name):
    part = encoding(name).double()
    lat = torch.tensor([-60.0, 0.0, 12.3, 60.0], dtype=torch.float64)
    west = part(torch.stack((torch.full_like(lat, -180), lat), dim=1))
    east = part(torch.stack((torch.full_like(lat, 180), lat), dim=1))
    gap = (west - east).abs().max().item()
    assert (gap < 1e-6) == (name in CONTINUOUS_AT_THE_DATELINE), gap


@pytest.mark.parametrize("name", NAMES)
def test_poles(name):
    part = encoding(name).double()
    for pole in (-90.0, 90.0):
        features = part(torch.tensor([[lon, pole] for lon in (-170.0, -3.0, 40.0, 111.0)]).double())
        gap = (features - features[0]).abs().max().item()
        assert (gap < 1e-6) == (name in CONTINUOUS_AT_THE_POLES), gap


def test_wrap_gives_both_poles_one_encoding():
    north, south = encoding("wrap").double()(torch.tensor([[5.0, 90], [5, -90]]).double())
    torch.testing.assert_close(north, south, atol=1e-12, rtol=0)


def test_geometric_frequencies():
    want = [1 / (0.1 * (360 / 0.1) ** (s / 31)) for s in range(32)]
    got = geometric_frequencies(32, 0.1, 360.0)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
    assert geometric_frequencies(1, 0.25, 360.0).tolist() == [4.0]


@pytest.mark.parametrize("name", ["rff", "rff_sphere"])
def test_random_frequencies_have_their_variance(name):
    part = ENCODINGS[name](num_features=40000, kernel_variance=[4.0, 100.0], seed=1)
    low, high = part.omega.chunk(2, dim=1)
    assert low.var().item() == pytest.approx(4.0, rel=0.03)
    assert high.var().item() == pytest.approx(100.0, rel=0.03)
    assert 0 <= part.phase.min() and part.phase.max() <= 2 * math.pi
    assert part.phase.mean().item() == pytest.approx(math.pi, rel=0.02)


def test_rff_sphere_is_a_gaussian_kernel():
    part = ENCODINGS["rff_sphere"](num_features=100000, kernel_variance=9.0)
    lonlat = torch.tensor([[10.0, 50.0], [30.0, 40.0]])
    a, b = part(lonlat)
    chord = torch.dist(*ENCODINGS["xyz"]()(lonlat)).item()
    assert (a @ b).item() == pytest.approx(math.exp(-9.0 * chord**2 / 2), abs=0.01)


# Names and options


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="Did you mean 'sphere_c'"):
        make_location_encoder("sphere_cc")
    with pytest.raises(UnknownNameError, match="fcnet, residual_mlp"):
        make_location_encoder("xyz", network="transformer")
    with pytest.raises(UnknownNameError, match="leaky_relu"):
        make_location_encoder("xyz", network={"name": "residual_mlp", "activation": "swish"})


@pytest.mark.parametrize("name", ["grid", "theory", "sphere_c", "sphere_c_plus", "sphere_m"])
@pytest.mark.parametrize(
    "options", [{"num_scales": 0}, {"min_radius": 0.0}, {"min_radius": 2.0, "max_radius": 1.0}]
)
def test_scales_out_of_range(name, options):
    with pytest.raises(ConfigError, match="at least one scale"):
        ENCODINGS[name](**options)


@pytest.mark.parametrize(
    "options",
    [
        {"num_features": 0},
        {"kernel_variance": 0.0},
        {"kernel_variance": []},
        {"num_features": 7, "kernel_variance": [1.0, 2.0]},
    ],
)
@pytest.mark.parametrize("name", ["rff", "rff_sphere"])
def test_random_features_out_of_range(name, options):
    with pytest.raises(ConfigError, match="kernel_variance"):
        ENCODINGS[name](**options)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_option(name):
    with pytest.raises(ConfigError, match="no option 'scales'"):
        make_location_encoder(name, scales=3)


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.parametrize("dropout", [1.0, -0.1, float("nan")])
def test_dropout_out_of_range(network, dropout):
    with pytest.raises(ConfigError, match="dropout"):
        make_location_encoder("xyz", network={"name": network, "dropout": dropout})


def test_sizes_out_of_range():
    with pytest.raises(ConfigError, match="dim is 0"):
        make_location_encoder("xyz", 0)
    with pytest.raises(ConfigError, match="hidden_dim is 0"):
        make_location_encoder("xyz", network={"name": "residual_mlp", "hidden_dim": 0})


def test_modules_of_ones_own():
    class Halves(nn.Module):
        out_dim = 2

        def forward(self, lonlat):
            return lonlat / 2

    built = make_location_encoder(Halves(), 3, network=nn.Linear(2, 3))
    assert built(PLACES.float()).shape == (len(PLACES), 3) and built.spec is None
    with pytest.raises(ConfigError, match="out_dim"):
        make_location_encoder(nn.Identity(), 3)


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_makes_the_encoder_again(name):
    first = encoder(name, network={"name": "fcnet", "num_blocks": 1}).eval()
    second = make_location_encoder(dim=7, **first.spec).eval()
    second.load_state_dict(first.state_dict())
    assert second.spec == first.spec
    assert torch.equal(first(PLACES.float()), second(PLACES.float()))


# Networks


def slow_layer(linear, vector):
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    rows = range(len(bias))
    return [sum(weight[i, j] * vector[j] for j in range(len(vector))) + bias[i] for i in rows]


def slow_activation(name, x):
    return {
        "relu": max(x, 0.0),
        "leaky_relu": x if x > 0 else 0.2 * x,
        "gelu": x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
        "sigmoid": 1 / (1 + math.exp(-x)),
        "tanh": math.tanh(x),
    }[name]


def slow_norm(layer, vector):
    mean = sum(vector) / len(vector)
    variance = sum((x - mean) ** 2 for x in vector) / len(vector)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    scaled = [(x - mean) / math.sqrt(variance + 1e-5) for x in vector]
    return [x * w + b for x, w, b in zip(scaled, weight, bias, strict=True)]


def slow_mlp(network, vector, activation, final):
    for linear, norm in zip(network.hidden, network.norms, strict=True):
        hidden = [slow_activation(activation, x) for x in slow_layer(linear, vector)]
        if len(hidden) == len(vector):
            hidden = [h + x for h, x in zip(hidden, vector, strict=True)]
        vector = slow_norm(norm, hidden)
    out = slow_layer(network.output, vector)
    return out if final is None else [slow_activation(final, x) for x in out]


def shake(network):
    """Give every weight a value of its own, norms and biases too."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.7)
    return network.double().eval()


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("final", [None, "relu"])
@pytest.mark.parametrize(("in_dim", "num_hidden"), [(3, 2), (5, 1), (3, 0)])
def test_residual_mlp_formula(activation, final, in_dim, num_hidden):
    network = shake(
        ResidualMLP(
            in_dim, 4, 5, num_hidden, activation=activation, dropout=0.5, final_activation=final
        )
    )
    features = torch.randn(6, in_dim, dtype=torch.float64)
    want = [slow_mlp(network, row.tolist(), activation, final) for row in features]
    torch.testing.assert_close(network(features), float64(want), atol=1e-10, rtol=0)


def test_fcnet_formula():
    network = shake(FCNet(3, 4, num_blocks=2))
    features = torch.randn(6, 3, dtype=torch.float64)
    want = []
    for row in features:
        vector = [max(x, 0.0) for x in slow_layer(network.feats[0], row.tolist())]
        for block in list(network.feats)[2:]:
            inner = [max(x, 0.0) for x in slow_layer(block.w1, vector)]
            step = [max(x, 0.0) for x in slow_layer(block.w2, inner)]
            vector = [x + s for x, s in zip(vector, step, strict=True)]
        want.append(vector)
    torch.testing.assert_close(network(features), float64(want), atol=1e-10, rtol=0)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_dropout_is_at_work_in_training_alone(name):
    network = NETWORKS[name](3, 32)
    features = torch.randn(4, 3)
    assert not torch.equal(network(features), network(features))
    network.eval()
    assert torch.equal(network(features), network(features))


def test_residual_mlp_starts_xavier_uniform():
    network = ResidualMLP(300, 200, 100)
    for layer in (*network.hidden, network.output):
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
