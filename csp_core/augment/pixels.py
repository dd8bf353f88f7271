"""Changed images for training, each a function of the images and of uniform numbers drawn before.

Nothing here draws: who calls gives the numbers, so that a run killed inside an epoch sees the same
images again, and two processes see together what one would have seen alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Largest value of images of whole numbers: of 8 bits and 16; 16 without a sign come as int32.
TOPS = {torch.uint8: 255.0, torch.int16: 32_767.0, torch.int32: 65_535.0}
SHIFT, PADDING = 1 / 16, 1 / 8
LEAST_AREA, ASPECT = 0.35, 4 / 3
COLOUR, GREY_SHARE, BLUR_SHARE = 0.4, 0.2, 0.3
SLIGHT_COLOUR = 0.15


def turn(image: Tensor, uniform: Tensor) -> Tensor:
    """Flip and turn images in one of eight ways, all alike likely; oblong ones in one of four.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N,)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    square = image.shape[2] == image.shape[3]
    way = (uniform * (8 if square else 4)).long()
    found = torch.empty_like(image)
    for number in range(8 if square else 4):
        here = way == number
        some = image[here]
        some = some.flip(3) if number & 1 else some
        some = some.flip(2) if number & 2 else some
        found[here] = some.transpose(2, 3) if number & 4 else some
    return found


def mirror(image: Tensor, uniform: Tensor) -> Tensor:
    """Swap left and right in half of the images.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N,)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return torch.where((uniform < 0.5).view(-1, 1, 1, 1), image.flip(3), image)


def shift(image: Tensor, uniform: Tensor) -> Tensor:
    """Move images by up to a sixteenth of their sides; what comes in is mirrored at the edge.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 2)`` in [0, 1), down and right.

    Returns:
        The same shape and kind.
    """
    rows, columns = (
        _mirrored(side, uniform[:, axis], max(1, round(side * SHIFT)))
        for axis, side in enumerate(image.shape[2:])
    )
    number = torch.arange(len(image))[:, None, None]
    return image.permute(0, 2, 3, 1)[number, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2)


def _mirrored(side: int, uniform: Tensor, most: int) -> Tensor:
    """Number the pixels of sides moved by up to ``most``, mirrored without a second edge."""
    moved = (uniform * (2 * most + 1)).long() - most
    index = (torch.arange(side) + moved[:, None]).abs()
    return torch.where(index < side, index, 2 * (side - 1) - index).clamp(0, side - 1)


def crop(image: Tensor, uniform: Tensor) -> Tensor:
    """Cut out a part of between 35 and 100 % of each image and bring it to the whole's size.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 4)`` in [0, 1): area, aspect, down, right.

    Returns:
        The same shape and kind.

    Source:
        Szegedy et al. 2015; Chen et al. 2020, SimCLR.
    """
    area = LEAST_AREA ** (1 - uniform[:, 0])
    aspect = ASPECT ** (2 * uniform[:, 1] - 1)
    high, wide = (area / aspect).sqrt().clamp(max=1), (area * aspect).sqrt().clamp(max=1)
    nought = torch.zeros_like(area)
    down, right = (2 * uniform[:, 2] - 1) * (1 - high), (2 * uniform[:, 3] - 1) * (1 - wide)
    theta = torch.stack((wide, nought, right, nought, high, down), dim=1).view(-1, 2, 3)
    grid = F.affine_grid(theta, list(image.shape), align_corners=False)
    cut = F.grid_sample(image.float(), grid, padding_mode="reflection", align_corners=False)
    return as_kind(cut, image.dtype)


def colour(image: Tensor, uniform: Tensor) -> Tensor:
    """Change brightness, contrast and colourfulness by up to 40 %, make some grey and some soft.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 5)`` in [0, 1).

    Returns:
        The same shape and kind; of a floating-point kind, it may leave [0, 1].

    Source:
        Chen et al. 2020, SimCLR, without the change of hue, which bands beyond three do not have.
    """
    factor = 1 + COLOUR * (2 * uniform[:, :3] - 1)
    # Without its colours, an image of many bands would hold next to nothing.
    colourless = (uniform[:, 3] < GREY_SHARE) & (image.shape[1] == 3)
    saturation = factor[:, 2].masked_fill(colourless, 0)
    pixels = _shade(image.float(), factor[:, 0], factor[:, 1], saturation)
    soft = (uniform[:, 4] < BLUR_SHARE).view(-1, 1, 1, 1)
    blurred = F.avg_pool2d(F.pad(pixels, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return as_kind(torch.where(soft, blurred, pixels), image.dtype)


def recolour(image: Tensor, uniform: Tensor) -> Tensor:
    """Change brightness, contrast and colourfulness by up to 15 %, as light and air do.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 3)`` in [0, 1).

    Returns:
        The same shape and kind; of a floating-point kind, it may leave [0, 1].
    """
    factor = 1 + SLIGHT_COLOUR * (2 * uniform - 1)
    return as_kind(_shade(image.float(), *factor.unbind(1)), image.dtype)


def _shade(pixels: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Multiply the pixels, their distance from the image's mean, and that from their own grey."""
    brightness, contrast, saturation = (
        factor.view(-1, 1, 1, 1) for factor in (brightness, contrast, saturation)
    )
    pixels = pixels * brightness
    middle = pixels.mean(dim=(1, 2, 3), keepdim=True)
    pixels = middle + contrast * (pixels - middle)
    grey = pixels.mean(dim=1, keepdim=True)
    return grey + saturation * (pixels - grey)


