"""Digits that position encodings keep: at many scales, in half precision, and towards the poles."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from report import arguments, markdown, write_report
from torch import Tensor, nn

from csp_core.geo import sphere_points
from csp_core.location import ENCODINGS, make_location_encoder
from csp_core.location.harmonics import normalised_legendre

Array = npt.NDArray[Any]
# Finer than double precision where the machine has such numbers.
LONG = np.longdouble
PI = "3.14159265358979323846264338327950288"
SCALED = ("grid", "theory", "sphere_c", "sphere_c_plus", "sphere_c_seamless", "sphere_m",
          "sphere_m_plus", "dfs")  # fmt: skip
# Options for the rows of the table; NeRF's 20th wavelength is 24 m, and it has no more.
ROWS: dict[str, list[dict[str, int]]] = {
    **{name: [{}] for name in ENCODINGS},
    **{name: [{"num_scales": 16}, {"num_scales": 32}] for name in SCALED},
    "nerf": [{"num_scales": 16}, {"num_scales": 20}],
    "harmonics": [{"num_degrees": 16}, {"num_degrees": 32}, {"num_degrees": 40}],
}
EDGES = [[-180.0, 0], [180, 0], [0, 90], [0, -90], [179.5, 89.75], [-77.125, -12.0625]]
LATITUDES = (0, 15, 30, 45, 60, 70, 75, 80, 85, 88, 90)
# Fractions of fixed length for exact polynomials: bits behind the point.
BITS = 320


# The formulas, in the precision of the places


def turn(kind: type) -> Any:
    """Give a degree in radians."""
    return kind(PI) / kind(180)


def unit(lon: Array, lat: Array) -> Array:
    """Give points on the unit sphere; ``(N,)`` degrees to ``(N, 3)``."""
    x, y = (angle * turn(lon.dtype.type) for angle in (lon, lat))
    return np.stack((np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)), axis=1)


def buffer(module: nn.Module, name: str, kind: type) -> Array:
    """Give what a module holds fixed, in another precision."""
    return np.asarray(module.get_buffer(name).double().numpy()).astype(kind)


def grid(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Sine and cosine of longitude, then latitude, at each scale."""
    f = buffer(module, "frequencies", lon.dtype.type)
    angle = np.stack((lon, lat), axis=1)[:, :, None] * f
    return np.stack((np.sin(angle), np.cos(angle)), axis=-1).reshape(len(lon), -1)


