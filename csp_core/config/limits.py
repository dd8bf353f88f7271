"""What whoever runs this machine allows: epochs, sizes of models, and where data may lie.

``CSP_MAX_EPOCHS`` and ``CSP_MAX_PARAMETERS`` are whole numbers, ``CSP_DATA_ROOT`` one folder or
several (separated as in ``PATH``). What is unset, or empty, is no limit.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from csp_core.config.paths import hub_names, named_paths
from csp_core.config.run import RunConfig, derive_config
from csp_core.errors import ConfigError
from csp_core.files import ASSETS
from csp_core.runs.jobs import runs_home
from csp_core.runs.queue import most

UNLIMITED = 10**9
EPOCHS, PARAMETERS, ROOT = "CSP_MAX_EPOCHS", "CSP_MAX_PARAMETERS", "CSP_DATA_ROOT"


def check_limits(config: RunConfig, *, default_root: Path | None = None) -> None:
    """Make sure that a run keeps to the limits that its configuration alone tells of.

    Args:
        config: The run, its teachers and pre-training included.
        default_root: Where data may lie if ``CSP_DATA_ROOT`` is unset; None for anywhere.

    Raises:
        ConfigError: If it does not; names the limit and the variable.
    """
    limit = most(EPOCHS, UNLIMITED)
    roots = data_roots() or ([default_root.resolve()] if default_root else None)
    for stage, found in _stages(config):
        if found.training.epochs > limit:
            raise ConfigError(
                f"{stage}training.epochs is {found.training.epochs}, and {EPOCHS} allows {limit}"
                " on this machine. Give fewer."
            )
        if roots is not None:
            _check_paths(found, roots)


def most_parameters() -> int | None:
    """Read how many weights a model may have.

    Returns:
        The limit, or None.

    Raises:
        ConfigError: If the variable is no whole number of 1 or more.
    """
    limit = most(PARAMETERS, UNLIMITED)
    return None if limit == UNLIMITED else limit


def data_roots() -> list[Path] | None:
    """List the folders that data may lie in.

    Returns:
        Absolute paths without links, or None if it may lie anywhere.
    """
    named = [part for part in os.environ.get(ROOT, "").split(os.pathsep) if part.strip()]
    return [Path(part).resolve() for part in named] or None


def _stages(config: RunConfig) -> Iterator[tuple[str, RunConfig]]:
    yield "", config
    if config.pretrain:
        yield "pretrain: ", derive_config(config, config.pretrain, source="pretrain")
    for number, teacher in enumerate(config.teachers, 1):
        changes = teacher.options.get("overrides") if teacher.name == "network" else None
        if changes:
            source = f"teacher {number}"
            yield f"{source}: ", derive_config(config, changes, source=source)


def _check_paths(config: RunConfig, roots: list[Path]) -> None:
    """Make sure that data lies below a root, and models there or where runs and models lie."""
    own = [ASSETS.resolve(), runs_home().resolve()]
    if named := os.environ.get("CSP_MODELS"):
        own.append(Path(named).resolve())
    tree = config.model_dump(mode="json")
    for key, name in hub_names(tree):
        raise ConfigError(
            f"{key} is {name!r}, which would be fetched from the hub, and data may lie in"
            f" {' or '.join(map(str, roots))} alone: whoever started this can put its folder there."
        )
    for key, path in named_paths(tree, Path.cwd()):
        allowed = roots + (own if key in ("model.init_from", "teachers.path") else own[:1])
        real = path.resolve()
        if not any(real.is_relative_to(root) for root in allowed):
            # Not where a link leads to: that is nobody's business who may not read there.
            raise ConfigError(
                f"{key} is {str(path)!r}, which does not lie in {' or '.join(map(str, roots))},"
                f" where data may lie. Put it there, or have {ROOT} name its folder when this is"
                " started."
            )
