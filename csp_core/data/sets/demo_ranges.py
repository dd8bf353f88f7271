"""Where and when the invented species of ``demo`` live: densities in closed form, and draws.

Each class is a mixture of one to three components, and component c is

    weight_c · exp(kappa_c (centre_c·x - 1)) [x on land] / Z_c · vonMises(t; peak_c, beta_c)

with x a place and t a part of the year. ``Z_c``, the integral of the bump over land, is a sum over
a fixed grid of 0.5 degrees. Sampling draws from the whole bump and throws away what falls in the
sea, which gives exactly that density, so nothing is approximate but the grid's sum.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from csp_core.geo import lonlat_of, unit_vectors
from csp_core.land import land_grid, on_land

GENERA, LOOKALIKES = 8, 3
CLASSES = GENERA * LOOKALIKES
GRID_DEGREES = 0.5
# Narrowest and widest: the home of a genus, the ranges of its species, their seasons.
HOME_KAPPA, KAPPA, BETA = 12.0, (30.0, 120.0), (1.5, 4.0)
SOUTHERNMOST = -56.0


def stream(*key: object) -> torch.Generator:
    """Give a stream of chance of its own to everything that is drawn.

    torch looks at 32 bits of a seed, so that sums of seeds would soon meet; a hash does not.

    Args:
        *key: What the stream is for, such as a word and a seed.

    Returns:
        A generator on the CPU.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


@dataclass(frozen=True)
class Components:
    """The parts of which the classes are mixtures.

    Args:
        label: ``(C,)`` int64 class of each component.
        weight: ``(C,)`` P(component); sums to 1.
        centre: ``(C, 3)`` unit vectors.
        kappa: ``(C,)`` concentration of the bump.
        log_mass: ``(C,)`` logarithm of Z, the integral of exp(kappa (centre·x - 1)) over land,
            where the whole sphere has area 1.
        peak: ``(C,)`` part of the year of the highest density.
        beta: ``(C,)`` concentration of the season.
    """

    label: Tensor
    weight: Tensor
    centre: Tensor
    kappa: Tensor
    log_mass: Tensor
    peak: Tensor
    beta: Tensor


def make_components(generator: torch.Generator) -> Components:
    """Invent ranges and seasons.

    The species of a genus live around one home, so that their ranges overlap, and their seasons
    follow each other. In every genus the third species migrates: two centres, half a year apart.

    Args:
        generator: Where chance comes from.

    Returns:
        The components.
    """
    centres, area = land_grid(GRID_DEGREES)
    inhabited = centres[:, 1] > SOUTHERNMOST
    centres, area = centres[inhabited], area[inhabited]

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def place(weight: Tensor) -> Tensor:
        return centres[torch.multinomial(weight, 1, generator=generator)[0]]

    vectors = unit_vectors(centres)
    rows: list[tuple[int, float, Tensor, float, float, float]] = []
    for genus in range(GENERA):
        home = unit_vectors(place(area))
        phase = uniform(0, 1)
        near = area * torch.exp(HOME_KAPPA * (vectors @ home - 1))
        for member in range(LOOKALIKES):
            label = genus * LOOKALIKES + member
            migrates = member == LOOKALIKES - 1
            count = 2 if migrates else 1 + int(uniform(0, 3))
            frequency = uniform(0.5, 1.5) / count
            for part in range(count):
                peak = phase + member / LOOKALIKES + (part / 2 if migrates else 0)
                kappa, beta = uniform(*KAPPA), uniform(*BETA)
                rows.append((label, frequency, place(near), kappa, peak % 1, beta))
    labels, weights, lonlat, kappas, peaks, betas = zip(*rows, strict=True)
    mu = unit_vectors(torch.stack(lonlat))
    return Components(
        label=torch.tensor(labels),
        weight=_column(weights) / sum(weights),
        centre=mu,
        kappa=_column(kappas),
        log_mass=_log_land_mass(mu, _column(kappas)),
        peak=_column(peaks),
        beta=_column(betas),
    )


