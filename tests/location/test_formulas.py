"""Every position encoding computes the formula of its paper, in the published order."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from csp_core import geo
from csp_core.errors import CheckpointError
from csp_core.location import ENCODINGS, make_location_encoder
from csp_core.location.geoclip import equal_earth, published_state
from csp_core.location.multiscale import geometric_frequencies
from csp_core.location.sphere2vec import odd_frequencies

NAMES = sorted(ENCODINGS)
# Those of each example's options: powers of two, exact in float32 too, and odd numbers.
DEGREES, RADIANS = (2.0, 1.0, 0.5, 0.25, 0.125), (8.0, 4.0, 2.0, 1.0, 0.5)
FREQUENCIES = {
    **dict.fromkeys(("grid", "theory"), DEGREES),
    **dict.fromkeys(("sphere_c", "sphere_c_plus", "sphere_m", "sphere_m_plus"), RADIANS),
    "sphere_c_seamless": [9.0, 5.0, 3.0, 1.0],
    "dfs": [8.0, 2.0, 0.5],
    "nerf": [math.pi, 2 * math.pi, 4 * math.pi],
}
EDGES = [[-180, 0], [180, 0], [0, 90], [0, -90], [180, 90], [-180, -90], [0, 0]]
PLACES = torch.tensor([[36.8, -1.3], [-77.1, -12.05], [151.2, -33.9], *EDGES], dtype=torch.float64)


def encoding(name, **more):
    return ENCODINGS[name](**{**ENCODINGS[name].example_options, **more}).double()


def float64(values):
    return torch.tensor(values, dtype=torch.float64)


def places(n=20, seed=0):
    """Random places, and the edges of the world among them."""
    generator = torch.Generator().manual_seed(seed)
    more = geo.sphere_points(torch.rand(n, 2, generator=generator, dtype=torch.float64))
    return torch.cat((PLACES, more))


# Formulas, one number after the other


def unit(lon, lat):
    x, y = math.radians(lon), math.radians(lat)
    return [math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)]


def slow_random_fourier(point, module):
    omega, phase = module.omega.double().numpy(), module.phase.double().numpy()
    return [
        math.sqrt(2 / len(phase))
        * math.cos(sum(point[d] * omega[d, i] for d in range(len(point))) + phase[i])
        for i in range(len(phase))
    ]


def slow_equal_earth(lon, lat):
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    t = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(lat)))
    below = 3 * (9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1)
    x = 2 * math.sqrt(3) * math.radians(lon) * math.cos(t) / below
    y = a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t
    return [x * 66.50336 / 180, y * 66.50336 / 180]


def slow_geoclip(lon, lat, module):
    x, y = slow_equal_earth(lon, lat)
    out = []
    for scale in module.frequencies.double().numpy():
        waves = [2 * math.pi * (x * b[0] + y * b[1]) for b in scale]
        out += [math.cos(w) for w in waves] + [math.sin(w) for w in waves]
    return out


def slow_rbf(lon, lat, module):
    out = []
    for anchor in module.anchors.tolist():
        dot = sum(a * b for a, b in zip(unit(lon, lat), unit(*anchor), strict=True))
        degrees = math.degrees(math.acos(max(-1.0, min(1.0, dot))))
        out.append(math.exp(-(degrees**2) / (2 * module.kernel_size**2)))
    return out


def slow_tile(lon, lat, module):
    side, table = module.cell_degrees, module.embedding.weight.detach()
    columns = round(360 / side)
    row = min(math.floor((lat + 90) / side), round(180 / side) - 1)
    column = 0 if lon == 180 else math.floor((lon + 180) / side)
    return table[row * columns + column].tolist()


def slow_harmonics(lon, lat, num_degrees):
    """Use Rodrigues' formula: derivatives of Legendre polynomials, factorials, no recurrence."""
    x, y, z = math.radians(lon), math.cos(math.radians(lat)), math.sin(math.radians(lat))
    out = []
    for degree in range(num_degrees):
        legendre = np.polynomial.Legendre.basis(degree).convert(kind=np.polynomial.Polynomial)
        for m in range(-degree, degree + 1):
            k = abs(m)
            size = (2 * degree + 1) / (4 * math.pi)
            size *= math.factorial(degree - k) / math.factorial(degree + k)
            value = math.sqrt(size) * y**k * (legendre.deriv(k) if k else legendre)(z)
            wave = math.sin(k * x) if m < 0 else math.cos(k * x)
            out.append(value * (math.sqrt(2) * wave if m else 1))
    return out


