"""Which heads a model has behind its encoders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from csp_core.errors import ConfigError

# What the values are: they sum to 1 over the classes; they rank each class by itself; or each is by
# itself the probability that a class is in the label set, since absences were labelled too.
PRIOR_KINDS = ("share", "relative", "probability")
Side = Literal["image", "location"]
KINDS = {"image": (None, "linear", "two_layers"), "location": (None, "linear")}
# One for each part of an objective that compares.
MOST_TEMPERATURES = 16
SIDES: tuple[Side, ...] = ("image", "location")
# Heads that models of earlier versions could not have.
# Objectives whose image head of two layers leads into the space of places, as SimCLR's does not.
DEEP = ("csp_mc", "csp_nce")
ADDED = ("token", "pixels", "tokens", "bias", "rank", "fine")
FLAGS = ("token", "pixels", "bias")
MOST_TOKEN_SIZE = MOST_RANK = 4096
MOST_FINE = 65_536


@dataclass(frozen=True)
class Heads:
    """Which heads a model has; an objective's class says which it needs.

    Args:
        image: Projection head from the image embedding into the shared space: ``linear``,
            ``two_layers`` as of SimCLR, or None.
        location: Projection head from the location embedding to the image embedding, or None.
        classifiers: Sides with a linear classifier: some of ``image`` and ``location``. That of the
            location stands where there are classes and a location encoder.
        temperatures: Where learned temperatures of similarities start, each above 0; None where
            none is learned.
        token: Whether the image encoder, a vision transformer, has one more learned token.
        pixels: Whether each pixel has a linear classifier, behind an image encoder that keeps them.
        tokens: Size of the space in which the tokens of all sides are compared, by one linear layer
            for each side; 0 for none.
        bias: Whether similarities have a learned bias, as of SigLIP.
        rank: Numbers that the classifier of the location goes through, which takes far less space
            where there are thousands of classes; 0 for a full matrix.
        shared: Whether the image head leads into the space of the other sides; None where its kind
            says so: one layer does, two layers are of images alone.
        fine: Finer classes behind the images, whose probabilities are summed up to the model's; 0
            where the classifier is one of the model's own classes.

    Raises:
        ConfigError: If there is no such head.
    """

    image: str | None = "linear"
    location: str | None = None
    classifiers: tuple[Side, ...] = ("location",)
    temperatures: tuple[float, ...] | None = None
    token: bool = False
    pixels: bool = False
    tokens: int = 0
    bias: bool = False
    rank: int = 0
    shared: bool | None = None
    fine: int = 0

    def __post_init__(self) -> None:
        """Check that there are such heads."""
        for side, known in KINDS.items():
            if (kind := getattr(self, side)) not in known:
                raise ConfigError(f"The {side} head is {kind!r}; give one of {known}.")
        if type(self.tokens) is not int or not 0 <= self.tokens <= MOST_TOKEN_SIZE:
            raise ConfigError(
                f"tokens is {self.tokens!r}; give a size of at most {MOST_TOKEN_SIZE}, 0 for none."
            )
        if type(self.rank) is not int or not 0 <= self.rank <= MOST_RANK:
            raise ConfigError(
                f"rank is {self.rank!r}; give numbers of at most {MOST_RANK}, 0 for a full matrix."
            )
        if type(self.fine) is not int or not 0 <= self.fine <= MOST_FINE:
            raise ConfigError(
                f"fine is {self.fine!r}; give classes, at most {MOST_FINE:,}, 0 for the model's."
            )
        for name in (*FLAGS, *(() if self.shared is None else ("shared",))):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is {getattr(self, name)!r}; give true or false.")
        if len(self.temperatures or ()) > MOST_TEMPERATURES:
            raise ConfigError(f"There are {len(self.temperatures or ())} temperatures; give a few.")
        if not set(self.classifiers) <= set(SIDES):
            raise ConfigError(f"classifiers are {self.classifiers}; give some of {SIDES}.")
        if not all(0 < value < math.inf for value in self.temperatures or ()):
            raise ConfigError(f"The temperatures are {self.temperatures}; give more than 0.")

    def _classifies(self) -> bool:
        return "location" in self.classifiers

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a model's ``config.json`` holds them."""
        found = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        # Models without them are told as they were before there were any.
        absent = {name for name in ADDED if not found[name]}
        absent |= {"shared"} if self.shared is None else set()
        return {k: v for k, v in found.items() if k not in absent}

    def beside(self, wanted: Heads) -> Heads:
        """Add what is wanted and keep what is there: something was learned with it.

        Args:
            wanted: Heads that an objective asks for.

        Returns:
            These and those; a projection head of one layer serves whoever has two, not the other
            way round.
        """
        keeps = self.image is not None and wanted.image != "two_layers"
        own = self.temperatures or ()
        more = (wanted.temperatures or ())[len(own) :]
        return Heads(
            image=self.image if keeps else wanted.image or self.image,
            location=self.location or wanted.location,
            classifiers=tuple(s for s in SIDES if s in (*self.classifiers, *wanted.classifiers)),
            temperatures=own + more or None,
            token=self.token or wanted.token,
            pixels=self.pixels or wanted.pixels,
            tokens=self.tokens or wanted.tokens,
            bias=self.bias or wanted.bias,
            rank=self.rank if self._classifies() else wanted.rank,
            shared=self._shared_beside(wanted),
            fine=self.fine if "image" in self.classifiers else wanted.fine,
        )

    def _shared_beside(self, wanted: Heads) -> bool | None:
        """Tell whether the image head leads into one space once what is wanted was learned too."""
        if wanted.image is None or wanted.classifiers:
            return self.shared
        # Who asks for one layer and finds two teaches these.
        serves = self.image == "two_layers" and wanted.image == "linear"
        return True if serves and wanted.shared is None else wanted.shared

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Heads:
        """Take back what ``to_dict`` gave.

        Args:
            values: Plain values.

        Returns:
            The heads.

        Raises:
            ConfigError: If they are no heads.
        """
        plain: dict[str, Any] = {}
        try:
            plain |= {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
            return cls(**plain)
        except (AttributeError, TypeError) as error:
            raise ConfigError(f"{repr(values)[:200]} are no heads of a model ({error})") from error


def read_heads(config: Mapping[str, Any]) -> Heads:
    """Read which heads a saved model has.

    Args:
        config: Content of its ``config.json``; earlier versions wrote flags of their own.

    Returns:
        The heads.

    Raises:
        ConfigError: If they are no heads.
    """
    if "heads" in config:
        found = Heads.from_dict(config["heads"])
        deep = found.image == "two_layers" and found.shared is None
        return replace(found, shared=True) if deep and _objective(config) in DEEP else found
    kinds = {"location": (None, "linear"), "image_mlp": ("two_layers", None)}
    image, location = kinds.get(str(config.get("head", "image")), ("linear", None))
    learned = config.get("temperatures")
    has: dict[Side, bool] = {
        "image": bool(config.get("image_classifier")),
        "location": config.get("place_classifier") is not False,
    }
    classifiers = [side for side in SIDES if has[side]]
    plain = {"image": image, "location": location, "classifiers": classifiers}
    return Heads.from_dict(plain | {"temperatures": learned or None})


def _objective(config: Mapping[str, Any]) -> object:
    """Read by which objective a saved model was trained; None where it does not say."""
    found: Any = config
    for key in ("provenance", "config", "objective", "name"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
