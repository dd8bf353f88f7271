"""What whoever runs this machine allows, where only the model itself tells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from csp_core.config.limits import PARAMETERS, check_limits, most_parameters
from csp_core.errors import ConfigError
from csp_core.store.bounded import SPARE_VALUES, Bounded

__all__ = ["building_within_limits", "check_limits", "check_parameters"]

LOWER = "Lower model.dim, the width of its network or the size of its image encoder."


@contextmanager
def building_within_limits() -> Iterator[None]:
    """End the building of a model that grows far beyond the limit before it takes the memory.

    Yields:
        Nothing.

    Raises:
        ConfigError: If it does.
    """
    limit = most_parameters()
    if limit is None:
        yield
        return
    reason = f"The model has far more weights than the {limit:,} that {PARAMETERS} allows. {LOWER}"
    with Bounded(SPARE_VALUES + 4 * limit, reason):
        yield


def check_parameters(model: nn.Module) -> None:
    """Make sure that a model is no larger than allowed.

    Args:
        model: The model.

    Raises:
        ConfigError: If it is; names the limit and the variable.
    """
    limit = most_parameters()
    count = sum(weight.numel() for weight in model.parameters())
    if limit is not None and count > limit:
        raise ConfigError(
            f"The model has {count:,} weights, and {PARAMETERS} allows {limit:,} on this machine."
            f" {LOWER}"
        )
