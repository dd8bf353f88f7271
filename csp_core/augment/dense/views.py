"""Two views of each image, and where their pixels are from: what dense contrast compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from csp_core.augment.dense import geometry, shading
from csp_core.augment.dense.dates import choose_dates, drop_dates, take_dates
from csp_core.augment.operations import white_of
from csp_core.augment.pixels import as_kind
from csp_core.errors import ConfigError

LEVELS = ("batch", "sample")
SHARES = ("date_dropout", "clouds", "blur")
AMOUNTS = ("shift", "gain", "offset", "noise")
# Sides of views are multiples of this where they can be, as most networks halve them three times.
STEP = 8


class Draws(Protocol):
    """A source of random numbers for the rows of a batch, such as an objective is given."""

    @property
    def generator(self) -> torch.Generator:
        """What all rows are drawn from, in the same order on every process."""
        ...

    def uniform(self, columns: int) -> Tensor:
        """Draw ``(N, columns)`` numbers in [0, 1)."""
        ...

    def rows(self, draw: Callable[[torch.Generator, int], Tensor]) -> Tensor:
        """Draw something else for each row."""
        ...


@dataclass(frozen=True)
class View:
    """One view of each image of a batch.

    Args:
        image: ``(N, C, h, w)``, or ``(N, t, C, h, w)`` of a series, in the numbers of the source.
        coordinates: ``(N, 2, h, w)`` float32 row and column in the source of each pixel.
        valid: ``(N, h, w)`` bool, where it has data.
        days: ``(N, t)`` parts of the year, NaN where there is no date; None but of series.
    """

    image: Tensor
    coordinates: Tensor
    valid: Tensor
    days: Tensor | None = None


@dataclass(frozen=True)
class Batchwide:
    """What is drawn once for a batch, so that its views can be stacked.

    Args:
        size: Side of the views in pixels.
        zooms: Pixels of the source to one of the first and the second views.
        lost: Bands that these lack, ``(C,)`` bool each.
        dates: Dates of a view.
    """

    size: int
    zooms: tuple[float, float]
    lost: tuple[Tensor, Tensor]
    dates: int


@dataclass(frozen=True)
class Views:
    """How two views of each image are made; each part can be turned off.

    Drawn for a whole batch: side of the views, zoom, number of dates, lost bands. Drawn for each
    image: where its views lie, how they are turned, which dates they hold, and how they are shaded.

    Args:
        crop: Smallest and largest side of a view, as parts of the shorter side of the image up to
            1, or in pixels.
        zoom: Smallest and largest number of pixels of the image to one of a view, drawn even in its
            logarithm; (1, 1) leaves pixels as they are.
        shift: How far the second view of an image may begin from the first, in sides of a view.
        flip: Flip views in both directions.
        rotate: Turn views by multiples of 90 degrees.
        dates: Numbers of dates that a view of a series may hold; empty for half of them, or for
            what the network was made for.
        disjoint: Let two views of a series share no date where it has twice as many.
        date_dropout: How often a date of a view is left out, in [0, 1).
        gain: How far from 1 the factor of a band may be.
        offset: How far from 0 the shift of a band may be, in parts of white.
        noise: Standard deviation of Gaussian noise, in parts of white.
        clouds: How often a date gets a cloud, in [0, 1).
        blur: How often a view is made soft, in [0, 1).
        lost_bands: How many bands a view may lack at most.
        levels: What is drawn at all: ``batch`` and ``sample``. Without the first, views have the
            smallest side, the zoom 1 (the smallest number of dates) and all bands; without the
            second they lie in the middle, upright and unshaded.

    Raises:
        ConfigError: If an option is out of range.
    """

    crop: tuple[float, float] = (0.6, 1.0)
    zoom: tuple[float, float] = (0.8, 1.25)
    shift: float = 0.5
    flip: bool = True
    rotate: bool = True
    dates: tuple[int, ...] = ()
    disjoint: bool = True
    date_dropout: float = 0.1
    gain: float = 0.1
    offset: float = 0.05
    noise: float = 0.02
    clouds: float = 0.1
    blur: float = 0.2
    lost_bands: int = 0
    levels: tuple[str, ...] = LEVELS

    def __post_init__(self) -> None:
        """Check the options; lists, as configurations have them, become tuples."""
        for name in ("crop", "zoom", "dates", "levels"):
            given = getattr(self, name)
            if not isinstance(given, (tuple, list)):
                raise ConfigError(f"views: {name} is {given!r}; give a list.")
            object.__setattr__(self, name, tuple(given))
        for name in ("crop", "zoom"):
            given = getattr(self, name)
            if len(given) != 2 or not 0 < given[0] <= given[1]:
                raise ConfigError(f"views: {name} is {given}; give (low, high) with 0 < low.")
        shares = {name: getattr(self, name) for name in SHARES}
        amounts = {name: getattr(self, name) for name in AMOUNTS}
        if not all(0 <= value < 1 for value in shares.values()):
            raise ConfigError(f"views: {shares}; give shares in [0, 1).")
        if not all(0 <= value for value in amounts.values()) or self.lost_bands < 0:
            raise ConfigError(f"views: {amounts}, lost_bands {self.lost_bands}; give 0 or more.")
        if any(number < 1 for number in self.dates) or not set(self.levels) <= set(LEVELS):
            raise ConfigError(
                f"views: dates are {self.dates} and levels {self.levels}; give numbers of at least"
                f" 1, and some of {', '.join(LEVELS)}."
            )

    def used(self) -> Views:
        """Give these options with those of levels that are not drawn turned off."""
        found = self
        if "batch" not in self.levels:
            crop, dates = (self.crop[0],) * 2, self.dates[:1]
            found = replace(found, crop=crop, zoom=(1.0, 1.0), dates=dates, lost_bands=0)
        if "sample" not in self.levels:
            none = {name: 0.0 for name in (*SHARES, *AMOUNTS)}
            found = replace(found, flip=False, rotate=False, **none)  # type: ignore[arg-type]
        return found

    def pair(
        self,
        image: Tensor,
        draws: Draws,
        *,
        days: Tensor | None = None,
        valid: Tensor | None = None,
    ) -> tuple[View, View]:
        """Make two views of each image.

        Args:
            image: ``(N, C, H, W)``, or ``(N, T, C, H, W)`` series.
            draws: Source of random numbers.
            days: ``(N, T)`` parts of the year of the dates of series, NaN where there is none.
            valid: ``(N, H, W)`` bool, where there is data; None for everywhere.

        Returns:
            The first and the second view.
        """
        options, series = self.used(), image.ndim == 5
        frames = image if series else image[:, None]
        there = torch.zeros(frames.shape[:2]) if days is None else days
        found = torch.ones(len(image), *image.shape[-2:]) > 0 if valid is None else valid
        whole = options.draw_batch(frames, draws.generator)
        dates: tuple[Tensor | None, ...] = (None, None)
        if series:
            dates = options.draw_dates(~there.isnan(), whole.dates, draws)
        views, near = [], None
        for zoom, lost, chosen in zip(whole.zooms, whole.lost, dates, strict=True):
            near = options.draw_origin(frames, whole.size, zoom, near, draws)
            place = geometry.window(near, whole.size, zoom)
            turn = draws.uniform(1)[:, 0]
            place = geometry.turned(place, turn, flip=options.flip, rotate=options.rotate)
            some, own = (frames, there) if chosen is None else take_dates(frames, there, chosen)
            cut = geometry.take(some.flatten(1, 2), place, whole=zoom == 1)
            shaded = options.shade(cut.view(*some.shape[:3], *cut.shape[2:]), lost, draws)
            shaded = shaded.masked_fill(own.isnan()[:, :, None, None, None], 0)
            seen = geometry.take_valid(found, place, whole=zoom == 1)
            views.append(
                View(shaded, place, seen, own) if series else View(shaded[:, 0], place, seen)
            )
        return views[0], views[1]

    def draw_batch(self, frames: Tensor, generator: torch.Generator) -> Batchwide:
        """Draw what all images of a batch share.

        Args:
            frames: ``(N, T, C, H, W)``.
            generator: Source of random numbers.

        Returns:
            It.
        """
        bands, shorter = frames.shape[2], min(frames.shape[3:])
        size_at, *zoom_at, date_at = torch.rand(4, generator=generator).tolist()
        low, high = (side * shorter if side <= 1 else side for side in self.crop)
        size = round((low + (high - low) * size_at) / STEP) * STEP
        size = max(1, min(max(size, STEP), shorter if shorter < STEP else shorter // STEP * STEP))
        smallest, largest = self.zoom
        zooms = [
            min(smallest * (largest / smallest) ** at, shorter / size) if smallest < largest
            else min(smallest, shorter / size)
            for at in zoom_at
        ]  # fmt: skip
        lost = []
        for _ in range(2):
            number, order = torch.rand(2, bands, generator=generator)
            most = min(self.lost_bands, bands - 1)
            lost.append(order.argsort().argsort() < int(number[0] * (most + 1)))
        numbers = self.dates or (max(1, frames.shape[1] // 2),)
        return Batchwide(
            size, (zooms[0], zooms[1]), (lost[0], lost[1]), numbers[int(date_at * len(numbers))]
        )

    def draw_dates(self, known: Tensor, number: int, draws: Draws) -> tuple[Tensor, Tensor]:
        """Draw the dates of both views; see ``choose_dates``."""
        steps = known.shape[1]
        chance = draws.uniform(steps)
        pair = choose_dates(known, chance, number, None if self.disjoint else draws.uniform(steps))
        if self.date_dropout == 0:
            return pair
        first, second = (drop_dates(d, draws.uniform(number), self.date_dropout) for d in pair)
        return first, second

    def draw_origin(
        self, frames: Tensor, size: int, zoom: float, near: Tensor | None, draws: Draws
    ) -> Tensor:
        """Draw where views begin, ``(N, 2)``; in the middle where nothing is drawn for images."""
        sides = (frames.shape[3], frames.shape[4])
        if "sample" in self.levels:
            reach = self.shift * size * zoom
            return geometry.origins(sides, size, zoom, draws.uniform(2), near, reach)
        middle = (torch.tensor(sides, dtype=torch.float32) - size * zoom) / 2
        return (middle.floor() if zoom == 1 else middle).expand(len(frames), 2)

    def shade(self, frames: Tensor, lost: Tensor, draws: Draws) -> Tensor:
        """Change the values of a view, band by band and date by date.

        Args:
            frames: ``(N, T, C, h, w)``.
            lost: ``(C,)`` bool, bands to take away.
            draws: Source of random numbers.

        Returns:
            The same shape and kind.
        """
        number, steps, bands = frames.shape[:3]
        white = white_of(frames)
        pixels = frames.float() / white
        if self.gain > 0 or self.offset > 0:
            chance = draws.uniform(2 * bands).view(number, 2, bands)
            pixels = shading.scale_bands(pixels, chance, gain=self.gain, offset=self.offset)
        if self.clouds > 0:
            chance = draws.uniform(steps * shading.CLOUD_NUMBERS).view(number, steps, -1)
            pixels = shading.add_clouds(pixels, chance, self.clouds)
        if self.blur > 0:
            pixels = shading.soften(pixels, draws.uniform(1)[:, 0], self.blur)
        if self.noise > 0:
            shape = frames.shape[1:]
            pixels = pixels + self.noise * draws.rows(
                lambda generator, rows: torch.randn(rows, *shape, generator=generator)
            )
        if bool(lost.any()):
            pixels = shading.lose_bands(pixels, lost)
        return as_kind(pixels * white, frames.dtype)
