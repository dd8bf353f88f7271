"""The ``csp`` command: what went wrong is said in one sentence, and no half file is left."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from csp_core.errors import BadRecordError, ConfigError, CspError

app = typer.Typer(
    name="csp",
    help="What does a place tell you about a picture?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run directory or its name.")]


def main() -> None:
    """Run the command; errors meant for people become one line and exit code 1."""
    try:
        app()
    except CspError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted")
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        if os.environ.get("CSP_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (CSP_DEBUG=1 shows where)")


def _fail(sentence: str) -> None:
    err.print(f"Error: {' '.join(sentence.split())}", markup=False, highlight=False)
    sys.exit(1)


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML configuration.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="section.key=value", metavar="key=value")
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where the run lives; runs/NAME-TIME if not given.")
    ] = None,
    detach: Annotated[bool, typer.Option(help="Start it in a process of its own.")] = False,
) -> None:
    """Train a model as configured."""
    from csp_core import jobs
    from csp_core.config import load_config

    settings = load_config(config, overrides or ())
    folder = run_dir or jobs.new_run_dir(settings.name)
    if detach:
        job = jobs.launch(config, overrides or (), run_dir=folder)
        out.print(f"Started {job.path} as process {job.status['pid']}.", highlight=False)
        return
    _train(settings, folder, resume=False)


@app.command()
def resume(
    run: RunArgument,
    detach: Annotated[bool, typer.Option(help="Go on in a process of its own.")] = False,
) -> None:
    """Go on with a run that was stopped or interrupted, as if nothing had happened."""
    from csp_core import jobs
    from csp_core.config import load_config

    found = jobs.find_run(run)
    if found.read_status()["state"] == "finished":
        out.print(f"{found.path} is finished; its model is {found.model}.", highlight=False)
        return
    if detach:
        job = jobs.resume(run)
        out.print(f"Resumed {job.path} as process {job.status['pid']}.", highlight=False)
        return
    _train(load_config(found.config), found.path, resume=True)


def _train(settings: Any, folder: Path, *, resume: bool) -> None:
    from csp_core.train import train as train_model
    from csp_core.watch import watch

    with watch(folder, err):
        result = train_model(settings, run_dir=folder, resume=resume)
    if result.model_directory is None:
        out.print(f"Stopped. `csp resume {folder}` goes on.", highlight=False)
    else:
        out.print(f"Model: {result.model_directory}", highlight=False)


@app.command()
def runs(
    home: Annotated[Path | None, typer.Option(help="Folder of the runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    from csp_core import jobs

    listed = jobs.list_jobs(home)
    if as_json:
        _print_json([{"path": str(j.path), "state": j.state, "status": j.status} for j in listed])
        return
    if not listed:
        out.print(f"No runs in {home or jobs.runs_home()}. `csp train CONFIG` starts one.")
        return
    table = Table(Column("run", overflow="fold"), "state", "epoch", "message")
    for job in listed:
        epochs = f"{job.status.get('epoch', '–')}/{job.status.get('epochs', '–')}"
        table.add_row(str(job.path), job.state, epochs, str(job.status.get("message", "")))
    out.print(table)


@app.command()
def stop(
    run: RunArgument,
    wait: Annotated[float, typer.Option(help="Seconds to wait for it.")] = 60.0,
    kill: Annotated[bool, typer.Option(help="End it by force after that.")] = False,
) -> None:
    """Ask a run to save and end."""
    from csp_core import jobs

    job = jobs.stop(run, wait=wait, kill=kill)
    out.print(f"{job.path}: {job.state}", highlight=False)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="A bundled model, model directory or run.")],
    data: Annotated[str, typer.Argument(help="A data set's name, or a file of occurrences.")],
    root: Annotated[Path | None, typer.Option(help="Where a named data set lies.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model's prior on records, by split where the split can be reproduced."""
    from csp_core.reports import evaluate_splits

    report = evaluate_splits(model, data, root=root)
    if as_json:
        _print_json(report)
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
    model: Annotated[str, typer.Argument(help="A bundled model, model directory or run.")],
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
        _print_json(report.to_dict())
        return
    heading = "share" if report.kind == "share" else "score"
    table = Table("rank", "taxon", "common name", heading, "lift", "records within 500 km")
    for line in report.results:
        value = f"{line.value:.1%}" if report.kind == "share" else f"{line.value:.4f}"
        table.add_row(
            str(line.rank),
            line.taxon,
            line.common_name,
            "–" if report.extrapolates else value,
            "–" if report.extrapolates or line.lift is None else f"{line.lift:.1f}x",
            str(line.support),
        )
    out.print(table)
    if date and not loaded.uses_date:
        out.print("This model has no time input: the date changes nothing.", highlight=False)
    out.print(VALUE_MEANING[report.kind], highlight=False)
    if report.set_size is not None and not report.extrapolates:
        out.print(set_meaning(report.set_size), highlight=False)
    out.print(f"Support: {report.level} ({LEVEL_MEANING[report.level]}).", highlight=False)


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


