"""The ``csp`` command: what went wrong is said in one sentence, and no half file is left."""

from __future__ import annotations

import io
import os
import sys

# Each adds its commands.
from csp_core.cli import (  # noqa: F401
    animals,
    captions,
    clusters,
    data,
    export,
    few_shot,
    importing,
    maps,
    models,
    probe,
    retrieval,
    runs,
    segment,
    system,
)
from csp_core.cli.console import app, err
from csp_core.errors import CspError


def main() -> None:
    """Run the command; errors meant for people become one line and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file's name need not be UTF-8, and one such name must not end a whole list.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except CspError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        _fail("interrupted")
    except BrokenPipeError:
        os._exit(1)
    except OSError as error:
        _fail(_what_failed(error))
    except RecursionError:
        _fail("what was given is nested too deeply to be read")
    except MemoryError:
        _fail("there is not enough memory for this")
    except Exception as error:
        if os.environ.get("CSP_DEBUG"):
            raise
        _fail(f"{type(error).__name__}: {error} (CSP_DEBUG=1 shows where)")


def _what_failed(error: OSError) -> str:
    """Say what the system refused, such as a full disk or a folder that is read-only."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"The system refused to read or write: {reason}."
    return f"Cannot read or write {os.fsdecode(error.filename)}: {reason}."


def _fail(sentence: str) -> None:
    err.print(f"Error: {' '.join(sentence.split())}", markup=False, highlight=False)
    sys.exit(1)
