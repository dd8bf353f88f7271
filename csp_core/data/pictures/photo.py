"""Photos: a picture with the place, time and taxon that its file names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from csp_core.data.pictures.decode import TIFF_MARKS, Picture, open_picture, read_bytes, telling
from csp_core.data.pictures.geotiff import centre
from csp_core.data.pictures.position import (
    Place,
    parts_of_time,
    place_of_exif,
    place_of_xmp,
    read_xmp,
    taxon_of_xmp,
    time_of_exif,
    time_of_xmp,
)

BAD_EXIF = "The EXIF data are malformed, so they name no place."
Source = Literal["EXIF", "XMP", "georeference"]


@dataclass(frozen=True)
class Photo:
    """A picture with what its file says of where and when it was taken.

    Args:
        image: ``(3, H, W)`` uint8, upright; ``(bands, H, W)`` int16 for GeoTIFFs of more than four
            16-bit bands.
        lonlat: Longitude and latitude in degrees, or None.
        place_source: Where the place stands in the file, or None.
        why_no_place: One sentence where there is no place, else ``""``.
        uncertainty_m: Radius within which the place lies, metres, or None where the file says
            nothing of it.
        date: Part of the year in [0, 1), NaN where unknown.
        hour: Part of the day in [0, 1) by the camera's clock, NaN where unknown.
        taken: The date and time as text, or ``""``.
        taxon: Scientific name of what is shown, by who described it, or ``""``.
        format: Such as ``JPEG``.
        name: The file's name.
        notes: Sentences on what is odd about the file, or was done to the picture.
    """

    image: Tensor
    lonlat: tuple[float, float] | None
    place_source: Source | None
    why_no_place: str
    uncertainty_m: float | None = None
    date: float = math.nan
    hour: float = math.nan
    taken: str = ""
    taxon: str = ""
    format: str = ""
    name: str = ""
    notes: tuple[str, ...] = ()


def read_photo(
    path_or_bytes: str | Path | bytes, name: str = "", *, size: int | None = None
) -> Photo:
    """Read a photo: JPEG, PNG, TIFF, GeoTIFF, WebP or HEIC.

    Nothing is written to the disk. Pictures of 100 megapixels or more are refused before they are
    decoded. The place is that of the EXIF data, else of the XMP data, else of the georeference.

    Args:
        path_or_bytes: The file, or its content.
        name: What to call it; the path's own name if omitted.
        size: Side in pixels of a square, cut from the middle and scaled; None for all of it.

    Returns:
        The photo.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no picture, is damaged or too large; one sentence.
    """
    content, name = read_bytes(path_or_bytes, name)
    picture = open_picture(content, name, size=size)
    tags = read_xmp(picture.xmp)
    with telling() as told:
        place, source, notes = _find_place(picture, tags, content, name)
        taken, has_hour = time_of_exif(picture.exif), True
    if taken is None:
        taken, has_hour = time_of_xmp(tags)
    date, hour = (math.nan, math.nan) if taken is None else parts_of_time(taken)
    text = "" if taken is None else taken.isoformat(" ", "minutes")
    return Photo(
        image=picture.image,
        lonlat=place.lonlat,
        place_source=source,
        why_no_place=place.why_not,
        uncertainty_m=place.uncertainty_m,
        date=date,
        hour=hour if has_hour else math.nan,
        taken=text if has_hour else text[:10],
        taxon=taxon_of_xmp(tags),
        format=picture.format,
        name=name,
        notes=(*picture.notes, *notes, *told),
    )


def _find_place(
    picture: Picture, tags: dict[str, str], content: bytes, name: str
) -> tuple[Place, Source | None, tuple[str, ...]]:
    """Ask EXIF, XMP and georeference in turn; the first reason is kept if none has a place."""
    exif = (
        Place(None, BAD_EXIF)
        if picture.bad_exif and not picture.exif
        else place_of_exif(picture.exif)
    )
    if exif.lonlat is not None:
        return exif, "EXIF", ()
    # What the EXIF data would have said is worth a note only if something is wrong with them.
    asked = picture.exif or picture.bad_exif
    odd = (exif.why_not,) if asked and "no GPS" not in exif.why_not else ()
    xmp = place_of_xmp(tags)
    if xmp.lonlat is not None:
        return xmp, "XMP", odd
    reason = xmp.why_not or exif.why_not
    if content[:4] in TIFF_MARKS:
        lonlat, why = centre(content, name)
        if lonlat is not None:
            return Place(lonlat), "georeference", odd
        reason = why or reason
    return Place(None, odd[0] if odd else reason), None, ()
