"""What is fitted on held-out records after training, as one record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from csp_core.errors import ConfigError

# The answers of a model that sees images: by the image, by its place, by both.
IMAGE, PLACE, BOTH = "image", "place", "image+place"
_LEVELS = {IMAGE: "image_set_level", PLACE: "set_level", BOTH: "joint_set_level"}


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

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in _LEVELS.values():
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ConfigError(f"the {name} is {getattr(self, name)}")
        for name in ("temperature", "image_temperature"):
            # Beyond these all classes share alike, or none but the first has anything.
            if not 1e-6 <= getattr(self, name) <= 1e6:
                raise ConfigError(f"the {name} is {getattr(self, name)}")
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

    def with_levels(self, levels: Mapping[str, float]) -> Calibration:
        """Replace the levels of the sets of some answers.

        Args:
            levels: Answer to level.

        Returns:
            The new record.
        """
        named: dict[str, Any] = {_LEVELS[answer]: level for answer, level in levels.items()}
        return replace(self, **named)

    def to_dict(self, *, images: bool) -> dict[str, Any]:
        """Give plain values, as ``calibration.json`` holds them.

        Args:
            images: Whether the model sees images; one that sees none has nothing fitted to them.

        Returns:
            Name to value, without what was not fitted.
        """
        kept = [f.name for f in fields(self)] if images else ["temperature", "set_level"]
        return {k: v for k, v in asdict(self).items() if k in kept and v is not None}

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
                plain[name] = float(value)
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
