"""Drawing the maps of several scenes: what cannot be read is told, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from csp_core.data.pictures.ground import Ground
from csp_core.data.pictures.scene import SCENE_ENDINGS
from csp_core.errors import BadRecordError, ConfigError, CspError, DataNotFoundError
from csp_core.files.writing import check_writable
from csp_core.inference.segment.areas import INTERVAL_MEANING
from csp_core.inference.segment.ask import PixelModel, check_pixel_model, takes_series
from csp_core.raster.scenes.draw import draw_map
from csp_core.raster.scenes.legend import MapLegend
from csp_core.raster.scenes.outlines import (
    Outlines,
    check_outlines_ending,
    outline,
    write_outlines,
)
from csp_core.raster.scenes.report import AS_USUAL, Drawing, MapReport
from csp_core.raster.scenes.table import check_areas_ending, write_areas

TIFF = (".tif", ".tiff")
BESIDE = "_probabilities.tif"
MOST_NAMED = 3


@dataclass(frozen=True)
class Wanted:
    """What to write of scenes.

    Args:
        output: A GeoTIFF, or of several scenes a folder.
        probabilities: Whether to write the probabilities beside each map.
        polygons: A GeoPackage or GeoJSON of all maps, or None.
        areas: A CSV of all maps, or None.
        smallest: Pixels of the smallest polygon; smaller ones join the largest beside them.
    """

    output: Path
    probabilities: bool = False
    polygons: Path | None = None
    areas: Path | None = None
    smallest: int = 1


@dataclass(frozen=True)
class MapsReport:
    """What was drawn of several scenes.

    Args:
        maps: What was drawn of each.
        failed: Scene to the reason why its map or its polygons are missing.
        polygons: How many polygons were written, None if none were asked for.
        scenes: How many were asked for.
    """

    maps: tuple[MapReport, ...]
    failed: dict[str, str] = field(default_factory=dict)
    polygons: int | None = None
    scenes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values.

        Returns:
            In the form of ``csp segment --json``.
        """
        return {
            "maps": [one.to_dict() for one in self.maps],
            "failed": self.failed,
            "polygons": self.polygons,
            "interval": INTERVAL_MEANING,
        }

    def complaint(self) -> str:
        """Say which scenes failed and why; ``""`` if none did."""
        if not self.failed:
            return ""
        told = [
            f"{path} ({why.removeprefix(f'{Path(path).name}: ').rstrip('.')})"
            for path, why in self.failed.items()
        ]
        more = "" if len(told) <= MOST_NAMED else f" and {len(told) - MOST_NAMED} more"
        named = "; ".join(told[:MOST_NAMED])
        return f"{len(told)} of {self.scenes} scenes failed: {named}{more}."


def list_scenes(inputs: Sequence[str | Path]) -> list[Path]:
    """List the scenes that are meant: files, and the pictures in folders.

    Args:
        inputs: Files and folders.

    Returns:
        Files; those of a folder sorted by name.

    Raises:
        DataNotFoundError: If a folder holds no picture, or nothing is given.
    """
    found: list[Path] = []
    for path in map(Path, inputs):
        if path.is_dir():
            inside = sorted(
                file
                for file in path.iterdir()
                if file.suffix.lower() in SCENE_ENDINGS and file.is_file()
            )
            if not inside:
                raise DataNotFoundError(
                    f"No picture in {path}; give a folder of {', '.join(SCENE_ENDINGS)}."
                )
            found += inside
        else:
            found.append(path)
    if not found:
        raise DataNotFoundError("No scene was given; give a GeoTIFF, or a folder of them.")
    return found


