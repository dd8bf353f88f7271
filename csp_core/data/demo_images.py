"""What the invented species of ``demo`` look like: a template each, under noise of known size."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.data.demo_ranges import GENERA, LOOKALIKES, stream

SIZE = 64
DEFAULT_NOISE = 0.2
# Distance between the templates of look-alikes, in units of the default noise: the images alone
# then name the species in little more than half of the cases, whatever the classifier.
LOOKALIKE_DISTANCE = 0.9
GENUS_CONTRAST = 0.2
# Images are drawn this many at a time, so that a record's image does not depend on the others read.
CHUNK = 256


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
    drawn: Tensor = templates.flatten(0, 1).to(torch.float32)
    return drawn


def _smooth(count: int, *, waves: int, generator: torch.Generator) -> Tensor:
    """Draw random sums of the lowest cosine waves: ``(count, 3, 64, 64)`` float64."""
    ramp = (torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE
    basis = torch.cos(math.pi * torch.arange(waves + 1)[:, None] * ramp)
    shape = (count, 3, waves + 1, waves + 1)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    return basis.T @ weight @ basis


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
