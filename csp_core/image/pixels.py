"""What encoders of pixels share: the scale of bands, a size, and layers that stay frozen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.image.bands import measure_bands, per_band, to_unit
from csp_core.image.base import FeatureMaps, ImageEncoder
from csp_core.image.tokens import make_token, run_with_token, takes_token

Trainable = Literal["all", "last", "none"]
TRAINABLE = ("all", "last", "none")
# Images that are embedded at a time where no gradient is asked for, which bounds the memory.
CHUNK = 256


class PixelEncoder(ImageEncoder):
    """Base of the encoders of pixels: a backbone and, if asked for, a linear layer behind it.

    Images are ``uint8`` in 0–255, 16- or 32-bit integers in units of 1/10,000, or floating-point
    numbers, which are taken to lie in [0, 1]. Bands are then shifted and scaled by ``mean`` and
    ``std``, which are kept with the weights. Rows of the backbone's features, computed before, pass
    by the backbone.

    Args:
        net: The backbone: ``(N, bands, H, W)`` → ``(N, features)``.
        features: How many it gives.
        blocks: Its parameters in blocks, first to last, for ``trainable="last"``.
        dim: Size of the embedding; None for that of the features, with no layer behind them.
        bands: Channels of an image.
        mean: Mean of each band, one for all, or None for what ``fit_bands`` finds.
        std: Standard deviation of each band, likewise, above 0.
        size: Side in pixels that images are brought to, or None to take them as they are.
        trainable: ``all``, ``last`` (the last blocks) or ``none`` of the backbone. A layer that
            does not train stays in evaluation mode: its running statistics do not move.
        last_blocks: How many blocks are the last, at least 1.

    Raises:
        ConfigError: If an option is out of range.
    """

    sees_pixels = True
    mean: Tensor
    std: Tensor
    token: nn.Parameter | None

    def __init__(
        self,
        net: nn.Module,
        features: int,
        blocks: Sequence[Sequence[nn.Parameter]],
        *,
        dim: int | None,
        bands: int,
        mean: Sequence[float] | None,
        std: Sequence[float] | None,
        size: int | None,
        trainable: Trainable,
        last_blocks: int,
    ) -> None:
        super().__init__(features if dim is None else dim, bands)
        if trainable not in TRAINABLE or last_blocks < 1 or (size is not None and size < 8):
            raise ConfigError(
                f"trainable is {trainable!r}, last_blocks {last_blocks} and size {size}; give one"
                f" of {', '.join(TRAINABLE)}, at least 1, and at least 8 pixels or none."
            )
        self.net, self.size, self.num_features = net, size, features
        self.project = None if dim is None else nn.Linear(features, dim)
        self.register_parameter("token", None)
        self.bands_known = mean is not None or std is not None
        self.register_buffer("mean", per_band("mean", mean, bands, 0.5))
        self.register_buffer("std", per_band("std", std, bands, 0.25))
        if not bool((self.std > 0).all()):
            raise ConfigError(f"std is {std}; give numbers above 0.")
        self._freeze(trainable, blocks, last_blocks)

    def _freeze(
        self, trainable: Trainable, blocks: Sequence[Sequence[nn.Parameter]], last_blocks: int
    ) -> None:
        if trainable == "all":
            return
        self.net.requires_grad_(False)
        if trainable == "last":
            if last_blocks > len(blocks):
                raise ConfigError(f"last_blocks is {last_blocks}; the backbone has {len(blocks)}.")
            for block in blocks[-last_blocks:]:
                for parameter in block:
                    parameter.requires_grad_(True)

    @property
    def frozen(self) -> bool:
        """Whether nothing of the backbone trains, so that its features can be computed once."""
        return not any(parameter.requires_grad for parameter in self.net.parameters())

    def train(self, mode: bool = True) -> PixelEncoder:
        """Set the mode; layers that do not train stay in evaluation mode.

        Args:
            mode: Whether to train.

        Returns:
            The encoder.
        """
        super().train(mode)
        if mode and self.frozen:
            self.net.eval()
        elif mode:
            for layer in self.net.modules():
                own = list(layer.parameters(recurse=False))
                if own and not any(parameter.requires_grad for parameter in own):
                    layer.eval()
        return self

    def fit_bands(
        self, image: Tensor, days: Tensor | None = None, valid: Tensor | None = None
    ) -> None:
        """Take the mean and standard deviation of the bands from images, unless they were given.

        Args:
            image: ``(N, bands, H, W)`` of any kind that ``forward`` takes.
            days: Not used.
            valid: ``(N, H, W)`` where there are data; None for everywhere.
        """
        if not self.bands_known:
            mean, std = measure_bands(self._checked(image), valid)
            self.mean.copy_(mean)
            self.std.copy_(std)

    @property
    def takes_token(self) -> bool:
        """Whether the backbone is a vision transformer, which one more token can be given to."""
        return takes_token(self.net)

    def add_token(self) -> None:
        """Give a vision transformer one more token, which is learned; done once.

        Raises:
            ConfigError: If the backbone is no vision transformer.
        """
        if self.token is None:
            self.token = make_token(self.net)

    def features(self, image: Tensor) -> Tensor:
        """Run the backbone alone.

        Args:
            image: ``(N, bands, H, W)``.

        Returns:
            ``(N, num_features)``.

        Raises:
            ConfigError: If the images have another number of bands.
        """
        if not torch.is_grad_enabled() and len(image) > CHUNK:
            return torch.cat([self.features(part) for part in torch.split(image, CHUNK)])
        pixels = self._scaled(image)
        if self.token is not None:
            return run_with_token(self.net, pixels, self.token)[0]
        found: Tensor = self.net(pixels)
        return found

    def maps(self, image: Tensor) -> FeatureMaps:
        """Compute the backbone's maps of features before it pools them.

        Args:
            image: ``(N, bands, H, W)``.

        Returns:
            Maps ``(N, C, H, W)``, finest first; of ``pool`` and ``embed_features`` they become what
            ``forward`` gives. A vision transformer has one, a step for each patch.

        Raises:
            ConfigError: If the backbone has none, or the images have another number of bands.
        """
        return self.maps_of(self.normalised(image))

    def maps_of(self, pixels: Tensor) -> FeatureMaps:
        """Compute the maps of pixels whose bands are scaled already.

        Args:
            pixels: ``(N, bands, H, W)`` as ``normalised`` gives them.

        Returns:
            As ``maps``.
        """
        return self._net_maps(self._resized(pixels))

    def rest_pooling(self) -> None:
        """Stop training what only pooling uses, for a network that takes the maps alone."""

    def _net_maps(self, pixels: Tensor) -> FeatureMaps:
        """Run the backbone to its maps; here, one that says nothing of any."""
        self._without_maps()

    def normalised(self, image: Tensor) -> Tensor:
        """Bring the bands of images to mean 0 and spread 1.

        Args:
            image: ``(N, bands, H, W)`` of any kind that ``forward`` takes.

        Returns:
            The same shape.

        Raises:
            ConfigError: If the images have another number of bands.
        """
        return (to_unit(self._checked(image)).to(self.mean.dtype) - self.mean) / self.std

    def _scaled(self, image: Tensor) -> Tensor:
        return self._resized(self.normalised(image))

    def _resized(self, pixels: Tensor) -> Tensor:
        if self.size is not None and pixels.shape[-2:] != (self.size, self.size):
            side = (self.size, self.size)
            pixels = F.interpolate(pixels, side, mode="bilinear", antialias=True)
        return pixels.contiguous(memory_format=torch.channels_last)

    def with_token(self, image: Tensor, added: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Embed images, and give what has become of the further token.

        Args:
            image: ``(N, bands, H, W)``.
            added: ``(N, D)`` what is added to the learned token; None for nothing.

        Returns:
            ``(N, out_dim)`` and ``(N, D)``.

        Raises:
            ConfigError: If the encoder has no further token, or the images do not fit.
        """
        if self.token is None:
            raise ConfigError("The image encoder has no further token: call add_token first.")
        token = self.token if added is None else self.token + added[:, None]
        features, last = run_with_token(self.net, self._scaled(image), token)
        return self.embed_features(features), last

    def embed_features(self, features: Tensor) -> Tensor:
        """Embed what the backbone gave.

        Args:
            features: ``(N, num_features)``.

        Returns:
            ``(N, out_dim)``.
        """
        return features if self.project is None else self.project(features)

    def forward(self, image: Tensor) -> Tensor:
        """Embed images, or rows of features that the backbone gave before.

        Args:
            image: ``(N, bands, H, W)`` pixels, or ``(N, num_features)``.

        Returns:
            ``(N, out_dim)``.

        Raises:
            ConfigError: If the images have another number of bands or features.
        """
        return self.embed_features(self._known(image) if image.ndim == 2 else self.features(image))

    def _known(self, features: Tensor) -> Tensor:
        if features.shape[1] != self.num_features:
            raise ConfigError(
                f"Images have {features.shape[1]} features, the backbone gives {self.num_features}:"
                " compute them anew with this model's image encoder."
            )
        return features.to(self.mean.dtype)

    def _checked(self, image: Tensor) -> Tensor:
        if image.ndim != 4 or image.shape[1] != self.bands:
            raise ConfigError(
                f"Images have shape {tuple(image.shape)}; the image encoder takes (N, {self.bands},"
                " H, W). For another number of bands give model.image.bands."
            )
        return image


def add_token(encoder: object) -> None:
    """Give an image encoder one more learned token.

    Args:
        encoder: The image encoder of a model, changed.

    Raises:
        ConfigError: If it is no vision transformer, or there is none.
    """
    if not isinstance(encoder, PixelEncoder):
        kind = "no image encoder" if encoder is None else type(encoder).__name__
        raise ConfigError(
            f"A further token needs a vision transformer, and the model has {kind}: give"
            " model.image: {name: timm, model: vit_small_patch16_224}, or objective.distil: none."
        )
    encoder.add_token()
