"""Commands on records: import them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csp_core.cli.console import AsJson, app, out, print_json
from csp_core.errors import BadRecordError, ConfigError

if TYPE_CHECKING:
    from csp_core.data.reading import ImportReport


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
    drop_flagged: Annotated[
        bool,
        typer.Option("--drop-flagged", help="Drop records that their source itself flags."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read occurrence records and write them as one tidy table."""
    from csp_core.data.reading import import_records

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
        drop_flagged=drop_flagged,
    )
    _write_report(report, told)
    if not told.rows_kept:
        raise BadRecordError(f"No row of {file} can be used, so nothing was written. {told}")
    if as_json:
        print_json(told.to_dict())
    else:
        out.print(str(told), markup=False, highlight=False)
        seconds = time.monotonic() - started
        out.print(
            f"Wrote {told.rows_kept} records to {output} in {seconds:.1f} s.", highlight=False
        )


def _write_report(path: Path | None, told: ImportReport) -> None:
    if path is None:
        return
    from csp_core.files import write_json

    try:
        write_json(path, told.to_dict())
    except OSError as error:
        raise BadRecordError(f"Cannot write {path} ({error.strerror or error}).") from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals:
        raise ConfigError(f"--map {text!r}: give NAME=COLUMN, such as --map lon=x.")
    return name.strip(), column.strip()
