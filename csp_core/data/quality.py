"""Training records made worse or better on purpose: wrong pairs, near-duplicates, weak pairs."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError

# What moves with the place of a record; labels and masks stay with its image.
OF_PLACES = ("lonlat", "date", "hour", "caption")
SIDE = 8
# What float32 may miss of the cosine of a row with itself.
ROUNDING = 1e-6
# Rows that are compared with all before them at once.
CHUNK = 1024


def shuffle_pairs(
    dataset: RecordDataset, share: float, generator: torch.Generator
) -> RecordDataset:
    """Give a part of the records the place, time and caption of another of them.

    Images, labels and masks keep their rows. No record that takes part keeps its own place; another
    may lie where it lay.

    Args:
        dataset: The records.
        share: Part of them that takes part, in [0, 1]; it is rounded, and one alone is none.
        generator: What chance decides by.

    Returns:
        The records.
    """
    chosen, others = _exchange(torch.arange(len(dataset)), share, generator)
    columns = {}
    for name in OF_PLACES:
        column = getattr(dataset, name).clone()
        column[chosen] = getattr(dataset, name)[others]
        columns[name] = column
    return replace(dataset, **columns)


def noisy_captions(
    dataset: RecordDataset, share: float, generator: torch.Generator
) -> RecordDataset:
    """Give a part of the records that have a caption the caption of another of them.

    Images and places keep their rows. Equal captions may be exchanged for each other.

    Args:
        dataset: Records with captions.
        share: Part of those with a caption that takes part, in [0, 1].
        generator: What chance decides by.

    Returns:
        The records.

    Raises:
        BadRecordError: If there are no captions.
    """
    if dataset.captions is None:
        raise BadRecordError(
            "caption_noise changes captions, and these records have none: give data.captions."
        )
    rows = (dataset.caption >= 0).nonzero().flatten()
    chosen, others = _exchange(rows, share, generator)
    caption = dataset.caption.clone()
    caption[chosen] = dataset.caption[others]
    return replace(dataset, caption=caption)


def _exchange(rows: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Choose rows, and for each another of them, every one once."""
    order = rows[torch.randperm(len(rows), generator=generator)]
    chosen = order[: round(share * len(rows))]
    # In a random circle nobody is next to himself, unless he is alone.
    return chosen, chosen.roll(1)


def near_duplicates(embedding: Tensor, threshold: float) -> Tensor:
    """Find the rows that are unlike all that are kept before them.

    The first of several that are alike is kept. Rows of zeros are like nothing. Every row is
    compared with all kept before it, block by block, so memory grows with N and time with N².

    Args:
        embedding: ``(N, D)``.
        threshold: Cosine from which two rows are taken to be near-duplicates.

    Returns:
        ``(N,)`` bool, which rows to keep.

    Example:
        >>> near_duplicates(torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1]]), 0.98).tolist()
        [True, True, False]
    """
    unit = F.normalize(embedding.float(), dim=1)
    # Rows of zeros have no direction, whatever the threshold.
    unit[(unit == 0).all(dim=1)] = torch.nan
    threshold = threshold - ROUNDING
    keep = torch.ones(len(unit), dtype=torch.bool)
    kept: list[Tensor] = []
    for start in range(0, len(unit), CHUNK):
        block = unit[start : start + CHUNK]
        fresh = torch.ones(len(block), dtype=torch.bool)
        for before in kept:
            fresh &= ~(block @ before.T >= threshold).any(dim=1)
        alike = (block @ block.T >= threshold).tril(-1)
        # Within a block one row after another: who is left out leaves nobody out.
        for row in alike.any(dim=1).nonzero().flatten().tolist():
            fresh[row] &= not bool((alike[row] & fresh).any())
        keep[start : start + CHUNK] = fresh
        kept.append(block[fresh])
    return keep


def worst_pairs(agreement: Tensor, share: float) -> Tensor:
    """Find the pairs that are left when those of least agreement go out.

    Args:
        agreement: ``(N,)``, NaN where nothing is known of a pair, which is kept.
        share: Part of the known pairs that goes out, in [0, 1]; it is rounded.

    Returns:
        ``(N,)`` bool, which pairs to keep. Of equal ones the first go out first.

    Example:
        >>> worst_pairs(torch.tensor([0.9, -0.2, float("nan"), 0.1]), 1 / 3).tolist()
        [True, False, True, True]
    """
    known = (~agreement.isnan()).nonzero().flatten()
    order = known[agreement[known].argsort(stable=True)]
    return _without(len(agreement), order[: round(share * len(known))])


def at_random(number: int, out: int, generator: torch.Generator) -> Tensor:
    """Find the rows that are left when some go out at random.

    Args:
        number: Rows, N.
        out: How many go out.
        generator: What chance decides by.

    Returns:
        ``(N,)`` bool, which rows to keep.
    """
    return _without(number, torch.randperm(number, generator=generator)[:out])


def _without(number: int, rows: Tensor) -> Tensor:
    keep = torch.ones(number, dtype=torch.bool)
    keep[rows] = False
    return keep


def thumbnails(image: Tensor) -> Tensor:
    """Describe images by 8 × 8 means of every band, without the mean of the band.

    Brightness and colour of a whole image so tell nothing, and contrast nothing once cosines are
    taken: images are alike whose light and dark lie alike.

    Args:
        image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``, whose mean over the dates is taken.

    Returns:
        ``(N, C · 64)`` float32; zeros for images of one colour.
    """
    pixels = image.float()
    pixels = pixels.mean(dim=1) if pixels.ndim == 5 else pixels
    small = F.adaptive_avg_pool2d(pixels, SIDE)
    flat: Tensor = (small - small.mean(dim=(2, 3), keepdim=True)).flatten(1)
    # What rounding leaves of a flat image is no pattern.
    level = small.abs().flatten(1).amax(dim=1, keepdim=True)
    noise = math.sqrt(flat.shape[1]) * 1e-6 * level
    return flat.masked_fill(flat.norm(dim=1, keepdim=True) <= noise, 0.0)