def slow_sphere2vec(name, lon, lat, frequencies):
    x, y = math.radians(lon), math.radians(lat)
    out, products = [], []
    for f in frequencies:
        sin_a, cos_a = math.sin(x * f), math.cos(x * f)
        sin_b, cos_b = math.sin(y * f), math.cos(y * f)
        grid = [sin_b, cos_b, sin_a, cos_a]
        both = [cos_b * cos_a, cos_b * sin_a]
        mixed = [
            *(cos_b * math.cos(x), math.cos(y) * cos_a, cos_b * math.sin(x), math.cos(y) * sin_a)
        ]
        out += {
            "sphere_c": [sin_b, *both],
            "sphere_c_seamless": [sin_b, *both],
            "sphere_c_plus": [*grid, *both],
            "sphere_m": [sin_b, *mixed],
            "sphere_m_plus": [*grid, *mixed],
            "dfs": grid,
        }[name]
    if name == "dfs":
        lons = [wave(x * f) for wave in (math.sin, math.cos) for f in frequencies]
        lats = [wave(y * f) for wave in (math.sin, math.cos) for f in frequencies]
        products = [a * b for a in lons for b in lats]
    return products + out


def slow_waves(name, lon, lat):
    out = []
    if name == "grid":
        for c in (lon, lat):
            for f in FREQUENCIES[name]:
                out += [math.sin(c * f), math.cos(c * f)]
    elif name == "theory":
        for f in FREQUENCIES[name]:
            for degrees in (0, 120, 240):
                turn = math.radians(degrees)
                along = lon * math.cos(turn) + lat * math.sin(turn)
                out += [math.sin(along * f), math.cos(along * f)]
    elif name == "nerf":
        for wave in (math.sin, math.cos):
            out += [wave(c * f) for c in unit(lon, lat) for f in FREQUENCIES[name]]
    return out


def slow(name, lon, lat, module):
    """Compute one place's features."""
    x, y = math.radians(lon), math.radians(lat)
    u, v = lon / 180, lat / 90
    if name in ("grid", "theory", "nerf"):
        return slow_waves(name, lon, lat)
    if name in FREQUENCIES:
        return slow_sphere2vec(name, lon, lat, FREQUENCIES[name])
    return {
        "direct": lambda: [u, v],
        "wrap": lambda: [f(math.pi * c) for f in (math.sin, math.cos) for c in (u, v)],
        "wrap_radians": lambda: [f(angle) for angle in (x, y) for f in (math.cos, math.sin)],
        "birdnet": lambda: [
            f((c + s) * k)
            for f in (math.sin, math.cos)
            for c, s, k in zip((lon, lat), (180, 90), module.per_degree.tolist(), strict=True)
        ],
        "xyz": lambda: unit(lon, lat),
        "rff": lambda: slow_random_fourier([u, v], module),
        "rff_sphere": lambda: slow_random_fourier(unit(lon, lat), module),
        "rbf": lambda: slow_rbf(lon, lat, module),
        "tile": lambda: slow_tile(lon, lat, module),
        "harmonics": lambda: slow_harmonics(lon, lat, module.num_degrees),
        "equal_earth": lambda: slow_equal_earth(lon, lat),
        "geoclip": lambda: slow_geoclip(lon, lat, module),
    }[name]()


