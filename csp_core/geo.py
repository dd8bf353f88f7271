"""The sphere: coordinate checks, unit vectors, distances, uniform points, jitter, grids and blocks.

Coordinates are ``lonlat``: ``(N, 2)`` longitude, latitude, degrees, WGS84. Distances are on a
sphere of the Earth's mean radius.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from csp_core.errors import BadRecordError

EARTH_RADIUS_KM = 6371.0088
WORLD = (-180.0, -90.0, 180.0, 90.0)


def check_lonlat(lonlat: Tensor, *, allow_missing: bool = False) -> Tensor:
    """Check coordinates that come from outside.

    Args:
        lonlat: ``(N, 2)`` longitude in [-180, 180], latitude in [-90, 90], degrees.
        allow_missing: Whether rows of NaN (no known place) pass.

    Returns:
        The same values as a floating tensor.

    Raises:
        BadRecordError: On another shape, NaN, infinity, or values out of range.
    """
    lonlat = torch.as_tensor(lonlat)
    if not lonlat.is_floating_point():
        lonlat = lonlat.to(torch.get_default_dtype())
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise BadRecordError(
            f"Coordinates have shape {tuple(lonlat.shape)}; give (N, 2): longitude, latitude."
        )
    values = lonlat[~lonlat.isnan().any(dim=1)] if allow_missing else lonlat
    bad = ~values.isfinite().all(dim=1)
    if bad.any():
        row = int(bad.nonzero()[0])
        raise BadRecordError(
            f"Coordinate {row} is {values[row].tolist()}; give finite degrees, longitude first."
        )
    outside = (values[:, 0].abs() > 180) | (values[:, 1].abs() > 90)
    if outside.any():
        raise BadRecordError(_outside_message(values, int(outside.nonzero()[0])))
    if len(values) >= 8 and bool((values.abs() <= 1).all()):
        warnings.warn(
            "All coordinates lie within 1 degree of (0, 0). If they are normalised to [-1, 1], "
            "multiply longitude by 180 and latitude by 90: degrees are expected.",
            stacklevel=2,
        )
    return lonlat


def _outside_message(values: Tensor, row: int) -> str:
    lon, lat = values[row].tolist()
    if abs(lat) > 90 and abs(lon) <= 90 and abs(lat) <= 180:
        hint = f"The two look swapped: longitude comes first, so ({lat:g}, {lon:g})."
    elif abs(lat) > 90:
        hint = "Latitude goes from -90 to 90."
    else:
        hint = f"Longitude goes from -180 to 180; the same meridian is {wrap_longitude(lon):g}."
    return f"Longitude {lon:g}, latitude {lat:g} is not a place in degrees. {hint}"


def wrap_longitude(lon: float) -> float:
    """Bring a longitude into [-180, 180).

    Args:
        lon: Degrees, any finite value.

    Returns:
        The same meridian in [-180, 180).

    Example:
        >>> wrap_longitude(190.0)
        -170.0
    """
    return (lon + 180.0) % 360.0 - 180.0


def unit_vectors(lonlat: Tensor) -> Tensor:
    """Turn places into points on the unit sphere.

    Args:
        lonlat: ``(..., 2)`` degrees.

    Returns:
        ``(..., 3)`` (cos φ cos λ, cos φ sin λ, sin φ).

    Example:
        >>> unit_vectors(torch.tensor([[90.0, 0.0]])).round(decimals=6).tolist()
        [[-0.0, 1.0, 0.0]]
    """
    lon, lat = torch.deg2rad(lonlat).unbind(-1)
    return torch.stack((lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()), dim=-1)


def lonlat_of(vectors: Tensor) -> Tensor:
    """Turn points on the unit sphere into places, the inverse of ``unit_vectors``.

    Args:
        vectors: ``(..., 3)``, any length above zero.

    Returns:
        ``(..., 2)`` degrees.
    """
    x, y, z = vectors.unbind(-1)
    lat = torch.atan2(z, torch.hypot(x, y))
    return torch.rad2deg(torch.stack((torch.atan2(y, x), lat), dim=-1))


def great_circle_km(a: Tensor, b: Tensor) -> Tensor:
    """Measure the great-circle distance between places, broadcasting over leading dimensions.

    The half-chord form stays exact for places metres apart, where the arc cosine does not.

    Args:
        a: ``(..., 2)`` degrees.
        b: ``(..., 2)`` degrees.

    Returns:
        ``(...)`` kilometres.

    Example:
        >>> paris, london = torch.tensor([2.35, 48.86]), torch.tensor([-0.13, 51.51])
        >>> round(great_circle_km(paris, london).item())
        343
    """
    lon_a, lat_a = torch.deg2rad(a).unbind(-1)
    lon_b, lat_b = torch.deg2rad(b).unbind(-1)
    sin_lat = torch.sin((lat_a - lat_b) / 2) ** 2
    sin_lon = torch.sin((lon_a - lon_b) / 2) ** 2
    half_chord = (sin_lat + lat_a.cos() * lat_b.cos() * sin_lon).clamp(0, 1).sqrt()
    return 2 * EARTH_RADIUS_KM * torch.asin(half_chord)


def nearest_km(places: Tensor, others: Tensor) -> Tensor:
    """Measure how far the nearest of some other places is.

    Args:
        places: ``(N, 2)`` degrees, none missing.
        others: ``(M, 2)`` degrees, none missing.

    Returns:
        ``(N,)`` float64 kilometres along great circles; infinite if there is no other place.

    Example:
        >>> nearest_km(torch.tensor([[0.0, 0.0]]), torch.tensor([[1.0, 0.0], [9.0, 9.0]])).round()
        tensor([111.], dtype=torch.float64)
    """
    if not len(others) or not len(places):
        return torch.full((len(places),), math.inf, dtype=torch.float64)
    from sklearn.neighbors import KDTree

    # Straight lines between unit vectors order places as great circles do, over poles and the
    # antimeridian too. Records pile up at few places, so each place is asked once.
    own, member = torch.unique(places.double(), dim=0, return_inverse=True)
    tree = KDTree(unit_vectors(torch.unique(others.double(), dim=0)).numpy())
    chord = torch.from_numpy(tree.query(unit_vectors(own).numpy(), k=1)[0][:, 0])
    return 2 * EARTH_RADIUS_KM * torch.asin((chord / 2).clamp(max=1))[member]


def sphere_points(uniform: Tensor) -> Tensor:
    """Map uniform numbers to places that are uniform on the sphere.

    Args:
        uniform: ``(N, 2)`` independent draws from U(0, 1).

    Returns:
        ``(N, 2)`` degrees; the sine of latitude is uniform.

    Source:
        CSP's published samplers cover a quadrant or an ellipse instead; this is the form of
        Mac Aodha et al. 2019 and Cole et al. 2023.
    """
    lon = 360 * uniform[:, 0] - 180
    lat = torch.rad2deg(torch.asin((2 * uniform[:, 1] - 1).clamp(-1, 1)))
    return torch.stack((lon, lat), dim=1)


def displace(lonlat: Tensor, km: Tensor, bearing: Tensor) -> Tensor:
    """Move places along great circles.

    Args:
        lonlat: ``(N, 2)`` degrees.
        km: ``(N,)`` distance.
        bearing: ``(N,)`` direction in radians, clockwise from north.

    Returns:
        ``(N, 2)`` degrees, wrapped at the antimeridian and carried over the poles.
    """
    lon, lat = torch.deg2rad(lonlat).unbind(-1)
    here = unit_vectors(lonlat)
    north = torch.stack((-lat.sin() * lon.cos(), -lat.sin() * lon.sin(), lat.cos()), dim=-1)
    east = torch.stack((-lon.sin(), lon.cos(), torch.zeros_like(lon)), dim=-1)
    heading = bearing.cos()[:, None] * north + bearing.sin()[:, None] * east
    angle = (km / EARTH_RADIUS_KM)[:, None]
    return lonlat_of(angle.cos() * here + angle.sin() * heading)


def jitter(lonlat: Tensor, sigma_km: float | Tensor, uniform: Tensor) -> Tensor:
    """Scatter places by a Gaussian on the sphere.

    Args:
        lonlat: ``(N, 2)`` degrees.
        sigma_km: Standard deviation along each of two perpendicular directions, one for all or
            ``(N,)``.
        uniform: ``(N, 2)`` draws from [0, 1).

    Returns:
        ``(N, 2)`` degrees; the distances follow a Rayleigh law with parameter ``sigma_km``.
    """
    radius = sigma_km * torch.sqrt(-2 * torch.log1p(-uniform[:, 0]))
    return displace(lonlat, radius, 2 * math.pi * uniform[:, 1])


def cell_ids(lonlat: Tensor, degrees: float) -> Tensor:
    """Number the cells of a regular grid that places fall into.

    Cells count from the south-west corner; longitude 180 belongs to the cell of -180 and the north
    pole to the last row, so that neighbouring records never differ by a rounding at an edge.

    Args:
        lonlat: ``(N, 2)`` degrees.
        degrees: Side of a cell.

    Returns:
        ``(N,)`` int64, ``row * columns + column``.
    """
    columns, rows = math.ceil(360 / degrees), math.ceil(180 / degrees)
    lonlat = lonlat.to(torch.float64)
    column = torch.floor(((lonlat[:, 0] + 180) % 360) / degrees).long().clamp(0, columns - 1)
    row = torch.floor((lonlat[:, 1] + 90) / degrees).long().clamp(0, rows - 1)
    return row * columns + column


def cell_centres(ids: Tensor, degrees: float) -> Tensor:
    """Give the centres of the cells that ``cell_ids`` numbers.

    Args:
        ids: ``(N,)`` int64.
        degrees: Side of a cell, as given to ``cell_ids``.

    Returns:
        ``(N, 2)`` degrees, float32.
    """
    columns = math.ceil(360 / degrees)
    row, column = torch.div(ids, columns, rounding_mode="floor"), ids % columns
    lon = (column + 0.5) * degrees - 180
    lat = ((row + 0.5) * degrees - 90).clamp(-90, 90)
    return torch.stack((lon, lat), dim=1).to(torch.float32)