def _column(values: tuple[float, ...]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _log_land_mass(centre: Tensor, kappa: Tensor) -> Tensor:
    places, area = land_grid(GRID_DEGREES)
    return torch.logsumexp(kappa * (unit_vectors(places) @ centre.T - 1) + area.log()[:, None], 0)


def draw_bumps(centre: Tensor, kappa: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one place from each of many von Mises–Fisher bumps.

    Args:
        centre: ``(N, 3)`` unit vectors.
        kappa: ``(N,)`` concentrations.
        generator: Where chance comes from.

    Returns:
        ``(N, 2)`` float64 degrees.

    Source:
        On the sphere the cosine of the angle to the centre has the distribution function
        (exp(kappa w) - exp(-kappa)) / (exp(kappa) - exp(-kappa)), which is inverted here.
    """
    u = torch.rand(2, len(kappa), generator=generator, dtype=torch.float64)
    cosine = 1 + torch.log(u[0] + (1 - u[0]) * torch.exp(-2 * kappa)) / kappa
    sine = (1 - cosine**2).clamp(min=0).sqrt()
    # Any vector not along the centre gives a tangent; take the axis that is farthest from it.
    axis = torch.nn.functional.one_hot(centre.abs().argmin(1), 3).to(centre.dtype)
    east = torch.nn.functional.normalize(torch.linalg.cross(axis, centre), dim=1)
    north = torch.linalg.cross(centre, east)
    angle = 2 * math.pi * u[1]
    around = angle.cos()[:, None] * east + angle.sin()[:, None] * north
    return lonlat_of(cosine[:, None] * centre + sine[:, None] * around)


def draw_seasons(peak: Tensor, beta: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one part of the year from each of many von Mises laws.

    Args:
        peak: ``(N,)`` where the law is highest, in [0, 1).
        beta: ``(N,)`` concentrations.
        generator: Where chance comes from.

    Returns:
        ``(N,)`` float64 in [0, 1).
    """
    date = torch.empty_like(peak)
    todo = torch.arange(len(peak))
    while len(todo):
        u = torch.rand(2, len(todo), generator=generator, dtype=torch.float64)
        kept = u[1] < torch.exp(beta[todo] * (torch.cos(2 * math.pi * u[0]) - 1))
        date[todo[kept]] = (peak[todo[kept]] + u[0][kept]) % 1
        todo = todo[~kept]
    return date


def draw_records(parts: Components, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw classes, places and dates.

    Args:
        parts: The components.
        n: How many.
        seed: Seed of the draw.

    Returns:
        ``(n,)`` int64 labels, ``(n, 2)`` float32 degrees, ``(n,)`` float32 dates in [0, 1).
    """
    generator = stream("records", seed)
    which = torch.multinomial(parts.weight, n, replacement=True, generator=generator)
    lonlat = torch.empty(n, 2, dtype=torch.float64)
    todo = torch.arange(n)
    while len(todo):
        c = which[todo]
        drawn = draw_bumps(parts.centre[c], parts.kappa[c], generator)
        land = on_land(drawn)
        lonlat[todo[land]] = drawn[land]
        todo = todo[~land]
    date = draw_seasons(parts.peak[which], parts.beta[which], generator).to(torch.float32)
    # Rounding to float32 may reach 1, which is the same moment as 0.
    return parts.label[which], lonlat.to(torch.float32), date % 1


def per_class(parts: Components, log_density: Tensor) -> Tensor:
    """Sum the densities of components to those of classes.

    Args:
        parts: The components.
        log_density: ``(N, C)`` logarithms.

    Returns:
        ``(N, 24)`` logarithms.
    """
    # Float64 reaches down to exp(-745); the narrowest range falls by 240 over the whole globe.
    top = log_density.amax(1, keepdim=True)
    total = log_density.new_zeros(len(log_density), CLASSES)
    return top + total.index_add(1, parts.label, (log_density - top).exp()).log()


def log_density(parts: Components, lonlat: Tensor, date: Tensor | None) -> Tensor:
    """Give log P(class, place, date), with the sphere and the year as units.

    Args:
        parts: The components.
        lonlat: ``(N, 2)`` degrees, NaN where unknown.
        date: ``(N,)`` parts of the year, NaN where unknown; None for all unknown.

    Returns:
        ``(N, 24)`` float64. What is unknown is summed out. In the sea, where nothing lives, it is
        the density that the ranges would have if they went on.
    """
    x = unit_vectors(lonlat.to(torch.float64))
    bump = parts.kappa * (x @ parts.centre.T - 1) - parts.log_mass
    # A density that sums to one over all places leaves no trace where the place is unknown.
    total = parts.weight.log() + torch.where(bump.isnan(), 0.0, bump)
    if date is not None:
        angle = 2 * math.pi * (date.to(torch.float64)[:, None] - parts.peak)
        season = parts.beta * angle.cos() - torch.special.i0(parts.beta).log()
        total = total + torch.where(season.isnan(), 0.0, season)
    return per_class(parts, total)