@pytest.mark.parametrize("name", NAMES)
def test_formula(name):
    part = encoding(name)
    lonlat = places()
    want = float64([slow(name, *place, part) for place in lonlat.tolist()])
    # The arc cosine of the slow way loses half of the digits near an anchor.
    tolerance = 1e-6 if name == "rbf" else 1e-12
    torch.testing.assert_close(part(lonlat).detach(), want, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_default_size(name):
    sizes = {
        "direct": 2, "equal_earth": 2, "wrap": 4, "wrap_radians": 4, "xyz": 3, "tile": 256,
        "rbf": 200, "rff": 64, "geoclip": 3 * 512, "rff_sphere": 256, "harmonics": 100,
        "nerf": 6 * 16, "grid": 4 * 32, "theory": 6 * 32, "sphere_c": 3 * 32,
        "sphere_c_plus": 6 * 32, "sphere_c_seamless": 3 * 16, "sphere_m": 5 * 32,
        "sphere_m_plus": 8 * 32, "dfs": 4 * 64 + 4 * 8, "birdnet": 4,
    }  # fmt: skip
    assert ENCODINGS[name]().out_dim == sizes[name]


def test_geometric_frequencies():
    want = [1 / (0.1 * (360 / 0.1) ** (s / 31)) for s in range(32)]
    got = geometric_frequencies(32, 0.1, 360.0)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)
    assert geometric_frequencies(1, 0.25, 360.0).tolist() == [4.0]


# Planes


def test_wrap_gives_both_poles_one_encoding_and_wrap_radians_does_not():
    poles = float64([[5.0, 90.0], [5.0, -90.0]])
    torch.testing.assert_close(*encoding("wrap")(poles), atol=1e-12, rtol=0)
    north, south = encoding("wrap_radians")(poles)
    assert (north - south).abs().max() == pytest.approx(2)


@pytest.mark.parametrize("name", ["direct", "rff"])
def test_an_extent_is_scaled_to_minus_one_and_one(name):
    extent = (-162.0, 20.0, -59.0, 56.0)
    inside, world = encoding(name, extent=extent), encoding(name)
    corners = float64([[-162.0, 20.0], [-59.0, 56.0], [-110.5, 38.0]])
    torch.testing.assert_close(
        inside(corners), world(float64([[-180.0, -90.0], [180.0, 90.0], [0.0, 0.0]]))
    )


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


def test_tile_has_a_row_for_each_cell():
    part = ENCODINGS["tile"](cell_degrees=10.0, num_features=3)
    assert part.embedding.weight.shape == (36 * 18, 3)
    assert part.embedding.weight.std().item() == pytest.approx(1 / 3, rel=0.1)
    lonlat = torch.tensor([[0.1, 0.1], [9.9, 9.9], [10.1, 0.1], [0.1, -0.1]])
    here, same, east, south = part(lonlat)
    assert torch.equal(here, same)
    assert not torch.equal(here, east) and not torch.equal(here, south)
    assert part(torch.rand(5000, 2) * torch.tensor([360.0, 180.0]) - torch.tensor([180.0, 90.0])
                ).unique(dim=0).shape[0] > 600  # fmt: skip


def test_tile_can_be_the_published_table_of_one_row():
    part = ENCODINGS["tile"](cell_degrees=360.0)
    part.load_state_dict({"embedding.weight": torch.randn(1, 256)})
    assert part(PLACES.float()).unique(dim=0).shape == (1, 256)


# Anchors


def test_the_waves_of_birdnet_are_those_of_wrap_but_for_signs():
    sin_lon, sin_lat, cos_lon, cos_lat = encoding("wrap")(PLACES).unbind(1)
    want = torch.stack((-sin_lon, -sin_lat, -cos_lon, -cos_lat), dim=1)
    torch.testing.assert_close(encoding("birdnet")(PLACES), want, atol=1e-6, rtol=0)


