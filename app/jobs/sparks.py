"""A small curve of a run's loss, as a picture in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csp_core.runs.reading import is_number

WIDTH, HEIGHT, POINTS = 200, 28, 60


def losses(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Read the last losses of a run.

    Args:
        rows: A run's numbers, one an epoch.

    Returns:
        At most ``POINTS`` of them.

    Example:
        >>> losses([{"loss": 2.0}, {"loss": None}, {"loss": 1}])
        [2.0, 1.0]
    """
    return [float(row["loss"]) for row in rows if is_number(row.get("loss"))][-POINTS:]


def spark(values: Sequence[float], colour: str) -> str:
    """Draw values as a line.

    Args:
        values: Two or more.
        colour: Of the line.

    Returns:
        SVG.

    Example:
        >>> spark([2.0, 1.0], "#000000").count("polyline")
        1
    """
    least, most = min(values), max(values)
    span = (most - least) or 1.0
    step = WIDTH / (len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{2 + (HEIGHT - 4) * (most - value) / span:.1f}"
        for i, value in enumerate(values)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        f' height="{HEIGHT}"><polyline points="{points}" fill="none" stroke="{colour}"'
        ' stroke-width="1.5"/></svg>'
    )
