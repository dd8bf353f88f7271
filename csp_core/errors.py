"""The errors that csp_core raises on purpose, saying what was given and what would work.

CspError
├── UnknownNameError     a name that is in no table (also a LookupError)
│   └── AmbiguousNameError   a name that several entries of a table have
├── DataNotFoundError    a file or folder that is not there (also a FileNotFoundError)
├── BadRecordError       a record, coordinate or table that cannot be used (also a ValueError)
├── CheckpointError      a model or run directory that cannot be read or written
└── ConfigError          a configuration that does not fit (also a ValueError)
    └── DivergedError    a run whose numbers are no longer finite
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class CspError(Exception):
    """Base of every error that csp_core raises on purpose."""


class UnknownNameError(CspError, LookupError):
    """A name was asked for that its table does not hold.

    Args:
        kind: What the name should have named, for example ``"location encoder"``.
        name: The name that was given.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(str(name), names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        listed = ", ".join(names[:40]) or "none"
        more = f", … ({len(names)} in all)" if len(names) > 40 else ""
        super().__init__(f"Unknown {kind} {name!r}.{hint} Known: {listed}{more}.")
        self.name = name


class AmbiguousNameError(UnknownNameError):
    """A name was asked for that several entries of its table have.

    Args:
        kind: What the name should have named.
        name: The name that was given.
        meant: The entries that have it.
    """

    def __init__(self, kind: str, name: object, meant: Sequence[str]) -> None:
        listed = ", ".join(map(repr, meant[:10]))
        CspError.__init__(
            self, f"{name!r} may be several: {listed}. Give one of these as it is written here."
        )
        self.name = name


class DataNotFoundError(CspError, FileNotFoundError):
    """A file or folder that the work needs is not where it was said to be."""


class BadRecordError(CspError, ValueError):
    """Data that cannot be used.

    Args:
        message: What was given and what would work.
        file: The file it came from.
        line: Line in that file, counted from 1 with the header as line 1.
        column: Name of the column.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        parts = [str(file)] if file else []
        parts += [f"line {line}"] if line is not None else []
        parts += [f"column {column!r}"] if column else []
        super().__init__(f"{', '.join(parts)}: {message}" if parts else message)
        self.file, self.line, self.column = file, line, column


class CheckpointError(CspError):
    """A model or run directory that cannot be read, written or resumed."""


class ConfigError(CspError, ValueError):
    """A configuration with an unknown key, a value out of range, or parts that do not fit."""


class DivergedError(ConfigError):
    """A run whose loss, weights or learning rate are no longer finite."""
