"""What is fitted on held-out records after training, as one record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from csp_core.errors import ConfigError

# The answers of a model that sees images: by the image, by its place, by both.
IMAGE, PLACE, BOTH = "image", "place", "image+place"
# The answer of a model that tells the class of each pixel.
PIXELS = "pixels"
_LEVELS = {IMAGE: "image_set_level", PLACE: "set_level", BOTH: "joint_set_level"}
# Of label sets, each class is calibrated by itself.
_DIVISORS = {IMAGE: "image_class_temperatures", PLACE: "class_temperatures"}
_THRESHOLDS = {IMAGE: "image_thresholds", PLACE: "thresholds", BOTH: "joint_thresholds"}
_BY_CLASS = (*_DIVISORS.values(), *_THRESHOLDS.values())
_ONE = {IMAGE: "image_temperature", PLACE: "temperature", PIXELS: "pixel_temperature"}


@dataclass(frozen=True)
class Calibration:
    """How logits become answers; each model has one, which is replaced as a whole.

    Args:
        temperature: Divisor of the logits of places, above 0.
        set_level: Level of the sets, by the place, that hold the truth 9 times in 10; None where
            none was fitted.
        image_temperature: Divisor of the logits of images, above 0.
        place_weight: Exponent of the place's shares beside an image, at least 0.
        divide_frequency: Whether the product is divided by the class frequency.
        image_set_level: Level of the sets by the image.
        joint_set_level: Level of the sets by image and place together.
        class_temperatures: Of label sets, the divisor of each class's logits of places, K of them
            above 0; empty where one serves all.
        image_class_temperatures: The same of images.
        thresholds: Of label sets, the probability from which on a class is in the set by the place,
            K of them in [0, 1]; empty where none were fitted.
        image_thresholds: The same by the image.
        joint_thresholds: The same by image and place together.
        pixel_temperature: Divisor of the logits of pixels, above 0.

    Raises:
        ConfigError: If a value is out of range.
    """

    temperature: float = 1.0
    set_level: float | None = None
    image_temperature: float = 1.0
    place_weight: float = 1.0
    divide_frequency: bool = False
    image_set_level: float | None = None
    joint_set_level: float | None = None
    class_temperatures: tuple[float, ...] = ()
    image_class_temperatures: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    image_thresholds: tuple[float, ...] = ()
    joint_thresholds: tuple[float, ...] = ()
    pixel_temperature: float = 1.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _LEVELS.values():
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ConfigError(f"the {name} is {getattr(self, name)}")
        for answer, name in _ONE.items():
            # Beyond these all classes share alike, or none but the first has anything.
            for divisor in (getattr(self, name), *self._by_class(answer)):
                if not 1e-6 <= divisor <= 1e6:
                    raise ConfigError(f"the {name} is {divisor}")
        for name in _THRESHOLDS.values():
            if wrong := [value for value in getattr(self, name) if not 0 <= value <= 1]:
                raise ConfigError(f"one of the {name} is {wrong[0]}")
        if not 0 <= self.place_weight < math.inf:
            raise ConfigError(f"the place_weight is {self.place_weight}")

    def level(self, answer: str) -> float | None:
        """Give the level of the sets of an answer.

        Args:
            answer: ``IMAGE``, ``PLACE`` or ``BOTH``.

        Returns:
            The level, or None where none was fitted.
        """
        found: float | None = getattr(self, _LEVELS[answer])
        return found

    def divisors(self, answer: str) -> float | tuple[float, ...]:
        """Give what the logits of an answer are divided by.

        Args:
            answer: ``IMAGE``, ``PLACE`` or ``PIXELS``.

        Returns:
            One temperature for all classes, or one for each.
        """
        return self._by_class(answer) or float(getattr(self, _ONE[answer]))

    def _by_class(self, answer: str) -> tuple[float, ...]:
        found: tuple[float, ...] = getattr(self, _DIVISORS[answer]) if answer in _DIVISORS else ()
        return found

    def thresholds_of(self, answer: str) -> tuple[float, ...]:
        """Give the probabilities from which on classes are in the set of an answer.

        Args:
            answer: ``IMAGE``, ``PLACE`` or ``BOTH``.

        Returns:
            One a class; empty where none were fitted.
        """
        found: tuple[float, ...] = getattr(self, _THRESHOLDS[answer])
        return found

    def with_sets(
        self,
        divisors: Mapping[str, Sequence[float]],
        thresholds: Mapping[str, Sequence[float]],
    ) -> Calibration:
        """Replace what was fitted to each class by itself.

        Args:
            divisors: ``IMAGE`` or ``PLACE`` to a temperature for each class.
            thresholds: Answer to a threshold for each class.

        Returns:
            The new record.
        """
        named: dict[str, Any] = {_DIVISORS[a]: tuple(values) for a, values in divisors.items()}
        named |= {_THRESHOLDS[a]: tuple(values) for a, values in thresholds.items()}
        return replace(self, **named)

    def check_classes(self, number: int) -> None:
        """Check that what was fitted to each class was fitted to as many as there are.

        Args:
            number: How many classes the model has.

        Raises:
            ConfigError: If it was not.
        """
        for name in _BY_CLASS:
            if getattr(self, name) and len(getattr(self, name)) != number:
                raise ConfigError(
                    f"calibration.json has {len(getattr(self, name)):,} {name}, but there are"
                    f" {number:,} classes"
                )

    def with_levels(self, levels: Mapping[str, float]) -> Calibration:
        """Replace the levels of the sets of some answers.

        Args:
            levels: Answer to level.

        Returns:
            The new record.
        """
        named: dict[str, Any] = {_LEVELS[answer]: level for answer, level in levels.items()}
        return replace(self, **named)

    def to_dict(self, *, images: bool, pixels: bool = False) -> dict[str, Any]:
        """Give plain values, as ``calibration.json`` holds them.

        Args:
            images: Whether the model sees images; one that sees none has nothing fitted to them.
            pixels: Whether it tells the class of each pixel, likewise.

        Returns:
            Name to value, without what was not fitted.
        """
        places = ["temperature", "set_level", "class_temperatures", "thresholds"]
        own = _ONE[PIXELS]
        kept = [f.name for f in fields(self) if f.name != own] if images else places
        kept += [own] if pixels else []
        return {k: v for k, v in asdict(self).items() if k in kept and v is not None and v != ()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Take back what ``to_dict`` gave.

        Args:
            values: Name to value; what is missing, but for the temperature, was not fitted.

        Returns:
            The record.

        Raises:
            ConfigError: If a value is missing or out of range.
        """
        if "temperature" not in values:
            raise ConfigError("there is no temperature in calibration.json")
        given = {f.name: values[f.name] for f in fields(cls) if values.get(f.name) is not None}
        divide = bool(given.pop("divide_frequency", False))
        plain: dict[str, Any] = {}
        for name, value in given.items():
            try:
                plain[name] = tuple(map(float, value)) if name in _BY_CLASS else float(value)
            except (ArithmeticError, TypeError, ValueError) as error:
                raise ConfigError(f"the {name} is {str(value)[:40]}, no number to use") from error
        return cls(**plain, divide_frequency=divide)


def calibration_of(model: object) -> Calibration:
    """Give what was fitted to a model.

    Args:
        model: A model or a baseline; nothing is fitted to a baseline.

    Returns:
        Its calibration.
    """
    found: Calibration = getattr(model, "calibration", Calibration())
    return found
