"""What Pillow makes of an image by each operation of RandAugment, and pictures to try it on."""

from __future__ import annotations

import torch
from PIL import Image, ImageEnhance, ImageOps

AFFINE = Image.Transform.AFFINE
PILLOW = {
    "identity": lambda image, v: image,
    "autocontrast": lambda image, v: ImageOps.autocontrast(image),
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "color": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "equalize": lambda image, v: ImageOps.equalize(image),
    "posterize": lambda image, v: ImageOps.posterize(image, int(v)),
    "rotate": lambda image, v: image.rotate(v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    "shear_x": lambda image, v: image.transform(image.size, AFFINE, (1, v, 0, 0, 1, 0)),
    "shear_y": lambda image, v: image.transform(image.size, AFFINE, (1, 0, 0, v, 1, 0)),
    "solarize": lambda image, v: ImageOps.solarize(image, v),
    "translate_x": lambda image, v: image.transform(
        image.size, AFFINE, (1, 0, v * image.size[0], 0, 1, 0)
    ),
    "translate_y": lambda image, v: image.transform(
        image.size, AFFINE, (1, 0, 0, 0, 1, v * image.size[1])
    ),
}


def pictures(bands, height, width, n=24):
    """Smooth pictures with some noise, of different ranges; the last are of one value and noise."""
    generator = torch.Generator().manual_seed(height * width + bands)
    rough = torch.rand(n, bands, 5, 5, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, (height, width), mode="bilinear")
    noise = 0.1 * torch.rand(n, bands, height, width, generator=generator)
    scale = torch.rand(n, 1, 1, 1, generator=generator)
    made = (255 * ((smooth + noise) / 1.1) * scale + 255 * (1 - scale) * 0.5).to(torch.uint8)
    made[-2] = 97
    made[-1] = torch.randint(0, 256, made.shape[1:], generator=generator).to(torch.uint8)
    return made
