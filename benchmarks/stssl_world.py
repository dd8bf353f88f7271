"""An invented world of look-alikes that places tell apart, and what could be known in it at best.

Every kind of image has a bright pattern of its own, which anybody sees, and two look-alikes. They
differ by a faint grating alone, coarse in one and fine in the other, of any phase and one of four
directions; and they live on opposite sides of the equator, turned round from kind to kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from csp_core.data import ClassTable, RecordDataset
from csp_core.data.images import ImageDataset, MemoryImages

SIDE, BANDS, KINDS = 32, 3, 4
CLASSES = 2 * KINDS
# Waves over the side, across and down; the bright patterns have others, so no wave hides a grating.
COARSE, FINE = ((3, 0), (0, 3), (2, 2), (2, -2)), ((8, 0), (0, 8), (6, 6), (6, -6))
BRIGHT = ((1, 0), (0, 1), (1, 1))
GREY, CONTRAST = 128.0, 12.0
# Mean colours of the kinds, on either side of grey.
COLOURS = ((26, -13, -13), (-26, 13, 13), (-13, 26, -26), (13, -26, 26))
NAMES = tuple(f"kind {kind + 1} {look}" for kind in range(KINDS) for look in ("coarse", "fine"))
MOST_LATITUDE = 89.0
PARTS = {"train": 1, "test": 2}
CHUNK = 500
# Variance that rounding to whole numbers adds to each pixel.
ROUNDING = 1 / 12


@dataclass(frozen=True)
class World:
    """The world.

    Args:
        seed: Of the bright patterns.
        amplitude: Of the gratings, in the units of 8-bit pixels.
        noise: Standard deviation of the noise of each pixel and band.
        latitude: Where one of two look-alikes lives on average, degrees; the other at its negative.
        spread: Standard deviation of latitudes and longitudes there, degrees.
    """

    seed: int = 0
    amplitude: float = 9.0
    noise: float = 16.0
    latitude: float = 45.0
    spread: float = 12.0

    def patterns(self) -> Tensor:
        """Give the bright patterns, ``(KINDS, BANDS, SIDE, SIDE)`` float64."""
        generator = torch.Generator().manual_seed(self.seed)
        phase = 2 * math.pi * torch.rand(KINDS, BANDS, len(BRIGHT), generator=generator)
        waves = torch.cos(_angles(BRIGHT) + phase[..., None, None])
        return GREY + torch.tensor(COLOURS)[..., None, None] + CONTRAST * waves.sum(dim=2)

    def homes(self) -> Tensor:
        """Give the mean latitude of each class, ``(CLASSES,)`` degrees."""
        kind, fine = torch.arange(CLASSES) // 2, torch.arange(CLASSES) % 2
        return torch.where((kind + fine) % 2 == 0, self.latitude, -self.latitude)

    def images(self, label: Tensor, generator: torch.Generator) -> Tensor:
        """Draw images of classes.

        Args:
            label: ``(N,)`` classes.
            generator: Where chance comes from.

        Returns:
            ``(N, BANDS, SIDE, SIDE)`` float32, not yet rounded.
        """
        waves = _angles(COARSE + FINE)
        direction = torch.randint(len(COARSE), (len(label),), generator=generator)
        phase = 2 * math.pi * torch.rand(len(label), 1, 1, generator=generator)
        grating = torch.cos(waves[direction + len(COARSE) * (label % 2)] + phase)
        noise = torch.randn(len(label), BANDS, SIDE, SIDE, generator=generator)
        bright = self.patterns()[label // 2]
        return (bright + self.amplitude * grating[:, None] + self.noise * noise).float()

    def places(self, label: Tensor, generator: torch.Generator) -> Tensor:
        """Draw places of classes.

        Args:
            label: ``(N,)`` classes.
            generator: Where chance comes from.

        Returns:
            ``(N, 2)`` degrees; longitudes are about 0 and say nothing.
        """
        scatter = self.spread * torch.randn(len(label), 2, generator=generator)
        north = (self.homes()[label] + scatter[:, 1]).clamp(-MOST_LATITUDE, MOST_LATITUDE)
        return torch.stack((scatter[:, 0], north), dim=1)

    def draw(self, size: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw records, as many of each class.

        Args:
            size: How many.
            seed: Of the draw.

        Returns:
            ``(N, BANDS, SIDE, SIDE)`` uint8 images, ``(N, 2)`` places and ``(N,)`` classes.
        """
        generator = torch.Generator().manual_seed(seed)
        label = (torch.arange(size) % CLASSES)[torch.randperm(size, generator=generator)]
        drawn = [self.images(some, generator) for some in label.split(CHUNK)]
        image = torch.cat([some.round().clamp(0, 255).to(torch.uint8) for some in drawn])
        return image, self.places(label, generator), label

    def image_evidence(self, image: Tensor) -> Tensor:
        """Compute the logarithm of the density of images under each class, but for a constant.

        With noise of variance v in each pixel, the density of an image with a grating of known
        direction, averaged over its phase, is that without one times exp(-E / 2v) I0(a |X| / v):
        X is the Fourier coefficient of the grating's wave, summed over bands, and E, the sum of
        the grating's squares, is the same for all waves. Directions are averaged.

        Args:
            image: ``(N, BANDS, SIDE, SIDE)``.

        Returns:
            ``(N, CLASSES)`` float64; exact but for rounding, which counts as noise.
        """
        variance = self.noise**2 + ROUNDING
        image = image.double()
        rest = image[:, None] - self.patterns()
        kinds = -rest.square().sum(dim=(2, 3, 4)) / (2 * variance)
        # The bright patterns have no part in the waves of the gratings.
        waves = torch.exp(-1j * _angles(COARSE + FINE)).flatten(1)
        size = (image.sum(dim=1).flatten(1).to(waves.dtype) @ waves.T).abs()
        each = log_bessel(self.amplitude * size / variance)
        looks = each.view(len(image), 2, -1).logsumexp(dim=2)
        return (kinds[:, :, None] + looks[:, None]).flatten(1)

    def place_evidence(self, lonlat: Tensor) -> Tensor:
        """Compute the logarithm of the density of places under each class, but for a constant.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, CLASSES)`` float64.
        """
        away = (lonlat[:, 1:].double() - self.homes()) / self.spread
        return -away.square() / 2


