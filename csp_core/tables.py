"""Looking a name up in a literal table and calling what stands there with checked options."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from csp_core.errors import ConfigError, UnknownNameError

T = TypeVar("T")


def lookup(kind: str, table: Mapping[str, T], name: str) -> T:
    """Find an entry by name.

    Args:
        kind: What the table lists, for the error message.
        table: Name to entry.
        name: The name asked for.

    Returns:
        The entry.

    Raises:
        UnknownNameError: If the table has no such name.
    """
    if name not in table:
        raise UnknownNameError(kind, name, table)
    return table[name]


def option_names(constructor: Callable[..., Any], *, given: int = 0) -> dict[str, Any]:
    """List the options that a constructor takes: its signature is its schema.

    Args:
        constructor: A class or function.
        given: How many leading parameters the caller fills in itself.

    Returns:
        Option name to default (``inspect.Parameter.empty`` where one must be given).
    """
    parameters = list(inspect.signature(constructor).parameters.values())[given:]
    keep = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in parameters if p.kind in keep}


def check_options(
    kind: str,
    name: str,
    constructor: Callable[..., Any],
    options: Mapping[str, Any],
    given: int = 0,
) -> None:
    """Refuse options that a constructor does not know.

    Args:
        kind: What is being made, for the error message.
        name: Its name in the table.
        constructor: A class or function.
        options: The options meant for it.
        given: How many leading parameters the caller fills in itself.

    Raises:
        ConfigError: If an option is unknown or a required one is missing.
    """
    known = option_names(constructor, given=given)
    for option in options:
        if option not in known:
            names = ", ".join(known) or "none"
            raise ConfigError(f"{kind} {name!r} has no option {option!r}. Its options: {names}.")
    missing = [o for o, d in known.items() if d is inspect.Parameter.empty and o not in options]
    if missing:
        raise ConfigError(f"{kind} {name!r} needs the option {missing[0]!r}.")


def construct(
    kind: str, table: Mapping[str, Callable[..., T]], name: str, *args: Any, **options: Any
) -> T:
    """Call the entry of a table with options checked against its signature.

    Args:
        kind: What the table lists, for error messages.
        table: Name to constructor.
        name: The name asked for.
        *args: Leading arguments that the caller fills in.
        **options: The options.

    Returns:
        What the constructor makes.

    Raises:
        UnknownNameError: If the table has no such name.
        ConfigError: If an option is unknown, missing or refused by the constructor.
    """
    constructor = lookup(kind, table, name)
    check_options(kind, name, constructor, options, given=len(args))
    return constructor(*args, **options)


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package that imports its names when they are first asked for.

    Args:
        package: The package's ``__name__``.
        homes: Name to the module that holds it.

    Returns:
        The function.
    """

    def look_up(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return look_up
