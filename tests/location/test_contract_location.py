"""Every position encoding and every encoder made from one keeps the same contract."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn

from csp_core.errors import ConfigError, UnknownNameError
from csp_core.location import ENCODINGS, NETWORKS, PositionEncoding, make_location_encoder
from csp_core.tables import option_names

NAMES = sorted(ENCODINGS)
SMOOTH = [name for name in NAMES if ENCODINGS[name].differentiable]
# Their largest feature, with the default options; 1 for all others.
LARGEST = {"harmonics": 1.23}
# Forms that neither the defaults nor the examples reach.
VARIANTS = [
    ("direct", {"extent": (-125.0, 24.0, -66.0, 50.0)}),
    ("rff", {"extent": (-125.0, 24.0, -66.0, 50.0)}),
    ("rbf", {"compat": "reference"}),
    ("rbf", {"anchors": [[180.0, 0.0], [0.0, 90.0], [36.8, -1.3]], "kernel_size": 5.0}),
    ("harmonics", {"compat": "reference"}),
    ("harmonics", {"num_degrees": 1}),
    ("harmonics", {"num_degrees": 40}),
    ("sphere_m_plus", {"compat": "reference"}),
    ("dfs", {"compat": "reference"}),
    ("tile", {"cell_degrees": 360.0, "num_features": 4}),
    ("tile", {"cell_degrees": 7.0, "num_features": 4}),
    ("grid", {"num_scales": 1}),
    ("sphere_c_seamless", {"num_scales": 1}),
]
FORMS = [(name, {}) for name in NAMES]
FORMS += [(name, dict(ENCODINGS[name].example_options)) for name in NAMES] + VARIANTS
EDGES = [[-180, 0], [180, 0], [0, 90], [0, -90], [180, 90], [-180, -90], [0, 0]]
PLACES = torch.tensor([[36.8, -1.3], [-77.1, -12.05], [151.2, -33.9], *EDGES], dtype=torch.float64)


def encoding(name, **more):
    return ENCODINGS[name](**{**ENCODINGS[name].example_options, **more})


def encoder(name, dim=7, **more):
    return make_location_encoder(name, dim, **{**ENCODINGS[name].example_options, **more})


def random_places(n, seed=0):
    u = torch.rand(n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return u * torch.tensor([360.0, 180.0], dtype=torch.float64) - torch.tensor([180.0, 90.0])


@pytest.mark.parametrize("name", NAMES)
def test_shapes(name):
    part, whole = encoding(name), encoder(name)
    lonlat = PLACES.float()
    assert isinstance(part, PositionEncoding)
    assert part(lonlat).shape == (len(lonlat), part.out_dim)
    assert whole(lonlat).shape == (len(lonlat), 7) and whole.out_dim == 7
    assert part(lonlat[:0]).shape == (0, part.out_dim)
    assert whole(lonlat[:0]).shape == (0, 7)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_finite_everywhere(name, options):
    part = ENCODINGS[name](**options)
    for lonlat in (PLACES, random_places(300)):
        features = part(lonlat.float())
        assert features.shape == (len(lonlat), part.out_dim)
        assert features.dtype == torch.float32 and features.isfinite().all()
        if options == {}:
            assert (features.abs() <= LARGEST.get(name, 1) + 1e-5).all()


@pytest.mark.parametrize(("name", "options"), [form for form in FORMS if form[0] in SMOOTH])
def test_gradients_are_finite_at_the_edges(name, options):
    lonlat = PLACES.float().requires_grad_()
    features = ENCODINGS[name](**options)(lonlat)
    if features.requires_grad:  # the harmonic of degree 0 is a constant
        (grad,) = torch.autograd.grad(features.sum(), lonlat)
        assert grad.isfinite().all()


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_reach_the_coordinates(name):
    lonlat = random_places(6).requires_grad_()
    assert torch.autograd.gradcheck(encoding(name).double(), (lonlat,))
    encoder(name).double().eval()(lonlat).sum().backward()
    assert lonlat.grad.isfinite().all() and (lonlat.grad != 0).any(dim=0).all()


def test_tile_alone_says_that_it_is_not_differentiable():
    assert set(NAMES) - set(SMOOTH) == {"tile"}
    part = encoding("tile")
    lonlat = random_places(6).float().requires_grad_()
    part(lonlat).sum().backward()
    assert lonlat.grad is None and part.embedding.weight.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_input_is_not_changed(name):
    lonlat = PLACES.float()
    before = lonlat.clone()
    encoder(name)(lonlat)
    assert torch.equal(lonlat, before)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_everything_is_on_the_device_of_the_input(name, options):
    part = ENCODINGS[name](**options).to("meta")
    assert part(PLACES.float().to("meta")).device.type == "meta"


@pytest.mark.parametrize("name", NAMES)
def test_state_dict_round_trip(name):
    first = encoder(name).eval()
    torch.manual_seed(99)
    seeded = {"seed": 5} if "seed" in option_names(ENCODINGS[name]) else {}
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
    single = encoding(name)
    double = copy.deepcopy(single).double()
    assert double(PLACES).dtype == torch.float64
    assert encoder(name).double()(PLACES).dtype == torch.float64
    torch.testing.assert_close(single(PLACES.float()).double(), double(PLACES), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_begins_behind_the_encoding(name):
    whole = encoder(name)
    seen = []
    whole.encoding.register_forward_hook(lambda module, inputs, output: seen.append(output))
    whole(PLACES.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert whole(PLACES.float()).dtype == torch.bfloat16 or "tile" in name
    assert torch.equal(*seen)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_independent(name):
    part = encoding(name).double()
    together = part(PLACES)
    alone = torch.cat([part(row[None]) for row in PLACES])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def gap(part, a, b):
    """The largest difference between the features of two rows of places."""
    first, second = (part(torch.tensor(rows, dtype=torch.float64)) for rows in (a, b))
    return (first - second).abs().max().item()


def antimeridian_gap(part):
    lats = [-60.0, -0.1, 12.3, 60.0]
    hair = 180 - 1e-10
    near = gap(part, [[-hair, lat] for lat in lats], [[hair, lat] for lat in lats])
    return max(near, gap(part, [[-180.0, y] for y in lats], [[180.0, y] for y in lats]))


def pole_gap(part):
    lons = (-170.0, -3.0, 40.0, 111.0)
    return max(
        gap(part, [[lon, pole] for lon in lons], [[lons[0], pole]] * 4) for pole in (-90.0, 90.0)
    )


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_where_it_jumps_is_as_it_says(name, options):
    part = ENCODINGS[name](**options).double()
    found = {
        "continuous_at_antimeridian": antimeridian_gap(part) < 1e-6,
        "continuous_at_poles": pole_gap(part) < 1e-6,
        "poles_differ": gap(part, [[5.0, 90.0]], [[5.0, -90.0]]) > 1e-6,
    }
    promised = {key: getattr(part, key) for key in found}
    if (name, options) in VARIANTS:
        # These may jump less than their kind does, but never where they say that they do not.
        if options.get("cell_degrees") != 360.0:
            assert all(found[key] for key, promise in promised.items() if promise)
    else:
        assert found == promised


@pytest.mark.parametrize("name", NAMES)
def test_the_specification_makes_the_encoder_again(name):
    first = encoder(name).eval()
    spec = json.loads(json.dumps(first.spec))
    second = make_location_encoder(dim=7, **spec).eval()
    second.load_state_dict(first.state_dict())
    assert second.spec == spec
    assert torch.equal(first(PLACES.float()), second(PLACES.float()))


@pytest.mark.parametrize("network", sorted(NETWORKS))
def test_every_network_stands_behind_an_encoding(network):
    whole = make_location_encoder("xyz", 7, network=network).eval()
    spec = json.loads(json.dumps(whole.spec))
    assert spec["network"]["name"] == network
    again = make_location_encoder(dim=7, **spec).eval()
    again.load_state_dict(whole.state_dict())
    assert torch.equal(whole(PLACES.float()), again(PLACES.float()))


def test_a_network_that_is_not_chosen_is_the_encodings_own():
    assert make_location_encoder("xyz").spec["network"]["name"] == "residual_mlp"
    options = ENCODINGS["geoclip"].example_options
    assert make_location_encoder("geoclip", **options).spec["network"]["name"] == "capsules"
    chosen = make_location_encoder("geoclip", network={"hidden_dim": 8}, **options)
    assert chosen.network.capsules[0][0].out_features == 8
    plain = make_location_encoder("geoclip", network="fcnet", **options)
    assert plain.spec["network"]["name"] == "fcnet"


@pytest.mark.parametrize("name", NAMES)
def test_a_configuration_takes_it(name):
    from csp_core.config import ModelConfig

    example = ENCODINGS[name].example_options
    config = ModelConfig.model_validate({"location": {"name": name, **example}})
    again = ModelConfig.model_validate(json.loads(config.model_dump_json()))
    assert again.model_dump(mode="json") == config.model_dump(mode="json")
    whole = make_location_encoder(dim=4, **config.location.model_dump()).eval()
    assert whole(PLACES.float()).shape == (len(PLACES), 4)


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="Did you mean 'sphere_c'"):
        make_location_encoder("sphere_cc")
    with pytest.raises(UnknownNameError, match="fcnet, modulated, residual_mlp, residual_siren"):
        make_location_encoder("xyz", network="transformer")
    with pytest.raises(UnknownNameError, match="leaky_relu"):
        make_location_encoder("xyz", network={"name": "residual_mlp", "activation": "swish"})


@pytest.mark.parametrize("name", NAMES)
def test_unknown_option(name):
    with pytest.raises(ConfigError, match="no option 'scales'"):
        make_location_encoder(name, scales=3)


MULTISCALE = [n for n in NAMES if "min_radius" in option_names(ENCODINGS[n])]


@pytest.mark.parametrize("name", MULTISCALE)
@pytest.mark.parametrize(
    "options",
    [
        {"num_scales": 0},
        {"num_scales": -3},
        {"min_radius": 0.0},
        {"min_radius": 0.9, "max_radius": 0.5},
        {"max_radius": float("nan")},
    ],
)
def test_scales_out_of_range(name, options):
    with pytest.raises(ConfigError, match="at least one scale"):
        ENCODINGS[name](**options)


@pytest.mark.parametrize("name", MULTISCALE)
def test_a_single_scale(name):
    part = ENCODINGS[name](num_scales=1, min_radius=0.2, max_radius=1.0)
    assert part.frequencies.tolist() == [5.0]


REFERENCES = [n for n in NAMES if "compat" in option_names(ENCODINGS[n])]


@pytest.mark.parametrize("name", REFERENCES)
def test_unknown_compat(name):
    with pytest.raises(ConfigError, match="compat is 'published'; give 'reference'"):
        ENCODINGS[name](compat="published")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        *[("rff", o, "kernel_variance") for o in ({"num_features": 0}, {"kernel_variance": 0.0})],
        ("rff_sphere", {"kernel_variance": []}, "kernel_variance"),
        ("rff_sphere", {"num_features": 7, "kernel_variance": [1.0, 2.0]}, "multiple"),
        ("rff", {"extent": (10.0, 0.0, 5.0, 1.0)}, "west of east"),
        ("direct", {"extent": (0.0, 0.0, 5.0)}, "west, south, east, north"),
        ("direct", {"extent": (0.0, -91.0, 5.0, 0.0)}, "extent is"),
        ("tile", {"cell_degrees": 0.0}, "cell_degrees is 0"),
        ("tile", {"cell_degrees": 400.0}, "up to 360"),
        ("tile", {"num_features": 0}, "at least one feature"),
        ("tile", {"cell_degrees": 2.6e-6}, "give larger cells"),
        ("rbf", {"num_anchors": 0}, "at least one anchor"),
        ("rbf", {"kernel_size": 0.0}, "above 0 degrees"),
        ("rbf", {"anchors": []}, "anchors"),
        ("rbf", {"anchors": [[1.0, 2.0, 3.0]]}, "anchors must be pairs"),
        ("rbf", {"anchors": [[1.0, 2.0], [3.0]]}, "anchors must be pairs"),
        ("rbf", {"anchors": [[48.2, 116.4]]}, "swapped"),
        ("nerf", {"num_scales": 0}, "1 to 20"),
        ("nerf", {"num_scales": 21}, "1 to 20"),
        ("harmonics", {"num_degrees": 0}, "1 to 100"),
        ("harmonics", {"num_degrees": 101}, "1 to 100"),
        ("dfs", {"num_scales": 33}, "at most 32"),
        ("sphere_c_seamless", {"num_scales": 51}, "only 50 odd numbers from 1 to 99"),
        ("sphere_c_seamless", {"max_radius": 2.0}, "at most 1"),
        ("geoclip", {"sigmas": []}, "sigmas"),
        ("geoclip", {"sigmas": [1.0, 0.0]}, "above 0"),
        ("geoclip", {"num_frequencies": 0}, "at least one frequency"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ConfigError, match=message):
        ENCODINGS[name](**options)


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
    assert make_location_encoder(Halves(), 3)(PLACES.float()).shape == (len(PLACES), 3)
    with pytest.raises(ConfigError, match="out_dim"):
        make_location_encoder(nn.Identity(), 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scales", [None, 16, 20, 32])
def test_single_precision_loses_no_phase(name, scales):
    options = {} if scales is None else {"num_scales": scales}
    if scales and ("num_scales" not in option_names(ENCODINGS[name]) or (name, scales) == BEYOND):
        pytest.skip("has no such scales")
    torch.manual_seed(0)
    part = ENCODINGS[name](**options)
    # Places that single precision holds exactly, so that nothing differs but the computing.
    lonlat = random_places(500).float()
    exact = copy.deepcopy(part).double()(lonlat.double())
    assert (part(lonlat).double() - exact).abs().max() < 1e-6


# The finest wavelength of NeRF at 32 scales would be 3 mm.
BEYOND = ("nerf", 32)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_casting_a_model_casts_its_weights_and_no_frequency(name, dtype):
    part = encoding(name)
    fixed = {key: value.clone() for key, value in part.named_buffers()}
    cast = copy.deepcopy(part).to(dtype)
    for key, value in cast.named_buffers():
        assert value.dtype == fixed[key].dtype and torch.equal(value, fixed[key]), key
    if ENCODINGS[name].differentiable:
        assert torch.equal(cast(PLACES.float()), part(PLACES.float()))


@pytest.mark.parametrize("name", NAMES)
def test_places_come_in_any_precision(name):
    whole = encoder(name).eval()
    lonlat = random_places(50)
    exact = whole(lonlat.float())
    assert exact.dtype == torch.float32
    assert (whole(lonlat) - exact).abs().max() < 1e-3
    assert whole(lonlat.half()).dtype == torch.float32
    for dtype in (torch.float16, torch.bfloat16):
        low = copy.deepcopy(whole).to(dtype)(lonlat)
        assert low.dtype == dtype and (low.float() - exact).abs().max() < 0.05