def test_rbf_measures_great_circles():
    part = encoding("rbf", anchors=[[180.0, 0.0], [0.0, 90.0]], kernel_size=10.0)
    near = part(float64([[-170.0, 0.0], [170.0, 0.0], [90.0, 80.0], [-45.0, 80.0]]))
    one = math.exp(-0.5)
    torch.testing.assert_close(near[:2, 0], float64([one, one]))
    torch.testing.assert_close(near[2:, 1], float64([one, one]))


def test_rbf_of_the_published_code_measures_the_plane():
    part = encoding("rbf", anchors=[[170.0, 10.0], [3.0, 4.0]], kernel_size=5.0, compat="reference")
    got = part(float64([[0.0, 0.0], [-170.0, 10.0]]))
    want = [[math.exp(-(170**2 + 10**2) / 50), math.exp(-25 / 50)]]
    want += [[math.exp(-(340**2) / 50), math.exp(-(173**2 + 6**2) / 50)]]
    torch.testing.assert_close(got, float64(want))


def test_rbf_draws_its_anchors_uniformly_on_the_sphere():
    anchors = ENCODINGS["rbf"](num_anchors=4000, seed=2).anchors
    assert torch.equal(anchors, ENCODINGS["rbf"](num_anchors=4000, seed=2).anchors)
    assert not torch.equal(anchors, ENCODINGS["rbf"](num_anchors=4000, seed=3).anchors)
    centre = geo.unit_vectors(anchors).mean(0)
    assert centre.norm() < 0.05
    assert (anchors[:, 1].abs() > 60).float().mean().item() == pytest.approx(0.134, abs=0.02)


def test_rbf_is_exact_at_an_anchor_and_opposite_of_it():
    part = ENCODINGS["rbf"](anchors=[[36.8, -1.3]], kernel_size=90.0)
    lonlat = torch.tensor([[36.8, -1.3], [-143.2, 1.3], [36.801, -1.3]], requires_grad=True)
    value = part(lonlat)[:, 0]
    assert value[0] == 1
    assert value[1].item() == pytest.approx(math.exp(-2), abs=1e-3)
    (grad,) = torch.autograd.grad(value.sum(), lonlat)
    assert grad.isfinite().all() and not grad[0].any() and grad[2, 0] < 0


def test_rbf_takes_tensors_and_writes_their_values_down():
    anchors = torch.tensor([[10.0, 20.0], [30.0, 40.0]])
    whole = make_location_encoder("rbf", 4, anchors=anchors)
    assert whole.spec["anchors"] == [[10.0, 20.0], [30.0, 40.0]]
    assert torch.equal(whole.encoding.anchors, anchors)
    anchors += 1
    assert whole.encoding.anchors[0].tolist() == [10.0, 20.0]


# Spheres


def test_reference_frequencies_forget_the_smallest_scale():
    for name in ("sphere_m_plus", "dfs"):
        wide = ENCODINGS[name](num_scales=3, min_radius=0.01, max_radius=4.0, compat="reference")
        assert wide.frequencies.tolist() == [1.0, 0.5, 0.25]
        usual = ENCODINGS[name](num_scales=4, compat="reference")
        assert usual.frequencies.tolist() == [1.0] * 4
        assert ENCODINGS[name](num_scales=4).frequencies[0].item() == pytest.approx(100)


