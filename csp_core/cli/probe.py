"""The command on probes: what a frozen location encoder tells of places far from those seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from csp_core.cli.console import AsJson, app, err, out, print_json
from csp_core.errors import ConfigError

Encoder = Annotated[
    str,
    typer.Argument(
        help="A model, its folder, a run or hf:OWNER/NAME; an encoding's name: untrained; raw or"
        " sincos."
    ),
]
Given = Annotated[
    Path,
    typer.Argument(help="Of longitude, latitude and value: .csv, .tsv, .txt, .tab or .parquet."),
]
Column = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Found by its name if not given.")
]
Kind = Annotated[
    str | None, typer.Option("--as", help="numbers or classes, if the values do not tell.")
]
NO_VALUE = (
    "Words or numbers for no value, with commas; empty cells always are. If not given: na, n/a,"
    " nan, null, none, - and numbers such as -9999 that are far from all other values."
)
Missing = Annotated[str | None, typer.Option(metavar="WORDS", help=NO_VALUE)]
BESIDE = "Put beside the embedding what a bank of the training fold retrieves: 0 near, 1 alike."
Mix = Annotated[float | None, typer.Option(min=0, max=1, metavar="MIX", help=BESIDE)]
Alone = Annotated[bool, typer.Option("--alone", help="Leave interpolation and coordinates out.")]


@app.command()
def probe(
    encoder: Encoder,
    table: Given,
    lon: Column = None,
    lat: Column = None,
    value: Column = None,
    kind: Kind = None,
    missing: Missing = None,
    blocks: Annotated[str, typer.Option(help="Sides of the blocks, degrees.")] = "2,10,20,40",
    folds: Annotated[int, typer.Option(min=3, max=10)] = 5,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Orders of the folds.")] = 3,
    bank: Mix = None,
    alone: Alone = False,
    most: Annotated[int, typer.Option(help="Rows to take, drawn by the seed.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the folds, and of untrained weights.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure what can be read off a frozen location encoder by linear probes.

    Ridge regression tells numbers, logistic regression classes, for places held out at random and
    by blocks of growing size, beside interpolation, nearest places and plain coordinates.
    """
    from csp_core.evaluation import probes

    sizes = _sizes(blocks)
    if not 0 <= seed < 2**31:
        raise ConfigError(f"seed is {seed}; give 0 or a whole number above.")
    read = probes.read_probe_table(
        table, lon=lon, lat=lat, value=value, kind=kind, folds=folds, most=most, seed=seed,
        missing=None if missing is None else [word.strip() for word in missing.split(",")],
    )  # fmt: skip
    embedding = probes.embed_frozen(encoder, read.lonlat, seed=seed)
    ways: dict[str, probes.Way] = {embedding.name: probes.Probe(embedding.vectors)}
    if bank is not None:
        beside = probes.with_bank(embedding.vectors, read.lonlat, bank)
        ways[f"{embedding.name}, beside a bank ({bank:g})"] = probes.Probe(beside)
    if not alone:
        ways |= probes.plain_ways(read.lonlat)
    places = probes.Places(read.lonlat, (read.target,))
    with _bar() as progress:
        report = probes.run_probe(
            ways, places, blocks=sizes, folds=folds, seeds=seeds, seed=seed, progress=progress
        )
    notes = [*read.notes, *_about(read.target), *_too_few(report)]
    facts = {"encoder": encoder, "about": embedding.about, "dimensions": embedding.vectors.shape[1],
             "value": read.target.name, "classes": list(read.target.classes),
             "rows": len(read.lonlat), "folds": folds, "seeds": seeds}  # fmt: skip
    if as_json:
        print_json({**facts, "groups": dict(report.blocks), "ways": report.to_dict(),
                    "notes": notes})  # fmt: skip
        return
    _say(report, facts, notes)


def _sizes(text: str) -> list[float]:
    """Read the sides of the blocks."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        sizes = [float(word.removesuffix("°")) for word in words]
    except ValueError:
        sizes = []
    if (words and not sizes) or any(not 0.1 <= size <= 90 for size in sizes):
        raise ConfigError(
            f"Blocks {text!r}: give sides from 0.1 to 90 degrees with commas, such as 2,10,20,40."
        )
    return sorted(set(sizes))


def _about(target: Any) -> list[str]:
    """Say how far the most frequent class alone would come."""
    if not target.classes:
        return []
    counts = [int((target.values == code).sum()) for code in range(len(target.classes))]
    first = max(range(len(counts)), key=counts.__getitem__)
    share = counts[first] / len(target.values)
    return [
        f"{len(target.classes)} classes; always saying {target.classes[first]} would be right for"
        f" {share:.3f} of the rows, balanced {1 / len(target.classes):.3f}."
    ]


def _too_few(report: Any) -> list[str]:
    from csp_core.evaluation.probes import LEAST_BLOCKS

    few = [f"{count} of {name}" for name, count in report.blocks.items() if count < LEAST_BLOCKS]
    if not few:
        return []
    return [f"n/a: fewer than {LEAST_BLOCKS} blocks are occupied ({', '.join(few)})."]


def _say(report: Any, facts: dict[str, Any], notes: list[str]) -> None:
    from csp_core.evaluation.probes import MEASURED

    measures = ("accuracy", "balanced") if facts["classes"] else ("r2",)
    for key in measures:
        title = f"{MEASURED[key]} of {facts['value']}, {facts['rows']:,} rows"
        shown = Table("", *report.blocks, title=title)
        for column in shown.columns[1:]:
            column.justify = "right"
        for way, splits in report.rows.items():
            shown.add_row(way, *(_cell(found, key) for found in splits.values()))
        out.print(shown)
    orders = facts["seeds"]
    spread = f"{facts['folds']} folds in one order"
    if orders > 1:
        spread = f"mean ± deviation over {orders} orders of {facts['folds']} folds"
    for line in (
        f"{facts['encoder']}: {facts['about']}, {facts['dimensions']} dimensions; {spread}.",
        *notes,
    ):
        out.print(line, markup=False, highlight=False)


def _cell(found: Any, key: str) -> str:
    if found is None:
        return "n/a"
    values = found[key]
    head = f"{mean(values):.3f}"
    return head if len(values) < 2 else f"{head} ± {stdev(values):.3f}"


@contextmanager
def _bar() -> Iterator[Any]:
    """Draw a bar of the measurements done, where there is a terminal to draw on."""
    shown = (TextColumn("Probing"), BarColumn(), MofNCompleteColumn())
    with Progress(*shown, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
