"""Commands on runs: train, resume, sweep, list and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from csp_core.cli.apart import Asked, read_asked
from csp_core.cli.console import AsJson, RunArgument, app, clearing_up, err, out, print_json
from csp_core.files import harmless

SHOWN = 500  # letters of a message in a table
Queued = Annotated[
    bool, typer.Option("--queue", help="Wait until less than CSP_MAX_JOBS (1) runs are under way.")
]


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
    queue: Queued = False,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only try some steps: how long, how much memory.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model as configured."""
    from csp_core.runs import jobs, launch

    if estimate:
        from csp_core.config import load_config

        _estimate(load_config(config, overrides or ()), as_json=as_json)
        return
    launch.wait_for_launcher()
    with launch.tell_failure(run_dir):
        asked = read_asked(config, overrides or (), apart=queue and not detach)
        folder = run_dir or jobs.new_run_dir(asked.name)
    with launch.tell_failure(folder):
        try:
            if not detach:
                _train(asked, folder, resume=False, queue=queue)
            elif queue:
                job = jobs.start(config, overrides or (), run_dir=folder)
                out.print(f"Queued {job.path} as process {job.status['pid']}.", highlight=False)
            else:
                job = jobs.launch(config, overrides or (), run_dir=folder)
                out.print(f"Started {job.path} as process {job.status['pid']}.", highlight=False)
        except BaseException:
            if run_dir is None:
                launch.discard(folder)
            raise


def _estimate(settings: Any, *, as_json: bool) -> None:
    from csp_core.training.estimate import describe
    from csp_core.training.estimate import estimate as try_run

    with clearing_up():
        found = try_run(settings)
    if as_json:
        print_json(found)
        return
    out.print(describe(found), highlight=False)
    for stage in found["stages"] if len(found["stages"]) > 1 else ():
        name, seconds = stage["name"] or "the model", stage["seconds_total"]
        note = f" ({stage['assumed']})" if stage["assumed"] else ""
        out.print(f"  {name}: {seconds:.3g} s{note}", highlight=False)
    out.print(f"Assumed: {found['assumed']}.", highlight=False)


@app.command()
def resume(
    run: RunArgument,
    detach: Annotated[bool, typer.Option(help="Go on in a process of its own.")] = False,
    queue: Queued = False,
) -> None:
    """Go on with a run that was stopped or interrupted, as if nothing had happened."""
    from csp_core.runs import jobs, launch

    launch.wait_for_launcher()
    found = jobs.find_run(run, mend=True)
    with launch.tell_failure(found.path):
        if found.read_status()["state"] == "finished":
            out.print(f"{found.path} is finished; its model is {found.model}.", highlight=False)
        elif not detach:
            asked = _asked_of(found, apart=queue)
            _train(asked, found.path, resume=True, queue=queue)
        elif queue:
            job = jobs.resume_job(run)
            out.print(f"Queued {job.path} as process {job.status['pid']}.", highlight=False)
        else:
            job = jobs.resume(run)
            out.print(f"Resumed {job.path} as process {job.status['pid']}.", highlight=False)


def _asked_of(run: Any, *, apart: bool) -> Asked:
    """Read a run's configuration, or what it was launched with if it has not come to one."""
    from csp_core.runs import launch

    if (order := launch.read_order(run)) is None:
        _check_settings(run.config)
        return read_asked(run.config, apart=apart)
    config, overrides, folder = order
    return read_asked(config, overrides, folder=folder, apart=apart)


def _check_settings(config: Path) -> None:
    """Refuse to go on with a run whose settings are lost; none at all would be the usual ones."""
    from csp_core.errors import DataNotFoundError

    lost = "gone" if not config.exists() else "empty" if not config.stat().st_size else ""
    if lost:
        raise DataNotFoundError(
            f"{config}, which says what this run trains, is {lost}. Put it back from a copy, or"
            " start another run."
        )


