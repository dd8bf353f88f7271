"""The invented world behind ``demo``, whose every probability is known in closed form.

A world is a mixture. Each of its 24 classes is made of one to three components, and component c is

    weight_c · vMF(x; centre_c, kappa_c) [x on land] / Z_c · vonMises(t; peak_c, beta_c)

with x a place and t a part of the year. ``Z_c``, the share of the bump that lies on land, is a sum
over a fixed grid of 0.5 degrees. Sampling draws from the bump and throws away what falls in the
sea, which is exactly that density. An image is the template of its class plus white Gaussian noise
and, given the class, depends on neither place nor time. So Bayes' rule needs no approximation but
the grid's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from csp_core.data.land import land_grid, on_land
from csp_core.errors import ConfigError
from csp_core.geo import lonlat_of, unit_vectors

GENERA, LOOKALIKES, SIZE = 8, 3, 64
CLASSES = GENERA * LOOKALIKES
STEMS = ("fabula", "fictus", "mythus", "nullus", "simula", "umbra", "vacuus", "xenia")
EPITHETS = ("alpha", "beta", "gamma")
NAMES = tuple(f"Demo{stem} {epithet}" for stem in STEMS for epithet in EPITHETS)
COMMON_NAMES = tuple(f"synthetic {stem} {epithet}" for stem in STEMS for epithet in EPITHETS)

DEFAULT_NOISE = 0.2
# Distance between the templates of look-alikes, in units of the default noise: the images alone
# then name the species in about half of the cases, whatever the classifier.
LOOKALIKE_DISTANCE = 1.15
GENUS_CONTRAST = 0.2
GRID_DEGREES = 0.5
CHUNK = 256


@dataclass(frozen=True)
class Components:
    """The parts of which the classes are mixtures.

    Args:
        label: ``(C,)`` int64 class of each component.
        weight: ``(C,)`` P(component); sums to 1.
        centre: ``(C, 3)`` unit vectors.
        kappa: ``(C,)`` concentration of the bump.
        log_scale: ``(C,)`` minus the logarithm of the integral of exp(kappa (centre·x - 1)) over
            land, where the whole sphere has area 1.
        peak: ``(C,)`` part of the year of the highest density.
        beta: ``(C,)`` concentration of the season.
    """

    label: Tensor
    weight: Tensor
    centre: Tensor
    kappa: Tensor
    log_scale: Tensor
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
    inhabited = centres[:, 1] > -56
    centres, area = centres[inhabited], area[inhabited]

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def place(weight: Tensor) -> Tensor:
        return centres[torch.multinomial(weight, 1, generator=generator)[0]]

    rows: list[tuple[int, float, Tensor, float, float, float]] = []
    for genus in range(GENERA):
        home = unit_vectors(place(area))
        phase = uniform(0, 1)
        near = area * torch.exp(HOME_KAPPA * (unit_vectors(centres) @ home - 1))
        for member in range(LOOKALIKES):
            label = genus * LOOKALIKES + member
            migrates = member == LOOKALIKES - 1
            count = 2 if migrates else 1 + int(uniform(0, 3))
            frequency = uniform(0.5, 1.5) / count
            for part in range(count):
                peak = phase + member / LOOKALIKES + (part / 2 if migrates else 0)
                kappa, beta = uniform(*KAPPA), uniform(*BETA)
                rows.append((label, frequency, place(near), kappa, peak % 1, beta))
    label, weight, lonlat, kappa, peak, beta = zip(*rows, strict=True)
    mu = unit_vectors(torch.stack(lonlat))
    return Components(
        label=torch.tensor(label),
        weight=_column(weight) / sum(weight),
        centre=mu,
        kappa=_column(kappa),
        log_scale=-_log_land_mass(mu, _column(kappa)),
        peak=_column(peak),
        beta=_column(beta),
    )


HOME_KAPPA, KAPPA, BETA = 12.0, (30.0, 120.0), (1.5, 4.0)


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


def make_templates(generator: torch.Generator) -> Tensor:
    """Invent the noiseless image of each class.

    A genus has a pattern of its own; its species differ by a faint smooth shade, all three equally
    far from each other.

    Args:
        generator: Where chance comes from.

    Returns:
        ``(24, 3, 64, 64)`` float32, mostly in [0, 1].
    """
    genus = _smooth(GENERA, waves=6, generator=generator)
    genus = 0.5 + GENUS_CONTRAST * genus / genus.flatten(1).std(1)[:, None, None, None]
    shade = _smooth(GENERA * 2, waves=1, generator=generator).view(GENERA, 2, -1)
    plane = torch.linalg.qr(shade.mT)[0].mT
    angle = 2 * math.pi * torch.arange(LOOKALIKES, dtype=torch.float64) / LOOKALIKES
    corner = torch.stack((angle.cos(), angle.sin()), 1) / math.sqrt(3)
    marks = LOOKALIKE_DISTANCE * DEFAULT_NOISE * corner @ plane
    templates = genus[:, None] + marks.view(GENERA, LOOKALIKES, 3, SIZE, SIZE)
    return templates.flatten(0, 1).to(torch.float32)


def _smooth(count: int, *, waves: int, generator: torch.Generator) -> Tensor:
    """Draw random sums of the lowest cosine waves: ``(count, 3, 64, 64)`` float64."""
    ramp = (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE
    basis = torch.cos(math.pi * torch.arange(waves + 1)[:, None] * ramp)
    shape = (count, 3, waves + 1, waves + 1)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    return basis.T @ weight @ basis


class DemoWorld:
    """An invented world: who lives where, when, and what they look like.

    Args:
        seed: Seed of the world.
        noise: Standard deviation of the noise in the images, per channel and pixel.

    Raises:
        ConfigError: If the noise is not above 0.
    """

    def __init__(self, seed: int = 0, noise: float = DEFAULT_NOISE) -> None:
        if not 0 < noise < math.inf:
            raise ConfigError(f"noise is {noise}; give a standard deviation above 0.")
        generator = torch.Generator().manual_seed(seed)
        self.seed, self.noise = seed, noise
        self.components = make_components(generator)
        self.templates = make_templates(generator)

    @cached_property
    def class_probability(self) -> Tensor:
        """P(class), ``(24,)`` float64."""
        return self._per_class(self.components.weight.log()[None]).exp()[0]

    def draw_records(self, n: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw classes, places and dates.

        Args:
            n: How many.
            seed: Seed of the draw.

        Returns:
            ``(n,)`` int64 labels, ``(n, 2)`` float32 degrees, ``(n,)`` float32 dates in [0, 1).
        """
        generator = torch.Generator().manual_seed(seed)
        parts = self.components
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

    def draw_images(self, label: Tensor, seed: int, rows: Tensor | None = None) -> Tensor:
        """Draw the images of records; that of a record depends on its number, not on ``rows``.

        Args:
            label: ``(N,)`` classes of all records.
            seed: Seed of the draw.
            rows: ``(M,)`` ascending numbers of the records to draw. All of them if None.

        Returns:
            ``(M, 3, 64, 64)`` float32.
        """
        rows = torch.arange(len(label)) if rows is None else rows
        images = torch.empty(len(rows), 3, SIZE, SIZE)
        chunk_of = torch.div(rows, CHUNK, rounding_mode="floor")
        for chunk in chunk_of.unique().tolist():
            generator = torch.Generator().manual_seed(_mix(seed, chunk))
            noise = torch.randn(CHUNK, 3, SIZE, SIZE, generator=generator)
            here = (chunk_of == chunk).nonzero().flatten()
            numbers = rows[here]
            drawn = noise[numbers - chunk * CHUNK].mul_(self.noise)
            images[here[0] : here[-1] + 1] = drawn.add_(self.templates[label[numbers]])
        return images

    def _per_class(self, log_density: Tensor) -> Tensor:
        """Sum ``(N, C)`` log densities of components to ``(N, 24)`` of classes."""
        of_class = self.components.label[:, None] == torch.arange(CLASSES)
        split = log_density[:, :, None].masked_fill(~of_class, -math.inf)
        return torch.logsumexp(split, dim=1)

    def log_place(self, lonlat: Tensor, date: Tensor | None = None) -> Tensor:
        """Give log P(class, place, date), with the sphere and the year as units.

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown; None for all unknown.

        Returns:
            ``(N, 24)`` float64. What is unknown is summed out. In the sea, where nothing lives, it
            is the density that the ranges would have if they went on.
        """
        parts = self.components
        x = unit_vectors(lonlat.to(torch.float64))
        bump = parts.kappa * (x @ parts.centre.T - 1) + parts.log_scale
        # A density that sums to one over all places leaves no trace where the place is unknown.
        log_density = parts.weight.log() + torch.where(bump.isnan(), 0.0, bump)
        if date is not None:
            angle = 2 * math.pi * (date.to(torch.float64)[:, None] - parts.peak)
            season = parts.beta * angle.cos() - torch.special.i0(parts.beta).log()
            log_density = log_density + torch.where(season.isnan(), 0.0, season)
        return self._per_class(log_density)

    def log_image(self, image: Tensor) -> Tensor:
        """Give log p(image | class), up to a term that is the same for all classes.

        Args:
            image: ``(N, 3, 64, 64)``.

        Returns:
            ``(N, 24)`` float64.
        """
        templates = self.templates.flatten(1).to(torch.float64)
        # Centred, the inner products stay small, and float32 images lose nothing.
        middle = templates.mean(0)
        offset = templates - middle
        product = (image.flatten(1).to(torch.float64) - middle) @ offset.T
        return (product - 0.5 * (offset**2).sum(1)) / self.noise**2

    def location_posterior(self, lonlat: Tensor, date: Tensor | None = None) -> Tensor:
        """Give P(class | place, date).

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown; None for all unknown.

        Returns:
            ``(N, 24)`` float64, rows sum to 1.
        """
        return self.log_place(lonlat, date).softmax(1)

    def image_posterior(self, image: Tensor) -> Tensor:
        """Give P(class | image).

        Args:
            image: ``(N, 3, 64, 64)``.

        Returns:
            ``(N, 24)`` float64, rows sum to 1.
        """
        return (self.log_image(image) + self.class_probability.log()).softmax(1)

    def posterior(self, lonlat: Tensor, date: Tensor | None, image: Tensor) -> Tensor:
        """Give P(class | place, date, image).

        Args:
            lonlat: ``(N, 2)`` degrees, NaN where unknown.
            date: ``(N,)`` parts of the year, NaN where unknown; None for all unknown.
            image: ``(N, 3, 64, 64)``.

        Returns:
            ``(N, 24)`` float64, rows sum to 1.
        """
        return (self.log_place(lonlat, date) + self.log_image(image)).softmax(1)

    def bayes_rate(self, n: int = 5000, seed: int = 1) -> dict[str, tuple[float, float]]:
        """Estimate the best top-1 accuracy that any classifier can reach.

        The mean of the highest posterior over drawn records has the same expectation as the share
        that the best classifier gets right, and less scatter.

        Args:
            n: How many records to draw.
            seed: Seed of the draw.

        Returns:
            (rate, its standard error), knowing ``place``, ``place+date``, ``image``, or ``all``.
        """
        label, lonlat, date = self.draw_records(n, seed)
        seen = [
            self.log_image(self.draw_images(label, seed, rows))
            for rows in torch.arange(n).split(CHUNK)
        ]
        image = torch.cat(seen)
        logs = {
            "place": self.log_place(lonlat),
            "place+date": self.log_place(lonlat, date),
            "image": image + self.class_probability.log(),
            "all": image + self.log_place(lonlat, date),
        }
        best = {key: value.softmax(1).amax(1) for key, value in logs.items()}
        return {k: (float(b.mean()), float(b.std()) / math.sqrt(n)) for k, b in best.items()}


def _mix(seed: int, chunk: int) -> int:
    """Give every chunk of every seed a stream of its own."""
    return (seed * 1_000_003 + chunk * 7919 + 1) % (1 << 62)
