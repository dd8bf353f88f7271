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


def make_templates(kinds: Tensor, distance: float, generator: torch.Generator) -> Tensor:
    """Invent the noiseless image of each class.

    A genus has a picture of its own; its species differ by a faint smooth shade, all three equally
    far from each other.

    Args:
        kinds: ``(8, 3, 64, 64)`` float64, the picture of each genus.
        distance: Between the templates of look-alikes, over all pixels and channels.
        generator: Where chance comes from.

    Returns:
        ``(24, 3, 64, 64)`` float32, mostly in [0, 1].
    """
    shade = _smooth(GENERA * 2, waves=1, generator=generator).view(GENERA, 2, -1)
    plane = torch.linalg.qr(shade.mT)[0].mT
    angle = 2 * math.pi * torch.arange(LOOKALIKES, dtype=torch.float64) / LOOKALIKES
    corner = torch.stack((angle.cos(), angle.sin()), 1) / math.sqrt(3)
    marks = distance * corner @ plane
    templates = kinds[:, None] + marks.view(GENERA, LOOKALIKES, 3, SIZE, SIZE)
    drawn: Tensor = templates.flatten(0, 1).to(torch.float32)
    return drawn


def draw_waves(generator: torch.Generator) -> Tensor:
    """Invent a pattern of waves for each genus.

    Args:
        generator: Where chance comes from.

    Returns:
        ``(8, 3, 64, 64)`` float64, mostly in [0, 1].
    """
    genus = _smooth(GENERA, waves=WAVES, generator=generator)
    return 0.5 + GENUS_CONTRAST * genus / genus.flatten(1).std(1)[:, None, None, None]


def _smooth(count: int, *, waves: int, generator: torch.Generator) -> Tensor:
    """Draw random sums of the lowest cosine waves: ``(count, 3, 64, 64)`` float64."""
    basis = _cosines(waves)
    shape = (count, 3, waves + 1, waves + 1)
    weight = torch.randn(shape, generator=generator, dtype=torch.float64)
    return basis.T @ weight @ basis


def _unit_cosines(dtype: torch.dtype) -> Tensor:
    """Give the lowest cosine waves along one side, each of length 1: ``(7, 64)``."""
    return torch.nn.functional.normalize(_cosines(WAVES), dim=1).to(dtype)


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


def beyond_waves(kinds: Tensor) -> Tensor:
    """Give what the pictures of the genera have beside the lowest waves, as an orthonormal basis.

    Args:
        kinds: ``(8, 3, 64, 64)`` float64.

    Returns:
        ``(8, 3, 64, 64)`` float64 pictures, orthogonal to the waves; none where the kinds lie in
        them.
    """
    basis = _unit_cosines(kinds.dtype)
    centred = kinds - 0.5
    rest = centred - basis.T @ (basis @ centred @ basis.T) @ basis
    # The angles of the waves are rounded to single precision.
    if rest.norm() < 1e-5 * centred.norm():
        return kinds[:0]
    found: Tensor = torch.linalg.qr(rest.flatten(1).T)[0].T
    return found.reshape(-1, 3, SIZE, SIZE)


def image_features(image: Tensor, details: Tensor | None = None) -> Tensor:
    """Project images onto their lowest cosine waves, as a frozen backbone would give features.

    The templates lie wholly in these waves and the details, so nothing that tells classes apart is
    lost, and no label was needed to choose them. The noise of a feature is that of a pixel.

    Args:
        image: ``(N, 3, 64, 64)``.
        details: ``(D, 3, 64, 64)`` further pictures to project onto, as ``beyond_waves`` gives
            them; None for none.

    Returns:
        ``(N, 147 + D)`` float32.
    """
    basis = _unit_cosines(image.dtype)
    waves = (basis @ (image - 0.5) @ basis.T).flatten(1)
    if details is None or not len(details):
        return waves
    # One by one, so that an image's features do not depend on how many are read with it.
    beside = [((image - 0.5) * one).sum((1, 2, 3)) for one in details.to(image.dtype)]
    return torch.cat((waves, torch.stack(beside, 1)), 1)


def draw_features(
    templates: Tensor,
    label: Tensor,
    noise: float,
    seed: int,
    rows: Tensor,
    details: Tensor | None = None,
) -> Tensor:
    """Draw the images of records a few at a time and keep their features.

    Args:
        templates: ``(K, 3, 64, 64)`` noiseless images.
        label: ``(N,)`` classes of all records.
        noise: Standard deviation per channel and pixel.
        seed: Seed of the draw.
        rows: ``(M,)`` ascending numbers of the records to draw.
        details: As for ``image_features``.

    Returns:
        ``(M, 147 + D)`` float32.
    """
    chunk_of = torch.div(rows, CHUNK, rounding_mode="floor")
    found = [torch.empty(0, FEATURES + (0 if details is None else len(details)))]
    for chunk in torch.unique_consecutive(chunk_of).tolist():
        drawn = draw_images(templates, label, noise, seed, rows[chunk_of == chunk])
        found.append(image_features(drawn, details))
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