def _train(asked: Asked, folder: Path, *, resume: bool, queue: bool = False) -> None:
    """Train in this process, in one of the machine's slots if there is one."""
    from csp_core.runs import RunDir, jobs
    from csp_core.runs.queue import turn
    from csp_core.runs.watch import watch

    given: dict[str, Any] = {"wait": queue, "config": asked.text, "name": asked.name}
    result = None
    with turn(RunDir(folder), jobs.runs_home(), say=_say, resume=resume, **given) as goes_on:
        if goes_on:
            # Only now, as a process that waits need not hold all that trains.
            from csp_core.training import train as train_model

            settings = asked.read()
            with watch(folder, err):
                result = train_model(settings, run_dir=folder, resume=resume)
    if result is None or result.model_directory is None:
        out.print(f"Stopped. `csp resume {folder}` goes on.", highlight=False)
    else:
        out.print(f"Model: {result.model_directory}", highlight=False)


@app.command()
def sweep(
    config: Annotated[Path, typer.Argument(help="YAML with `base`, `grid` and `evaluate`.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="section.key=value, for every cell", metavar="key=value"),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--out", help="Its folder; runs/NAME of the file if not given.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only list the cells.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run every combination of a grid of settings, and go on with what was interrupted."""
    from csp_core.runs import jobs
    from csp_core.training.sweep import load_sweep, make_cells, markdown_table, run_sweep
    from csp_core.training.sweep.table import describe

    plan = load_sweep(config)
    home = folder or jobs.runs_home() / config.stem
    if dry_run:
        cells = make_cells(plan, home, overrides or ())
        if as_json:
            print_json([{"values": dict(c.values), "run": str(c.run.path)} for c in cells])
        for cell in () if as_json else cells:
            out.print(f"{cell.run.path}: {describe(cell.values)}", markup=False, highlight=False)
        return
    rows = run_sweep(plan, home, train=_run_cell, overrides=overrides or (), say=_say)
    if as_json:
        print_json(rows)
    else:
        out.print(markdown_table(rows), markup=False, highlight=False)
        out.print(f"Tables: {home}/table.md, .csv and .json", markup=False, highlight=False)
    if any(row["state"] != "finished" for row in rows):
        raise typer.Exit(1)


def _run_cell(settings: Any, folder: Path, resume: bool) -> None:
    from csp_core.runs import RunDir, jobs
    from csp_core.runs.queue import turn
    from csp_core.runs.watch import watch
    from csp_core.training import train as train_model

    given: dict[str, Any] = {"config": "", "name": settings.name, "resume": resume, "say": _say}
    with turn(RunDir(folder), jobs.runs_home(), wait=False, **given), watch(folder, err):
        train_model(settings, run_dir=folder, resume=resume)


def _say(text: str) -> None:
    err.print(text, markup=False, highlight=False)


@app.command()
def runs(
    home: Annotated[Path | None, typer.Option(help="Folder of the runs.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs, newest first."""
    from csp_core.runs import jobs

    listed = jobs.list_jobs(home)
    if as_json:
        print_json([{"path": _text(j.path), "state": j.state, "status": j.status} for j in listed])
        return
    if not listed:
        out.print(f"No runs in {home or jobs.runs_home()}. `csp train CONFIG` starts one.")
        return
    table = Table(Column("run", overflow="fold"), "state", "epoch", "message")
    for job in listed:
        epochs = f"{job.status.get('epoch', '–')}/{job.status.get('epochs', '–')}"
        message = str(job.status.get("message", ""))
        table.add_row(*map(_as_it_is, (job.path, job.state, epochs, message)))
    out.print(table)


def _text(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _as_it_is(value: object) -> Text:
    """Show what a file or a name says, and not what it would have the terminal do."""
    shown = harmless(" ".join(_text(value).split()))
    return Text(shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…")


@app.command()
def stop(
    run: RunArgument,
    wait: Annotated[float, typer.Option(help="Seconds to wait for it.")] = 60.0,
    kill: Annotated[bool, typer.Option(help="End it by force after that.")] = False,
) -> None:
    """Ask a run to save and end."""
    from csp_core.runs import jobs

    job = jobs.stop(run, wait=wait, kill=kill)
    out.print(f"{job.path}: {job.state}", highlight=False)
