"""A small curve of a run's loss, as a picture in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from csp_core.runs.reading import is_number

WIDTH, HEIGHT, POINTS = 200, 28, 60


def spark(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the last losses as a line.

    Args:
        rows: A run's numbers, one an epoch.

    Returns:
        HTML; empty if there is no line to draw yet.

    Example:
        >>> spark([{"loss": 2.0}, {"loss": 1.0}]).count("polyline")
        1
        >>> spark([{"loss": 2.0}])
        ''
    """
    values = [float(row["loss"]) for row in rows if is_number(row.get("loss"))][-POINTS:]
    if len(values) < 2:
        return ""
    least, most = min(values), max(values)
    span = (most - least) or 1.0
    step = WIDTH / (len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{2 + (HEIGHT - 4) * (most - value) / span:.1f}"
        for i, value in enumerate(values)
    )
    said = f"Loss from {values[0]:.3g} to {values[-1]:.3g}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" height="{HEIGHT}" role="img"'
        f' preserveAspectRatio="none" aria-label="{said}"><polyline points="{points}" fill="none"'
        ' stroke="currentColor" stroke-width="1.5" vector-effect="non-scaling-stroke"/></svg>'
    )
