"""Checks of the options of policies."""

from __future__ import annotations

from csp_core.errors import ConfigError


def check_momentum(momentum: float) -> float:
    """Check the momentum of running means.

    Args:
        momentum: Part of the old value that stays.

    Returns:
        The same.

    Raises:
        ConfigError: If it is not in [0, 1).
    """
    if not 0 <= momentum < 1:
        raise ConfigError(f"momentum is {momentum}; give at least 0 and less than 1.")
    return float(momentum)


def check_count(name: str, value: int, least: int) -> int:
    """Check a whole number.

    Args:
        name: What the option is called.
        value: The number.
        least: The least that works.

    Returns:
        The same.

    Raises:
        ConfigError: If it is less, or not whole.
    """
    if not least <= value < float("inf") or value != int(value):
        raise ConfigError(f"{name} is {value}; give a whole number of at least {least}.")
    return int(value)


def check_threshold(
    threshold: float | tuple[float, float] | None,
    several: bool,
    published: float | tuple[float, float] = (0.05, 0.70),
) -> float | tuple[float, float]:
    """Check a threshold of confidence.

    Args:
        threshold: Least confidence; for label sets also a pair: probabilities of at most the first
            are absent, of at least the second present. None for what was published.
        several: Whether records have label sets.
        published: What None means for label sets; for one label it is 0.95.

    Returns:
        The threshold, a float or a tuple of two.

    Raises:
        ConfigError: If it is not in [0, 1], not ordered, or a pair for records of one label.
    """
    if threshold is None:
        threshold = published if several else 0.95
    if not isinstance(threshold, (tuple, list)):
        if not 0 <= threshold <= 1:
            raise ConfigError(f"threshold is {threshold}; give a probability in [0, 1].")
        return float(threshold)
    if not several:
        raise ConfigError(f"threshold is {threshold}, a pair for label sets; give one, as 0.95.")
    if len(threshold) != 2 or not 0 <= threshold[0] <= threshold[1] <= 1:
        raise ConfigError(f"threshold is {threshold}; give a pair as (0.05, 0.70), in order.")
    return float(threshold[0]), float(threshold[1])
