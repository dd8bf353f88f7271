"""Layers that several networks of our own share."""

from __future__ import annotations

from torch import nn

from csp_core.errors import ConfigError

GROUPS = 8
NORMS = ("batch", "group")


def check_width(width: int, norm: str) -> None:
    """Refuse a width or a normalisation that our networks do not have.

    Args:
        width: Channels of the narrowest layer.
        norm: Name of the normalisation.

    Raises:
        ConfigError: If either does not fit.
    """
    if width < GROUPS or width % GROUPS:
        raise ConfigError(f"width is {width}; give a multiple of {GROUPS}.")
    if norm not in NORMS:
        raise ConfigError(f"norm is {norm!r}; give 'batch' or 'group'.")


def norm_layer(name: str, channels: int) -> nn.Module:
    """Make a normalisation.

    Args:
        name: ``batch`` or ``group``.
        channels: Of its input, a multiple of 8.

    Returns:
        The layer.
    """
    return nn.BatchNorm2d(channels) if name == "batch" else nn.GroupNorm(GROUPS, channels)
