"""Checking a configuration in another process, so that one that only waits stays small."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.files import parse_yaml

# Checking imports all that trains, 300 MB of memory; as many runs as wait would hold as much.
PROGRAM = """
import sys
from csp_core.config import check_limits, load_config
config = load_config(sys.argv[1], sys.argv[2:])
check_limits(config)
sys.stdout.buffer.write(config.to_yaml().encode())
"""


@dataclass(frozen=True)
class Asked:
    """What a run was asked to do.

    Args:
        text: The whole configuration as YAML.
        name: What it calls the run.
        settings: The configuration, a ``RunConfig``; None if this process has not read it.
    """

    text: str
    name: str
    settings: Any = None

    def read(self) -> Any:
        """Read the configuration in this process.

        Returns:
            A ``RunConfig``.
        """
        from csp_core.config import parse_config

        if self.settings is not None:
            return self.settings
        return parse_config(parse_yaml(self.text, "the configuration"))


def read_asked(
    config: Path, overrides: Sequence[str] = (), *, folder: Path | None = None, apart: bool = False
) -> Asked:
    """Check a configuration.

    Args:
        config: YAML file.
        overrides: ``section.key=value``.
        folder: The working directory; this process's if None.
        apart: Whether to do so in another process, which checks what this machine allows too.

    Returns:
        What it asks for.

    Raises:
        CspError: If it does not fit, or, apart, this machine does not allow it.
    """
    if apart:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(config), *overrides],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=folder,
            check=False,
        )
        if done.returncode == 0:
            text = done.stdout.decode("utf-8")
            return Asked(text, str(parse_yaml(text, str(config))["name"]))
    # This process says what is wrong as it says anything else.
    from csp_core.config import check_limits, load_config

    with contextlib.chdir(folder or Path.cwd()):
        settings = load_config(config, overrides)
    if apart:
        check_limits(settings)
    return Asked(settings.to_yaml(), settings.name, settings)