def as_kind(pixels: Tensor, dtype: torch.dtype) -> Tensor:
    """Bring changed pixels back to the kind of numbers that they had.

    Args:
        pixels: Floating-point numbers of any shape.
        dtype: The kind.

    Returns:
        The same shape; whole numbers are rounded and kept within their range.
    """
    if dtype.is_floating_point:
        return pixels.to(dtype)
    low = 0.0 if dtype == torch.uint8 else -TOPS[dtype]
    return pixels.round().clamp(low, TOPS[dtype]).to(dtype)


def weak(image: Tensor, uniform: Tensor) -> Tensor:
    """Flip, turn and shift images that have no upper side, such as those of the ground from above.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 3)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return shift(turn(image, uniform[:, 0]), uniform[:, 1:3])


def medium(image: Tensor, uniform: Tensor) -> Tensor:
    """Flip, turn, crop and slightly recolour images that have no upper side.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 8)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return recolour(crop(turn(image, uniform[:, 0]), uniform[:, 1:5]), uniform[:, 5:8])


def strong(image: Tensor, uniform: Tensor) -> Tensor:
    """Flip, turn, crop and recolour images that have no upper side.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 10)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return colour(crop(turn(image, uniform[:, 0]), uniform[:, 1:5]), uniform[:, 5:10])


def weak_upright(image: Tensor, uniform: Tensor) -> Tensor:
    """Mirror and shift photos, which have an upper side.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 3)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return shift(mirror(image, uniform[:, 0]), uniform[:, 1:3])


def medium_upright(image: Tensor, uniform: Tensor) -> Tensor:
    """Mirror, crop and slightly recolour photos.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 8)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return recolour(crop(mirror(image, uniform[:, 0]), uniform[:, 1:5]), uniform[:, 5:8])


def strong_upright(image: Tensor, uniform: Tensor) -> Tensor:
    """Mirror, crop and recolour photos.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 10)`` in [0, 1).

    Returns:
        The same shape and kind.
    """
    return colour(crop(mirror(image, uniform[:, 0]), uniform[:, 1:5]), uniform[:, 5:10])


def weak_reflect(image: Tensor, uniform: Tensor) -> Tensor:
    """Move by up to an eighth and flip images that have no upper side, in both directions.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 4)`` in [0, 1): down, right, flipped up to down, flipped left to right.

    Returns:
        The same shape and kind.

    Source:
        Sohn et al. 2020, FixMatch: a random crop of the image padded by mirroring it, and a flip.
    """
    return _cropped(image, uniform[:, :2], uniform[:, 2] < 0.5, uniform[:, 3] < 0.5)


def weak_reflect_upright(image: Tensor, uniform: Tensor) -> Tensor:
    """Move photos by up to an eighth and swap left and right in half of them.

    Args:
        image: ``(N, C, H, W)``.
        uniform: ``(N, 4)`` in [0, 1), of which the third is not used.

    Returns:
        The same shape and kind.

    Source:
        Sohn et al. 2020, FixMatch.
    """
    stays = torch.zeros_like(uniform[:, 2], dtype=torch.bool)
    return _cropped(image, uniform[:, :2], stays, uniform[:, 3] < 0.5)


def _cropped(image: Tensor, moved: Tensor, upside: Tensor, sides: Tensor) -> Tensor:
    height, width = image.shape[2:]
    rows = _mirrored(height, moved[:, 0], int(height * PADDING))
    columns = _mirrored(width, moved[:, 1], int(width * PADDING))
    rows = torch.where(upside[:, None], rows.flip(1), rows)
    columns = torch.where(sides[:, None], columns.flip(1), columns)
    return take_pixels(image, rows[:, :, None] * width + columns[:, None])


def take_pixels(image: Tensor, number: Tensor) -> Tensor:
    """Fill images with pixels from other places in them.

    Args:
        image: ``(N, C, H, W)``.
        number: ``(N, H, W)`` int64, row times ``W`` plus column of the pixel that each becomes.

    Returns:
        The same shape and kind as the images.
    """
    index = number.to(image.device).flatten(1)[:, None].expand(-1, image.shape[1], -1)
    return image.flatten(2).gather(2, index).view_as(image)
