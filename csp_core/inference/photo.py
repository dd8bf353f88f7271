"""What a model says of one picture: which classes rank, by itself and with its place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from csp_core.calibrate import prediction_sets
from csp_core.errors import ConfigError
from csp_core.inference.members import listed, set_members
from csp_core.inference.prior import prior_around
from csp_core.model import BOTH, IMAGE, DualEncoder
from csp_core.model.combine import combine

# Beyond this a share is as good as 0 or 1, and its log-odds as good as infinite.
TINY = 1e-9
# Above this probability of the class for all else, a picture is none that the model names.
MOST_REST = 0.5


@dataclass(frozen=True)
class Terms:
    """What image, place and season add to a class, as natural logarithms of odds.

    They sum up to the log-odds of the final answer: the first are those of the image alone, each
    further one is what it changes.

    Args:
        image: Log-odds of the class given the image.
        place: Change by the place, whatever the time.
        season: Change by the date and hour; 0 for models without time, or when it is unknown.
    """

    image: float
    place: float
    season: float


@dataclass(frozen=True)
class RankedAnswer:
    """One line of a picture's list.

    Args:
        rank: From 1.
        taxon: Scientific name.
        common_name: Common name, or ``""``.
        value: Share, or of label sets the probability.
        image_rank: Its rank by the image alone.
        image_value: Its share by the image alone.
        log_odds: Where the share comes from.
        in_set: Whether it is in the label set, by its threshold; None where there are none.
    """

    rank: int
    taxon: str
    common_name: str
    value: float
    image_rank: int
    image_value: float
    log_odds: Terms
    in_set: bool | None = None

    @property
    def reason(self) -> str:
        """Say in one sentence why the place and the season moved it.

        Where it moved against what both say, because others were moved more, that is said too.
        """
        parts, signs = [], set()
        for name, term in (("place", self.log_odds.place), ("season", self.log_odds.season)):
            if abs(term) >= math.log(1.1):
                how = "for" if term > 0 else "against"
                signs.add(how)
                parts.append(f"the {name} speaks {how} it, {odds_words(term)}")
        if not parts:
            return f"Neither place nor season changes the odds of {self.taxon} by a tenth."
        against = self._moved_against
        together = "in all " if len(signs) > 1 else ""
        rest = f", {together}{against}" if against else ""
        return f"{self.taxon}: {' and '.join(parts)}{rest}."

    @property
    def _moved_against(self) -> str:
        if self.in_set is not None:  # a set stands before what is not in it, whatever the values
            return ""
        total = self.log_odds.place + self.log_odds.season
        if self.rank < self.image_rank and total < 0:
            return "less than against others"
        if self.rank > self.image_rank and total > 0:
            return "less than for others"
        return ""


@dataclass(frozen=True, eq=False)
class PhotoAnswer:
    """What a model says of a picture.

    Args:
        model: Name of the model.
        image_only: The classes ranked by the image alone.
        combined: Ranked by image and place together; as ``image_only`` where no place is known.
        image_probs: ``(K,)`` P(class | image).
        probs: ``(K,)`` P(class | image, place).
        weight: Exponent of the place's prior that was used.
        image_set_size: How many of ``image_only`` hold the truth 9 times in 10, None if unknown.
        set_size: The same of ``combined``.
        fits: Whether the picture is like those that the model learned from.
        fits_reason: One sentence on that.
        kind: ``"share"``, or ``"probability"`` for label sets.
    """

    model: str
    image_only: tuple[RankedAnswer, ...]
    combined: tuple[RankedAnswer, ...]
    image_probs: Tensor
    probs: Tensor
    weight: float
    image_set_size: int | None
    set_size: int | None
    fits: bool
    fits_reason: str
    kind: str = "share"

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values, in the form of ``csp predict --image --json``.

        Returns:
            ``image_only`` and ``combined``, lists, and what else is known, without the tensors; of
            label sets also ``kind``, ``image_set`` and ``combined_set``, the names in them, None
            where unknown.
        """
        lists = {
            name: [asdict(line) for line in getattr(self, name)]
            for name in ("image_only", "combined")
        }
        for line in lists["image_only"]:
            for key in ("image_rank", "image_value", "log_odds"):
                del line[key]
        if self.kind == "probability":
            sides = (("image_set", self.image_only), ("combined_set", self.combined))
            sets = {name: _named_set(lines) for name, lines in sides}
            lists |= {"kind": self.kind, **sets}  # type: ignore[dict-item]  # names, no lines
        else:
            for line in (*lists["image_only"], *lists["combined"]):
                del line["in_set"]
        names = ("weight", "image_set_size", "set_size", "fits", "fits_reason")
        return {**lists, **{name: getattr(self, name) for name in names}}


