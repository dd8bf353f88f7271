"""The command on maps: a class of a model as a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from csp_core.cli.console import AsJson, ModelArgument, app, clearing_up, err, out, print_json
from csp_core.cli.models import DATE_CHANGES_NOTHING, part_of_year
from csp_core.errors import ConfigError, UnknownNameError

RASTER_FIELDS = (
    *("model", "taxon", "common_name", "kind", "unit", "date"),
    *("bounds", "step", "width", "height"),
)


@app.command()
def heatmap(
    model: ModelArgument,
    taxon: Annotated[str, typer.Argument(help="Scientific or common name, or class number.")],
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to write: .tif, .geojson, .png or .zarr.")
    ],
    step: Annotated[float, typer.Option(help="Side of a cell, degrees.")] = 0.5,
    bounds: Annotated[
        tuple[float, float, float, float],
        typer.Option(metavar="W S E N", help="Degrees; W above E crosses the antimeridian."),
    ] = (-180, -90, 180, 90),
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
    threshold: Annotated[
        str | None, typer.Option(help="A value, or max_tss or recall_90 fitted to --records.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="Occurrence records the model has not learned from.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Simplify polygons, degrees; 0 keeps every cell.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write where a class is to be expected, as a raster, polygons or a picture."""
    from csp_core.raster import check_writable, find_class, read_credit
    from csp_core.store import load_model

    _check_options(output.suffix.lower(), output, threshold, tolerance)
    check_writable(output)
    loaded = load_model(model)
    if not len(loaded.classes):
        raise ConfigError(
            f"Model {loaded.name!r} ranks no classes, so it has no map of one: fine-tune it on"
            " labelled records by a run whose model.init_from names it."
        )
    find_class(loaded, taxon)
    limit = _threshold(model, loaded, taxon, threshold, records)
    where = {"bounds": bounds, "step": step, "date": part_of_year(date)}
    with err.status("Computing the map …"), clearing_up():
        told = _write(loaded, taxon, output, where, limit, read_credit(model), tolerance)
    if limit is not None:
        told["threshold"] = limit.to_dict()
    told["ignored_date"] = bool(date) and not loaded.uses_date
    if as_json:
        print_json(told)
    else:
        _say(told)


def _check_options(suffix: str, output: Path, threshold: str | None, tolerance: float) -> None:
    from csp_core.raster import WRITERS

    endings = (*WRITERS, ".zarr")
    if suffix not in endings:
        raise ConfigError(f"{output} has no known ending; give one of {', '.join(endings)}.")
    if suffix == ".geojson" and threshold is None:
        raise ConfigError(
            "GeoJSON holds the area above a threshold; give --threshold, such as 0.02, or max_tss"
            " with --records FILE."
        )
    if tolerance and suffix != ".geojson":
        raise ConfigError("--tolerance simplifies polygons, which only .geojson has.")


def _write(
    model: Any,
    taxon: str,
    output: Path,
    where: Mapping[str, Any],
    threshold: Any,
    credit: Any,
    tolerance: float,
) -> dict[str, Any]:
    from csp_core import raster as rasters

    options = {"threshold": threshold, "credit": credit}
    suffix = output.suffix.lower()
    told: dict[str, Any] = {"path": str(output)}
    if suffix == ".zarr":
        about = rasters.write_zarr(model, taxon, output, **where, **options)
        return told | {name: value for name, value in about.items() if name in RASTER_FIELDS}
    raster = rasters.heatmap(model, taxon, **where)
    if suffix == ".geojson":
        options["tolerance"] = tolerance
    rasters.WRITERS[suffix](raster, output, **options)
    told |= raster.to_dict()
    told["largest_value"] = float(raster.values.max())
    known = raster.support_known
    share = float(raster.extrapolated.float().mean()) if known else None
    told["extrapolated_share_of_cells"] = share
    if threshold is not None:
        area = raster.area_km2(threshold.value, extrapolated=True) if known else None
        told["area_above_threshold_km2"] = raster.area_km2(threshold.value)
        told["of_which_extrapolated_km2"] = area
    return told


def _threshold(name: str, model: Any, taxon: str, text: str | None, records: Path | None) -> Any:
    """Read or fit the threshold that the options ask for."""
    from csp_core import raster as rasters

    if text is None:
        if records is not None:
            raise ConfigError("--records serves to fit a threshold; add --threshold max_tss.")
        return None
    try:
        value = float(text)
    except ValueError:
        if text not in rasters.THRESHOLDS:
            known = [*rasters.THRESHOLDS, "a value from 0 to 1"]
            raise UnknownNameError("threshold", text, known) from None
        if records is None:
            raise ConfigError(
                f"--threshold {text} is fitted to records that the model has not learned from; give"
                " them by --records FILE."
            ) from None
        held_out = rasters.read_held_out(name, records)
        return rasters.fit_class_threshold(model, taxon, held_out, text)
    if records is not None:
        raise ConfigError(f"--threshold {text} needs no --records; leave one of the two out.")
    return rasters.given_threshold(value)


def _say(told: Mapping[str, Any]) -> None:
    from csp_core.inference import VALUE_MEANING

    def say(sentence: str) -> None:
        out.print(sentence, markup=False, highlight=False)

    say(f"Wrote {told['taxon']} by {told['model']} to {told['path']}.")
    say(VALUE_MEANING[told["kind"]])
    limit = told.get("threshold")
    if limit and limit["recall"] is not None:
        say(
            f"Threshold {limit['value']:.4g} ({limit['method']}): of {limit['presences']} held-out"
            f" records of it {limit['recall']:.0%} lie above, of {limit['background']} of others"
            f" {limit['specificity']:.0%} below."
        )
    area = told.get("area_above_threshold_km2")
    if area is not None and limit:
        if area:
            part = told["of_which_extrapolated_km2"]
            where = "where the model extrapolates is not known"
            if part is not None:
                where = f"of which {part / area:.0%} where the model extrapolates"
            say(
                f"Area above the threshold of {limit['value']:.4g}: {area:,.0f} km², {where}."
                " It is not the size of a range."
            )
        else:
            say(
                f"No cell reaches the threshold of {limit['value']:.4g}; the largest value is"
                f" {told['largest_value']:.4g}. The area is 0 km²."
            )
    if told["ignored_date"]:
        say(DATE_CHANGES_NOTHING)
