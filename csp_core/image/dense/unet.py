"""A U-Net on any backbone of ours that gives maps before it pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from csp_core.image.dense.base import PictureEncoder
from csp_core.image.dense.decoder import Decoder
from csp_core.image.dense.start import own_weights, start_from
from csp_core.image.layers import check_width, norm_layer
from csp_core.image.making import make_inside, told_inside
from csp_core.image.pixels import PixelEncoder
from csp_core.image.pooled import POOLED


class UNet(PictureEncoder):
    """A U-Net: a backbone down, a light decoder up, and one layer at the image's own size.

    Images of any size go in, and each pixel is described. Of the maps of a vision transformer,
    which are all of one size, the last is doubled step by step.

    Args:
        dim: Numbers for each pixel; None for ``width``, with no layer behind the decoder.
        bands: Channels of an image.
        backbone: The image encoder that it is built on, with its options, such as ``{name:
            small_convnet, width: 16}`` or ``{name: timm, model: resnet18}``: of those, ``mean``,
            ``std``, ``size`` and ``trainable`` do what they do there.
        width: Channels at the image's own size, a multiple of 8; coarser steps are up to eight
            times as wide.
        norm: Normalisation of the decoder, ``batch`` or ``group``.
        weights: None to start from chance; a model directory of ours, dense or not, or whatever
            the backbone takes.

    Raises:
        UnknownNameError: If there is no such backbone.
        ConfigError: If an option is out of range, or the backbone gives no maps.
        CheckpointError: If the weights cannot be read or do not fit.

    Source:
        Ronneberger et al. 2015, U-Net.
    """

    def __init__(
        self,
        dim: int | None = None,
        bands: int = 3,
        *,
        backbone: Mapping[str, Any] | str = "small_convnet",
        width: int = 16,
        norm: Literal["batch", "group"] = "batch",
        weights: str | None = None,
    ) -> None:
        super().__init__(width if dim is None else dim, bands)
        check_width(width, norm)
        own = own_weights(weights)
        inside = weights if own is None else None
        self.backbone: PixelEncoder = make_inside(
            POOLED, backbone, dim=None, bands=bands, weights=inside
        )
        self.backbone.rest_pooling()
        channels, strides = self.backbone.map_channels, self.backbone.map_strides
        # What is thin and small in an image would be lost in the first halving.
        self.finest = nn.Sequential(
            nn.Conv2d(bands, width, 3, padding=1, bias=False),
            norm_layer(norm, width),
            nn.ReLU(inplace=True),
        )
        self._channels = (width, *channels)
        self.decoder = Decoder(self._channels, (1, *strides), width, norm)
        self.project = None if dim is None else nn.Conv2d(width, dim, 1)
        if own is not None:
            start_from(self, own)

    @property
    def parts(self) -> dict[str, Any]:
        """The backbone with its defaults written out."""
        return {"backbone": told_inside(self.backbone)}

    @property
    def scale(self) -> PixelEncoder:
        """The backbone, which holds the scale of the bands."""
        return self.backbone

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels of the layer at the image's own size and of the backbone's maps."""
        return self._channels

    def encode(self, image: Tensor) -> list[Tensor]:
        """Compute a map at the image's own size and those of the backbone.

        Args:
            image: ``(N, bands, H, W)``.

        Returns:
            Maps, finest first.

        Raises:
            ConfigError: If the images have another number of bands.
        """
        pixels = self.backbone.normalised(image)
        return [self.finest(pixels), *self.backbone.maps_of(pixels)]

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Go from the coarsest map to the pixels.

        Args:
            levels: As of ``encode``.

        Returns:
            ``(N, dim, H, W)``.
        """
        found: Tensor = self.decoder(levels)
        return found if self.project is None else self.project(found)
