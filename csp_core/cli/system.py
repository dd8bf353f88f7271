"""Commands on the installation: open the app, say what works."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from csp_core.cli.console import AsJson, app, out, print_json


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8501,
    headless: Annotated[bool | None, typer.Option(help="Do not open a browser.")] = None,
) -> None:
    """Open the app."""
    from csp_core.cli.serve import serve as serve_app

    sys.exit(serve_app(host, port, headless))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what is installed, what works and what is missing."""
    from csp_core.cli.doctor import diagnose

    rows = diagnose()
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            mark = "ok" if row["ok"] else "not ok"
            out.print(f"{row['name']:<12} {mark:<8} {row['says']}", markup=False, highlight=False)
    if not all(row["ok"] for row in rows if row["needed"]):
        sys.exit(1)
