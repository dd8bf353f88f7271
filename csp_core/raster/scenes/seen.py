"""A scene that a model has looked at as a whole: classes, areas, what is alike, its files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import HeldScene
from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.segment import suits
from csp_core.inference.segment.areas import AreaSums
from csp_core.inference.segment.ask import Segmented, embed_picture, segment, takes_series
from csp_core.inference.segment.likeness import LikePlace, component_picture, like_places
from csp_core.model import DualEncoder
from csp_core.raster.output import NO_CREDIT, Credit
from csp_core.raster.scenes.files import class_file, probability_file, stored
from csp_core.raster.scenes.legend import MapLegend
from csp_core.raster.scenes.outlines import outline, write_outlines
from csp_core.raster.scenes.report import MapReport, map_tags
from csp_core.raster.scenes.table import write_areas

PROBABILITIES = "_probabilities.tif"
# What a scene that was looked at can be written to, by the end of the file's name.
SEEN_FILES = (".tif", PROBABILITIES, ".gpkg", ".geojson", ".csv")
BITS = 8


@dataclass(frozen=True, eq=False)
class SeenScene:
    """What a model says of a scene.

    Args:
        found: Probabilities, in float16, classes, in int16, and doubt of every pixel.
        report: How much each class covers, and what is told of the scene.
        names: What to call the classes.
    """

    found: Segmented
    report: MapReport
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

    def coloured(self, colours: tuple[str, ...]) -> SeenScene:
        """Give the same with other colours of the classes, ``#rrggbb``, for its files."""
        legend = replace(self.report.legend, colours=colours)
        return replace(self, report=replace(self.report, legend=legend))


@dataclass(frozen=True, eq=False)
class LearnedScene:
    """What a model makes of the parts of a scene, in cells of some pixels.

    Args:
        vectors: ``(dim, h, w)`` embedding of each cell.
        valid: ``(h, w)`` bool, whether a cell has data.
        cell: Pixels a side of a cell.
        colours: ``(3, h, w)`` uint8, see ``component_picture``.
        size: Rows and columns of the scene.
    """

    vectors: Tensor
    valid: Tensor
    cell: int
    colours: Tensor
    size: tuple[int, int]

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
        cell, (rows, columns) = self.cell, self.size
        try:
            found = like_places(self.vectors, self.valid, row // cell, column // cell, count=count)
        except BadRecordError:
            return ()
        return tuple(
            LikePlace(
                min(one.row * cell + cell // 2, rows - 1),
                min(one.column * cell + cell // 2, columns - 1),
                one.likeness,
            )
            for one in found
        )


def see(
    model: DualEncoder, scene: HeldScene, ground: Ground | None, legend: MapLegend
) -> SeenScene:
    """Ask a model for the class of every pixel of a scene.

    Args:
        model: A model of pixels.
        scene: The scene.
        ground: Its grid; None where nobody knows where it lies.
        legend: Numbers and colours of the classes.

    Returns:
        What it says.

    Raises:
        ConfigError: If the model has no classifier of pixels.
        BadRecordError: If the scene is not of the bands that the model takes.
    """
    check_takes(model, scene)
    found = segment(model, _tensor(scene.values), valid=_tensor(scene.valid))
    sums, facts = AreaSums(model.classes.names), scene.facts
    size = None
    if ground is not None:
        size = _tensor(ground.areas(0, 0, facts.height, facts.width))
    sums.add(found.probs, found.valid, size)
    report = MapReport(
        name=facts.name,
        path="",
        model=model.name,
        legend=legend,
        areas=sums.results(),
        placed=ground is not None,
        facts=facts,
        no_data=1 - float(found.valid.double().mean()),
    )
    # It is kept for as long as somebody looks at it, in a quarter of the memory.
    found = replace(found, probs=found.probs.half(), classes=found.classes.to(torch.int16))
    names = zip(model.classes.names, model.classes.common_names, strict=True)
    return SeenScene(found, report, tuple(common or name for name, common in names))


def learn(model: DualEncoder, scene: HeldScene) -> LearnedScene:
    """Ask a model what it makes of the parts of a scene.

    Args:
        model: A model of pixels.
        scene: The scene.

    Returns:
        Embeddings of cells.

    Raises:
        BadRecordError: If the scene is not of the bands that the model takes.
    """
    check_takes(model, scene)
    vectors, there, cell = embed_picture(model, _tensor(scene.values), valid=_tensor(scene.valid))
    size = scene.facts.height, scene.facts.width
    return LearnedScene(vectors, there, cell, component_picture(vectors, there), size)


def check_takes(model: DualEncoder, scene: HeldScene) -> None:
    """Refuse a scene that a model cannot take at all.

    Args:
        model: A model of pixels.
        scene: The scene.

    Raises:
        BadRecordError: If the model takes series, or other bands.
    """
    if takes_series(model):
        raise BadRecordError(
            f"Model {model.name} looks at several dates of one place at a time, and this is one:"
            " `csp segment` takes a file for each date."
        )
    suits.check_bands(model, scene.facts.bands)


def unlike(
    model: DualEncoder, scene: HeldScene, ground: Ground | None, learned_metres: float | None
) -> tuple[str, ...]:
    """Say in what a scene is unlike those that a model learned from.

    Args:
        model: A model of pixels.
        scene: The scene, of as many bands as the model takes.
        ground: Its grid; None where nobody knows where it lies.
        learned_metres: Side of a pixel of the pictures that the model learned from, or None.

    Returns:
        A sentence for each reason.
    """
    metres = None if ground is None else ground.pixel_metres
    values, valid = _tensor(scene.values), _tensor(scene.valid)
    return suits.misfits(model, values, valid, metres=metres, learned_metres=learned_metres)


def write_seen(
    seen: SeenScene, ground: Ground | None, path: str | Path, credit: Credit = NO_CREDIT
) -> None:
    """Write what a model says of a scene as a file.

    Args:
        seen: What it says.
        ground: The scene's grid, or None.
        path: The file; its name ends in one of ``SEEN_FILES``: a GeoTIFF of classes or, with
            ``_probabilities`` before the ending, of probabilities; polygons; a table of areas.
        credit: Whom the file names.

    Raises:
        ConfigError: If it ends otherwise.
        BadRecordError: If it cannot be written.
    """
    path, report = Path(path), seen.report
    tags = map_tags(report.model, report.name, credit)
    valid = seen.found.valid.numpy()
    if path.name.endswith(PROBABILITIES):
        with probability_file(path, report.facts, report.legend, tags, BITS) as file:
            file.write(0, 0, stored(seen.found.probs.float().numpy(), valid, BITS))
    elif path.suffix == ".tif":
        with class_file(path, report.facts, report.legend, tags) as file:
            file.write(0, 0, report.legend.encode(seen.found.classes.numpy())[None])
    elif path.suffix == ".csv":
        write_areas([report], path)
    elif path.suffix in SEEN_FILES:
        about = "; ".join(f"{name}: {text}" for name, text in tags.items())
        # Outlines are those of a file of classes.
        with tempfile.TemporaryDirectory() as folder:
            classes = Path(folder, "classes.tif")
            write_seen(seen, ground, classes, credit)
            found = outline(classes, report.legend, ground, report.name)
        write_outlines([found], path, report.legend, about)
    else:
        raise ConfigError(f"{path} has another ending than {', '.join(SEEN_FILES)}.")


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    return torch.from_numpy(values if values.flags.writeable else values.copy())