def theory(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Sine and cosine along three directions, at each scale."""
    kind = lon.dtype.type
    turns = np.array([0, 120, 240], dtype=kind) * turn(kind)
    along = lon[:, None] * np.cos(turns) + lat[:, None] * np.sin(turns)
    angle = along[:, None, :] * buffer(module, "frequencies", kind)[:, None]
    return np.stack((np.sin(angle), np.cos(angle)), axis=-1).reshape(len(lon), -1)


def nerf(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Sines, then cosines, of the point on the sphere at frequencies that double."""
    kind = lon.dtype.type
    doubling = kind(PI) * kind(2) ** np.arange(len(module.get_buffer("frequencies")), dtype=kind)
    angle = unit(lon, lat)[:, :, None] * doubling
    return np.stack((np.sin(angle), np.cos(angle)), axis=1).reshape(len(lon), -1)


def sphere(name: str) -> Callable[[Array, Array, nn.Module], Array]:
    """Give the formula of a member of Sphere2Vec."""

    def formula(lon: Array, lat: Array, module: nn.Module) -> Array:
        kind = lon.dtype.type
        f = buffer(module, "frequencies", kind)
        x, y = (angle[:, None] * turn(kind) for angle in (lon, lat))
        sin_a, cos_a, sin_b, cos_b = np.sin(x * f), np.cos(x * f), np.sin(y * f), np.cos(y * f)
        if name == "dfs":
            lons, lats = np.hstack((sin_a, cos_a)), np.hstack((sin_b, cos_b))
            products = (lons[:, :, None] * lats[:, None, :]).reshape(len(lon), -1)
            waves = np.stack((sin_b, cos_b, sin_a, cos_a), axis=-1).reshape(len(lon), -1)
            return np.hstack((products, waves))
        both = [cos_b * cos_a, cos_b * sin_a]
        own_x, own_y = (np.broadcast_to(angle, sin_a.shape) for angle in (x, y))
        mixed = [cos_b * np.cos(own_x), np.cos(own_y) * cos_a]
        mixed += [cos_b * np.sin(own_x), np.cos(own_y) * sin_a]
        waves = [sin_b, cos_b, sin_a, cos_a] if name.endswith("plus") else [sin_b]
        parts = [*waves, *(mixed if "_m" in name else both)]
        return np.stack(parts, axis=-1).reshape(len(lon), -1)

    return formula


def random_waves(points: Array, module: nn.Module) -> Array:
    """Cosines along random directions; ``(N, D)`` points."""
    kind = points.dtype.type
    omega, phase = (buffer(module, name, kind) for name in ("omega", "phase"))
    size = np.sqrt(kind(2) / kind(len(phase)))
    return np.asarray(size * np.cos(points @ omega + phase))


def equal_earth(lon: Array, lat: Array, module: nn.Module | None = None) -> Array:
    """Give coordinates of the Equal Earth map as GeoCLIP scales them."""
    kind = lon.dtype.type
    a = [kind(text) for text in ("1.340264", "-0.081106", "0.000893", "0.003796")]
    root = np.sqrt(kind(3))
    t = np.arcsin(root / 2 * np.sin(lat * turn(kind)))
    below = 3 * (9 * a[3] * t**8 + 7 * a[2] * t**6 + 3 * a[1] * t**2 + a[0])
    x = 2 * root * lon * turn(kind) * np.cos(t) / below
    y = a[3] * t**9 + a[2] * t**7 + a[1] * t**3 + a[0] * t
    return np.stack((x, y), axis=1) * kind("66.50336") / kind(180)


def geoclip(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Cosines, then sines, of random waves on that map, at each scale."""
    kind = lon.dtype.type
    plane = equal_earth(lon, lat)
    waves = [2 * kind(PI) * (plane @ b.T) for b in buffer(module, "frequencies", kind)]
    return np.hstack([part for wave in waves for part in (np.cos(wave), np.sin(wave))])


def rbf(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Bumps around anchors, by great circles."""
    kind = lon.dtype.type
    anchors = buffer(module, "anchors", kind)
    chord = unit(lon, lat)[:, None] - unit(anchors[:, 0], anchors[:, 1])[None]
    half = np.sqrt((chord**2).sum(axis=2)) / 2
    degrees = 2 * np.arcsin(np.minimum(half, kind(1))) / turn(kind)
    return np.asarray(np.exp(-(degrees**2) / (2 * kind(module.kernel_size) ** 2)))


def birdnet(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Sines, then cosines, of longitude and of twice the latitude from the south-west corner."""
    kind = lon.dtype.type
    shift, factor = (buffer(module, name, kind) for name in ("shift", "per_degree"))
    angle = (np.stack((lon, lat), axis=1) + shift) * factor
    return np.hstack([np.sin(angle), np.cos(angle)])


def harmonics(lon: Array, lat: Array, module: nn.Module) -> Array:
    """Real spherical harmonics by exact polynomials of the sine of latitude."""
    kind = lon.dtype.type
    x, y = (angle * turn(kind) for angle in (lon, lat))
    z, across = np.sin(y), np.cos(y)
    out = []
    for degree in range(int(module.num_degrees)):
        rows = {m: exact_legendre(degree, m, z) * across**m for m in range(degree + 1)}
        for m in range(-degree, degree + 1):
            wave = np.sin(-m * x) if m < 0 else np.cos(m * x)
            out.append(rows[abs(m)] * (np.sqrt(kind(2)) * wave if m else kind(1)))
    return np.stack(out, axis=1)


def plain(lon: Array, lat: Array, name: str) -> Array:
    """Give the encodings of few features."""
    kind = lon.dtype.type
    u, v, x, y = lon / 180, lat / 90, lon * turn(kind), lat * turn(kind)
    pi = kind(PI)
    parts = {
        "direct": [u, v],
        "wrap": [np.sin(pi * u), np.sin(pi * v), np.cos(pi * u), np.cos(pi * v)],
        "wrap_radians": [np.cos(x), np.sin(x), np.cos(y), np.sin(y)],
    }[name]
    return np.stack(parts, axis=1)


def formula(name: str) -> Callable[[Array, Array, Any], Array]:
    """Give the formula of an encoding: degrees and the module to features."""
    if name in ("direct", "wrap", "wrap_radians"):
        return lambda lon, lat, module: plain(lon, lat, name)
    if name.startswith("sphere_") or name == "dfs":
        return sphere(name)
    return {
        "grid": grid, "theory": theory, "nerf": nerf, "equal_earth": equal_earth, "rbf": rbf,
        "geoclip": geoclip, "birdnet": birdnet, "harmonics": harmonics,
        "xyz": lambda lon, lat, module: unit(lon, lat),
        "rff": lambda lon, lat, module: random_waves(
            np.stack((lon / 180, lat / 90), axis=1), module),
        "rff_sphere": lambda lon, lat, module: random_waves(unit(lon, lat), module),
    }[name]  # fmt: skip


# Spherical harmonics: exact, and as published


def legendre_powers(degree: int, m: int) -> dict[int, Fraction]:
    """Give the m-th derivative of a Legendre polynomial: power to coefficient, exact."""
    powers = {}
    for k in range((degree - m) // 2 + 1):
        rest = degree - 2 * k
        top = (-1) ** k * math.factorial(2 * degree - 2 * k)
        low = 2**degree * math.factorial(k) * math.factorial(degree - k) * math.factorial(rest - m)
        powers[rest - m] = Fraction(top, low)
    return powers


def norm(degree: int, m: int) -> float:
    """Give the factor that makes a function of degree and order orthonormal, without √2."""
    share = Fraction(math.factorial(degree - m), math.factorial(degree + m)) * (2 * degree + 1)
    return math.sqrt(share / 4 / Fraction(PI))


def exact_legendre(degree: int, m: int, z: Array) -> Array:
    """Evaluate a normalised derivative in whole numbers of 320 bits behind the point."""
    powers = legendre_powers(degree, m)
    one, size = 1 << BITS, norm(degree, m)
    held = [powers.get(power, Fraction(0)) for power in range(degree - m, -1, -1)]
    steps = [coefficient.numerator * one // coefficient.denominator for coefficient in held]
    values = []
    for place in z:
        numerator, denominator = place.as_integer_ratio()
        at, total = numerator * one // denominator, 0
        for step in steps:
            total = (total * at >> BITS) + step
        values.append(float(Fraction(total, one)) * size)
    return np.array(values, dtype=z.dtype)


def published_legendre(degree: int, m: int, x: Array) -> Array:
    """Sum the powers of the published code, with its 15 digits, in double precision."""
    total = np.zeros_like(x)
    for power, coefficient in legendre_powers(degree, m).items():
        total += float(f"{float(coefficient):.15g}") * x**power
    return np.asarray(norm(degree, m) * total * np.sqrt(np.maximum(1 - x * x, 0)) ** m)


def by_latitude(num_degrees: int, latitudes: tuple[int, ...]) -> list[dict[str, float]]:
    """Measure published and own functions against exact ones, at each latitude."""
    lat = np.array(latitudes, dtype=np.float64)
    # The published code counts colatitude from the south pole.
    x = np.cos(np.deg2rad(lat + 90))
    sin, cos = (torch.from_numpy(wave(np.deg2rad(lat))) for wave in (np.sin, np.cos))
    own = normalised_legendre(sin, cos, num_degrees)
    across = np.cos(lat.astype(LONG) * turn(LONG))
    height = np.sin(lat.astype(LONG) * turn(LONG))
    worst = {key: np.zeros(len(lat)) for key in ("published", "ours", "largest")}
    for degree in range(num_degrees):
        for m in range(degree + 1):
            factor = math.sqrt(2) if m else 1.0
            exact = factor * exact_legendre(degree, m, height) * across**m
            theirs = factor * (-1) ** (degree - m) * published_legendre(degree, m, x)
            ours = factor * own[degree][:, m].numpy()
            for key, values in (("published", theirs - exact), ("ours", ours - exact),
                                ("largest", exact)):  # fmt: skip
                worst[key] = np.maximum(worst[key], np.abs(values).astype(np.float64))
    return [
        {"latitude": at, **{key: float(values[i]) for key, values in worst.items()}}
        for i, at in enumerate(latitudes)
    ]


# Measuring


def usual_places(count: int) -> Tensor:
    """Draw places that single precision holds exactly, the edges of the world among them."""
    drawn = sphere_points(torch.rand(count, 2, generator=torch.Generator().manual_seed(0)))
    return torch.cat((torch.tensor(EDGES), drawn.float()))


@torch.inference_mode()
def measure(name: str, options: dict[str, int], count: int) -> dict[str, Any]:
    """Compare an encoding with its formula: the largest difference of any feature."""
    torch.manual_seed(0)
    module = ENCODINGS[name](**options)
    lonlat = usual_places(count)
    found: dict[str, Any] = {"encoding": name, **options}
    if name == "tile":
        exact = module(lonlat).double().numpy()
        single = exact
    else:
        lon, lat = lonlat.numpy().T
        exact = formula(name)(lon.astype(LONG), lat.astype(LONG), module)
        single = formula(name)(lon.copy(), lat.copy(), module)

    def off(features: Tensor) -> float:
        return float(np.abs(features.double().numpy() - exact).max())

    found |= {"float32": off(module(lonlat)), "float64": off(module(lonlat.double()))}
    for kind in (torch.float16, torch.bfloat16):
        encoder = make_location_encoder(copy.deepcopy(module), 4).to(kind)
        found[str(kind).removeprefix("torch.")] = off(encoder.features(lonlat))
    return found | {"all_in_float32": float(np.abs(single - exact).max())}


def scales(row: dict[str, Any]) -> str:
    """Say how fine a row's encoding is."""
    if "num_scales" in row:
        return str(row["num_scales"])
    return f"L = {row['num_degrees']}" if "num_degrees" in row else "–"


def number(value: float) -> str:
    """Write a small number with one digit."""
    return f"{value:.0e}".replace("e-0", "e-").replace("0e+00", "0") if value else "0"


COLUMNS = {
    "float32": "places in float32",
    "float64": "places in float64",
    "float16": "model in float16",
    "bfloat16": "model in bfloat16",
    "all_in_float32": "formula in float32 throughout",
}


def main() -> None:
    """Write the two tables."""
    options = arguments(__doc__ or "")
    count = 10 if options.quick else 60
    rows = [measure(name, how, count) for name in ENCODINGS for how in ROWS[name]]
    table = markdown(
        ["encoding", "scales", *COLUMNS.values()],
        [[f"`{r['encoding']}`", scales(r), *(number(r[key]) for key in COLUMNS)] for r in rows],
    )
    degrees = (10,) if options.quick else (10, 40)
    poles = {str(L): by_latitude(L, LATITUDES) for L in degrees}
    ways = [(L, key) for L in poles for key in ("published", "ours")]
    towards = markdown(
        ["latitude", *(f"{key}, L = {L}" for L, key in ways), f"largest value, L = {degrees[-1]}"],
        [
            [f"{at}°", *(number(poles[L][i][key]) for L, key in ways),
             f"{poles[str(degrees[-1])][i]['largest']:.2f}"]
            for i, at in enumerate(LATITUDES)
        ],
    )  # fmt: skip
    body = (
        "Largest difference of any feature from the formula in numbers of 64 bits of mantissa or"
        f" more, over {count + len(EDGES)} places that single precision holds exactly; features are"
        " within ±1, but for `harmonics` (see below). *Model in float16* is what the network of a"
        " model that was cast gets: features rounded to that kind of number, phases as before.\n\n"
        f"{table}\n\n## Spherical harmonics towards the poles\n\nLargest difference from exact"
        " values (polynomials in whole numbers of 320 bits) over all degrees and orders, both in"
        " double precision: *published* sums powers of the cosine of colatitude with coefficients"
        " of 15 digits, as the code published with SatCLIP does; *ours* is the recurrence of"
        " `harmonics`.\n\n"
        f"{towards}"
    )
    data = {"encodings": rows, "harmonics_by_latitude": poles}
    write_report("encoding_precision", "Digits that position encodings keep", body, data, options)


if __name__ == "__main__":
    main()
