"""Changes to pictures together with their masks, which follow them exactly.

As elsewhere here nothing is drawn: who calls gives the numbers. What moves a picture moves its mask
pixel for pixel, so no class is ever mixed with another; what changes its light leaves the mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from csp_core.augment.pixels import as_kind, turn
from csp_core.errors import ConfigError, UnknownNameError

GAIN, OFFSET, NOISE = 0.15, 0.15, 0.05
# Uniform numbers of a picture: one for the way of turning and two for the light.
DRAWS = 3


@dataclass(frozen=True)
class Together:
    """What is done to pictures with masks.

    Args:
        light: How the light of pictures changes, given ``(N, 2)`` uniform numbers; None to leave
            it.
        noise: Standard deviation of noise, as a part of the standard deviation of the picture.
    """

    light: Callable[[Tensor, Tensor], Tensor] | None = None
    noise: float = 0.0


def turn_together(image: Tensor, masks: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Flip and turn pictures with their masks in one of eight ways; oblong ones in one of four.

    Args:
        image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``, whose dates are turned alike.
        masks: ``(N, M, H, W)`` what belongs to the pixels.
        uniform: ``(N,)`` in [0, 1).

    Returns:
        Both in their shapes and kinds.
    """
    flat = image.flatten(1, -3)
    return turn(flat, uniform).reshape(image.shape), turn(masks, uniform)


def relight(image: Tensor, uniform: Tensor) -> Tensor:
    """Multiply pictures and add to them, up to 15 % of their values and of their spread.

    Args:
        image: ``(N, …)`` pixels of any kind; all of a picture change alike.
        uniform: ``(N, 2)`` in [0, 1): gain and offset.

    Returns:
        The same shape and kind.
    """
    pixels = image.float()
    shape = (-1, *(1,) * (image.ndim - 1))
    gain, offset = (2 * uniform - 1).view(-1, 2).unbind(1)
    spread = pixels.flatten(1).std(dim=1, correction=0)
    changed = pixels * (1 + GAIN * gain).view(shape) + (OFFSET * offset * spread).view(shape)
    return as_kind(changed, image.dtype)


def add_noise(image: Tensor, normal: Tensor, strength: float) -> Tensor:
    """Add noise to pictures.

    Args:
        image: ``(N, …)`` pixels of any kind.
        normal: The same shape, drawn from the standard normal law.
        strength: Standard deviation of the noise, as a part of that of the picture.

    Returns:
        The same shape and kind.
    """
    pixels = image.float()
    spread = pixels.flatten(1).std(dim=1, correction=0)
    added = strength * spread.view(-1, *(1,) * (image.ndim - 1)) * normal
    return as_kind(pixels + added, image.dtype)


TOGETHER: dict[str, Together] = {
    "weak": Together(),
    "medium": Together(relight),
    "strong": Together(relight, NOISE),
}


def change_together(
    image: Tensor, masks: Tensor, name: str, uniform: Tensor, normal: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Change pictures and their masks: ``weak`` turns, ``medium`` relights, ``strong`` adds noise.

    Args:
        image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``.
        masks: ``(N, M, H, W)`` what belongs to the pixels.
        name: A name in ``TOGETHER``.
        uniform: ``(N, 3)`` in [0, 1).
        normal: Numbers of the standard normal law in the shape of the pictures, where the change
            adds noise.

    Returns:
        Both in their shapes and kinds.

    Raises:
        UnknownNameError: If there is no such change.
        ConfigError: If it adds noise and there are no numbers for it.
    """
    change = find_together(name)
    image, masks = turn_together(image, masks, uniform[:, 0])
    if change.light is not None:
        image = change.light(image, uniform[:, 1:3])
    if change.noise:
        if normal is None:
            raise ConfigError(f"The change {name!r} adds noise: give numbers of a normal law.")
        image = add_noise(image, normal, change.noise)
    return image, masks


def find_together(name: str) -> Together:
    """Find a change of pictures with masks.

    Args:
        name: A name in ``TOGETHER``.

    Returns:
        It.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    if name not in TOGETHER:
        raise UnknownNameError("augmentation of pictures with masks", name, TOGETHER)
    return TOGETHER[name]
