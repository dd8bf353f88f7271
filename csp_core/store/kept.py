"""Models of runs that are listed beside the bundled ones: the run says so by a file of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from csp_core.errors import CheckpointError, DataNotFoundError
from csp_core.files import ASSETS, write_text
from csp_core.runs import RunDir
from csp_core.runs.jobs import runs_home

MARK = "kept"


def kept_folders() -> Iterator[tuple[str, Path]]:
    """List the finished models of runs that are kept.

    Yields:
        Name of the run, which is that of the model, and the model's folder.
    """
    with contextlib.suppress(OSError):
        for run in sorted(runs_home().iterdir()):
            model = RunDir(run).model
            if (run / MARK).is_file() and (model / "config.json").is_file():
                yield run.name, model


def kept_runs() -> list[str]:
    """List the names of the runs whose models are kept.

    Returns:
        Names of folders in ``runs_home()``.
    """
    return [name for name, _ in kept_folders()]


def keep_run(name: str) -> None:
    """List the model of a finished run wherever models are listed.

    Args:
        name: Name of its folder in ``runs_home()``.

    Raises:
        DataNotFoundError: If there is no such run.
        CheckpointError: If it has no model yet, another one has its name, or its folder cannot be
            written to.
    """
    run = RunDir(_folder(name))
    if name in taken_names():
        raise CheckpointError(
            f"Another model is named {name} already; rename the run's folder {run.path}."
        )
    if not (run.model / "config.json").is_file():
        raise CheckpointError(f"{run.path} has no model yet; a run writes it when it ends.")
    try:
        write_text(run.path / MARK, "The model of this run is listed among the others.\n")
    except OSError as error:
        raise CheckpointError(f"Cannot write to {run.path} ({error.strerror}).") from error


def let_go_run(name: str) -> None:
    """List the model of a run no more; the run and its model stay as they are.

    Args:
        name: Name of its folder in ``runs_home()``.

    Raises:
        DataNotFoundError: If there is no such run.
        CheckpointError: If its folder cannot be written to.
    """
    try:
        (_folder(name) / MARK).unlink(missing_ok=True)
    except OSError as error:
        raise CheckpointError(f"Cannot write to {name} ({error.strerror}).") from error


def taken_names() -> set[str]:
    """List the names of models that stand where models do; of two, theirs is found."""
    found: set[str] = set()
    for root in [ASSETS / "models", *map(Path, filter(None, [os.environ.get("CSP_MODELS")]))]:
        with contextlib.suppress(OSError):
            found |= {path.name for path in root.iterdir()}
    return found


def _folder(name: str) -> Path:
    folder = runs_home() / name
    if Path(name).name != name or not folder.is_dir():
        raise DataNotFoundError(f"No run {name!r} in {runs_home()}; `csp runs` lists them.")
    return folder