@pytest.mark.parametrize(
    ("num_scales", "min_radius", "max_radius"),
    [
        *((16, 0.01, 1.0), (32, 0.01, 1.0), (50, 0.01, 1.0), (16, 1e-4, 1.0)),
        *((8, 0.04, 0.1), (1, 0.01, 1.0), (1, 0.095, 1.0)),
    ],
)
def test_odd_frequencies(num_scales, min_radius, max_radius):
    found = odd_frequencies(num_scales, min_radius, max_radius)
    assert found.shape == (num_scales,)
    assert (found % 2 == 1).all() and (found.diff() < 0).all()
    assert found[0] <= 1 / min_radius + 1e-6 and found[0] > 1 / min_radius - 2
    wanted = geometric_frequencies(num_scales, min_radius, max_radius)
    # Up or down to the nearest odd number, unless the place below it is taken.
    pushed = found - wanted > 1.01
    assert (found[:-1] - found[1:])[pushed[:-1]].eq(2).all() and not pushed[-1]
    assert (wanted - found < 2).all() or num_scales == 50


def test_seamless_sphere_is_sphere_c_at_its_frequencies():
    plain, seamless = ENCODINGS["sphere_c"](num_scales=5), ENCODINGS["sphere_c_seamless"]()
    plain.frequencies = seamless.frequencies
    torch.testing.assert_close(plain(PLACES), seamless(PLACES))


def test_nerf_cannot_tell_the_ends_of_an_axis_apart():
    part = encoding("nerf")
    a = float64([[0.0, 90.0], [0.0, 0.0], [90.0, 0.0]])
    b = float64([[0.0, -90.0], [180.0, 0.0], [-90.0, 0.0]])
    torch.testing.assert_close(part(a), part(b), atol=1e-12, rtol=0)


# Harmonics


def quadrature(size):
    """Places and weights that integrate polynomials of degree below 2 ``size`` over the sphere."""
    nodes, weights = np.polynomial.legendre.leggauss(size)
    lon = -180 + 360 * (np.arange(2 * size) + 0.25) / (2 * size)
    grid = np.stack(np.meshgrid(lon, np.degrees(np.arcsin(nodes))), axis=-1).reshape(-1, 2)
    area = np.repeat(weights * math.pi / size, 2 * size)
    return torch.from_numpy(grid), torch.from_numpy(area)


@pytest.mark.parametrize("num_degrees", [1, 2, 10, 40])
def test_harmonics_are_orthonormal(num_degrees):
    lonlat, area = quadrature(num_degrees)
    assert area.sum().item() == pytest.approx(4 * math.pi)
    basis = ENCODINGS["harmonics"](num_degrees=num_degrees)(lonlat)
    products = basis.T @ (area[:, None] * basis)
    torch.testing.assert_close(products, torch.eye(num_degrees**2).double(), atol=1e-10, rtol=0)


def test_high_degrees_stay_exact_up_to_the_poles():
    lonlat = torch.cat((places(200), float64([[3.0, 89.9999], [3.0, -89.99], [170.0, 85.0]])))
    basis = ENCODINGS["harmonics"](num_degrees=100)(lonlat)
    for degree in range(100):
        # Unsöld's theorem.
        total = basis[:, degree**2 : (degree + 1) ** 2].square().sum(1)
        torch.testing.assert_close(
            total, torch.full_like(total, (2 * degree + 1) / (4 * math.pi)), rtol=1e-9, atol=0
        )


def test_harmonics_of_single_places_are_computed_in_double():
    part = ENCODINGS["harmonics"](num_degrees=40)
    single = part(PLACES.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, part(PLACES.float().double()).float(), rtol=0, atol=0)


