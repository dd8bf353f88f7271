"""The dual encoder: an image side, a location side and a classifier over places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.image.stats import ImageStats
from csp_core.support import Support

PRIOR_KINDS = ("share", "relative")
# What is fitted on held-out records after training, and kept in calibration.json.
CALIBRATED = (
    "temperature",
    "set_level",
    "image_temperature",
    "place_weight",
    "divide_frequency",
    "image_set_level",
    "joint_set_level",
)


class Prior(Protocol):
    """What a model and a baseline have in common, so that each can stand where the other does."""

    name: str
    classes: ClassTable
    prior_kind: str
    support: Support | None

    @property
    def uses_date(self) -> bool:
        """Whether the time of the year changes what it says."""
        ...

    @property
    def uses_hour(self) -> bool:
        """Whether the time of the day changes what it says."""
        ...

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Return ``(N, K)`` for checked places ``(N, 2)``; see ``csp_core.location_prior``."""
        ...


class DualEncoder(nn.Module):
    """An image encoder and a location encoder that can be compared, and classes given places.

    The location embedding is compared as it is; the image embedding goes through one affine
    projection head. Either side may be absent. An objective that predicts images from places moves
    the head to the location side, and one that learns its temperatures keeps them here.

    Args:
        image: Module ``(N, C, H, W)`` → ``(N, image.out_dim)``, or None.
        location: Module ``(N, 2)`` degrees → ``(N, dim)``, or None. One that says ``uses_date`` or
            ``uses_hour`` is given dates and hours too.
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
        self.image_head: nn.Module | None = (
            None if image is None else nn.Linear(_out_dim(image), dim)
        )
        self.location_head: nn.Linear | None = None
        self.register_parameter("log_scale", None)
        table = classes if isinstance(classes, ClassTable) else ClassTable(tuple(classes or ()))
        self.classes = table
        self.bias = bias
        self.classifier = nn.Linear(dim, len(table), bias=bias) if location and len(table) else None
        self.prior_kind, self.name = prior_kind, name
        self.image_classifier: nn.Linear | None = None
        self.temperature = 1.0
        # Level of the sets that hold the truth 9 times in 10; None where none was fitted.
        self.set_level: float | None = None
        # How an image's answer is calibrated and multiplied by that of its place.
        self.image_temperature, self.place_weight, self.divide_frequency = 1.0, 1.0, False
        self.image_set_level: float | None = None
        self.joint_set_level: float | None = None
        self.image_stats: ImageStats | None = None
        self.support: Support | None = None

    @property
    def uses_date(self) -> bool:
        """Whether the location encoder knows the time of the year."""
        return bool(getattr(self.location, "uses_date", False))

    @property
    def uses_hour(self) -> bool:
        """Whether the location encoder knows the time of the day."""
        return bool(getattr(self.location, "uses_hour", False))

    def embed_location(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Embed places, at a time where the model knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, dim)``.

        Raises:
            ConfigError: If the model has no location encoder.
        """
        if self.location is None:
            raise ConfigError(f"Model {self.name!r} has no location encoder.")
        # A module of a user's own may take places alone.
        timed = self.uses_date or self.uses_hour
        embedding: Tensor = self.location(lonlat, date, hour) if timed else self.location(lonlat)
        return embedding

    def class_logits(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Score every class at places, at a time where the model knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

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
        logits: Tensor = self.classifier(self.embed_location(lonlat, date, hour))
        return logits

    def add_image_classifier(self) -> None:
        """Put a linear classifier behind the image encoder, beside the projection head.

        Raises:
            ConfigError: If the model has no image encoder or no classes.
        """
        if self.image is None or not len(self.classes):
            raise ConfigError(
                f"Model {self.name!r} has no {'classes' if self.image else 'image encoder'}: an"
                " image classifier needs model.image and labelled records."
            )
        self.image_classifier = nn.Linear(_out_dim(self.image), len(self.classes))

    def image_logits(self, image: Tensor) -> Tensor:
        """Score every class on images.

        Args:
            image: ``(N, C, H, W)``, or ``(N, F)`` precomputed features.

        Returns:
            ``(N, K)`` logits before calibration.

        Raises:
            ConfigError: If the model has no image classifier.
        """
        if self.image is None or self.image_classifier is None:
            raise ConfigError(
                f"Model {self.name!r} has no image classifier, so it says nothing of a picture:"
                " train one with the objective image_softmax, or take a model that has one."
            )
        logits: Tensor = self.image_classifier(self.image(image))
        return logits

    def image_prior(self, image: Tensor) -> Tensor:
        """Compute the calibrated P(class | image).

        Args:
            image: ``(N, C, H, W)``, or ``(N, F)`` precomputed features.

        Returns:
            ``(N, K)`` in [0, 1], on the CPU; rows sum to 1.
        """
        with _evaluating(self):
            first = next(self.parameters())
            logits = self.image_logits(image.to(first.device)) / self.image_temperature
            value = logits.float().softmax(dim=1)
        return value.cpu()

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

    def predict_features(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Predict an image's features from its place, and its time where the model knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, image.out_dim)``.

        Raises:
            ConfigError: If the head is not on the location side.
        """
        if self.location is None or self.location_head is None:
            raise ConfigError(f"Model {self.name!r} has no projection head on its location side.")
        prediction: Tensor = self.location_head(self.embed_location(lonlat, date, hour))
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

    def deepen_head(self) -> None:
        """Put a new projection head of two layers on the image side, in place of the affine one.

        Raises:
            ConfigError: If the model has no image encoder.

        Source:
            Chen et al. 2020, SimCLR, section 4.2.
        """
        if self.image is None:
            raise ConfigError(f"Model {self.name!r} has no image encoder.")
        size = _out_dim(self.image)
        self.image_head = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, self.dim))

    def learn_temperatures(self, initial: Sequence[float]) -> None:
        """Make temperatures of similarities a part of what is learned, as logarithms of scales.

        Args:
            initial: Where they start, each above 0.
        """
        self.log_scale = nn.Parameter(-torch.tensor(initial, dtype=torch.float32).log())

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Compute the calibrated prior at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown, or None; a model without
                a time input does not use them.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, K)`` in [0, 1], on the CPU; rows sum to 1 for shares.
        """
        with _evaluating(self):
            first = next(self.parameters())
            date, hour = (t if t is None else t.to(first.device) for t in (date, hour))
            places = lonlat.to(first.device, first.dtype)
            logits = self.class_logits(places, date, hour) / self.temperature
            value = logits.softmax(dim=1) if self.prior_kind == "share" else logits.sigmoid()
        return value.cpu()

    def set_class_frequency(self, frequency: Tensor) -> None:
        """Start a share model's bias at the logarithm of the class frequency.

        Args:
            frequency: ``(K,)``, sums to 1.
        """
        with torch.no_grad():
            if self.classifier is not None and self.bias and self.prior_kind == "share":
                self.classifier.bias.copy_(frequency.clamp_min(1e-6).log())
            if self.image_classifier is not None:
                self.image_classifier.bias.copy_(frequency.clamp_min(1e-6).log())


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
