"""What a model says of each pixel of a picture, where its image encoder keeps height and width."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.model.calibration import Calibration
from csp_core.model.parts import evaluating, out_dim

# Pixels, dates counted, that pass the encoder at a time where a whole answer is asked for.
PIXELS_AT_ONCE = 2**19


class PixelAnswers(nn.Module):
    """Base of the dual encoder: a linear classifier of every pixel behind a dense image encoder.

    A dense encoder has ``dense = True`` and ``dense_maps(image, days=None)``, which gives a vector
    of ``out_dim`` numbers for every pixel.
    """

    name: str
    image: nn.Module | None
    classes: ClassTable
    calibration: Calibration
    pixel_classifier: nn.Conv2d | None

    def make_pixel_classifier(self) -> nn.Conv2d:
        """Make the classifier of pixels.

        Returns:
            A convolution of one pixel: a linear layer for each.

        Raises:
            ConfigError: If the image encoder keeps no pixels, or there are no classes.
        """
        if not is_dense(self.image):
            has = "no image encoder" if self.image is None else "one that gives a vector a picture"
            raise ConfigError(
                f"A classifier of pixels needs an image encoder that keeps them, and model"
                f" {self.name!r} has {has}: give model.image: {{name: unet, …}}."
            )
        if not len(self.classes):
            raise ConfigError(
                f"Model {self.name!r} has no classes: a classifier of pixels needs pictures with"
                " masks."
            )
        assert self.image is not None
        return nn.Conv2d(out_dim(self.image), len(self.classes), 1)

    def pixel_maps(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Embed every pixel of pictures, with gradients where they are asked for.

        Args:
            image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``.
            days: ``(N, T)`` part of the year of each date in [0, 1), NaN where there is none; None
                where it is not known.

        Returns:
            ``(N, image.out_dim, H, W)``.

        Raises:
            ConfigError: If the model has no image encoder that keeps pixels.
        """
        if not is_dense(self.image):
            raise ConfigError(
                f"Model {self.name!r} has no image encoder that keeps pixels, so it says nothing of"
                " each of them: take a model whose model.image is one, such as unet."
            )
        maps: Tensor = self.image.dense_maps(image, days)  # type: ignore[union-attr,operator]
        return maps

    def pixel_logits(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Score every class at every pixel.

        Args:
            image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``.
            days: ``(N, T)`` part of the year of each date in [0, 1), NaN where there is none; None
                where it is not known.

        Returns:
            ``(N, K, H, W)`` logits before calibration.

        Raises:
            ConfigError: If the model has no classifier of pixels.
        """
        if self.pixel_classifier is None:
            raise ConfigError(
                f"Model {self.name!r} has no classifier of pixels, so it draws no map of a picture:"
                " train one with the objective segmentation, or take a model that has one."
            )
        logits: Tensor = self.pixel_classifier(self.pixel_maps(image, days))
        return logits

    def pixel_prior(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Compute the calibrated P(class | picture) of every pixel.

        Args:
            image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``.
            days: ``(N, T)`` part of the year of each date in [0, 1), NaN where there is none; None
                where it is not known.

        Returns:
            ``(N, K, H, W)`` in [0, 1], float32 on the CPU; they sum to 1 over the classes.

        Raises:
            ConfigError: If the model has no classifier of pixels.
        """
        divisor = self.calibration.pixel_temperature

        def answer(image: Tensor, days: Tensor | None) -> Tensor:
            return (self.pixel_logits(image, days).float() / divisor).softmax(dim=1)

        return self._in_parts(answer, image, days)

    def embed_pixels(self, image: Tensor, days: Tensor | None = None) -> Tensor:
        """Embed every pixel of pictures.

        Args:
            image: ``(N, C, H, W)``, or series ``(N, T, C, H, W)``.
            days: ``(N, T)`` part of the year of each date in [0, 1), NaN where there is none; None
                where it is not known.

        Returns:
            ``(N, image.out_dim, H, W)`` float32 on the CPU, not normalised.

        Raises:
            ConfigError: If the model has no image encoder that keeps pixels.
        """
        return self._in_parts(lambda *some: self.pixel_maps(*some).float(), image, days)

    def _in_parts(
        self, answer: Callable[[Tensor, Tensor | None], Tensor], image: Tensor, days: Tensor | None
    ) -> Tensor:
        """Ask about a few pictures at a time, which bounds the memory."""
        device = next(self.parameters()).device
        each = max(1, math.prod(image.shape[1:]) // max(1, image.shape[-3]))
        count = max(1, PIXELS_AT_ONCE // each)
        found = []
        with evaluating(self):
            for start in range(0, max(1, len(image)), count):
                rows = slice(start, start + count)
                some = None if days is None else days[rows].to(device)
                found.append(answer(image[rows].to(device), some).cpu())
        return torch.cat(found)


def is_dense(encoder: object) -> bool:
    """Tell whether an image encoder gives a vector for every pixel.

    Args:
        encoder: The image encoder of a model, or None.

    Returns:
        Whether it does.
    """
    return bool(getattr(encoder, "dense", False))
