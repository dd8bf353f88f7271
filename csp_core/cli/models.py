"""Commands on models: list, evaluate and ask about a place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from csp_core.cli.console import AsJson, ModelArgument, app, out, print_json
from csp_core.errors import BadRecordError


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models that can be loaded by name."""
    from csp_core.reports import model_rows

    rows = model_rows()
    if as_json:
        print_json(rows)
        return
    table = Table("name", "kind", "classes", "licence", "what it is")
    for row in rows:
        says = row["problem"] or row["summary"]
        table.add_row(row["name"], row["kind"], str(row["num_classes"]), row["license"], says)
    out.print(table)


@app.command()
def evaluate(
    model: ModelArgument,
    data: Annotated[str, typer.Argument(help="A data set's name, or a file of occurrences.")],
    root: Annotated[Path | None, typer.Option(help="Where a named data set lies.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model's prior on records, by split where the split can be reproduced."""
    from csp_core.reports import evaluate_splits

    report = evaluate_splits(model, data, root=root)
    if as_json:
        print_json(report)
        return
    splits = report["splits"]
    table = Table("", *splits)
    for name in next(iter(splits.values())):
        values = [metrics[name] for metrics in splits.values()]
        table.add_row(name, *(f"{v:.4f}" if isinstance(v, float) else str(v) for v in values))
    out.print(table)
    out.print(report["note"], highlight=False)


@app.command()
def predict(
    model: ModelArgument,
    lon: Annotated[float, typer.Option(help="Longitude, degrees.")],
    lat: Annotated[float, typer.Option(help="Latitude, degrees.")],
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many to list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Rank the classes of a model at a place."""
    from csp_core.checkpoint import load_model
    from csp_core.infer import VALUE_MEANING, describe_place, set_meaning
    from csp_core.support import LEVEL_MEANING

    loaded = load_model(model)
    report = describe_place(loaded, lon, lat, date=_part_of_year(date), top=top)
    if as_json:
        print_json(report.to_dict())
        return
    heading = "share" if report.kind == "share" else "score"
    # Without counts of its records nobody knows where a model extrapolates.
    hidden = report.extrapolates and loaded.support is not None
    table = Table("rank", "taxon", "common name", heading, "lift", "records within 500 km")
    for line in report.results:
        value = f"{line.value:.1%}" if report.kind == "share" else f"{line.value:.4f}"
        table.add_row(
            str(line.rank),
            line.taxon,
            line.common_name,
            "–" if hidden else value,
            "–" if hidden or line.lift is None else f"{line.lift:.1f}x",
            str(line.support) if loaded.support is not None else "–",
        )
    out.print(table)
    if date and not loaded.uses_date:
        out.print("This model has no time input: the date changes nothing.", highlight=False)
    out.print(VALUE_MEANING[report.kind], highlight=False)
    if report.set_size is not None and not report.extrapolates:
        out.print(set_meaning(report.set_size), highlight=False)
    support = f"{report.level} ({LEVEL_MEANING[report.level]})"
    if loaded.support is None:
        support = "not known; the model came without counts of its training records"
    out.print(f"Support: {support}.", highlight=False)


def _part_of_year(date: str | None) -> float | None:
    import datetime

    if date is None:
        return None
    try:
        day = datetime.date.fromisoformat(date)
    except ValueError as error:
        raise BadRecordError(f"--date {date!r} is no date; give YYYY-MM-DD.") from error
    start = datetime.date(day.year, 1, 1)
    return (day - start).days / ((start.replace(year=day.year + 1) - start).days)
