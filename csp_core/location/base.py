"""What position encodings and networks have in common: a contract and checks of options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError

Options = Mapping[str, Any]
# Right by default, or as the published code computes it.
Compat = Literal["reference"] | None


class PositionEncoding(nn.Module):
    """Base of the position encodings: features of a place, before any network.

    ``forward`` takes ``(N, 2)`` degrees and gives ``(N, out_dim)`` of the same kind of number, on
    the same device, finite everywhere, without changing its input.

    The three attributes about edges are promises: True holds whatever the options, False promises
    nothing.

    Attributes:
        out_dim: Number of features.
        continuous_at_antimeridian: Whether the features just west and just east of ±180° agree.
        continuous_at_poles: Whether every meridian gives the same features at a pole.
        poles_differ: Whether the north and the south pole get different features.
        differentiable: Whether gradients reach the coordinates.
        default_network: The name in ``NETWORKS`` that stands behind it unless another is given.
        example_options: A small form for trying it out.
    """

    out_dim: int
    continuous_at_antimeridian: bool = False
    continuous_at_poles: bool = False
    poles_differ: bool = True
    differentiable: ClassVar[bool] = True
    default_network: ClassVar[str] = "residual_mlp"
    example_options: ClassVar[Options] = {}

    @property
    def scale_columns(self) -> Tensor:
        """Which features each scale has, ``(S, F)`` int64; one scale unless it says otherwise."""
        return torch.arange(self.out_dim)[None]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> PositionEncoding:
        """Move what is fixed with the module, and leave its kind of number as it is.

        ``half()`` on a model is about its weights: a frequency of 1e4 in half precision is another
        one, and every phase behind it wrong.
        """
        fixed = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in fixed.items():
            now = self._buffers[name]
            if before is not None and now is not None and now.dtype != before.dtype:
                self._buffers[name] = before.to(now.device)
        return self


def reduced(phases: Tensor) -> Tensor:
    """Take whole turns off phases, so that single precision holds what is left of them.

    Args:
        phases: ``(...)`` radians, float64.

    Returns:
        The same shape, in [-π, π].

    Example:
        >>> import torch
        >>> reduced(torch.tensor([2 * torch.pi + 0.5], dtype=torch.float64)).round(decimals=6)
        tensor([0.5000], dtype=torch.float64)
    """
    turns = phases / (2 * math.pi)
    return (turns - turns.round()).mul_(2 * math.pi)


def is_reference(compat: str | None) -> bool:
    """Read the option ``compat``.

    Args:
        compat: None for what is right, ``"reference"`` for what was published.

    Returns:
        Whether to do as the published code does.

    Raises:
        ConfigError: On another value.
    """
    if compat not in (None, "reference"):
        raise ConfigError(
            f"compat is {compat!r}; give 'reference' for what the published code computes, or"
            " leave it out."
        )
    return compat == "reference"


def check_rate(dropout: float) -> None:
    """Check a dropout rate.

    Args:
        dropout: Share of the values to drop, in [0, 1).

    Raises:
        ConfigError: If it is out of range.
    """
    if not 0 <= dropout < 1:
        raise ConfigError(f"dropout is {dropout}; give a rate from 0 up to, not including, 1.")
