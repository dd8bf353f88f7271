"""The command on clusters: what a model has learned of places, grouped, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from csp_core.cli.console import AsJson, ModelArgument, app, clearing_up, err, out, print_json
from csp_core.cli.models import DATE_CHANGES_NOTHING, part_of_year

WORDS = {
    "sample": "Spreading places",
    "embed": "Embedding places",
    "cluster": "Grouping them",
    "project": "Laying them out",
    "describe": "Describing the clusters",
    "measure": "Measuring the clusters",
    "write": "Writing",
}

Output = Annotated[
    Path,
    typer.Argument(metavar="OUT", help=".parquet, .geojson, .gpkg, .csv, .tif or .png, to write."),
]
MinSize = Annotated[int | None, typer.Option(help="Points of the smallest cluster, for hdbscan.")]
Step = Annotated[float | None, typer.Option(help="Take cells of this side in degrees instead.")]
Edges = Annotated[
    tuple[float, float, float, float],
    typer.Option(metavar="W S E N", help="Degrees; W above E crosses the antimeridian."),
]
Polygons = Annotated[
    bool, typer.Option("--polygons", help="Areas in the place of points (.geojson, .parquet).")
]


OfSeries = Annotated[
    bool,
    typer.Option(
        "--series", help="Of a run with training.space_every: its space epoch by epoch, as .csv."
    ),
]


@app.command()
def clusters(
    model: ModelArgument,
    output: Output,
    method: Annotated[str, typer.Option(help="kmeans or hdbscan.")] = "kmeans",
    count: Annotated[int, typer.Option("--clusters", help="How many, for kmeans.")] = 8,
    min_size: MinSize = None,
    points: Annotated[int, typer.Option(help="Places, each of an equal area.")] = 4000,
    step: Step = None,
    seed: Annotated[int, typer.Option(help="Of kmeans and umap.")] = 0,
    where: Annotated[str, typer.Option(help="land or world.")] = "land",
    bounds: Edges = (-180, -90, 180, 90),
    projection: Annotated[str, typer.Option(help="pca or umap, of the columns x and y.")] = "pca",
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
    polygons: Polygons = False,
    series: OfSeries = False,
    as_json: AsJson = False,
) -> None:
    """Group places by what a model has learned of them, and write the groups."""
    from csp_core.files.writing import check_writable
    from csp_core.inference.clusters import check_ending, embedding_clusters, write_clusters
    from csp_core.raster import read_credit
    from csp_core.store import load_model

    if series:
        _write_series(model, output, count, seed, as_json=as_json)
        return
    check_ending(output, polygons=polygons)
    check_writable(output)
    loaded, credit, when = load_model(model), read_credit(model), part_of_year(date)
    options: dict[str, Any] = {"method": method, "where": where, "projection": projection}
    options |= {"count": count, "min_size": min_size, "points": points, "step": step, "seed": seed}
    shown = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*shown, console=err, transient=True) as bar, clearing_up():
        task = bar.add_task(WORDS["sample"], total=1.0)

        def tell(stage: str, part: float) -> None:
            bar.update(task, description=WORDS.get(stage, WORDS["write"]), completed=part)

        found = embedding_clusters(loaded, bounds=bounds, date=when, progress=tell, **options)
        write_clusters(found, output, polygons=polygons, **vars(credit))
    told = {"path": str(output), **found.to_dict()}
    told["ignored_date"] = bool(date) and not loaded.uses_date
    if as_json:
        print_json(told)
    else:
        _say(told)


def _write_series(name: str, output: Path, count: int, seed: int, *, as_json: bool) -> None:
    from csp_core.errors import ConfigError
    from csp_core.files.writing import check_writable
    from csp_core.inference.clusters.series import find_frames, run_of, unfold, write_series
    from csp_core.raster import read_credit
    from csp_core.runs.jobs import find_run
    from csp_core.store import find_model, list_models
    from csp_core.store.hub import is_hub_name

    if output.suffix.lower() != ".csv":
        raise ConfigError(f"A series is written as .csv, and {output.name!r} is none.")
    check_writable(output)
    known = {info.name for info in list_models()}
    is_model = name in known or is_hub_name(name) or Path(name, "config.json").is_file()
    run = run_of(find_model(name)) if is_model else find_run(name)
    film = unfold(find_frames(run), count=count, seed=seed)
    # A run that goes on has no model yet, so no licence.
    folder = find_model(name) if is_model else run.model
    licence = read_credit(folder).license if (folder / "config.json").is_file() else ""
    title = name if name in known else run.path.name
    with clearing_up():
        write_series(film, output, model=title, license=licence)
    told = film.to_dict()
    if as_json:
        print_json({"path": str(output), **told})
        return
    table = Table("epoch", "clusters", "agreement with the last")
    for frame in told["frames"]:
        table.add_row(frame["title"], str(frame["clusters"]), f"{frame['agreement']:.2f}")
    out.print(table)
    out.print("Agreement: adjusted Rand index, 1 is the same and 0 is chance.", highlight=False)
    out.print(f"Wrote {told['points']} places of {len(told['frames'])} epochs to {output}.")


def _say(told: dict[str, Any]) -> None:
    table = Table("cluster", "area, million km²", "share", "what it is", "typical classes (lift)")
    for fact in told["facts"]:
        classes = [f"{c['common_name'] or c['taxon']} ({c['lift']:.1f}x)" for c in fact["classes"]]
        table.add_row(
            "–" if fact["label"] < 0 else str(fact["label"]),
            f"{fact['area_km2'] / 1e6:.2f}",
            f"{fact['share']:.0%}",
            fact["name"],
            ", ".join(classes[:3]) or "–",
        )
    out.print(table)
    measured = told["quality"]
    for sentence in (*measured["sentences"].values(), measured["caution"]):
        out.print(sentence, highlight=False)
    if told["ignored_date"]:
        out.print(DATE_CHANGES_NOTHING, highlight=False)
    out.print(f"Wrote {told['points']} places of {told['model']} to {told['path']}.")
