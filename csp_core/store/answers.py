"""What an ONNX file of a model computes: of places, of pictures, or of both together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from csp_core import geo
from csp_core.errors import CheckpointError, ConfigError
from csp_core.model import IMAGE, PLACE, DualEncoder
from csp_core.model.combine import combine
from csp_core.model.parts import evaluating, out_dim

PLACES, IMAGES, BOTH = OF = ("places", "images", "both")
# Places drawn over the sphere for the check, beside the edges of the map, and pictures.
DRAWN, PICTURES = 240, 12
# How many at a time, beside all of them.
BATCHES = {PLACES: (1, 2, 33), IMAGES: (1, 2, 7), BOTH: (1, 2, 7)}
INPUTS = {
    "lonlat": "({rows}, 2) float32: longitude in [-180, 180] and latitude in [-90, 90], degrees,"
    " WGS84, longitude first; at least one row{unknown}. Nothing checks the range.",
    "date": "({rows},) float32: part of the year in [0, 1), 0 at its first midnight; NaN where"
    " unknown.",
    "hour": "({rows},) float32: part of the day in [0, 1), on the clock of the training records;"
    " NaN where unknown.",
    "image": "({rows}, {shape}) float32 in [0, 1], values of 8 bits divided by 255, integers of"
    " reflectance by 10,000: the largest part in the middle of each picture that has this shape,"
    " scaled to it; bands as in training, red, green, blue of photos.",
    "features": "({rows}, {shape}) float32: what another network computed of each picture, as in"
    " training.",
}
OUTPUTS = {
    "share": "({rows}, classes) float32: of the recordings of the listed classes made at a place,"
    " the part that would be of each; rows sum to 1. Not the chance that a class is present.",
    "relative": "({rows}, classes) float32 in [0, 1]: scores that rank places and classes; no"
    " percentage, and not the chance that a class is present.",
    "probability": "({rows}, classes) float32 in [0, 1]: the probability that a class is in the"
    " label set of a row, each class by itself.",
    "embedding": "({rows}, dimensions) float32: the embedding of a row, not normalised.",
}
OF_PICTURES = "({rows}, classes) float32: the probability of each class, given {what}; rows sum to"
# Each kind of answer by its name in the file.
NAMES = {"relative": "score"}


class Answer(nn.Module):
    """What the file computes: calibrated answers or the embedding, with inputs by position.

    Args:
        model: The model.
        kind: ``share``, ``relative``, ``probability`` or ``embedding``.
        of: A name in ``OF``.
        shape: Of a picture, ``(C, H, W)`` or ``(F,)``; None for places alone.
    """

    def __init__(
        self,
        model: DualEncoder,
        kind: str,
        *,
        of: str = PLACES,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.kind, self.of, self.shape = model, kind, of, shape
        # Who speaks of places: the model itself, or the one that it borrows from.
        self.lent: Any = model if of == PLACES else model.places
        used = {} if shape is None else {"image" if len(shape) == 3 else "features": True}
        if of != IMAGES:
            lent: Any = self.lent
            used |= {"lonlat": True, "date": lent.uses_date, "hour": lent.uses_hour}
        self.inputs = tuple(name for name, uses in used.items() if uses)

    @property
    def rows(self) -> str:
        """What to call a row of inputs and output."""
        return PLACES if self.of == PLACES else IMAGES

    @property
    def output(self) -> str:
        """Name of what the file gives."""
        return NAMES.get(self.kind, self.kind)

    def told(self) -> tuple[dict[str, str], dict[str, str]]:
        """Say what inputs and output are: name to meaning."""
        shape = ", ".join(map(str, self.shape or ()))
        unknown = "; NaN where unknown, which leaves the picture's answer" * (self.of == BOTH)
        words = {"rows": self.rows, "shape": shape, "unknown": unknown}
        said = OUTPUTS[self.kind]
        if self.of != PLACES and self.kind == "share":
            said = f"{OF_PICTURES} 1."
            words["what"] = "its picture" + " and place" * (self.of == BOTH)
        inputs = {name: INPUTS[name].format(**words) for name in self.inputs}
        return inputs, {self.output: said.format(**words)}

    def forward(self, *given: Tensor) -> Tensor:
        """Answer about pictures, ``(N, 2)`` degrees and ``(N,)`` times: ``(N, K)`` or ``(N, dim)``.

        Args:
            *given: As of ``inputs``.
        """
        image, named = self._named(given)
        if image is None:
            return self._of_places(named)
        if self.kind == "embedding":
            return self.model.embed_image(image)
        logits = self.model.divided(self.model.image_logits(image), IMAGE)
        sets = self.model.prior_kind == "probability"
        probs = logits.sigmoid() if sets else logits.softmax(dim=1)
        if self.of == IMAGES:
            return probs
        # Places are asked about in any case, and count where they are known.
        unknown = named["lonlat"].isnan().any(dim=1, keepdim=True)
        named["lonlat"] = named["lonlat"].nan_to_num(0.0)
        both = combine(self.model, probs, self._of_places(named))
        return torch.where(unknown, probs, both)

    def _of_places(self, named: dict[str, Tensor]) -> Tensor:
        if self.kind == "embedding":
            return self.model.embed_location(**named)
        logits = self.lent.divided(self.lent.class_logits(**named), PLACE)
        found: Tensor = logits.softmax(1) if self.lent.prior_kind == "share" else logits.sigmoid()
        return found

    def ours(self, *given: Tensor) -> Tensor:
        """Answer as the model does when it is asked.

        Args:
            *given: As of ``inputs``.

        Returns:
            ``(N, K)`` or ``(N, dim)``.
        """
        image, named = self._named(given)
        if self.kind == "embedding":
            with evaluating(self.model):
                if image is None:
                    return self.model.embed_location(**named)
                return self.model.embed_image(image)
        if image is None:
            return self.model.prior(**named)
        probs = self.model.image_prior(image).clone()
        if self.of == BOTH:
            placed = ~named["lonlat"].isnan().any(dim=1)
            said = self.lent.prior(**{name: column[placed] for name, column in named.items()})
            probs[placed] = combine(self.model, probs[placed], said)
        return probs

    def _named(self, given: tuple[Tensor, ...]) -> tuple[Tensor | None, dict[str, Any]]:
        named = dict(zip(self.inputs, given, strict=True))
        image = named.pop("image", None)
        return named.pop("features", image), named

    def examples(self, seed: int = 0) -> tuple[Tensor, ...]:
        """Draw what to compare the file with the model on.

        Args:
            seed: Of the draw.

        Returns:
            One tensor for each of ``inputs``: places over the sphere and the edges of the map, some
            times unknown; pictures of noise, dark, bright and smooth.
        """
        times = len(self.inputs) - (self.of != PLACES)
        if self.shape is None:
            return draw_places(times, seed)
        pictures = draw_pictures(self.shape, seed)
        if self.of == IMAGES:
            return (pictures,)
        drawn = draw_places(times, seed)
        rows = torch.randperm(len(drawn[0]), generator=torch.Generator().manual_seed(seed))
        lonlat, *rest = (column[rows[:PICTURES]] for column in drawn)
        lonlat[1] = torch.nan
        return (pictures, lonlat, *rest)


def draw_places(count: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Draw places over the sphere and take the edges of the map; with times, some unknown.

    Args:
        count: Of columns: places, and a time for each further one.
        seed: Of the draw.

    Returns:
        ``(N, 2)`` degrees, and ``(N,)`` parts of the year or day.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = geo.sphere_points(torch.rand(DRAWN, 2, generator=generator))
    sides = [(lon, lat) for lon in (-180.0, 180.0) for lat in (-60.0, -1.5, 0.0, 45.0, 78.5)]
    poles = [(lon, lat) for lat in (-90.0, 90.0) for lon in (-180.0, -90.0, 0.0, 36.8, 180.0)]
    lonlat = torch.cat((torch.tensor([*sides, *poles, (0.0, 0.0)]), drawn)).float()
    times = []
    for every in range(3, 2 + count):
        time = torch.rand(len(lonlat), generator=generator)
        time[::every] = torch.nan
        times.append(time)
    return (lonlat, *times)


def draw_pictures(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Draw pictures of noise of different strength, dark, bright and smooth ones, or features.

    Args:
        shape: ``(C, H, W)`` or ``(F,)``.
        seed: Of the draw.

    Returns:
        ``(12, *shape)`` in [0, 1]; of features, normally distributed numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    if len(shape) == 1:
        return torch.randn(PICTURES, *shape, generator=generator)
    found = torch.rand(PICTURES, *shape, generator=generator)
    found[1::2] = found[1::2] * torch.rand(len(found[1::2]), 1, 1, 1, generator=generator)
    ramp = torch.linspace(0, 1, shape[-1])
    for row, smooth in enumerate((torch.zeros(()), torch.ones(()), ramp, ramp.flip(0))):
        found[2 * row] = smooth.expand(shape)
    return found


def answer_of(
    model: DualEncoder, *, of: str | None = None, embedding: bool = False, side: int | None = None
) -> Answer:
    """Tell what a file is to compute, or why a model has no such answer.

    Args:
        model: The model, in evaluation mode.
        of: A name in ``OF``; None for places where the model knows them, else pictures.
        embedding: Whether to give the embedding though the model has classes.
        side: Of pictures, pixels, where the model names none.

    Returns:
        What the file computes.

    Raises:
        ConfigError: If there is no such part, both are to be embedded at once, or the side is asked
            for where there is none to choose.
        CheckpointError: If the model has no such answer.
    """
    if of is not None and of not in OF:
        raise ConfigError(f"Of {of!r}: give {', '.join(OF[:-1])} or {OF[-1]}.")
    if model.location is None and model.image is None:
        raise CheckpointError(
            f"Model {model.name!r} knows nothing of places or pictures, of which alone files are"
            " written; `csp models` lists models that do."
        )
    of = of or (IMAGES if model.location is None else PLACES)
    if of == PLACES:
        if model.location is None:
            raise CheckpointError(
                f"Model {model.name!r} knows nothing of places; --of images writes what it says of"
                " pictures."
            )
        if side is not None:
            raise ConfigError("--side is that of pictures, and places have none: leave it out.")
        has_classes = model.classifier is not None
        return Answer(model, model.prior_kind if has_classes and not embedding else "embedding")
    shape = _shape(model, side)
    if of == BOTH:
        if embedding:
            raise ConfigError("Pictures and places have an embedding each: give --of one of them.")
        if model.image_classifier is None or model.places is None:
            raise CheckpointError(
                f"Model {model.name!r} does not rank its classes by picture and place together:"
                " --of places and --of images write each by itself."
            )
    kind = "embedding" if embedding or model.image_classifier is None else "share"
    if kind == "embedding" and model.image_head is None:
        raise CheckpointError(
            f"Model {model.name!r} has no projection head on its image side, so its pictures have"
            " no embedding: leave --embedding out."
        )
    if kind == "share" and model.prior_kind == "probability":
        kind = "probability"
    return Answer(model, kind, of=of, shape=shape)


def _shape(model: DualEncoder, side: int | None) -> tuple[int, ...]:
    """Tell the shape of a picture, or why pictures are not written."""
    image = model.image
    if image is None:
        raise CheckpointError(f"Model {model.name!r} sees no pictures; --of places writes it.")
    if model.image_classifier is None and model.pixel_classifier is not None:
        raise CheckpointError(
            f"Model {model.name!r} tells the class of each pixel, and maps of pixels are not"
            " written as ONNX: `csp segment` draws them."
        )
    if getattr(image, "takes_series", False):
        raise CheckpointError(
            f"Model {model.name!r} looks at series of dates, which are not written as ONNX; models"
            " of single pictures are."
        )
    bands = getattr(image, "bands", None)
    if not isinstance(bands, int):
        raise CheckpointError(
            f"Model {model.name!r} has an image encoder of its own, which does not say how many"
            " bands it takes: give it an integer attribute bands."
        )
    own = _own_shape(model, image, bands)
    if own is not None:
        if side not in (None, own[-1]):
            raise ConfigError(
                f"--side is {side}, and model {model.name!r} takes {' × '.join(map(str, own))}:"
                " leave --side out."
            )
        return own
    if side is None:
        raise ConfigError(
            f"Model {model.name!r} does not say how large its pictures are: give --side with the"
            " pixels of a side."
        )
    if not 8 <= side <= 4096:
        raise ConfigError(f"--side is {side}; give 8 to 4096 pixels.")
    return (bands, side, side)


def _own_shape(model: DualEncoder, image: nn.Module, bands: int) -> tuple[int, ...] | None:
    """Tell the shape of pictures that a model was made for, or None where it names none."""
    if not getattr(image, "sees_pixels", True):
        return (out_dim(image),)
    if model.image_stats is not None:
        height, width = model.image_stats.size.tolist()
        return (bands, int(height), int(width))
    size: int | None = getattr(image, "size", None)
    return (bands, size, size) if size else None
