"""Every network computes the formula of its paper and starts as its paper says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.location import ACTIVATIONS, NETWORKS, make_location_encoder
from csp_core.location.geoclip import Capsules
from csp_core.location.network import FCNet, ResidualMLP
from csp_core.location.siren import ResidualSiren, Siren
from csp_core.tables import option_names

WITH_DROPOUT = sorted(n for n in NETWORKS if "dropout" in option_names(NETWORKS[n]))


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def slow_layer(linear, vector):
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    rows = range(len(bias))
    return [sum(weight[i, j] * vector[j] for j in range(len(vector))) + bias[i] for i in rows]


def shake(network):
    """Give every weight a value of its own, norms and biases too."""
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.7)
    return network.double().eval()


def assert_computes(network, slow, in_dim):
    features = torch.randn(6, in_dim, dtype=torch.float64)
    want = float64([slow(row.tolist()) for row in features])
    torch.testing.assert_close(network(features), want, atol=1e-10, rtol=0)


# residual_mlp


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


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("final", [None, "relu"])
@pytest.mark.parametrize(("in_dim", "num_hidden"), [(3, 2), (5, 1), (3, 0)])
def test_residual_mlp_formula(activation, final, in_dim, num_hidden):
    network = shake(
        ResidualMLP(
            in_dim, 4, 5, num_hidden, activation=activation, dropout=0.5, final_activation=final
        )
    )
    assert_computes(network, lambda v: slow_mlp(network, v, activation, final), in_dim)


def test_residual_mlp_starts_xavier_uniform():
    network = ResidualMLP(300, 200, 100)
    for layer in (*network.hidden, network.output):
        bound = math.sqrt(6 / sum(layer.weight.shape))
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)


# fcnet


def slow_fcnet(network, vector):
    vector = [max(x, 0.0) for x in slow_layer(network.feats[0], vector)]
    for block in list(network.feats)[2:]:
        inner = [max(x, 0.0) for x in slow_layer(block.w1, vector)]
        step = [max(x, 0.0) for x in slow_layer(block.w2, inner)]
        vector = [x + s for x, s in zip(vector, step, strict=True)]
    return vector


def test_fcnet_formula():
    network = shake(FCNet(3, 4, num_blocks=2))
    assert_computes(network, lambda v: slow_fcnet(network, v), 3)


# Sines


def slow_siren(network, vector, first_w0, w0):
    for k, layer in enumerate(network.layers):
        factor = w0 if k else first_w0
        vector = [math.sin(factor * x) for x in slow_layer(layer, vector)]
    return slow_layer(network.last_layer, vector)


def test_siren_formula():
    network = shake(Siren(3, 4, 5, num_hidden=3, first_w0=7.0, w0=2.0))
    assert_computes(network, lambda v: slow_siren(network, v, 7.0, 2.0), 3)
    assert Siren(3, 4).factors == [30.0, 1.0]


def slow_residual_siren(network, vector, first_w0, w0):
    before = None
    for layer in network.layers:
        inner = slow_layer(layer, vector)
        if before is None:
            vector = [math.sin(first_w0 * math.sinh(2 * x)) for x in inner]
        else:
            inner = [(x + b) / 2 for x, b in zip(inner, before, strict=True)]
            vector = [math.sin(w0 * x) for x in inner]
        before = inner
    return slow_layer(network.last_layer, vector)


def test_residual_siren_formula():
    network = shake(ResidualSiren(3, 5, 5, num_hidden=4, first_w0=3.0, w0=2.0))
    assert_computes(network, lambda v: slow_residual_siren(network, v, 3.0, 2.0), 3)


@pytest.mark.parametrize("kind", [Siren, ResidualSiren])
@pytest.mark.parametrize("w0", [1.0, 5.0])
def test_sines_start_in_their_ranges(kind, w0):
    network = kind(300, 200, 100, num_hidden=2, w0=w0)
    inner = math.sqrt(6 / 100) / w0
    pairs = zip((*network.layers, network.last_layer), (1 / 300, inner, inner), strict=True)
    for layer, bound in pairs:
        for values in (layer.weight, layer.bias):
            assert values.abs().max() <= bound
            assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
        assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)


def test_siren_takes_the_names_and_shapes_of_satclip():
    encoder = make_location_encoder(
        "harmonics", 256, num_degrees=40, compat="reference",
        network={"name": "siren", "hidden_dim": 512},
    )  # fmt: skip
    shapes = {name: tuple(value.shape) for name, value in encoder.network.state_dict().items()}
    assert shapes == {
        "layers.0.weight": (512, 1600), "layers.0.bias": (512,),
        "layers.1.weight": (512, 512), "layers.1.bias": (512,),
        "last_layer.weight": (256, 512), "last_layer.bias": (256,),
    }  # fmt: skip


def test_a_deep_residual_siren_hands_its_gradient_down():
    network = ResidualSiren(4, 8, 64, num_hidden=16)
    network(torch.randn(32, 4)).square().sum().backward()
    norms = [layer.weight.grad.norm().item() for layer in network.layers]
    assert min(norms) > 1e-4 * max(norms)


# capsules


def slow_capsules(network, vector):
    size = len(vector) // len(network.capsules)
    total = None
    for i, capsule in enumerate(network.capsules):
        *hidden, last = [layer for layer in capsule if isinstance(layer, nn.Linear)]
        block = vector[i * size : (i + 1) * size]
        for layer in hidden:
            block = [max(x, 0.0) for x in slow_layer(layer, block)]
        out = slow_layer(last, block)
        total = out if total is None else [a + b for a, b in zip(total, out, strict=True)]
    return total


def test_capsules_formula():
    network = shake(Capsules(6, 4, hidden_dim=5))
    assert_computes(network, lambda v: slow_capsules(network, v), 6)


# What all have in common


@pytest.mark.parametrize("name", WITH_DROPOUT)
def test_dropout_is_at_work_in_training_alone(name):
    network = NETWORKS[name](3, 32, dropout=0.5)
    features = torch.randn(4, 3)
    assert not torch.equal(network(features), network(features))
    network.eval()
    assert torch.equal(network(features), network(features))


@pytest.mark.parametrize("name", WITH_DROPOUT)
@pytest.mark.parametrize("dropout", [1.0, -0.1, float("nan")])
def test_dropout_out_of_range(name, dropout):
    with pytest.raises(ConfigError, match="dropout"):
        make_location_encoder("xyz", network={"name": name, "dropout": dropout})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("residual_mlp", {"num_hidden": -1}, "num_hidden -1"),
        ("siren", {"num_hidden": 0}, "num_hidden 0"),
        ("siren", {"hidden_dim": 0}, "hidden_dim is 0"),
        ("siren", {"w0": 0.0}, "above 0"),
        ("residual_siren", {"first_w0": -1.0}, "above 0"),
        ("capsules", {"num_capsules": 2}, "divides"),
        ("capsules", {"num_capsules": 0}, "num_capsules is 0"),
        ("capsules", {"num_hidden": 0}, "at least 1 of each"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ConfigError, match=message):
        make_location_encoder("xyz", network={"name": name, **options})
