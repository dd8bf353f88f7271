"""Commands on models: list, evaluate and ask about a place."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from csp_core.cli.console import AsJson, ModelArgument, app, out, print_json
from csp_core.errors import BadRecordError

# Of the metrics of several answers, by heading; all of them are in --json.
SHOWN = {key: key for key in ("top1", "top5", "mrr", "log_loss", "ece", "n")}
SHOWN_OF_SETS = {
    key: key for key in ("macro_ap", "micro_ap", "macro_f1", "micro_f1", "log_loss", "ece", "n")
}
# Their whole names would be cut to the same letters in a narrow window.
SHOWN_OF_COMPARISONS = {
    "recall_at_10": "R@10", "recall_at_100": "R@100", "back_recall_at_10": "R@10 back",
    "median_km": "median km", "zero_shot_top1": "zero shot", "n": "n",
}  # fmt: skip
# Of each class, by a number that only classes of label sets, or of pixels, have.
OF_CLASSES = {
    "ap": {"n": "records with it", "ap": "AP", "f1": "F1", "threshold": "threshold"},
    "iou": {"n": "pixels", "iou": "IoU", "precision": "precision", "recall": "recall"},
}
# Tables of their own, or no numbers.
APART = ("classes", "confusion", "background")
DATE_CHANGES_NOTHING = "This model has no time input: the date changes nothing."


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models that can be loaded by name."""
    from csp_core.cli.doctor import model_rows

    rows = model_rows()
    if as_json:
        print_json(rows)
        return
    table = Table("name", "kind", "classes", "licence", "what it is")
    for row in rows:
        says = row["problem"] or row["summary"]
        kind = f"{row['kind']} of pixels" if row["sees_pixels"] else row["kind"]
        table.add_row(row["name"], kind, str(row["num_classes"]), row["license"], says)
    out.print(table)