def answer_photo(
    model: DualEncoder,
    image: Tensor,
    *,
    lonlat: tuple[float, float] | None = None,
    radius_km: float = 0.0,
    date: float | None = None,
    hour: float | None = None,
    weight: float | None = None,
    top: int | None = None,
) -> PhotoAnswer:
    """Rank the classes for a picture, by itself and with its place.

    Args:
        model: A model with an image classifier.
        image: ``(C, H, W)`` uint8, or another kind that an image encoder takes, of any size.
        lonlat: Longitude and latitude of the picture, degrees, or None.
        radius_km: How far from there it may have been taken; the prior is averaged over the disc.
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        weight: Exponent of the prior; the fitted one if None, 0 to ignore the place.
        top: How many classes to list, but of label sets no fewer than are in a set; all if None.

    Returns:
        Both rankings, and what they rest on.

    Raises:
        ConfigError: If the model has no image classifier, or the weight is negative.
        BadRecordError: If picture, place or time are none.
    """
    chosen = _weight(model, weight)
    brought = bring(model, image)
    probs = model.image_prior(brought)
    fits, reason = _judge(model, brought, probs)
    steps = [probs, probs, probs]  # by the image; with the place; with place and season
    lent = model.places
    if lonlat is not None and lent is not None:
        place = prior_around(lent, *lonlat, radius_km)
        steps[1] = steps[2] = combine(model, probs, place[None], weight=chosen)
        if (date is not None and lent.uses_date) or (hour is not None and lent.uses_hour):
            timed = prior_around(lent, *lonlat, radius_km, date=date, hour=hour)
            steps[2] = combine(model, probs, timed[None], weight=chosen)
    terms = _terms(*(step[0] for step in steps))
    final, alone = steps[2][0], probs[0]
    # The level of the sets was fitted with the fitted weight, and holds for no other.
    level = model.calibration.joint_set_level if chosen == model.calibration.place_weight else None
    level = level if steps[2] is not probs else model.calibration.image_set_level
    # So were the thresholds; a weight of 0 is the image's own answer.
    joint = BOTH if steps[2] is not probs and chosen else IMAGE
    members = [set_members(model, alone, IMAGE), set_members(model, final, joint)]
    if joint == BOTH and chosen != model.calibration.place_weight:
        members[1] = None
    return PhotoAnswer(
        model=model.name,
        image_only=_ranked(model, alone, alone, terms, top, (members[0], members[0])),
        combined=_ranked(model, final, alone, terms, top, (members[1], members[0])),
        image_probs=alone,
        probs=final,
        weight=chosen,
        image_set_size=_set_size(alone, model.calibration.image_set_level),
        set_size=_set_size(final, level),
        fits=fits,
        fits_reason=reason,
        kind=model.prior_kind,
    )


def _named_set(lines: Sequence[RankedAnswer]) -> list[str] | None:
    """Name the classes of a set; None where it is unknown, as with a weight other than fitted."""
    if all(line.in_set is None for line in lines):
        return None
    return [line.taxon for line in lines if line.in_set]


