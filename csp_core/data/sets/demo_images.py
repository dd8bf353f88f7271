"""What the invented species of ``demo`` look like: a template each, under noise of known size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.data.sets.demo_ranges import GENERA, LOOKALIKES, stream

SIZE = 64
DEFAULT_NOISE = 0.2
# Distance between the templates of look-alikes, in units of the default noise: the images alone
# then name the species in little more than half of the cases, whatever the classifier.
LOOKALIKE_DISTANCE = 0.9
GENUS_CONTRAST = 0.2
# Images are drawn this many at a time, so that a record's image does not depend on the others read.
CHUNK = 256
# The genera's patterns are sums of cosine waves up to this many half turns, the shades of fewer.
WAVES = 6
FEATURES = 3 * (WAVES + 1) ** 2


def make_templates(generator: torch.Generator) -> Tensor:
    """Invent the noiseless image of each class.

    A genus has a pattern of its own; its species differ by a faint smooth shade, all three equally
    far from each other.

    Args:
        generator: Where chance comes from.

    Returns:
        ``(24, 3, 64, 64)`` float32, mostly in [0, 1].
    """
    genus = _smooth(GENERA, waves=WAVES, generator=generator)
    genus = 0.5 + GENUS_CONTRAST * genus / genus.flatten(1).std(1)[:, None, None, None]
    shade = _smooth(GENERA * 2, waves=1, generator=generator).view(GENERA, 2, -1)
    plane = torch.linalg.qr(shade.mT)[0].mT
    angle = 2 * math.pi * torch.arange(LOOKALIKES, dtype=torch.float64) / LOOKALIKES
    corner = torch.stack((angle.cos(), angle.sin()), 1) / math.sqrt(3)
    marks = LOOKALIKE_DISTANCE * DEFAULT_NOISE * corner @ plane
    templates = genus[:, None] + marks.view(GENERA, LOOKALIKES, 3, SIZE, SIZE)
    drawn: Tensor = templates.flatten(0, 1).to(torch.float32)
    return drawn


def _smooth(count: int, *, waves: int, generator: torch.Generator) -> Tensor:
    """Draw random sums of the lowest cosine waves: ``(count, 3, 64, 64)`` float64."""
    basis = _cosines(waves)
    shape = (count, 3, waves + 1, waves + 1)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    return basis.T @ weight @ basis


def _cosines(waves: int) -> Tensor:
    """Give the lowest cosine waves along one side: ``(waves + 1, 64)`` float64, orthogonal."""
    ramp = (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE
    return torch.cos(math.pi * torch.arange(waves + 1)[:, None] * ramp)


def draw_images(templates: Tensor, label: Tensor, noise: float, seed: int, rows: Tensor) -> Tensor:
    """Draw the images of records; that of a record depends on its number, not on ``rows``.

    Args:
        templates: ``(K, 3, 64, 64)`` noiseless images.
        label: ``(N,)`` classes of all records.
        noise: Standard deviation per channel and pixel.
        seed: Seed of the draw.
        rows: ``(M,)`` ascending numbers of the records to draw.

    Returns:
        ``(M, 3, 64, 64)`` float32.
    """
    images = torch.empty(len(rows), 3, SIZE, SIZE)
    chunk_of = torch.div(rows, CHUNK, rounding_mode="floor")
    for chunk in sorted(set(chunk_of.tolist())):
        fresh = torch.randn(CHUNK, 3, SIZE, SIZE, generator=stream("images", seed, chunk))
        here = (chunk_of == chunk).nonzero().flatten()
        numbers = rows[here]
        drawn = fresh[numbers - chunk * CHUNK].mul_(noise)
        images[here[0] : here[-1] + 1] = drawn.add_(templates[label[numbers]])
    return images


def image_features(image: Tensor) -> Tensor:
    """Project images onto their lowest cosine waves, as a frozen backbone would give features.

    The templates lie wholly in these waves, so nothing that tells classes apart is lost, and no
    label was needed to choose them. The noise of a feature is that of a pixel.

    Args:
        image: ``(N, 3, 64, 64)``.

    Returns:
        ``(N, 147)`` float32.
    """
    basis = torch.nn.functional.normalize(_cosines(WAVES), dim=1).to(image.dtype)
    return (basis @ (image - 0.5) @ basis.T).flatten(1)


def draw_features(
    templates: Tensor, label: Tensor, noise: float, seed: int, rows: Tensor
) -> Tensor:
    """Draw the images of records a few at a time and keep their features.

    Args:
        templates: ``(K, 3, 64, 64)`` noiseless images.
        label: ``(N,)`` classes of all records.
        noise: Standard deviation per channel and pixel.
        seed: Seed of the draw.
        rows: ``(M,)`` ascending numbers of the records to draw.

    Returns:
        ``(M, 147)`` float32.
    """
    chunk_of = torch.div(rows, CHUNK, rounding_mode="floor")
    found = [torch.empty(0, FEATURES)]
    for chunk in torch.unique_consecutive(chunk_of).tolist():
        found.append(
            image_features(draw_images(templates, label, noise, seed, rows[chunk_of == chunk]))
        )
    return torch.cat(found)


def log_likelihood(templates: Tensor, image: Tensor, noise: float) -> Tensor:
    """Give log p(image | class), up to a term that is the same for all classes.

    Args:
        templates: ``(K, 3, 64, 64)`` noiseless images.
        image: ``(N, 3, 64, 64)``.
        noise: Standard deviation per channel and pixel.

    Returns:
        ``(N, K)`` float64.
    """
    flat = templates.flatten(1).to(torch.float64)
    # Centred, the inner products stay small and nothing is lost in their difference.
    middle = flat.mean(0)
    offset = flat - middle
    product = (image.flatten(1).to(torch.float64) - middle) @ offset.T
    return (product - 0.5 * (offset**2).sum(1)) / noise**2