def log_bessel(size: Tensor) -> Tensor:
    """Compute log I0, the mean of exp(size cos(angle)) over angles, without overflow."""
    return torch.special.i0e(size).log() + size


def bayes_rates(world: World, size: int, seed: int) -> dict[str, tuple[float, float]]:
    """Estimate how often who knows the world names the class rightly.

    Args:
        world: The world.
        size: Records that are drawn for it.
        seed: Of the draw.

    Returns:
        ``image``, ``place``, ``image + place`` and ``look`` (of two look-alikes, by the image) to
        the rate and its standard error: means of the largest posterior probability.
    """
    image, lonlat, _ = world.draw(size, seed)
    seen = torch.cat([world.image_evidence(some) for some in image.split(CHUNK)])
    place = world.place_evidence(lonlat)
    pairs = seen.view(len(seen), KINDS, 2).logsumexp(dim=1)
    found = {"image": seen, "look": pairs, "place": place, "image + place": seen + place}
    best = {name: logs.softmax(dim=1).amax(dim=1) for name, logs in found.items()}
    return {name: (float(b.mean()), float(b.std()) / math.sqrt(size)) for name, b in best.items()}


def shifted(records: RecordDataset) -> RecordDataset:
    """Give records whose places are mirrored at the equator: each where its look-alike was."""
    return replace(records, lonlat=records.lonlat * torch.tensor([1.0, -1.0]))


def load_stssl_world(
    split: str = "train",
    *,
    root: str | Path | None = None,
    seed: int = 0,
    size: int = 3000,
    test_size: int = 2000,
    labels: int = 1,
    permuted: bool = False,
    amplitude: float = 9.0,
    noise: float = 16.0,
    latitude: float = 45.0,
    spread: float = 12.0,
    val_fraction: float = 0.0,
) -> RecordDataset:
    """Load records of the world, drawn on the spot.

    Args:
        split: ``train`` or ``test``.
        root: Not used; there are no files.
        seed: Seed of world, records and labels.
        size: Training records.
        test_size: Test records.
        labels: Labels of each class that are kept in training; 0 for all.
        permuted: Whether training records have each other's places.
        amplitude: As in ``World``.
        noise: As in ``World``.
        latitude: As in ``World``.
        spread: As in ``World``.
        val_fraction: 0: there is no part for validation.

    Returns:
        The records; training records beyond the labels have none.
    """
    world = World(seed, amplitude, noise, latitude, spread)
    number = size if split == "train" else test_size
    image, lonlat, label = world.draw(number, 10 * seed + PARTS[split])
    shown = label
    if split == "train":
        if permuted:
            order = torch.randperm(number, generator=torch.Generator().manual_seed(seed))
            lonlat = lonlat[order]
        shown = few(label, labels) if labels else label
    counts = tuple(torch.bincount(shown[shown >= 0], minlength=CLASSES).tolist())
    classes = ClassTable(NAMES, counts=counts)
    return ImageDataset(
        lonlat,
        shown,
        classes,
        name="stssl_world",
        store=MemoryImages(image),
        rows=torch.arange(number),
    )


def few(label: Tensor, labels: int) -> Tensor:
    """Keep the first labels of each class; the others become -1."""
    same = label[:, None] == torch.arange(CLASSES)
    place = same.cumsum(dim=0)[torch.arange(len(label)), label]
    return torch.where(place <= labels, label, -1)


def _angles(waves: tuple[tuple[int, int], ...]) -> Tensor:
    """Give the angle of each wave at each pixel, ``(len(waves), SIDE, SIDE)``."""
    row, column = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    number = torch.tensor(waves, dtype=torch.float64)[:, :, None, None]
    return 2 * math.pi * (number[:, 0] * column + number[:, 1] * row) / SIDE
