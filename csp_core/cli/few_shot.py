"""The command that learns a species from a handful of places."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from csp_core.cli.console import AsJson, app, clearing_up, err, out, print_json
from csp_core.errors import BadRecordError, ConfigError

PlacesFile = Annotated[
    Path,
    typer.Argument(metavar="PLACES", help="File of records where it was seen; absences count too."),
]
Encoder = Annotated[
    str | None,
    typer.Argument(help="A bundled model, model directory or run with a location encoder."),
]
Distance = Annotated[
    bool,
    typer.Option(
        help="Whether places count for less as they lie far from where it was seen; without, places"
        " alike are found anywhere in the world."
    ),
]


@app.command("few-shot")
def few_shot(
    places: PlacesFile,
    model: Encoder = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Model directory to write.")
    ] = None,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="Map to write: .tif, .geojson or .png."),
    ] = None,
    absences: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File of places where it was looked for and not seen."),
    ] = None,
    name: Annotated[str, typer.Option(help='Of the species, as in "Genus species".')] = "",
    background: Annotated[
        str, typer.Option(help="What its places are told from: land, world or target-group.")
    ] = "land",
    distance: Distance = True,
    step: Annotated[float, typer.Option(help="Side of a cell of the map, degrees.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Of the draw of the background.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Learn where a species lives from a handful of places, as a model and a map."""
    from csp_core.inference.few_shot import DEFAULT_ENCODER
    from csp_core.inference.few_shot import few_shot as learn
    from csp_core.store import load_model

    _check_files(output, map_file)
    model = model or DEFAULT_ENCODER
    seen, missed, named, reports = _read(places, absences, name)
    loaded = load_model(model)
    with err.status("Learning …"), clearing_up():
        found = learn(
            loaded,
            seen,
            missed,
            name=name or named or "Unnamed species",
            background=background,
            distance=distance,
            seed=seed,
        )
        told: dict[str, Any] = found.to_dict() | {"read": reports}
        if output is not None:
            told["model"] = str(_save(found, model, output))
        if map_file is not None:
            told["map"] = _map(found, model, map_file, step)
    if as_json:
        print_json(told)
    else:
        _say(found, told)


def _check_files(output: Path | None, map_file: Path | None) -> None:
    """Check what is to be written before anything is computed."""
    from csp_core.raster import WRITERS, check_writable

    if output is not None and output.exists():
        raise ConfigError(f"{output} is there already, and it stays as it is: give another --out.")
    if map_file is not None:
        if map_file.suffix.lower() not in WRITERS:
            endings = ", ".join(WRITERS)
            raise ConfigError(f"{map_file} has no known ending; give one of {endings}.")
        check_writable(map_file)


def _read(places: Path, absences: Path | None, name: str) -> tuple[Any, Any, str, dict[str, Any]]:
    """Read the places and, from a file of its own, where it was not seen."""
    from csp_core.data.reading.places import read_places

    found = read_places(places, name)
    if not found.seen and not found.missed and found.left_out:
        why = "; ".join(f"{many:,}: {reason}" for reason, many in found.left_out.items())
        raise BadRecordError(f"no record of it is a place ({why})", file=places.name)
    reports = {"places": found.to_dict()}
    missed = list(found.missed)
    if absences is not None:
        others = read_places(absences, all_missed=True)
        reports["absences"] = others.to_dict()
        missed += others.missed
    return found.seen, missed, found.name, reports


def _save(found: Any, base: str, output: Path) -> Path:
    from csp_core.inference.few_shot import card_of
    from csp_core.store import save_derived

    return save_derived(found.model, output, base=base, **card_of(found))


def _map(found: Any, base: str, path: Path, step: float) -> dict[str, Any]:
    from csp_core.raster import WRITERS, FewShotGrid, Threshold, read_credit

    dry = found.ground.background.kind != "world"
    raster = FewShotGrid(found.ground, step=step, land_only=dry).heatmap(found)
    limit = Threshold(found.chosen.threshold, "left_out")
    WRITERS[path.suffix.lower()](raster, path, threshold=limit, credit=read_credit(base))
    area = raster.area_km2(limit.value)
    return {"path": str(path), "step": step, "area_above_threshold_km2": area}


def _say(found: Any, told: dict[str, Any]) -> None:
    from csp_core.inference import VALUE_MEANING
    from csp_core.inference.few_shot import kept_of, told_of

    def say(sentence: str) -> None:
        out.print(sentence, markup=False, highlight=False)

    for file in told["read"].values():
        for reason, number in file["left_out"].items():
            say(
                f"Left out {number:,} of {file['rows_read']:,} records of {file['file']}: {reason}."
            )
    say(f"{told['taxon']}:")
    for sentence in told_of(found):
        say(sentence)
    if "model" in told:
        say(f"Saved the model to {told['model']}. {kept_of(found)}")
    if "map" in told:
        say(
            f"Wrote the map to {told['map']['path']}; the area above the threshold is"
            f" {told['map']['area_above_threshold_km2']:,.0f} km². {VALUE_MEANING['relative']}"
        )
