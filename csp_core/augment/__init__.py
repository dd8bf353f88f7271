"""What training does to images: one table of augmentations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from csp_core.augment import pixels
from csp_core.augment.pixels import TOPS
from csp_core.augment.randaugment import DRAWS, rand_augment
from csp_core.errors import ConfigError
from csp_core.tables import lookup

__all__ = ["AUGMENTATIONS", "Augmentation", "augment", "augmentation"]


@dataclass(frozen=True)
class Augmentation:
    """A named change.

    Args:
        apply: Function of images ``(N, C, H, W)`` and uniform numbers ``(N, draws)``.
        draws: Numbers for each image.
    """

    apply: Callable[[Tensor, Tensor], Tensor]
    draws: int


AUGMENTATIONS: dict[str, Augmentation] = {
    "weak": Augmentation(pixels.weak, 3),
    "medium": Augmentation(pixels.medium, 8),
    "strong": Augmentation(pixels.strong, 10),
    "weak_upright": Augmentation(pixels.weak_upright, 3),
    "medium_upright": Augmentation(pixels.medium_upright, 8),
    "strong_upright": Augmentation(pixels.strong_upright, 10),
    "weak_reflect": Augmentation(pixels.weak_reflect, 4),
    "weak_reflect_upright": Augmentation(pixels.weak_reflect_upright, 4),
    "rand_augment": Augmentation(rand_augment, DRAWS),
    "rand_augment_upright": Augmentation(partial(rand_augment, upright=True), DRAWS),
    "rand_augment_cutout": Augmentation(partial(rand_augment, cut=True), DRAWS),
    "rand_augment_cutout_upright": Augmentation(
        partial(rand_augment, cut=True, upright=True), DRAWS
    ),
    "rand_augment_m5": Augmentation(partial(rand_augment, magnitude=5), DRAWS),
    "rand_augment_m5_upright": Augmentation(
        partial(rand_augment, magnitude=5, upright=True), DRAWS
    ),
}


def augmentation(name: str) -> Augmentation:
    """Find an augmentation.

    Args:
        name: A name in ``AUGMENTATIONS``.

    Returns:
        It, with how many numbers it needs.

    Raises:
        UnknownNameError: If there is none of that name.

    Example:
        >>> import torch
        >>> chosen = augmentation("weak")
        >>> image = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        >>> chosen.apply(image, torch.rand(2, chosen.draws)).shape
        torch.Size([2, 3, 8, 8])
    """
    return lookup("augmentation", AUGMENTATIONS, name)


def augment(image: Tensor, name: str, uniform: Tensor) -> Tensor:
    """Change images.

    Args:
        image: ``(N, C, H, W)`` whole or floating-point numbers.
        name: A name in ``AUGMENTATIONS``.
        uniform: ``(N, draws)`` numbers in [0, 1), as many as the augmentation needs.

    Returns:
        The same shape and kind.

    Raises:
        UnknownNameError: If there is no such augmentation.
        ConfigError: If the shapes or the kind of numbers do not fit.
    """
    chosen = augmentation(name)
    if image.ndim != 4 or uniform.shape != (len(image), chosen.draws):
        raise ConfigError(
            f"{name!r} changes images (N, C, H, W) by {chosen.draws} numbers each; given were"
            f" {tuple(image.shape)} and {tuple(uniform.shape)}. Features cannot be augmented."
        )
    if not image.is_floating_point() and image.dtype not in TOPS:
        raise ConfigError(f"Images are {image.dtype}; give uint8, int16, int32 or floating point.")
    return chosen.apply(image, uniform)
