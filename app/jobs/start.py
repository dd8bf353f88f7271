"""Starting runs: what is asked for is checked, kept beside the run, and handed to a process."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from csp_core.config import RunConfig, parse_config
from csp_core.config.limits import check_limits, data_roots
from csp_core.config.paths import anchor
from csp_core.errors import ConfigError, CspError, DataNotFoundError
from csp_core.files import parse_yaml, write_text
from csp_core.runs import RunDir, jobs
from csp_core.runs.jobs import Job
from csp_core.runs.reading import read_regular
from jobs.listing import forget

ASKED, MOST_SETTINGS = "asked.yaml", 1 << 18


def check(tree: Mapping[str, Any]) -> RunConfig:
    """Check what is asked for, before anything is written.

    Args:
        tree: Sections of plain values.

    Returns:
        The configuration.

    Raises:
        CspError: If it does not fit, passes a limit, or names a file outside the allowed folder.
    """
    config = parse_config(anchored(tree), source="these settings")
    # Whoever may open the page is not thereby meant to read every file of the machine.
    check_limits(config, default_root=home())
    return config


def launch(tree: Mapping[str, Any]) -> Job:
    """Start a run in a process of its own, which waits for its turn.

    Args:
        tree: Sections of plain values.

    Returns:
        The job; its process goes on when the page, the browser or the server ends.

    Raises:
        CspError: If it does not fit or cannot be started.
    """
    config = check(tree)
    folder = jobs.new_run_dir(config.name)
    try:
        with RunDir(folder).explain_unwritable():
            write_text(folder / ASKED, as_yaml(anchored(tree)))
        job = jobs.start(folder / ASKED, run_dir=folder)
    except CspError:
        if not RunDir(folder).status_file.exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    forget()
    return job


def anchored(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Make the paths of settings absolute: they are relative to the folder that may be read."""
    found = copy.deepcopy(dict(tree))
    anchor(found, home())
    return found


def home() -> Path:
    """Give the folder that paths typed on a page are relative to."""
    return (data_roots() or [Path.cwd().resolve()])[0]


def settings_text(job: Job) -> str:
    """Give the settings of a run as a file; a comment where they cannot be read."""
    for file in (RunDir(job.path).config, job.path / ASKED):
        try:
            return as_text(read_regular(file, limit=MOST_SETTINGS), str(file))
        except DataNotFoundError:
            continue
        except CspError as error:
            return f"# {error}"
    return "# There are none yet."


def as_text(content: bytes, name: str) -> str:
    """Read the bytes of a file of settings as text.

    Args:
        content: The bytes.
        name: What the file is called.

    Returns:
        The text.

    Raises:
        ConfigError: If it is no text.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{name} is no text in UTF-8, as a file of settings is; its byte {error.start + 1} does"
            " not fit. Save it as UTF-8."
        ) from error


def start_settings(job: Job) -> dict[str, Any]:
    """Give the settings of a run to begin another one from.

    Args:
        job: The run.

    Returns:
        Sections of plain values.

    Raises:
        CspError: If they cannot be read.
    """
    tree = parse_yaml(settings_text(job), str(RunDir(job.path).config))
    if not isinstance(tree, dict):
        raise ConfigError(f"The settings of {job.path.name} cannot be read.")
    return tree


def as_yaml(tree: Mapping[str, Any]) -> str:
    """Write settings as a file that ``csp train`` takes."""
    return yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True)
