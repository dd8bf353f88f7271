"""A scene that a model has looked at as a whole: classes, areas, doubt, and what is alike in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import HeldScene
from csp_core.errors import BadRecordError
from csp_core.image.pixels import to_unit
from csp_core.inference.segment.areas import AreaSums, ClassArea
from csp_core.inference.segment.ask import Segmented, embed_picture, segment, takes_series
from csp_core.inference.segment.likeness import LikePlace, component_picture, like_places
from csp_core.model import DualEncoder

# A scene whose pixels are this many times as large or small as the model's is another thing.
FAR_METRES = 1.5
# In standard deviations of the training pixels: so far off a band's mean may lie, and by this
# factor its spread may differ.
FAR_MEAN, FAR_SPREAD = 2.0, 4.0
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True, eq=False)
class SeenScene:
    """What a model says of a scene.

    Args:
        found: Probabilities, classes and doubt of every pixel.
        areas: How much of it each class covers, in square metres, or in pixels of a scene that
            lies on no known grid.
        placed: Whether the areas are square metres.
        names: The classes.
    """

    found: Segmented
    areas: tuple[ClassArea, ...]
    placed: bool
    names: tuple[str, ...]

    def at(self, row: int, column: int) -> list[tuple[int, float]]:
        """Give the probability of each class at a pixel, the most probable first.

        Args:
            row: Row of the pixel.
            column: Its column.

        Returns:
            Number of each class, and its probability; none where there is no data.
        """
        if not bool(self.found.valid[row, column]):
            return []
        probs = self.found.probs[:, row, column].tolist()
        return sorted(enumerate(probs), key=lambda pair: -pair[1])

    def is_doubtful(self, row: int, column: int) -> bool:
        """Tell whether no class is probable enough at a pixel."""
        return bool(self.found.doubtful[row, column])

    def shares(self) -> tuple[float, float]:
        """Give the parts of the scene that have data, and of these, that are doubtful."""
        valid = self.found.valid
        there = int(valid.sum())
        return there / valid.numel(), int(self.found.doubtful.sum()) / max(1, there)


@dataclass(frozen=True, eq=False)
class LearnedScene:
    """What a model makes of the parts of a scene, in cells of some pixels.

    Args:
        vectors: ``(dim, h, w)`` embedding of each cell.
        valid: ``(h, w)`` bool, whether a cell has data.
        cell: Pixels a side of a cell.
        colours: ``(3, h, w)`` uint8, see ``component_picture``.
    """

    vectors: Tensor
    valid: Tensor
    cell: int
    colours: Tensor

    def like(self, row: int, column: int, count: int = 6) -> tuple[LikePlace, ...]:
        """Find the places that are most like a pixel.

        Args:
            row: Row of the pixel.
            column: Its column.
            count: How many at the most.

        Returns:
            The pixels in the middle of their cells, the most alike first; none where the pixel has
            no data.
        """
        cell = self.cell
        try:
            found = like_places(self.vectors, self.valid, row // cell, column // cell, count=count)
        except BadRecordError:
            return ()
        middle = cell // 2
        return tuple(
            LikePlace(one.row * cell + middle, one.column * cell + middle, one.likeness)
            for one in found
        )


def look(model: DualEncoder, scene: HeldScene, ground: Ground | None) -> SeenScene:
    """Ask a model for the class of every pixel of a scene.

    Args:
        model: A model of pixels.
        scene: The scene.
        ground: Its grid; None for one that lies on no known grid.

    Returns:
        What it says.

    Raises:
        ConfigError: If the model has no classifier of pixels.
        BadRecordError: If the scene has other bands than the model.
    """
    check_bands(model, scene)
    image, valid = _tensors(scene)
    found = segment(model, image, valid=valid)
    sums = AreaSums(model.classes.names)
    facts, size = scene.facts, None
    if ground is not None:
        size = _tensor(ground.areas(0, 0, facts.height, facts.width))
    sums.add(found.probs, found.valid, size)
    names = zip(model.classes.names, model.classes.common_names, strict=True)
    shown = tuple(common or name for name, common in names)
    return SeenScene(found, sums.results(), ground is not None, shown)


def learn(model: DualEncoder, scene: HeldScene) -> LearnedScene:
    """Ask a model what it makes of the parts of a scene.

    Args:
        model: A model of pixels.
        scene: The scene.

    Returns:
        Embeddings of cells.

    Raises:
        BadRecordError: If the scene has other bands than the model.
    """
    check_bands(model, scene)
    image, valid = _tensors(scene)
    vectors, there, cell = embed_picture(model, image, valid=valid)
    return LearnedScene(vectors, there, cell, component_picture(vectors, there))


def check_bands(model: DualEncoder, scene: HeldScene) -> None:
    """Refuse a scene that a model cannot take at all.

    Args:
        model: A model of pixels.
        scene: The scene.

    Raises:
        BadRecordError: If the model takes series, or other bands.
    """
    if takes_series(model):
        raise BadRecordError(
            f"Model {model.name} looks at several dates of one place at a time, and a scene is one:"
            " `csp segment` takes a file for each date."
        )
    bands, wanted = scene.facts.bands, int(getattr(model.image, "bands", 0))
    if bands != wanted:
        names = " (red, green, blue)" if wanted == 3 else ""
        raise BadRecordError(
            f"The scene has {_bands(bands)}, and model {model.name} takes {wanted}{names}: give a"
            " scene with the bands that it learned from, in their order."
        )


def misfits(
    model: DualEncoder, scene: HeldScene, metres: float | None, learned_metres: float | None
) -> list[str]:
    """Say what speaks against asking a model about a scene that it can take.

    Args:
        model: A model of pixels.
        scene: The scene, of as many bands as the model's.
        metres: Side of one of its pixels on the ground, or None where that is not known.
        learned_metres: The same of those that the model learned from.

    Returns:
        A sentence for each reason; none where nothing does.
    """
    told = []
    if metres and learned_metres and not 1 / FAR_METRES < metres / learned_metres < FAR_METRES:
        told.append(
            f"A pixel of this scene is {_metres(metres)} wide on the ground, and those that the"
            f" model learned from are {_metres(learned_metres)}: what it knows by its size and"
            " texture looks otherwise here."
        )
    mean, std = getattr(model.image, "mean", None), getattr(model.image, "std", None)
    image, valid = _tensors(scene)
    if mean is None or std is None or not bool(valid.any()):
        return told
    pixels = to_unit(image[:, valid]).double()
    learned = mean.flatten().double(), std.flatten().double()
    offs = (pixels.mean(dim=1) - learned[0]) / learned[1]
    spreads = pixels.std(dim=1, correction=0) / learned[1]
    for band, (off, spread) in enumerate(zip(offs.tolist(), spreads.tolist(), strict=True)):
        if why := _why_far(off, spread):
            name = f"The {COLOURS[band]}" if len(offs) == len(COLOURS) else f"Band {band + 1}"
            told.append(f"{name} of this scene {why} the pictures that the model learned from.")
    return told


def _why_far(off: float, spread: float) -> str:
    if not (math.isfinite(off) and math.isfinite(spread)):
        return "holds no numbers, unlike"
    if abs(off) > FAR_MEAN:
        return f"is far {'brighter' if off > 0 else 'darker'} than in"
    if spread > FAR_SPREAD:
        return "differs far more from pixel to pixel than in"
    return "hardly differs from pixel to pixel, unlike in" if spread < 1 / FAR_SPREAD else ""


def _metres(side: float) -> str:
    return f"{side:,.0f} m" if side >= 10 else f"{side:.2g} m"


def _bands(number: int) -> str:
    return "one band" if number == 1 else f"{number} bands"


def _tensors(scene: HeldScene) -> tuple[Tensor, Tensor]:
    return _tensor(scene.values), _tensor(scene.valid)


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def class_order(areas: Sequence[ClassArea]) -> list[int]:
    """Give the numbers of the classes, the one that covers most first."""
    return sorted(range(len(areas)), key=lambda number: -areas[number].counted)
