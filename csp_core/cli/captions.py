"""The command that writes captions of a data set, made of what is known of its records."""

from __future__ import annotations

import inspect
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csp_core.cli.console import AsJson, app, clearing_up, out, print_json
from csp_core.errors import BadRecordError, ConfigError

if TYPE_CHECKING:
    from csp_core.data.records import RecordDataset


@app.command()
def caption(
    data: Annotated[
        str, typer.Argument(help="A data set's name, a folder of photos, or a file of records.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="CSV file to write.")],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="key=value", help="Options of the data set, such as bands=all."),
    ] = None,
    root: Annotated[Path | None, typer.Option(help="Where a named data set lies.")] = None,
    with_class: Annotated[
        bool, typer.Option("--with-class", help="Name the class too, which is supervision then.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Draws the form.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write a caption of each record: nearest named place, country, month where there is a date.

    `captions: OUT.csv` of a run's data reads them again. No record is looked at: a caption says
    what is known of its place and time, and with --with-class its class.
    """
    from csp_core.data.captions.facts import captions_of_facts
    from csp_core.data.captions.table import ENDINGS, file_names, write_captions
    from csp_core.data.sets.facts import names_taxa
    from csp_core.files.writing import check_writable, writing

    if output.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{output} would be CSV; give a name that ends in .csv.")
    check_writable(output)
    began = time.monotonic()
    name, records = _load(data, root, options or ())
    taxa = names_taxa(name)
    texts = captions_of_facts(records, with_class=with_class, taxa=taxa, seed=seed)
    nowhere = int(records.lonlat.isnan().any(dim=1).sum())
    report: dict[str, Any] = {
        "records": len(records),
        "captions": sum(map(bool, texts)),
        "distinct": len(set(texts) - {""}),
        "without_place": nowhere,
        "without_caption": texts.count(""),
        "undated": int(records.date.isnan().sum()),
        "files": bool(file_names(records)),
    }
    if not report["captions"]:
        raise BadRecordError(
            f"Not one of {len(records):,} records of {data} can be described ({nowhere:,} have no"
            " place), so nothing was written."
        )
    with clearing_up(), writing(output) as temporary:
        report["rows"], report["not_found_again"] = write_captions(records, texts, temporary)
    if as_json:
        print_json(report)
        return
    out.print(_told(report), highlight=False)
    out.print(f"Wrote {output} in {time.monotonic() - began:.1f} s.", highlight=False)


def _told(report: dict[str, Any]) -> str:
    """Tell what was written, and of which records nothing."""
    by = "files and places" if report["files"] else "places"
    said = [
        f"{report['captions']:,} captions of {report['records']:,} records, {report['distinct']:,}"
        f" of them different, to be found again by {by}."
    ]
    for number, what in (
        (report["without_place"], "Without a place"),
        (report["without_caption"], "Without a caption, as no place that has a name is near"),
        (report["undated"], "Without a date, and so without a month"),
        (
            report["not_found_again"],
            "Not to be found again, as another caption is of their place (captions: facts or"
            " facts_and_class of a run's data gives each its own)",
        ),
    ):
        said += [f"{what}: {number:,}."] if number else []
    return " ".join(said)


def _load(data: str, root: Path | None, given: Any) -> tuple[str, RecordDataset]:
    """Load all records of a data set, of a folder of photos or of a file of records."""
    from csp_core.data import DATASETS, load_dataset

    options = dict(_pair(text) for text in given)
    name, place = data, root
    if data not in DATASETS:
        place = Path(data)
        if root is not None:
            raise ConfigError(f"--root is for a data set's name, and {data!r} is none.")
        name = "photos" if place.is_dir() else "occurrences"
        # Nothing is dealt out, however few they are.
        options = {"val_fraction": 0.0, "test_fraction": 0.0} | options
    options = _fitting(name, options)
    known = inspect.signature(DATASETS[name]).parameters
    # All records count, and no image is kept.
    usual: dict[str, Any] = {
        "in_memory": False,
        "min_records": 1,
        "min_photos": 1,
        "without_place": "train",
    }
    usual = {key: value for key, value in usual.items() if key in known}
    return name, load_dataset(name, "all", root=place, **(usual | options))


def _fitting(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Check options against the loader's signature: what stands on a command line is text."""
    from csp_core.config.sections import Component, checked
    from csp_core.data import DATASETS

    for key in ("name", "root", "split", "captions"):
        if key in options:
            raise ConfigError(f"{key} is no option here: all records of DATA count; --root is its"
                              " folder.")  # fmt: skip
    found = checked("data set", DATASETS, Component.model_validate({"name": name, **options}), 1)
    return {key: found[key] for key in options}


def _pair(text: str) -> tuple[str, Any]:
    from csp_core.files import parse_yaml

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{text[:80]!r} is no option; give key=value, such as bands=all.")
    return key.strip(), parse_yaml(value, f"The value of {text[:80]!r}")