def bring(model: DualEncoder, image: Tensor) -> Tensor:
    """Bring a picture to the size of the images that a model learned from.

    Args:
        model: A model with an image encoder.
        image: ``(C, H, W)`` of any kind and size.

    Returns:
        ``(1, C, H, W)``; where the model describes no training images, the picture itself, or the
        square in its middle for an encoder of one size.

    Raises:
        BadRecordError: If the picture has other bands.
    """
    if model.image_stats is not None:
        return model.image_stats.bring(image)
    if getattr(model.image, "size", None) is None or image.ndim != 3:
        return image[None]
    side = min(image.shape[1:])
    top, left = ((full - side) // 2 for full in image.shape[1:])
    return image[None, :, top : top + side, left : left + side]


def image_fits(model: DualEncoder, image: Tensor) -> tuple[bool, str]:
    """Say whether a picture is one that a model's image side is for.

    Args:
        model: A model with an image encoder.
        image: ``(C, H, W)`` of any kind and size.

    Returns:
        Whether it looks like the training images, and one sentence that says why; yes, with a
        sentence that says so, where the model does not describe its training images.

    Raises:
        BadRecordError: If the picture has other bands.
    """
    return _judge(model, bring(model, image))


def _weight(model: DualEncoder, weight: float | None) -> float:
    chosen = model.calibration.place_weight if weight is None else weight
    if not 0 <= chosen < math.inf:
        raise ConfigError(f"weight is {chosen}; give at least 0, or None for the fitted one.")
    return chosen


def _judge(model: DualEncoder, brought: Tensor, probs: Tensor | None = None) -> tuple[bool, str]:
    if model.image_stats is None and model.rest is not None:
        probs = model.image_prior(brought) if probs is None else probs
        other, named = float(probs[0, model.rest]), f"of the {len(model.classes) - 1} kinds"
        if other > MOST_REST:
            return False, f"By the picture, it is none {named} of its list: {other:.0%}."
        return True, f"By the picture, it is one {named} of its list: {1 - other:.0%}."
    if model.image_stats is None:
        return True, "The model does not describe its training images, so nothing was compared."
    return model.image_stats.judge(brought)


def _terms(image: Tensor, place: Tensor, season: Tensor) -> list[Terms]:
    steps = [share.double().clamp(TINY, 1 - TINY).logit() for share in (image, place, season)]
    columns = (steps[0], steps[1] - steps[0], steps[2] - steps[1])
    return [Terms(*values) for values in zip(*(c.tolist() for c in columns), strict=True)]


def _ranked(
    model: DualEncoder,
    share: Tensor,
    image: Tensor,
    terms: Sequence[Terms],
    top: int | None,
    members: tuple[Tensor | None, Tensor | None],
) -> tuple[RankedAnswer, ...]:
    own, of_image = members
    order, image_rank = listed(share, own), listed(image, of_image).argsort()
    sizes = [int(one.sum()) for one in members if one is not None]
    top = None if top is None else max(top, *sizes, 0)
    names, common = model.classes.names, model.classes.common_names
    return tuple(
        RankedAnswer(
            rank=position + 1,
            taxon=names[k],
            common_name=common[k],
            value=float(share[k]),
            image_rank=int(image_rank[k]) + 1,
            image_value=float(image[k]),
            log_odds=terms[k],
            in_set=None if own is None else bool(own[k]),
        )
        for position, k in enumerate(order[:top].tolist())
    )


def _set_size(share: Tensor, level: float | None) -> int | None:
    return None if level is None else int(prediction_sets(share[None], level).sum())


def odds_words(term: float) -> str:
    """Write how much a term changes odds by, whichever way.

    Args:
        term: Natural logarithm.

    Returns:
        Odds of two significant digits, as far as that many mean anything.

    Example:
        >>> odds_words(0.7), odds_words(-3.3), odds_words(9.0)
        ('2 : 1', '27 : 1', 'more than 1,000 : 1')
    """
    factor = math.exp(min(abs(term), 20.0))
    if factor > 1000:
        return "more than 1,000 : 1"
    # By way of a number, which drops the exponent that 990 has in two digits.
    return f"{float(f'{factor:.2g}'):,g} : 1"
