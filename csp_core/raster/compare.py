"""Two maps of one grid together: their difference, and the area that both reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor

from csp_core.errors import BadRecordError
from csp_core.raster.raster import Raster


def subtract(raster: Raster, other: Raster, unsupported: Sequence[Tensor]) -> Raster:
    """Subtract a raster of the same grid.

    Args:
        raster: From which.
        other: What to subtract.
        unsupported: ``(H, W)`` bool each, where a model is known to extrapolate; there the
            difference has no support.

    Returns:
        Values in [-1, 1], with the names of both where they differ.

    Raises:
        BadRecordError: If their grids differ, or their kinds.
    """
    _check_same_grid(raster, other)
    if raster.kind != other.kind:
        raise BadRecordError(
            f"Values of one map are of the kind {raster.kind}, those of the other of {other.kind};"
            " give two of one kind."
        )
    nowhere = torch.zeros_like(raster.extrapolated)
    same = raster.taxon == other.taxon
    return replace(
        raster,
        kind=f"{raster.kind} difference",
        taxon=raster.taxon if same else f"{raster.taxon} minus {other.taxon}",
        common_name=raster.common_name if same else _minus(raster.common_name, other.common_name),
        model=_minus(raster.model, other.model) if raster.model != other.model else raster.model,
        values=raster.values - other.values,
        extrapolated=reduce(torch.logical_or, unsupported, nowhere),
        support_known=bool(unsupported),
    )


def common_area_km2(
    first: Raster,
    other: Raster,
    thresholds: tuple[float, float],
    *,
    extrapolated: tuple[bool | None, bool | None] = (None, None),
) -> float:
    """Measure the cells where each of two maps reaches its threshold, on the WGS84 ellipsoid.

    Args:
        first: A map.
        other: Another of the same grid.
        thresholds: Of each; cells with this value or more count.
        extrapolated: Of each, as for ``Raster.reaches``.

    Returns:
        Square kilometres.

    Raises:
        BadRecordError: If their grids differ.
    """
    _check_same_grid(first, other)
    both = first.reaches(thresholds[0], extrapolated=extrapolated[0])
    both = both & other.reaches(thresholds[1], extrapolated=extrapolated[1])
    return first.grid.area_km2(both)


def _minus(first: str, other: str) -> str:
    return f"{first} minus {other}" if first and other else ""


def _check_same_grid(first: Raster, other: Raster) -> None:
    if first.grid != other.grid:
        raise BadRecordError(
            f"One map has cells of {first.step:g}° within {first.bounds}, the other of"
            f" {other.step:g}° within {other.bounds}; compute both on one grid."
        )
