"""Precomputed image features, passed through: the frozen backbone ran once, before training."""

from __future__ import annotations

from torch import Tensor

from csp_core.errors import ConfigError
from csp_core.image.base import ImageEncoder


class PrecomputedFeatures(ImageEncoder):
    """Pass features through, so that the projection head behind them is all that trains.

    Pixels pass too, as one long vector.

    Args:
        dim: Numbers an image.
        bands: Not used: the features say nothing of channels.

    Source:
        Mai et al. 2023, CSP: the image side is locked, as in Zhai et al. 2022, LiT.
    """

    def __init__(self, dim: int = 2048, bands: int = 3) -> None:
        super().__init__(dim, bands)

    def forward(self, image: Tensor) -> Tensor:
        """Flatten what was computed before.

        Args:
            image: ``(N, dim)``, or any shape of ``dim`` numbers an image.

        Returns:
            ``(N, dim)`` in single precision.

        Raises:
            ConfigError: If an image has another number of features.
        """
        features = image.flatten(1)
        if features.shape[1] != self.out_dim:
            raise ConfigError(
                f"Images have {features.shape[1]} features, the image encoder expects"
                f" {self.out_dim}: give model.image.dim={features.shape[1]}."
            )
        return features.float()