@app.command("import-data")
def import_data(
    file: Annotated[Path, typer.Argument(help="Occurrence records.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Parquet file to write.")],
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="NAME=COLUMN", help="Say which column holds what."),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report as JSON here.")] = None,
    drop_duplicates: Annotated[
        bool, typer.Option("--drop-duplicates", help="Keep one record per name, place and day.")
    ] = False,
    max_uncertainty: Annotated[
        float | None, typer.Option(metavar="METRES", help="Drop records known less precisely.")
    ] = None,
    any_name: Annotated[
        bool, typer.Option("--any-name", help="Keep names above species, such as a genus alone.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read occurrence records and write them as one tidy table."""
    from csp_core.data.occurrences import import_records
    from csp_core.files import write_json

    if output.suffix.lower() not in (".parquet", ".pq"):
        raise ConfigError(f"{output} would be Parquet; give a name that ends in .parquet.")
    mapping = dict(_pair(text) for text in columns or ())
    started = time.monotonic()
    told = import_records(
        file,
        output,
        mapping=mapping or None,
        drop_duplicates=drop_duplicates,
        max_uncertainty_m=max_uncertainty,
        species_only=not any_name,
    )
    try:
        if report:
            write_json(report, told.to_dict())
    except OSError as error:
        raise BadRecordError(f"Cannot write {report} ({error.strerror or error}).") from error
    if not told.rows_kept:
        raise BadRecordError(f"No row of {file} can be used, so nothing was written. {told}")
    if as_json:
        _print_json(told.to_dict())
    else:
        out.print(str(told), markup=False, highlight=False)
        seconds = time.monotonic() - started
        out.print(
            f"Wrote {told.rows_kept} records to {output} in {seconds:.1f} s.", highlight=False
        )


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals:
        raise ConfigError(f"--map {text!r}: give NAME=COLUMN, such as --map lon=x.")
    return name.strip(), column.strip()


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models that can be loaded by name."""
    from csp_core.reports import model_rows

    rows = model_rows()
    if as_json:
        _print_json(rows)
        return
    table = Table("name", "kind", "classes", "licence", "what it is")
    for row in rows:
        says = row["problem"] or row["summary"]
        table.add_row(row["name"], row["kind"], str(row["num_classes"]), row["license"], says)
    out.print(table)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8501,
    headless: Annotated[bool | None, typer.Option(help="Do not open a browser.")] = None,
) -> None:
    """Open the app."""
    from csp_core.serve import serve as serve_app

    sys.exit(serve_app(host, port, headless))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what works and what is missing."""
    from csp_core.reports import diagnose

    rows = diagnose()
    if as_json:
        _print_json(rows)
    else:
        for row in rows:
            mark = "ok" if row["ok"] else "missing"
            out.print(f"{row['name']:<12} {mark:<8} {row['says']}", markup=False, highlight=False)
    if not all(row["ok"] for row in rows if row["needed"]):
        sys.exit(1)
