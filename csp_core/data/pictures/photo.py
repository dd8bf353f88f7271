"""Photos: a picture with the place, time and taxon that its file names."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csp_core.data.pictures.decode import decode, read_bytes, telling
from csp_core.data.pictures.found import Source, find
from csp_core.data.pictures.position import parts_of_time
from csp_core.data.pictures.sidecar import read_sidecars

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor


@dataclass(frozen=True)
class Photo:
    """A picture with what its file says of where and when it was taken.

    Args:
        image: ``(3, H, W)`` uint8, upright; ``(bands, H, W)`` int16 for GeoTIFFs of more than four
            16-bit bands.
        lonlat: Longitude and latitude in degrees, or None.
        place_source: Where the place stands in the file or beside it, or None.
        why_no_place: One sentence where there is no place, else ``""``.
        uncertainty_m: Radius within which the place lies, metres, or None where the file says
            nothing of it.
        date: Part of the year in [0, 1), NaN where unknown.
        hour: Part of the day in [0, 1) by the camera's clock, NaN where unknown.
        taken: The date and time as text, or ``""``.
        taken_source: Which tag says so, or ``""``.
        taxon: Scientific name of what is shown, by who described it, or ``""``.
        format: Such as ``JPEG``.
        name: The file's name.
        notes: Sentences on what is odd about the file, or was done to the picture.
        stored: Bands, height and width in the file, upright; empty where that is not known.
    """

    image: Tensor
    lonlat: tuple[float, float] | None
    place_source: Source | None
    why_no_place: str
    uncertainty_m: float | None = None
    date: float = math.nan
    hour: float = math.nan
    taken: str = ""
    taken_source: str = ""
    taxon: str = ""
    format: str = ""
    name: str = ""
    notes: tuple[str, ...] = ()
    stored: tuple[int, ...] = ()


def read_photo(
    path_or_bytes: str | Path | bytes,
    name: str = "",
    *,
    size: int | None = None,
    fit: int | None = None,
) -> Photo:
    """Read a photo: JPEG, PNG, TIFF, GeoTIFF, WebP, HEIC or AVIF.

    Nothing is written to the disk. Pictures of 100 megapixels or more are refused before they are
    decoded. The place is that of the EXIF data, else of the XMP data, else of the georeference,
    else of a sidecar beside the file, ``photo.jpg.xmp`` or ``photo.xmp``. The time is that of the
    EXIF tags of when it was taken or digitised, else of the XMP data, else the GPS block's day,
    else a sidecar's, else when the file was last written.

    Args:
        path_or_bytes: The file, or its content.
        name: What to call it; the path's own name if omitted.
        size: Side in pixels of a square, cut from the middle and scaled; None for all of it.
        fit: No side may have more pixels: what is larger is made smaller while it is decoded,
            which takes less time and memory; None for all of it.

    Returns:
        The photo.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no picture, is damaged or too large; one sentence.
    """
    from csp_core.data.pictures.tensors import square

    draft = None if size is None else 2 * size
    pixels, told = describe_photo(path_or_bytes, name, draft=draft, fit=fit)
    photo = make_photo(pixels, told)
    return photo if size is None else replace(photo, image=square(photo.image, size))


def make_photo(pixels: npt.NDArray[Any], told: dict[str, Any]) -> Photo:
    """Make a photo of what ``describe_photo`` gave, which may have come through JSON.

    Args:
        pixels: ``(C, H, W)``.
        told: The other fields of a photo.

    Returns:
        The photo, which shares the pixels' memory where that may be written to.
    """
    import torch

    lonlat = None if told["lonlat"] is None else (told["lonlat"][0], told["lonlat"][1])
    lists = {name: tuple(told[name]) for name in ("notes", "stored")}
    image = torch.from_numpy(pixels if pixels.flags.writeable else pixels.copy())
    return Photo(image=image, **{**told, **lists, "lonlat": lonlat})


def describe_photo(
    path_or_bytes: str | Path | bytes,
    name: str = "",
    *,
    draft: int | None = None,
    fit: int | None = None,
) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Read a photo as arrays and plain values, without torch.

    Args:
        path_or_bytes: The file, or its content.
        name: What to call it; the path's own name if omitted.
        draft: No side need have more pixels, see ``decode``.
        fit: No side may have more pixels, see ``read_photo``.

    Returns:
        ``(C, H, W)`` pixels, and the other fields of a photo by name.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no picture, is damaged or too large; one sentence.
    """
    beside = [] if isinstance(path_or_bytes, bytes) else read_sidecars(Path(path_or_bytes))
    content, name = read_bytes(path_or_bytes, name)
    picture = decode(content, name, draft=draft, fit=fit)
    with telling() as told:
        found = find(picture, content, name, beside)
    place, time = found.place, found.time
    date, hour = (math.nan, math.nan) if time is None else parts_of_time(time.taken)
    text = "" if time is None else time.taken.isoformat(" ", "minutes")
    has_hour = time is not None and time.has_hour
    return picture.pixels, {
        "lonlat": place.lonlat,
        "place_source": found.source,
        "why_no_place": place.why_not,
        "uncertainty_m": place.uncertainty_m,
        "date": date,
        "hour": hour if has_hour else math.nan,
        "taken": text if has_hour else text[:10],
        "taken_source": "" if time is None else time.tag,
        "taxon": found.taxon,
        "format": picture.format,
        "name": name,
        "notes": (*picture.notes, *found.notes, *told),
        "stored": picture.stored,
    }
