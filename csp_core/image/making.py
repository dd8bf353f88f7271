"""Making an image encoder from a table, and writing down what makes it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from csp_core.errors import ConfigError
from csp_core.image.base import ImageEncoder
from csp_core.tables import construct, option_names

E = TypeVar("E", bound=ImageEncoder)
# What an encoder gives the encoder inside it, so that nobody else does.
GIVEN = ("dim", "bands", "weights")


def make_from(
    table: Mapping[str, Callable[..., E]],
    name: str,
    *,
    dim: int | None,
    bands: int,
    **options: Any,
) -> E:
    """Make an image encoder of a table.

    Args:
        table: Name to constructor.
        name: The name asked for.
        dim: Size of the embedding; None for the encoder's own.
        bands: Channels of an image.
        **options: Options of the encoder.

    Returns:
        The encoder, which knows its ``spec``.

    Raises:
        UnknownNameError: If there is no such encoder.
        ConfigError: If an option is unknown or out of range.
    """
    given = {**({} if dim is None else {"dim": dim}), "bands": bands, **options}
    encoder = construct("image encoder", table, name, **given)
    # Defaults are written out, so that a saved model keeps its shape when a default changes.
    spec = {"name": name, **option_names(table[name]), **given, **encoder.parts}
    # A saved model holds all its weights: it is made again without the files it started from.
    encoder.spec = {**spec, "weights": None} if "weights" in spec else spec
    return encoder


def make_inside(
    table: Mapping[str, Callable[..., E]],
    part: Mapping[str, Any] | str,
    *,
    dim: int | None,
    bands: int,
    weights: str | None,
) -> E:
    """Make the encoder that another is built on.

    Args:
        table: Name to constructor of those that can be.
        part: Its name, or its name and options.
        dim: Size of its embedding; None for its own.
        bands: Channels of an image.
        weights: What it starts from; None for chance.

    Returns:
        The encoder.

    Raises:
        UnknownNameError: If there is no such encoder.
        ConfigError: If an option is unknown, or is given beside the component and not in it.
    """
    options = {"name": part} if isinstance(part, str) else dict(part)
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError(f"backbone is {part!r}; give it a name, one of {', '.join(table)}.")
    if (taken := [key for key in GIVEN if options.get(key) is not None]) and name in table:
        raise ConfigError(
            f"backbone has the option {taken[0]!r}: give it beside backbone, as"
            f" model.image.{taken[0]}."
        )
    options = {key: value for key, value in options.items() if key not in GIVEN}
    started = {} if weights is None else {"weights": weights}
    return make_from(table, name, dim=dim, bands=bands, **options, **started)


def told_inside(encoder: ImageEncoder) -> dict[str, Any]:
    """Write down the encoder that another is built on.

    Args:
        encoder: What ``make_inside`` made.

    Returns:
        Its name and options, but for those that the other gives it.
    """
    return {key: value for key, value in (encoder.spec or {}).items() if key not in GIVEN}