@app.command()
def evaluate(
    model: ModelArgument,
    data: Annotated[str, typer.Argument(help="A data set's name, or a file of occurrences.")],
    root: Annotated[Path | None, typer.Option(help="Where a named data set lies.")] = None,
    captions: Annotated[
        str | None,
        typer.Option(help="Of the records: facts, facts_and_class, or a CSV of `csp caption`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a model on records, by split where the split can be reproduced.

    A model of images is measured by the image alone and by image and place together; one of label
    sets by average precision and F1, over all and for each class; one of pixels by its maps of
    pictures with masks, by the IoU in the mean and of each class; one that only compares by how
    often the right one is among the first 10 of up to 1,000, and by how far off its places are.
    All records of a file count, but those without a place and those of classes that the model does
    not know, whose number is told as unmatched.
    """
    from csp_core.evaluation.report import evaluate_splits

    report = evaluate_splits(model, data, root=root, captions=captions)
    if as_json:
        print_json(report)
        return
    out.print(_table_of_metrics(report["splits"]))
    if classes := _table_of_classes(report["splits"]):
        out.print(classes)
    for split, said in report["cautions"].items():
        for sentence in said:
            out.print(f"Mind ({split}): {sentence}", markup=False, highlight=False)
    out.print(report["note"], highlight=False)


def _table_of_metrics(splits: dict[str, Any]) -> Table:
    """Give each split a column; or, where it has several answers, each answer a row."""
    metrics = next(iter(splits.values()))
    if not isinstance(next(iter(metrics.values())), dict):
        table = Table("", *splits)
        for name in metrics:
            if name in APART:
                continue
            table.add_row(name, *(_number(values[name]) for values in splits.values()))
        return table
    first = next(iter(metrics.values()))
    shown = SHOWN_OF_SETS if "macro_ap" in first else SHOWN
    shown = SHOWN_OF_COMPARISONS if "recall_at_10" in first else shown
    table = Table("split", "by", *shown.values())
    for split, answers in splits.items():
        for name, values in answers.items():
            numbers = (
                f"{values[key]:.0f}" if key.endswith("_km") and key in values
                else _number(values.get(key))
                for key in shown
            )  # fmt: skip
            # A narrow window breaks it in two, and cuts nothing off.
            table.add_row(split, name.replace("-", " – "), *numbers)
        table.add_section()
    return table


def _table_of_classes(splits: dict[str, Any]) -> Table | None:
    """Give each class a row, of the split named last and its last answer that tells of classes."""
    split, metrics = list(splits.items())[-1]
    by, values = ("", metrics) if "classes" in metrics else list(metrics.items())[-1]
    classes = values.get("classes") if isinstance(values, dict) else None
    if not classes:
        return None
    title = f"Each class ({', '.join(filter(None, (split, by)))})"
    columns = next(some for key, some in OF_CLASSES.items() if key in classes[0])
    table = Table("class", *columns.values(), title=title)
    for one in classes:
        numbers = (_number(one[key]) for key in columns)
        table.add_row(Text(one["name"]), *numbers)
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@app.command()
def predict(
    model: ModelArgument,
    lon: Annotated[float | None, typer.Option(help="Longitude, degrees.")] = None,
    lat: Annotated[float | None, typer.Option(help="Latitude, degrees.")] = None,
    image: Annotated[
        Path | None,
        typer.Option(help="A picture; place and date are read from it where they are not given."),
    ] = None,
    date: Annotated[str | None, typer.Option(help="YYYY-MM-DD.")] = None,
    week: Annotated[
        int | None, typer.Option(help="1 to 48, four a month, in the place of a date.")
    ] = None,
    hour: Annotated[
        str | None, typer.Option(help="HH:MM, on the clock of the training records.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many to list.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Rank the classes of a model at a place, and a time where it knows time, or for a picture.

    A model of label sets gives the set first: the classes whose probability reaches their
    threshold, and then the next ones.
    """
    from csp_core.cli.photo import predict_photo
    from csp_core.inference import When, describe_place
    from csp_core.store import load_model

    loaded = load_model(model)
    if (lon is None) != (lat is None):
        raise typer.BadParameter("A place needs both --lon and --lat.")
    day = _day(date)
    when = When(_year_part(date, week), _part_of_day(hour), None if day is None else str(day))
    if image is not None:
        place = None if lon is None or lat is None else (lon, lat)
        return predict_photo(loaded, image, place, when, top=top, as_json=as_json)
    if lon is None or lat is None:
        raise typer.BadParameter("Give --lon and --lat, or --image with a picture.")
    report = describe_place(loaded, lon, lat, date=when.date, hour=when.hour, top=top)
    if as_json:
        print_json(report.to_dict())
        return
    _say(report, loaded, when.date is not None, hour, named=_column_of(model))


def _column_of(model: str) -> str:
    """Head the column of names: ``class`` where they are known to be no taxa."""
    from csp_core.data.sets.facts import names_taxa
    from csp_core.store import find_model, read_model_config

    try:
        name = read_model_config(find_model(model))["provenance"]["config"]["data"]["name"]
    except (KeyError, TypeError):  # nobody knows what it was trained on
        return "taxon"
    return "taxon" if names_taxa(name) else "class"


def _say(report: Any, loaded: Any, dated: bool, hour: str | None, *, named: str) -> None:
    """Print a place's ranking, what it means and what it rests on."""
    from csp_core.cli.photo import set_line, support_line
    from csp_core.inference import VALUE_MEANING, set_meaning

    heading = {"share": "share", "probability": "probability"}.get(report.kind, "score")
    hidden = report.extrapolates
    of_sets = report.kind == "probability" and not hidden
    marks = ("in set",) if of_sets else ()
    table = Table(
        *("rank", *marks, named, "common name", heading, "lift"),
        f"records within {report.radius_km:g} km",
    )
    for line in report.results:
        value = f"{line.value:.4f}" if report.kind == "relative" else f"{line.value:.1%}"
        table.add_row(
            str(line.rank),
            *(("yes" if line.in_set else "",) if of_sets else ()),
            # Names may hold brackets, which are no markup.
            Text(line.taxon),
            Text(line.common_name),
            "–" if hidden else value,
            "–" if hidden or line.lift is None else f"{line.lift:.1f}x",
            "–" if line.support is None else str(line.support),
        )
    out.print(table)
    if dated and not loaded.uses_date:
        out.print(DATE_CHANGES_NOTHING, highlight=False)
    if hour and not loaded.uses_hour:
        out.print("This model does not know the hour: it changes nothing.", highlight=False)
    if of_sets:
        out.print(set_line("here", report.results), markup=False, highlight=False)
    out.print(VALUE_MEANING[report.kind], highlight=False)
    if report.set_size is not None and not report.extrapolates:
        out.print(set_meaning(report.set_size), highlight=False)
    out.print(support_line(report), highlight=False)


def part_of_year(date: str | None) -> float | None:
    """Read a date of the command line.

    Args:
        date: YYYY-MM-DD, or None.

    Returns:
        Part of the year in [0, 1), or None.

    Raises:
        BadRecordError: If it is no date.
    """
    from csp_core.data.pictures import parts_of_time

    day = _day(date)
    if day is None:
        return None
    return parts_of_time(datetime.datetime.combine(day, datetime.time()))[0]


def _year_part(date: str | None, week: int | None) -> float | None:
    """Read the time of the year, given as a date or as a week."""
    from csp_core.inference.weeks import week_date

    if week is None:
        return part_of_year(date)
    if date is not None:
        raise typer.BadParameter("Give --date or --week, not both.")
    return week_date(week)


def _day(date: str | None) -> datetime.date | None:
    if date is None:
        return None
    try:
        return datetime.date.fromisoformat(date)
    except ValueError as error:
        raise BadRecordError(f"--date {date!r} is no date; give YYYY-MM-DD.") from error


def _part_of_day(hour: str | None) -> float | None:
    if hour is None:
        return None
    try:
        time = datetime.time.fromisoformat(hour)
    except ValueError as error:
        raise BadRecordError(f"--hour {hour!r} is no time of day; give HH:MM.") from error
    return (time.hour * 60 + time.minute) / 1440 + time.second / 86400
