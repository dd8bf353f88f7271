"""Losses over the pixels of masks, in two steps: sums of each picture, and the loss of all of them.

The sums of the pictures that several processes hold can be joined, so that the loss is that of the
whole batch however many pixels of each picture are known.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_sums(
    logits: Tensor, mask: Tensor, *, class_weight: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Sum up the softmax cross-entropy of the known pixels of each picture.

    Args:
        logits: ``(N, K, H, W)``.
        mask: ``(N, H, W)`` int64 classes, -1 where unknown, which counts neither way.
        class_weight: ``(K,)`` weight of each class, or None for equal weights.

    Returns:
        ``(N,)`` weighted sums, nats, and ``(N,)`` sums of the weights; 0 where nothing is known.
    """
    logits = logits.float() if logits.itemsize < 4 else logits
    each = F.cross_entropy(logits, mask, weight=class_weight, ignore_index=-1, reduction="none")
    weight = (mask >= 0).to(each.dtype)
    if class_weight is not None:
        weight = weight * class_weight.to(each.dtype)[mask.clamp_min(0)]
    return each.flatten(1).sum(dim=1), weight.flatten(1).sum(dim=1)


def pixel_cross_entropy(total: Tensor, weight: Tensor) -> Tensor:
    """Softmax cross-entropy over the known pixels of all pictures together.

    Args:
        total: ``(N,)`` sums as of ``pixel_sums``.
        weight: ``(N,)`` their weights.

    Returns:
        Scalar, nats, weighted mean over the pixels; 0 with a gradient of 0 where none is known.

    Source:
        Long et al. 2015, Fully Convolutional Networks for Semantic Segmentation.
    """
    known = weight.sum()
    return total.sum() / torch.where(known > 0, known, torch.ones_like(known))


def overlap_sums(logits: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum up how far shares and masks of each picture overlap, and how large either is.

    Args:
        logits: ``(N, K, H, W)``.
        mask: ``(N, H, W)`` int64 classes, -1 where unknown, which counts neither way.

    Returns:
        Three times ``(N, K)``: the shares of each class summed where it is true, the shares summed
        over all known pixels, and the number of pixels of the class.
    """
    logits = logits.float() if logits.itemsize < 4 else logits
    known = (mask >= 0)[:, None]
    share = logits.softmax(dim=1) * known
    truth = F.one_hot(mask.clamp_min(0), logits.shape[1]).movedim(-1, 1) * known
    both, said, true = (x.flatten(2).sum(dim=2) for x in (share * truth, share, truth))
    return both, said, true.to(both.dtype)


def soft_dice(both: Tensor, said: Tensor, true: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, in the mean over the classes that are present.

    Args:
        both: ``(N, K)`` sums as of ``overlap_sums``, which are taken over all pictures together.
        said: ``(N, K)``.
        true: ``(N, K)``.

    Returns:
        Scalar in [0, 1]; 0 with a gradient of 0 where no pixel is known.

    Source:
        Milletari et al. 2016, V-Net, with sums of shares rather than of their squares.
    """
    both, said, true = (each.sum(dim=0) for each in (both, said, true))
    present = true > 0
    size = torch.where(present, said + true, torch.ones_like(said))
    missed = torch.where(present, 1 - 2 * both / size, torch.zeros_like(both))
    return missed.sum() / present.sum().clamp_min(1)
