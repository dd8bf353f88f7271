"""The dual encoder: an image side, a location side and a classifier over places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.support import Support

PRIOR_KINDS = ("share", "relative")


class Prior(Protocol):
    """What a model and a baseline have in common, so that each can stand where the other does."""

    name: str
    classes: ClassTable
    prior_kind: str
    support: Support | None
    uses_date: bool

    def prior(self, lonlat: Tensor, date: Tensor | None = None) -> Tensor:
        """Return ``(N, K)`` for checked places ``(N, 2)``; see ``csp_core.location_prior``."""
        ...


class DualEncoder(nn.Module):
    """An image encoder and a location encoder that can be compared, and classes given places.

    The location embedding is compared as it is; the image embedding goes through one affine
    projection head. Either side may be absent. An objective that predicts images from places moves
    the head to the location side, and one that learns its temperatures keeps them here.

    Args:
        image: Module ``(N, C, H, W)`` → ``(N, image.out_dim)``, or None.
        location: Module ``(N, 2)`` degrees → ``(N, dim)``, or None.
        dim: Size of the shared space.
        classes: The classes of the location classifier, or None for pre-training alone.
        bias: Whether the classifier has a bias, which can hold the class frequency.
        prior_kind: ``"share"`` (softmax over classes) or ``"relative"`` (independent sigmoids).
        name: What to call the model.

    Raises:
        ConfigError: If the sizes or the kind do not fit.

    Source:
        Mai et al. 2023, CSP, section 3.
    """

    uses_date = False
    log_scale: nn.Parameter | None

    def __init__(
        self,
        image: nn.Module | None,
        location: nn.Module | None,
        *,
        dim: int = 256,
        classes: ClassTable | Sequence[str] | None = None,
        bias: bool = True,
        prior_kind: str = "share",
        name: str = "model",
    ) -> None:
        super().__init__()
        if prior_kind not in PRIOR_KINDS:
            raise ConfigError(f"prior_kind is {prior_kind!r}; give one of {PRIOR_KINDS}.")
        if location is not None and getattr(location, "out_dim", dim) != dim:
            raise ConfigError(
                f"The location encoder gives {location.out_dim} dimensions, the model wants {dim}."
            )
        self.image, self.location, self.dim = image, location, dim
        self.image_head = None if image is None else nn.Linear(_out_dim(image), dim)
        self.location_head: nn.Linear | None = None
        self.register_parameter("log_scale", None)
        table = classes if isinstance(classes, ClassTable) else ClassTable(tuple(classes or ()))
        self.classes = table
        self.bias = bias
        self.classifier = nn.Linear(dim, len(table), bias=bias) if location and len(table) else None
        self.prior_kind, self.name = prior_kind, name
        self.temperature = 1.0
        # Level of the sets that hold the truth 9 times in 10; None where none was fitted.
        self.set_level: float | None = None
        self.support: Support | None = None

    def class_logits(self, lonlat: Tensor) -> Tensor:
        """Score every class at places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, K)`` logits before calibration.

        Raises:
            ConfigError: If the model has no location encoder or no classes.
        """
        if self.location is None or self.classifier is None:
            raise ConfigError(
                f"Model {self.name!r} has no location classifier, so it ranks no classes: fine-tune"
                " it on labelled records by a run whose model.init_from names it."
            )
        logits: Tensor = self.classifier(self.location(lonlat))
        return logits

    def embed_image(self, image: Tensor) -> Tensor:
        """Project images into the shared space.

        Args:
            image: ``(N, C, H, W)``, or ``(N, F)`` precomputed features.

        Returns:
            ``(N, dim)``, not normalised.

        Raises:
            ConfigError: If the model has no image encoder, or no projection head behind it.
        """
        if self.image is None or self.image_head is None:
            what = "image encoder" if self.image is None else "projection head on its image side"
            raise ConfigError(f"Model {self.name!r} has no {what}.")
        projection: Tensor = self.image_head(self.image(image))
        return projection

    def predict_features(self, lonlat: Tensor) -> Tensor:
        """Predict an image's features from its place.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, image.out_dim)``.

        Raises:
            ConfigError: If the head is not on the location side.
        """
        if self.location is None or self.location_head is None:
            raise ConfigError(f"Model {self.name!r} has no projection head on its location side.")
        prediction: Tensor = self.location_head(self.location(lonlat))
        return prediction

    def move_head(self) -> None:
        """Put a new projection head on the location side, in place of the one on the image side.

        Raises:
            ConfigError: If one of the sides is absent.
        """
        if self.image is None or self.location is None:
            raise ConfigError(f"Model {self.name!r} has one side only; a head joins two.")
        self.image_head = None
        self.location_head = nn.Linear(self.dim, _out_dim(self.image))

    def learn_temperatures(self, initial: Sequence[float]) -> None:
        """Make temperatures of similarities a part of what is learned, as logarithms of scales.

        Args:
            initial: Where they start, each above 0.
        """
        self.log_scale = nn.Parameter(-torch.tensor(initial, dtype=torch.float32).log())

    def prior(self, lonlat: Tensor, date: Tensor | None = None) -> Tensor:
        """Compute the calibrated prior at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: Not used: this model has no time input.

        Returns:
            ``(N, K)`` in [0, 1], on the CPU; rows sum to 1 for shares.
        """
        with _evaluating(self):
            first = next(self.parameters())
            logits = self.class_logits(lonlat.to(first.device, first.dtype)) / self.temperature
            value = logits.softmax(dim=1) if self.prior_kind == "share" else logits.sigmoid()
        return value.cpu()

    def set_class_frequency(self, frequency: Tensor) -> None:
        """Start a share model's bias at the logarithm of the class frequency.

        Args:
            frequency: ``(K,)``, sums to 1.
        """
        if self.classifier is not None and self.bias and self.prior_kind == "share":
            with torch.no_grad():
                self.classifier.bias.copy_(frequency.clamp_min(1e-6).log())


def _out_dim(module: nn.Module) -> int:
    size = getattr(module, "out_dim", None)
    if not isinstance(size, int):
        raise ConfigError("An encoder of your own needs an integer attribute out_dim.")
    return size


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    training = module.training
    if training:
        module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if training:
            module.train()
