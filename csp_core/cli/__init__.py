"""The ``csp`` command: what went wrong is said in one sentence, and no half file is left."""

from __future__ import annotations

import os
import sys

# Each adds its commands.
from csp_core.cli import data, importing, maps, models, runs, system  # noqa: F401
from csp_core.cli.console import app, err
from csp_core.errors import CspError


def main() -> None:
    """Run the command; errors meant for people become one line and exit code 1."""
    try:
        app()
    except CspError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted")
    except BrokenPipeError:
        os._exit(1)
    except Exception as error:
        if os.environ.get("CSP_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (CSP_DEBUG=1 shows where)")


def _fail(sentence: str) -> None:
    err.print(f"Error: {' '.join(sentence.split())}", markup=False, highlight=False)
    sys.exit(1)
