"""Masks of the records of a data set, dealt to its parts as label sets are."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.data import counts
from csp_core.data.images import has_pixels
from csp_core.data.parts import PARTS, Dealt


def patch_sets(mask: Tensor, classes: int) -> Tensor:
    """Tell which classes are in masks.

    Args:
        mask: ``(N, H, W)`` whole numbers, -1 where unknown or ignored.
        classes: How many there are.

    Returns:
        ``(N, K)`` int8: 1 where a mask has a pixel of the class, else 0; -1 throughout where it
        knows no pixel.

    Example:
        >>> patch_sets(torch.tensor([[[0, 0, 2]], [[-1, -1, -1]]]), 3).tolist()
        [[1, 0, 1], [-1, -1, -1]]
    """
    sets = torch.stack([(mask == k).flatten(1).any(dim=1) for k in range(classes)], dim=1)
    return sets.to(torch.int8).masked_fill(~has_pixels(mask)[:, None], -1)


def shown_masks(mask: Tensor, dealt: Dealt) -> Tensor:
    """Hide the masks that are not to be seen: those of records trained on without them.

    Args:
        mask: ``(N, H, W)`` whole numbers.
        dealt: The part of each record.

    Returns:
        The same, -1 where a mask is hidden.
    """
    hidden = (dealt.parts == PARTS["train"]) & ~dealt.labelled
    return mask.masked_fill(hidden[:, None, None], -1)


def count_shown(mask: Tensor, dealt: Dealt, classes: int) -> tuple[int, ...]:
    """Count the pixels of each class in the masks that are learned from.

    Args:
        mask: ``(N, H, W)`` whole numbers, -1 where unknown or ignored.
        dealt: The part of each record.
        classes: How many there are.

    Returns:
        A number for each class.
    """
    return counts.pixels(mask[(dealt.parts == PARTS["train"]) & dealt.labelled], classes)
