"""What the objectives of the CLIP family are made of: one table, and options laid over its rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from csp_core.errors import ConfigError
from csp_core.tables import check_options

# The parts of the loss. CLIP's own, over pairs of views; images by themselves; what is hidden of
# places and captions; nearest neighbours; token by token; places drawn at random.
PARTS = ("clip", "image", "masked", "neighbour", "fine", "random")
PAIRS = {
    "image_place": ("image", "location"),
    "image_text": ("image", "text"),
    "place_text": ("location", "text"),
}
# Where the logarithm of what cosines are multiplied by is held: CLIP's own upper end, which suits
# places too, as their space is small. In ``compat`` those of the release.
LOG_SCALE, PUBLISHED_LOG_SCALE = (0.0, math.log(100)), (3.0, 6.0)
# Which learned temperature is whose.
WHOLE, TOKENS, RANDOM = range(3)
T = TypeVar("T")
Loss = Literal["softmax", "sigmoid"]
ImageLoss = Literal["nt_xent", "simsiam"]


@dataclass(frozen=True)
class Preset:
    """One row of the table: how much each supervision counts.

    Args:
        clip: Weight of CLIP's loss, mean over all pairs of views.
        image: Weight of the loss of images by themselves.
        masked: Weight of guessing what is hidden of places and captions.
        neighbour: Weight of nearest neighbours.
        fine: Weight of comparing token by token.
        views: Views of each side, 1 or 2.
        loss: ``softmax`` over the batch, or ``sigmoid``, each pair by itself.
        image_loss: ``nt_xent`` on the images' features, or ``simsiam`` on their projections.
        temperature: Where the learned temperature begins.
        augmentation: Changes to images in training.
        capped: Whether the release holds what cosines are multiplied by at 100.
    """

    clip: float = 0.0
    image: float = 0.0
    masked: float = 0.0
    neighbour: float = 0.0
    fine: float = 0.0
    views: int = 1
    loss: Loss = "softmax"
    image_loss: ImageLoss = "simsiam"
    temperature: float = 0.07
    augmentation: str = "strong"
    capped: bool = False


# The weights are those of the released configurations; SigLIP's are its paper's.
PRESETS: dict[str, Preset] = {
    "clip": Preset(clip=1.0, augmentation="medium", capped=True),
    "slip": Preset(clip=1.0, image=1.0, image_loss="nt_xent", augmentation="medium"),
    "filip": Preset(fine=1.0),
    "declip": Preset(clip=0.4, image=0.2, masked=0.2, neighbour=0.2, views=2, capped=True),
    "defilip": Preset(
        clip=0.4, image=0.2, masked=0.2, neighbour=0.2, fine=0.2, views=2, capped=True
    ),
    "siglip": Preset(clip=1.0, loss="sigmoid", temperature=0.1, augmentation="medium"),
}


@dataclass(frozen=True)
class SecondViews:
    """How views are made.

    Args:
        number: Views of each side, 1 or 2; None for that of the preset.
        km: Second views of places are scattered by this, km along each of two directions: a pair
            (low, high), uniform in its logarithm.
        days: Their dates are shifted by up to so many days either way.
        forget: Share of them that forgets its date and hour.
        scale_drop: Share of their tokens of scales that is left out, where there are such tokens.
        strong: Changes to images that are compared with each other alone.

    Raises:
        ConfigError: If one is out of range.
    """

    number: int | None = None
    km: tuple[float, float] = (0.1, 50.0)
    days: float = 7.0
    forget: float = 0.1
    scale_drop: float = 0.15
    strong: str = "strong"

    def __post_init__(self) -> None:
        """Check the numbers."""
        low, high = self.km if len(self.km) == 2 else (0.0, 0.0)
        if not 0 < low <= high < math.inf or not 0 <= self.days < math.inf:
            raise ConfigError(
                f"views.km is {self.km} and days {self.days}; give (low, high) with 0 < low, and"
                " days of at least 0."
            )
        if not 0 <= self.forget <= 1 or not 0 <= self.scale_drop < 1:
            raise ConfigError(
                f"views.forget is {self.forget} and scale_drop {self.scale_drop}; give shares."
            )
        if self.number not in (None, 1, 2):
            raise ConfigError(f"views.number is {self.number}; give 1 or 2.")


@dataclass(frozen=True)
class RandomPlaces:
    """Places drawn at random, which no image is of.

    Args:
        number: Places for each record in the part of their own, whose weight is
            ``weights.random``: its own softmax and temperature, as of CSP.
        columns: Places for each record that are further candidates in CLIP's own softmax.
        temperature: Where the temperature of the part of their own begins.
        places: Where they are drawn: a name in ``BACKGROUNDS``; None for ``sphere``.

    Raises:
        ConfigError: If a number is out of range.
    """

    number: int = 1
    columns: int = 0
    temperature: float = 0.07
    places: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.number < 1 or self.columns < 0 or not 0 < self.temperature < math.inf:
            raise ConfigError(
                f"random.number is {self.number}, columns {self.columns} and temperature"
                f" {self.temperature}; give at least 1, at least 0 and more than 0."
            )


@dataclass(frozen=True)
class Spec:
    """What an objective of the family does, its preset with options laid over.

    Args:
        weights: Part to weight.
        pair_weights: Pair of sides to weight.
        loss: See ``Preset``.
        image_loss: See ``Preset``.
        number: Views of each side.
        temperatures: Where the learned ones begin: of whole embeddings, tokens, random places.
        augmentation: Changes to images in training, or None.
        views: How views are made.
        random: Places drawn at random.
        published: Whether to keep to the release where ours differs.
        capped: See ``Preset``.
    """

    weights: Mapping[str, float]
    pair_weights: Mapping[str, float]
    loss: Loss
    image_loss: ImageLoss
    number: int
    temperatures: tuple[float, ...]
    augmentation: str | None
    views: SecondViews = field(default_factory=SecondViews)
    random: RandomPlaces = field(default_factory=RandomPlaces)
    published: bool = False
    capped: bool = False

    def has(self, part: str) -> bool:
        """Tell whether a part is computed."""
        return self.weights[part] > 0

    @property
    def own_images(self) -> bool:
        """Whether images are compared with each other in views that nothing else sees."""
        shared = self.number == 2 and self.image_loss == "simsiam" and self.augmentation is not None
        return self.has("image") and not shared

    @property
    def log_scale(self) -> tuple[float, float]:
        """Where the learned logarithm of the scale is held."""
        return PUBLISHED_LOG_SCALE if self.published else LOG_SCALE


def part_weight(preset: str, part: str, weights: object) -> float:
    """Tell what a part of the loss weighs, of settings that nobody has checked yet.

    Args:
        preset: A name in ``PRESETS``.
        part: A name in ``PARTS``.
        weights: The option ``weights`` as it was written.

    Returns:
        Its weight; that of the preset where the option says nothing of it, or what is no number.

    Example:
        >>> part_weight("filip", "fine", None), part_weight("clip", "fine", {"fine": 0.1})
        (1.0, 0.1)
    """
    given = weights.get(part) if isinstance(weights, Mapping) else None
    plain = isinstance(given, int | float) and not isinstance(given, bool)
    return float(given if plain else getattr(PRESETS[preset], part, 0.0))  # type: ignore[arg-type]


# The options that are laid over a preset.
LAID_OVER = (
    *("weights", "pair_weights", "views", "random", "loss", "image_loss", "temperature"),
    *("token_temperature", "augmentation", "compat"),
)


def make_spec(
    preset: Preset,
    *,
    weights: Mapping[str, float] | None,
    pair_weights: Mapping[str, float] | None,
    views: Mapping[str, Any] | None,
    random: Mapping[str, Any] | None,
    loss: Loss | None,
    image_loss: ImageLoss | None,
    temperature: float | None,
    token_temperature: float,
    augmentation: str | None,
    compat: str | None,
) -> Spec:
    """Lay options over a preset; they are those of ``ClipFamily``.

    Returns:
        What the objective does.

    Raises:
        ConfigError: If an option is unknown or out of range.
    """
    made = _make(SecondViews, "views", views)
    places = _make(RandomPlaces, "random", random)
    usual = {part: getattr(preset, part, 0.0) for part in PARTS}
    weighed = _weigh("weights", weights, usual)
    first = preset.temperature if temperature is None else temperature
    chosen = (first, token_temperature, places.temperature)
    if not all(0 < value < math.inf for value in chosen):
        raise ConfigError(f"The temperatures are {chosen}; give more than 0.")
    count = 1 + (RANDOM if weighed["random"] else TOKENS if weighed["fine"] else WHOLE)
    loss, image_loss = loss or preset.loss, image_loss or preset.image_loss
    if loss not in ("softmax", "sigmoid") or image_loss not in ("nt_xent", "simsiam"):
        raise ConfigError(
            f"loss is {loss!r} and image_loss {image_loss!r}; give softmax or sigmoid, and nt_xent"
            " or simsiam."
        )
    return Spec(
        weights=weighed,
        pair_weights=_weigh("pair_weights", pair_weights, dict.fromkeys(PAIRS, 1.0)),
        loss=loss,
        image_loss=image_loss,
        number=made.number or preset.views,
        temperatures=tuple(map(float, chosen[:count])),
        augmentation=preset.augmentation if augmentation == "preset" else augmentation,
        views=made,
        random=places,
        published=compat == "reference",
        capped=preset.capped,
    )


def _make(kind: type[T], name: str, options: Mapping[str, Any] | None) -> T:
    """Make a group of options, whose values YAML may have read as words or lists."""
    check_options("objective", name, kind, options or {})
    hints, found = get_type_hints(kind), {}
    for key, value in (options or {}).items():
        try:
            found[key] = TypeAdapter(hints[key]).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ConfigError(f"{name}.{key} is {value!r}; {reason}.") from error
    return kind(**found)


def _weigh(
    name: str, given: Mapping[str, float] | None, usual: Mapping[str, float]
) -> dict[str, float]:
    """Lay weights over the usual ones, and check them."""
    unknown = set(given or {}) - set(usual)
    if unknown:
        raise ConfigError(
            f"{name} has no {', '.join(sorted(unknown))}; there are {', '.join(usual)}."
        )
    found = {**usual, **(given or {})}
    if not all(0 <= value < math.inf for value in found.values()) or not any(found.values()):
        raise ConfigError(f"{name} are {found}; give at least 0, and more to one of them.")
    return found
