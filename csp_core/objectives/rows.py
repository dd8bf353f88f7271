"""What objectives do with the rows of a batch: their times, and images that are changed."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.augment import augment, augmentation
from csp_core.data.batch import Batch
from csp_core.objectives.draws import BatchRandom


def times(batch: Batch) -> tuple[Tensor | None, Tensor | None]:
    """Give the dates and hours of a batch.

    Args:
        batch: A batch; data sets of a user's own may leave both out.

    Returns:
        ``(N,)`` parts of the year and ``(N,)`` parts of the day, NaN where unknown, None if absent.
    """
    return batch.get("date"), batch.get("hour")


def join_times(*parts: Tensor | None) -> Tensor | None:
    """Join the times of several sets of places, None if any has none.

    Args:
        parts: ``(N,)`` each, or None.

    Returns:
        All times, one set after the other, or None.
    """
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def change_images(image: Tensor, name: str | None, random: BatchRandom) -> Tensor:
    """Change the images of a batch for training.

    Args:
        image: ``(N, C, H, W)``, the rows of this process; features are left as they are, and so are
            no rows at all.
        name: A name in ``AUGMENTATIONS``, or None to change nothing.
        random: Source of random numbers.

    Returns:
        The same shape and kind.
    """
    if name is None or image.ndim != 4 or not len(image):
        return image
    return augment(image, name, random.uniform(augmentation(name).draws))