def draw_maps(
    model: PixelModel,
    scenes: Sequence[Path],
    wanted: Wanted,
    legend: MapLegend,
    *,
    days: Sequence[float | None] = (),
    drawing: Drawing = AS_USUAL,
    progress: Callable[[str, int, int], None] | None = None,
) -> MapsReport:
    """Draw the map of each scene; a model of series takes all of them as dates of one place.

    Args:
        model: A model of pixels.
        scenes: Files, as ``list_scenes`` gives them.
        wanted: What to write.
        legend: Numbers and colours of the classes.
        days: Of series, see ``draw_map``.
        drawing: How to draw.
        progress: Called with the scene's name, how many windows are done, and of how many.

    Returns:
        What was drawn, and which of several scenes could not be.

    Raises:
        ConfigError: If an option does not fit, or a file would be written over a scene.
        CspError: If there is one scene and it fails.
    """
    check_pixel_model(model)
    series = takes_series(model)
    groups = [list(scenes)] if series else [[scene] for scene in scenes]
    targets = _targets(groups, wanted.output)
    _check_files(scenes, targets, wanted)
    maps: list[MapReport] = []
    outlines: list[Outlines] = []
    failed: dict[str, str] = {}
    for group, target in zip(groups, targets, strict=True):
        name = group[0].name
        how: dict[str, Any] = {"days": days, "drawing": drawing}
        if wanted.probabilities:
            how["probabilities"] = _beside(target)
        try:
            told = None if progress is None else _named(progress, name)
            report = draw_map(model, group, target, legend, progress=told, **how)
            maps.append(report)
        except CspError as error:
            if len(groups) == 1:
                raise
            failed[str(group[0])] = str(error)
            continue
        try:
            if wanted.polygons is not None:
                outlines.append(_outline(report, target, legend, wanted.smallest, outlines))
        except CspError as error:
            if len(groups) == 1:
                raise
            why = str(error).removeprefix(f"{name}: ")
            failed[str(group[0])] = f"its map is drawn, its polygons are not: {why}"
    number = None
    if wanted.areas is not None and maps:
        write_areas(maps, wanted.areas)
    if wanted.polygons is not None and outlines:
        about = f"Classes of pixels by the model {model.name}."
        number = write_outlines(outlines, wanted.polygons, legend, about)
    return MapsReport(tuple(maps), failed, number, len(groups))


def _outline(
    report: MapReport, target: Path, legend: MapLegend, smallest: int, others: Sequence[Outlines]
) -> Outlines:
    """Outline a map whose polygons go into one file with those of others."""
    ground = Ground.of(report.facts)
    if others and others[0].placed != report.placed:
        own, first = ("a", "none") if report.placed else ("no", "one")
        raise BadRecordError(
            f"it has {own} grid on the ground, and {others[0].name} in the same file has {first}."
        )
    return outline(target, legend, ground, report.name, smallest=smallest)


def _named(progress: Callable[[str, int, int], None], name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _beside(target: Path) -> Path:
    return target.with_name(target.stem + BESIDE)


def _targets(groups: Sequence[Sequence[Path]], output: Path) -> list[Path]:
    """Name the map of each scene."""
    of_a_file = output.suffix.lower() in TIFF and not output.is_dir()
    if len(groups) == 1 and of_a_file:
        return [output]
    if of_a_file:
        raise ConfigError(
            f"{len(groups)} scenes do not go into one file: give a folder in the place of {output}."
        )
    if output.suffix and not output.is_dir():
        raise ConfigError(f"{output} has no ending of a GeoTIFF: give .tif, or a folder.")
    found = [output / f"{group[0].stem}.tif" for group in groups]
    same = next((path for path in found if found.count(path) > 1), None)
    if same is not None:
        raise ConfigError(
            f"Two scenes would both become {same}: give them names that differ in more than the"
            " ending or the folder."
        )
    return found


def _check_files(scenes: Sequence[Path], targets: Sequence[Path], wanted: Wanted) -> None:
    """Refuse what cannot be written, or would take the place of a scene, before any work."""
    if wanted.polygons is not None:
        check_outlines_ending(wanted.polygons)
    if wanted.areas is not None:
        check_areas_ending(wanted.areas)
    if wanted.smallest < 1:
        raise ConfigError(f"The smallest polygon has {wanted.smallest} pixels; give 1 or more.")
    written = [*targets, *map(_beside, targets if wanted.probabilities else ())]
    written += [path for path in (wanted.polygons, wanted.areas) if path is not None]
    read = {scene.resolve() for scene in scenes}
    taken: set[Path] = set()
    for path in written:
        place = path.resolve()
        if place in read:
            raise ConfigError(f"{path} is one of the scenes: give another name to write.")
        if place in taken:
            raise ConfigError(f"{path} would be written twice: give each file its own name.")
        taken.add(place)
        check_writable(path)
