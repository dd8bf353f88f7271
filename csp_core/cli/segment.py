"""The command on scenes: the class of every pixel of a picture from above, as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from csp_core.cli.console import AsJson, ModelArgument, app, clearing_up, err, out, print_json
from csp_core.errors import BadRecordError

Scenes = Annotated[
    list[Path],
    typer.Argument(metavar="IN...", help="GeoTIFF, PNG, JPEG or JPEG 2000, or folders of these."),
]
Output = Annotated[
    Path, typer.Argument(metavar="OUT", help="The .tif to write; of several scenes a folder.")
]
Probabilities = Annotated[
    bool, typer.Option("--probabilities", help="Write a band a class beside each map, too.")
]
Bits = Annotated[int, typer.Option(help="Of a stored probability: 8 or 16.")]
Polygons = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Polygons to write: .gpkg or .geojson.")
]
Smallest = Annotated[int, typer.Option(help="Pixels of the smallest polygon.")]
Areas = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Areas by class to write, as .csv.")
]
Window = Annotated[
    int | None, typer.Option(help="Side of a window, pixels, a multiple of 32; 512 if left out.")
]
Overlap = Annotated[
    int | None, typer.Option(help="Pixels that windows share, a multiple of 32; 64 if left out.")
]
Doubtful = Annotated[
    float, typer.Option(help="A pixel whose largest probability is below this is doubtful.")
]
Dask = Annotated[
    str | None,
    typer.Option(
        help="Compute through Dask: threads, processes, or the address of a cluster's scheduler,"
        " whose machines see the same files, such as tcp://host:8786."
    ),
]


@app.command()
def segment(
    model: ModelArgument,
    scenes: Scenes,
    output: Output,
    probabilities: Probabilities = False,
    bits: Bits = 8,
    polygons: Polygons = None,
    smallest: Smallest = 1,
    areas: Areas = None,
    window: Window = None,
    overlap: Overlap = None,
    doubtful: Doubtful = 0.5,
    dask: Dask = None,
    as_json: AsJson = False,
) -> None:
    """Say of every pixel of a picture from above what it shows, and write a map.

    Of a model that looks at several dates of one place, IN are these dates, named by their day.
    """
    from csp_core.inference.segment import takes_series
    from csp_core.raster import read_credit
    from csp_core.raster.scenes import Drawing, Wanted, draw_maps, learned_metres
    from csp_core.raster.scenes import legend_of, list_scenes  # isort: skip
    from csp_core.store import load_model

    loaded = load_model(model)
    wanted = Wanted(output, probabilities, polygons, areas, smallest)
    told = learned_metres(model), dask, read_credit(model)
    drawing = Drawing(window, overlap, doubtful, bits, *told)
    found = list_scenes(scenes)
    days: tuple[float | None, ...] = ()
    if takes_series(loaded):
        found, days = _dated(found)
    with _bar() as tell, clearing_up():
        report = draw_maps(
            loaded,
            found,
            wanted,
            legend_of(model, loaded.classes),
            days=days,
            drawing=drawing,
            progress=tell,
        )
    if as_json:
        print_json(report.to_dict())
    else:
        _say(report, wanted)
    if report.failed:
        raise BadRecordError(report.complaint())


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    """Draw a bar of the windows of the scene at hand, where there is a terminal to draw on."""
    shown = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    live = {"console": err, "transient": True, "disable": not err.is_terminal}
    with Progress(*shown, TimeRemainingColumn(), **live) as bar:  # type: ignore[arg-type]
        task = bar.add_task("Windows", total=None)
        yield lambda name, done, total: bar.update(
            task, description=name, completed=done, total=total
        )


def _dated(scenes: Sequence[Path]) -> tuple[list[Path], tuple[float | None, ...]]:
    """Sort the dates of a place by the days in their names, and give the parts of the year."""
    import datetime

    from csp_core.data.pictures import parts_of_time
    from csp_core.data.series.stack import day_in

    days = [day_in(scene.stem) for scene in scenes]
    known = sorted((day, scene) for day, scene in zip(days, scenes, strict=True) if day)
    if len(known) < len(scenes):
        bare = next(scene for day, scene in zip(days, scenes, strict=True) if day is None)
        raise BadRecordError(
            f"{bare.name} names no day, and this model looks at several dates of one place: name"
            " each scene by its day, such as 2024-05-17."
        )
    noon = datetime.time()
    parts = [parts_of_time(datetime.datetime.combine(day, noon))[0] for day, _ in known]
    return [scene for _, scene in known], tuple(parts)


def _say(report: Any, wanted: Any) -> None:
    def say(sentence: str) -> None:
        out.print(sentence, markup=False, highlight=False)

    for one in report.maps:
        say(f"Wrote {one.path} by {one.model}.")
        unit, scale, digits = _unit(one)
        table = Table("class", "share", unit, "expected", "from", "to")
        order = sorted(one.areas, key=lambda area: -area.counted)
        for area in (area for area in order if area.pixels or area.expected):
            values = (area.counted, area.expected, area.low, area.high)
            table.add_row(
                Text(area.name),
                f"{area.share:.1%}",
                *(f"{value / scale:,.{digits}f}" for value in values),
            )
        out.print(table)
        if one.no_data:
            say(f"{one.no_data:.1%} of the pixels have no data, and no class.")
        say(f"{one.doubtful:.1%} of the area is doubtful: no class is probable enough there.")
        for note in one.notes:
            say(note)
    if report.maps:
        say(report.to_dict()["interval"])
    if report.polygons is not None:
        noun = "polygon" if report.polygons == 1 else "polygons"
        say(f"Wrote {report.polygons:,} {noun} to {wanted.polygons}.")
    if wanted.areas is not None and report.maps:
        say(f"Wrote the areas to {wanted.areas}.")


def _unit(one: Any) -> tuple[str, int, int]:
    """Choose the unit of a map's areas, how many of the report's it has, and digits."""
    if not one.placed:
        return "pixels", 1, 0
    return ("ha", 10_000, 1) if sum(area.counted for area in one.areas) >= 10_000 else ("m²", 1, 1)
