"""Parts that a model is put together from, and the mode in which it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError


def projection(kind: str | None, size: int, dim: int) -> nn.Module | None:
    """Make the head that projects images into the shared space.

    Args:
        kind: ``linear``, ``two_layers`` as of SimCLR, or None.
        size: Size of an image's embedding.
        dim: Size of the shared space.

    Returns:
        The head, or None.
    """
    if kind == "two_layers":
        return nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, dim))
    return nn.Linear(size, dim) if kind else None


def out_dim(module: nn.Module) -> int:
    """Tell the size of the embeddings of an encoder.

    Args:
        module: An encoder.

    Returns:
        The size.

    Raises:
        ConfigError: If it does not say.
    """
    size = getattr(module, "out_dim", None)
    if not isinstance(size, int):
        raise ConfigError("An encoder of your own needs an integer attribute out_dim.")
    return size


def see(encoder: nn.Module, image: Tensor, days: Tensor | None = None) -> Tensor:
    """Embed images, series with the days of their dates.

    Args:
        encoder: The image encoder of a model; one of series says ``takes_series``.
        image: ``(N, C, H, W)``, series ``(N, T, C, H, W)``, or ``(N, F)`` precomputed features.
        days: ``(N, T)`` part of the year of each date of series, NaN where there is none; None
            where all are there and nothing is known of them.

    Returns:
        ``(N, encoder.out_dim)``.

    Raises:
        ConfigError: If images are series and the encoder takes one date.
    """
    if image.ndim == 5 and not getattr(encoder, "takes_series", False):
        raise ConfigError(
            f"The images are series of {image.shape[1]} dates, and the model's image encoder takes"
            " one date: give model.image: {name: over_dates}."
        )
    found: Tensor = encoder(image, days) if image.ndim == 5 else encoder(image)
    return found


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Ask a module in evaluation mode and without gradients, and leave it in its own mode.

    Args:
        module: The module.

    Yields:
        Nothing.
    """
    training = module.training
    if training:
        module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if training:
            module.train()
