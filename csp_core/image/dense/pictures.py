"""The dense encoders of one date: what those of series are built on."""

from __future__ import annotations

from collections.abc import Callable

from csp_core.image.dense.base import PictureEncoder
from csp_core.image.dense.pixel_mlp import PixelMlp
from csp_core.image.dense.unet import UNet

PICTURES: dict[str, Callable[..., PictureEncoder]] = {"unet": UNet, "pixel_mlp": PixelMlp}
