"""The encoders of pixels that give one row for an image: what dense ones are built on."""

from __future__ import annotations

from collections.abc import Callable

from csp_core.image.backbones import TimmBackbone
from csp_core.image.pixels import PixelEncoder
from csp_core.image.small import SmallConvnet

POOLED: dict[str, Callable[..., PixelEncoder]] = {
    "small_convnet": SmallConvnet,
    "timm": TimmBackbone,
}
