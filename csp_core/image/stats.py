"""What the images that a model learned from look like, so that others can be told from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError
from csp_core.image.bands import to_unit

# Distances are to the third nearest of some training images, set apart from those that say which
# distance 985 of 1000 training images stay below.
EXEMPLARS, NEIGHBOUR = 512, 3
# Details are looked for at three sizes, each half of the one before.
LEAST_SIDE = 8
QUANTILE, MARGIN = 0.985, 1.0
RIDGE, CHUNK = 1e-6, 256
# A file of 8 bits cannot tell brightnesses apart that are nearer than this.
STEP = 1 / 255
COLOURS = ("red", "green", "blue")
TRAITS = (
    "brightness",
    "contrast",
    "fine detail",
    "middle detail",
    "coarse detail",
    "colour",
    "darkest part",
    "brightest part",
)
LOGARITHMIC = {"contrast", "fine detail", "middle detail", "coarse detail", "colour"}


@dataclass(frozen=True, eq=False)
class ImageStats:
    """A small description of training images: numbers over each and over all, and no image.

    An image is described, band by band, by its brightness, its contrast, the steps between
    neighbouring pixels at three sizes, how far the band departs from the mean of all, and its
    darkest and brightest fiftieths. It is like the training images if some of them are near in
    these numbers, once these are scaled so that the training images spread equally along all.

    Args:
        size: ``(2,)`` height and width, pixels.
        mean: ``(8C,)`` mean of the descriptions.
        whitener: ``(8C, 8C)`` what makes their covariance the identity.
        exemplars: ``(M, 8C)`` descriptions of some training images, centred and scaled.
        limit: ``()`` distance from which on an image is far.
        low: ``(8C,)`` what 15 of 1000 training images stay below.
        high: ``(8C,)`` what 15 of 1000 pass.
        count: ``()`` training images looked at.
    """

    size: Tensor
    mean: Tensor
    whitener: Tensor
    exemplars: Tensor
    limit: Tensor
    low: Tensor
    high: Tensor
    count: Tensor

    FEWEST: ClassVar[int] = 2 * (NEIGHBOUR + 1)

    def __post_init__(self) -> None:
        """Check that the numbers fit together."""
        number = len(self.mean)
        square = self.whitener.shape == (number, number)
        if not (square and number and number % len(TRAITS) == 0 and self.size.shape == (2,)):
            raise ConfigError("the description of the training images does not fit together")

    @property
    def bands(self) -> int:
        """Channels of an image."""
        return len(self.mean) // len(TRAITS)

    @classmethod
    def of(cls, images: Tensor, valid: Tensor | None = None) -> ImageStats:
        """Describe training images.

        Args:
            images: ``(N, C, H, W)`` of any kind an image encoder takes, in no order that matters;
                some thousands are enough.
            valid: ``(N, H, W)`` bool, where there is data; None for everywhere. An image without
                any is left out.

        Returns:
            The description.

        Raises:
            BadRecordError: If there are fewer than 8 images, or fewer than 8 pixels a side.
        """
        if valid is not None:
            images, valid = (each[valid.flatten(1).any(dim=1)] for each in (images, valid))
        if len(images) < cls.FEWEST:
            raise BadRecordError(f"{len(images)} images cannot be described; give 8 or more.")
        if min(images.shape[2:]) < LEAST_SIDE:
            raise BadRecordError(
                f"Images of {images.shape[2]} × {images.shape[3]} pixels cannot be described; give"
                f" at least {LEAST_SIDE} a side."
            )
        traits = describe(images, valid)
        mean = traits.mean(dim=0)
        spread = torch.cov(traits.T) + RIDGE * torch.eye(len(mean), dtype=traits.dtype)
        value, vector = torch.linalg.eigh(spread)
        whitener = vector @ torch.diag(value.clamp_min(RIDGE).rsqrt())
        scaled = (traits - mean) @ whitener
        kept = min(EXEMPLARS, len(images) // 2)
        limit = MARGIN * _quantile(_distance(scaled[kept:], scaled[:kept]), QUANTILE)
        return cls(
            size=torch.tensor(images.shape[2:]),
            mean=mean,
            whitener=whitener,
            exemplars=scaled[:kept].float(),
            limit=limit,
            low=_quantile(traits, 1 - QUANTILE),
            high=_quantile(traits, QUANTILE),
            count=torch.tensor(len(images)),
        )

    def bring(self, image: Tensor) -> Tensor:
        """Crop an image to the middle and scale it, so that it has the size of the training images.

        Args:
            image: ``(C, H, W)`` of any kind an image encoder takes.

        Returns:
            ``(1, C, height, width)`` floating-point numbers, in about [0, 1].

        Raises:
            BadRecordError: If it has other bands than the training images.
        """
        if image.ndim != 3 or image.shape[0] != self.bands:
            raise BadRecordError(
                f"The picture has shape {tuple(image.shape)}; the model learned from pictures of"
                f" {self.bands} bands, (bands, height, width)."
            )
        pixels, (height, width) = to_unit(image)[None].float(), self.size.tolist()
        # The largest part of that shape which fits in.
        scale = max(height / image.shape[1], width / image.shape[2])
        tall, wide = (max(1, round(side / scale)) for side in (height, width))
        top, left = (image.shape[1] - tall) // 2, (image.shape[2] - wide) // 2
        cut = pixels[:, :, top : top + tall, left : left + wide]
        if cut.shape[2:] == (height, width):
            return cut
        return F.interpolate(cut, (height, width), mode="bilinear", antialias=True)

    def judge(self, image: Tensor) -> tuple[bool, str]:
        """Say whether an image is like the training images.

        Args:
            image: ``(1, C, H, W)`` as ``bring`` returns it.

        Returns:
            Whether it is, and one sentence that says why.
        """
        traits = describe(image)
        distance = _distance((traits - self.mean) @ self.whitener, self.exemplars.double())
        if float(distance) <= float(self.limit):
            return True, "This picture is like those that the model learned from."
        return False, (
            f"This picture is unlike the training images ({int(self.count):,} compared):"
            f" {self._reason(traits[0])}."
        )

    def _reason(self, traits: Tensor) -> str:
        width = (self.high - self.low).clamp_min(STEP)
        beyond = torch.maximum(self.low - traits, traits - self.high) / width
        worst = int(beyond.argmax())
        trait, band = TRAITS[worst // self.bands], worst % self.bands
        values = torch.stack([traits[worst], self.low[worst], self.high[worst]])
        words = _compared(*(values.exp() if trait in LOGARITHMIC else values).tolist())
        if beyond[worst] <= 0 or words is None:
            return "its brightness, contrast, detail and colour do not go together as in theirs"
        where = COLOURS[band] if self.bands == len(COLOURS) else f"band {band + 1}"
        return f"{trait} in {where} is {words}"

    def tensors(self) -> dict[str, Tensor]:
        """Return the description as tensors by name, for a file.

        Returns:
            Field name to tensor.
        """
        return dict(vars(self))


def describe(images: Tensor, valid: Tensor | None = None) -> Tensor:
    """Describe images by eight numbers a band, over their pixels with data.

    Args:
        images: ``(N, C, H, W)`` of any kind an image encoder takes.
        valid: ``(N, H, W)`` bool, where there is data, in each image somewhere; None for
            everywhere.

    Returns:
        ``(N, 8C)`` float64 on the CPU, in the order of ``TRAITS``; contrast, detail and colour as
        logarithms.
    """
    there = images.new_ones((len(images), *images.shape[2:])) if valid is None else valid
    parts = zip(torch.split(images, CHUNK), torch.split(there, CHUNK), strict=True)
    # A file of 8 bits holds nothing beyond [0, 1], and must not look strange for it.
    found = [_describe(to_unit(some).double().clamp(0, 1), own.double()) for some, own in parts]
    return torch.cat(found).cpu()


def _describe(pixels: Tensor, there: Tensor) -> Tensor:
    here = there[:, None]
    pixels = torch.where(here > 0, pixels, 0)
    steps, smaller, known = [], pixels, here
    for _ in range(3):
        right = (smaller[..., 1:] - smaller[..., :-1]).abs()
        down = (smaller[..., 1:, :] - smaller[..., :-1, :]).abs()
        both = known[..., 1:] * known[..., :-1], known[..., 1:, :] * known[..., :-1, :]
        steps.append(_mean(right, both[0]) + _mean(down, both[1]))
        # A pixel of the smaller image is the mean of what there is of its four.
        part = F.avg_pool2d(known, 2)
        smaller = F.avg_pool2d(smaller * known, 2) / part.clamp_min(0.25)
        known = (part > 0).to(part)
    ordered = pixels.masked_fill(here == 0, torch.inf).flatten(2).sort(dim=2).values
    number = there.flatten(1).sum(dim=1).long()[:, None, None].expand(-1, pixels.shape[1], 1)
    fiftieth = number // 50
    ends = [ordered.gather(2, at)[..., 0] for at in (fiftieth, number - 1 - fiftieth)]
    mean = _mean(pixels, here)
    colour = _spread(pixels - pixels.mean(dim=1, keepdim=True), here)
    logs = [_spread(pixels, here), *steps, colour]
    return torch.cat([mean, *(part.clamp_min(1e-4).log() for part in logs), *ends], dim=1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    total: Tensor = (values * weight).sum(dim=(2, 3))
    return total / weight.sum(dim=(2, 3)).clamp_min(1)


def _spread(values: Tensor, weight: Tensor) -> Tensor:
    return _mean((values - _mean(values, weight)[..., None, None]).square(), weight).sqrt()


def _compared(own: float, least: float, most: float) -> str | None:
    """Give a number and what it is beyond, in as few digits as tell them apart; None if none do."""
    found = None
    for digits in range(2, 7):
        mine, low, high = (f"{value:.{digits}g}" for value in (own, least, most))
        if mine in (low, high):
            continue
        if low != high:
            return f"{mine}, in theirs between {low} and {high}"
        found = found or f"{mine}, in theirs about {low}"
    return found


def _distance(scaled: Tensor, exemplars: Tensor) -> Tensor:
    found = torch.cdist(scaled, exemplars.to(scaled.dtype)).topk(NEIGHBOUR, largest=False)
    return found.values[:, -1]


def _quantile(values: Tensor, part: float) -> Tensor:
    return values.sort(dim=0).values[round(part * (len(values) - 1))]
