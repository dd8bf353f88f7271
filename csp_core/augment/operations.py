"""The operations of RandAugment on batches, each with a number of its own for every image.

On 8-bit images of one or three bands each gives what Pillow gives, to the grey level. Other images
are changed alike: geometry moves all bands together, colour is changed band by band, and what needs
three colours has a form for any number of bands.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.augment.pixels import take_pixels

# White: 255 in 8 bits; a reflectance of 0.3558 in 1/10,000, where the true-colour pictures that
# come with Sentinel-2's images of level 1C end; 1 of floating-point numbers.
REFLECTANCE_WHITE = 3558.0
WHITE = {torch.uint8: 255.0, torch.int16: REFLECTANCE_WHITE, torch.int32: REFLECTANCE_WHITE}
LEVELS = 256
# Grey of red, green and blue by ITU-R 601-2, in parts of 65,536, as Pillow has it.
GREY = (19595, 38470, 7471)
# Weights of a pixel and of its neighbours in Pillow's SMOOTH.
MIDDLE, AROUND = 5, 1
FRACTION = 16
Matrix = tuple[float, float, float, float, float, float]


def white_of(image: Tensor) -> float:
    """Give the value that counts as white: 255 in 8 bits, 3,558 in 1/10,000, or 1.

    Args:
        image: Of any shape.

    Returns:
        The value.
    """
    return WHITE.get(image.dtype, 1.0)


def autocontrast(image: Tensor, _: Tensor) -> Tensor:
    """Stretch each band from black to white; a band of one value stays.

    Args:
        image: ``(N, C, H, W)``.

    Returns:
        The same shape and kind.
    """
    low, high = image.amin(dim=(2, 3), keepdim=True), image.amax(dim=(2, 3), keepdim=True)
    span = high.double() - low.double()
    # Pillow's arithmetic, as another order ends a grey level off here and there; a number over a
    # tensor would be the number times one over it.
    scale = span.new_tensor(white_of(image)) / span.clamp_min(torch.finfo(torch.float32).tiny)
    stretched = (image * scale + -low.double() * scale).clamp(0, white_of(image))
    return torch.where(span > 0, stretched.to(image.dtype), image)


def equalize(image: Tensor, _: Tensor) -> Tensor:
    """Make all of 256 levels of each band alike frequent; a band of one value stays.

    Args:
        image: ``(N, C, H, W)``; a band that is not of 8 bits has its 256 levels between its lowest
            and its highest value.

    Returns:
        The same shape and kind.
    """
    count, bands, height, width = image.shape
    level = _levels(image).view(count * bands, -1)
    row = torch.arange(count * bands, device=image.device)[:, None] * LEVELS
    times = torch.bincount((level + row).flatten(), minlength=count * bands * LEVELS)
    times = times.view(-1, LEVELS)
    step = (height * width - times.gather(1, level.amax(dim=1, keepdim=True))) // (LEVELS - 1)
    before = times.cumsum(dim=1) - times
    table = (before + step // 2) // step.clamp_min(1)
    even = table.clamp_max(LEVELS - 1).gather(1, level).view_as(image)
    if image.dtype != torch.uint8:
        even = even * (white_of(image) / (LEVELS - 1))
    return torch.where(step.view(count, bands, 1, 1) > 0, even.to(image.dtype), image)


def _levels(image: Tensor) -> Tensor:
    if image.dtype == torch.uint8:
        return image.long()
    pixels = image.float()
    low, high = pixels.amin(dim=(2, 3), keepdim=True), pixels.amax(dim=(2, 3), keepdim=True)
    share = (pixels - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
    return (share * (LEVELS - 1)).round().long()


def posterize(image: Tensor, bits: Tensor) -> Tensor:
    """Round values down to powers of two many levels between black and white.

    Args:
        image: ``(N, C, H, W)``.
        bits: ``(N,)`` from 1 to 8, of which the whole part counts.

    Returns:
        The same shape and kind.
    """
    kept = bits.to(image.device).long().view(-1, 1, 1, 1)
    if image.dtype == torch.uint8:
        return image & (LEVELS - (1 << (8 - kept))).to(torch.uint8)
    step = white_of(image) / (1 << kept)
    return ((image / step).floor() * step).to(image.dtype)


def solarize(image: Tensor, threshold: Tensor) -> Tensor:
    """Turn values into their distance from white, from a threshold on.

    Args:
        image: ``(N, C, H, W)``; what is brighter than white becomes black.
        threshold: ``(N,)`` in parts of 256 of white.

    Returns:
        The same shape and kind.
    """
    white = white_of(image)
    unit = 1.0 if image.dtype == torch.uint8 else white / LEVELS
    turned = (white - image.float()).clamp_min(0).to(image.dtype)
    return torch.where(image.float() < _wide(threshold, image) * unit, image, turned)


def brightness(image: Tensor, factor: Tensor) -> Tensor:
    """Mix images with black.

    Args:
        image: ``(N, C, H, W)``.
        factor: ``(N,)`` in [0, 1], the part that stays.

    Returns:
        The same shape and kind.
    """
    return _blend(torch.zeros((), device=image.device), image, factor)


def contrast(image: Tensor, factor: Tensor) -> Tensor:
    """Mix images with their mean grey, or each band with its own mean where there are not three.

    Args:
        image: ``(N, C, H, W)``.
        factor: ``(N,)`` in [0, 1], the part that stays.

    Returns:
        The same shape and kind.
    """
    middle = _mean(_grey(image) if image.shape[1] == len(GREY) else image)
    return _blend(_whole(middle, image), image, factor)


def color(image: Tensor, factor: Tensor) -> Tensor:
    """Mix images with what they are without colours.

    That is their grey. Of other than three bands, it is the mean spectrum of the image, as bright
    as the pixel is in the mean of its bands: a plain mean of all bands would be none of them. An
    image of one band stays.

    Args:
        image: ``(N, C, H, W)``.
        factor: ``(N,)`` in [0, 1], the part that stays.

    Returns:
        The same shape and kind.
    """
    if image.shape[1] == len(GREY):
        return _blend(_grey(image), image, factor)
    if image.shape[1] == 1:
        return image
    spectrum = _mean(image)
    overall = spectrum.mean(dim=1, keepdim=True)
    # Sums of whole numbers come out the same in any order.
    own = image.double().sum(dim=1, keepdim=True).div(image.shape[1]).float()
    grey = spectrum * own / torch.where(overall == 0, 1, overall)
    return _blend(torch.where(overall == 0, image.float(), grey), image, factor)


def sharpness(image: Tensor, factor: Tensor) -> Tensor:
    """Mix images with softer ones, of which the outermost pixels are as they were.

    Args:
        image: ``(N, C, H, W)``.
        factor: ``(N,)`` in [0, 1], the part that stays.

    Returns:
        The same shape and kind.
    """
    if min(image.shape[2:]) < 3:
        return image
    pixels = image.float()
    sides = pixels[..., :-2] + pixels[..., 1:-1] + pixels[..., 2:]
    nine = sides[:, :, :-2] + sides[:, :, 1:-1] + sides[:, :, 2:]
    inner = pixels[:, :, 1:-1, 1:-1]
    soft = pixels.clone()
    mixed = (AROUND * nine + (MIDDLE - AROUND) * inner) / (MIDDLE + 8 * AROUND)
    soft[:, :, 1:-1, 1:-1] = _whole(mixed, image)
    return _blend(soft, image, factor)


def warp(image: Tensor, matrix: Tensor) -> Tensor:
    """Move pixels: each becomes the nearest one to where its middle comes from, or black.

    Args:
        image: ``(N, C, H, W)``, sides below 8,192.
        matrix: ``(N, 6)`` float64, the place that (x, y) comes from, in pixels from the upper left
            corner: ``x' = a x + b y + c`` and ``y' = d x + e y + f``.

    Returns:
        The same shape and kind.
    """
    height, width = image.shape[2:]
    a, b, c, d, e, f = matrix.unbind(1)
    column, row = torch.arange(width, dtype=torch.int32), torch.arange(height, dtype=torch.int32)

    def source(right: Tensor, down: Tensor, start: Tensor) -> Tensor:
        right, down, start = _fixed(right), _fixed(down), _fixed(start + (right + down) / 2)
        along = (right[:, None] * column + start[:, None])[:, None]
        return (along + (down[:, None] * row)[:, :, None]) >> FRACTION

    x, y = source(a, b, c), source(d, e, f)
    outside = ((x < 0) | (x >= width) | (y < 0) | (y >= height)).to(image.device)
    number = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).long()
    return take_pixels(image, number).masked_fill_(outside[:, None], 0)


def _fixed(value: Tensor) -> Tensor:
    """Write numbers in parts of 65,536, in which Pillow finds the nearest pixel."""
    return (value * (1 << FRACTION) + 0.5).floor().to(torch.int32)


def rotation(degrees: float, height: int, width: int) -> Matrix:
    """Turn by degrees against the clock, about the middle."""
    angle = -math.radians(degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = width / 2, height / 2
    return cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y


def shear_x(share: float, height: int, width: int) -> Matrix:
    """Move each row left by a share of its distance from the upper side."""
    return 1, share, 0, 0, 1, 0


def shear_y(share: float, height: int, width: int) -> Matrix:
    """Move each column up by a share of its distance from the left side."""
    return 1, 0, 0, share, 1, 0


def translate_x(share: float, height: int, width: int) -> Matrix:
    """Move left by a share of the width."""
    return 1, 0, share * width, 0, 1, 0


def translate_y(share: float, height: int, width: int) -> Matrix:
    """Move up by a share of the height."""
    return 1, 0, 0, 0, 1, share * height


def _wide(value: Tensor, image: Tensor) -> Tensor:
    return value.to(image.device, torch.float32).view(-1, 1, 1, 1)


def _mean(image: Tensor) -> Tensor:
    """Give ``(N, C, 1, 1)`` means, which are the same for a row alone and among others."""
    return image.double().mean(dim=(2, 3), keepdim=True).float()


def _whole(pixels: Tensor, image: Tensor) -> Tensor:
    return pixels if image.is_floating_point() else (pixels + 0.5).floor()


def _grey(image: Tensor) -> Tensor:
    """Give ``(N, 1, H, W)`` grey of three bands."""
    red, green, blue = image[:, 0:1], image[:, 1:2], image[:, 2:3]
    if image.dtype == torch.uint8:
        parts = GREY[0] * red.int() + GREY[1] * green.int() + GREY[2] * blue.int()
        return ((parts + (1 << 15)) >> 16).float()
    grey = (GREY[0] * red.float() + GREY[1] * green.float() + GREY[2] * blue.float()) / (1 << 16)
    return _whole(grey, image)


def _blend(base: Tensor, image: Tensor, factor: Tensor) -> Tensor:
    """Mix; what is left of a whole number is cut off, as Pillow does."""
    return (base + _wide(factor, image) * (image.float() - base)).to(image.dtype)