def test_reference_harmonics_are_those_of_the_published_formulas():
    """The first ones as published with SatCLIP: constants of its generated code."""
    lonlat = places(30)
    got = ENCODINGS["harmonics"](num_degrees=4, compat="reference")(lonlat)
    phi, theta = torch.deg2rad(lonlat[:, 0] + 180), torch.deg2rad(lonlat[:, 1] + 90)
    c, s = theta.cos(), theta.sin()
    want = {
        0: 0.886226925452758 * torch.ones_like(c),
        1: 0.48860251190292 * s * phi.sin(),
        2: 1.53499006191973 * c,
        3: 0.48860251190292 * s * phi.cos(),
        4: 0.18209140509868 * 3 * s**2 * (2 * phi).sin(),
        5: 1.09254843059208 * s * phi.sin() * c,
        6: 2.97249547320451 * c**2 - 0.990831824401503,
        7: 1.09254843059208 * s * phi.cos() * c,
        8: 0.18209140509868 * 3 * s**2 * (2 * phi).cos(),
        9: 0.590043589926644 * s**3 * (3 * phi).sin(),
        11: 0.304697199642977 * s * (7.5 * c**2 - 1.5) * phi.sin(),
        12: 5.86184012479344 * c**3 - 3.51710407487606 * c,
        14: 1.44530572132028 * s**2 * (2 * phi).cos() * c,
        15: 0.590043589926644 * s**3 * (3 * phi).cos(),
    }
    for column, values in want.items():
        torch.testing.assert_close(got[:, column], values, atol=1e-13, rtol=1e-12)


# GeoCLIP


def test_equal_earth_is_the_projection_of_proj():
    pyproj = pytest.importorskip("pyproj")
    lonlat = places(100)
    lon, lat = lonlat.numpy().T
    want = np.stack(pyproj.Proj(proj="eqearth", R=1)(lon, lat), axis=1) * 66.50336 / 180
    np.testing.assert_allclose(equal_earth(lonlat).numpy(), want, atol=1e-9)


class PublishedCapsule(nn.Module):
    """The layers of a published capsule, by their published names."""

    def __init__(self, waves, hidden, out):
        super().__init__()
        first = nn.Module()
        first.register_parameter("b", nn.Parameter(torch.randn(waves, 2), requires_grad=False))
        sizes = [2 * waves, hidden, hidden, hidden]
        layers = [first]
        for a, b in pairwise(sizes):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.capsule = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Linear(hidden, out))

    def forward(self, point):
        waves = 2 * math.pi * point @ self.capsule[0].b.T
        return self.head(self.capsule[1:](torch.cat((waves.cos(), waves.sin()), dim=-1)))


def published_geoclip(waves, hidden, out):
    model = nn.Module()
    for i in range(3):
        model.add_module(f"LocEnc{i}", PublishedCapsule(waves, hidden, out))
    return model


def test_published_geoclip_weights_give_the_published_embedding():
    published = published_geoclip(waves=5, hidden=6, out=4).double()
    ours = make_location_encoder(
        "geoclip", 4, num_frequencies=5, network={"name": "capsules", "hidden_dim": 6}
    ).double()
    ours.load_state_dict(published_state(published.state_dict()))
    lonlat = places()
    points = float64([slow_equal_earth(*place) for place in lonlat.tolist()])
    want = sum(capsule(points) for capsule in published.children())
    torch.testing.assert_close(ours(lonlat), want, atol=1e-10, rtol=0)


def test_published_geoclip_weights_have_the_default_shapes():
    with torch.device("meta"):
        published = published_geoclip(waves=256, hidden=1024, out=512).state_dict()
    ours = make_location_encoder("geoclip", 512).state_dict()
    renamed = published_state(published)
    assert {k: v.shape for k, v in renamed.items()} == {k: v.shape for k, v in ours.items()}


def test_other_weights_are_not_geoclips():
    published = published_geoclip(2, 3, 4).state_dict()
    with pytest.raises(CheckpointError, match=r"LocEnc1\.head\.0\.bias"):
        published_state({k: v for k, v in published.items() if k != "LocEnc1.head.0.bias"})
    with pytest.raises(CheckpointError, match="logit_scale"):
        published_state({**published, "logit_scale": torch.ones(())})
    with pytest.raises(CheckpointError, match="LocEnc0"):
        published_state({})


def test_geoclip_frequencies_have_their_spread():
    part = ENCODINGS["geoclip"](num_frequencies=20000)
    for sigma, waves in zip((1, 16, 256), part.frequencies, strict=True):
        assert waves.std().item() == pytest.approx(sigma, rel=0.02)
