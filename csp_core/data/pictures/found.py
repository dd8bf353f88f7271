"""What EXIF, XMP, georeference and sidecars say of a picture, and where they contradict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from csp_core.data.pictures.clock import why_no_time
from csp_core.data.pictures.decode import Decoded
from csp_core.data.pictures.georeference import centre
from csp_core.data.pictures.limits import TIFF_MARKS
from csp_core.data.pictures.position import (
    Place,
    Time,
    day_of_gps,
    place_of_exif,
    time_of_exif,
    time_written,
    times_in_exif,
)
from csp_core.data.pictures.sidecar import Sidecar
from csp_core.data.pictures.xmp import TIMES, place_of_xmp, read_xmp, taxon_of_xmp, time_of_xmp

BAD_EXIF = "The EXIF data are malformed, so they name no place."
NOWHERE = "The TIFF has neither a GPS block nor a georeference."
Source = Literal["EXIF", "XMP", "georeference", "sidecar"]
# Two places this near are one, written twice with other decimals or an instant later.
NEAR_KM = 1.0
# Who says so, what, and in which file beside the photo.
Voice = tuple[Source, Place, str]


@dataclass(frozen=True)
class Found:
    """Place, time and taxon of a picture.

    Args:
        place: The place, or why there is none.
        source: Where it stands, or None.
        time: When it was taken, or None.
        taxon: A scientific name, or ``""``.
        notes: Sentences on what is odd, contradicts or stands beside the file.
    """

    place: Place
    source: Source | None
    time: Time | None
    taxon: str
    notes: tuple[str, ...]


def find(picture: Decoded, content: bytes, name: str, beside: Sequence[Sidecar] = ()) -> Found:
    """Ask a file and what lies beside it for place, time and taxon; the file comes first.

    Args:
        picture: The picture.
        content: The bytes of the file.
        name: What to call it in messages.
        beside: Its sidecars.

    Returns:
        What was found.
    """
    inner = read_xmp(picture.xmp)
    voices = _inside(picture, inner, content, name)
    voices += [("sidecar", place_of_xmp(one.tags), one.name) for one in beside]
    chosen = next((voice for voice in voices if voice[1].lonlat is not None), None)
    from_beside: dict[str, list[str]] = {one.name: [] for one in beside}
    if chosen is not None and chosen[2]:
        from_beside[chosen[2]].append("place")
    time = time_of_exif(picture.exif) or time_of_xmp(inner) or day_of_gps(picture.exif)
    taxon = taxon_of_xmp(inner)
    for one in beside:
        if time is None and (told := time_of_xmp(one.tags)):
            time = replace(told, tag=f"{told.tag} of {one.name}")
            from_beside[one.name].append("time")
        if not taxon and (taxon := taxon_of_xmp(one.tags)):
            from_beside[one.name].append("name")
    place, source = _place(voices, chosen)
    notes = (
        *_odd(voices, chosen),
        *_no_times(picture, [inner, *(one.tags for one in beside)]),
        *_beside(beside, from_beside),
    )
    return Found(place, source, time or time_written(picture.exif), taxon, notes)


def _no_times(picture: Decoded, tags: Sequence[dict[str, str]]) -> list[str]:
    """Say which times were passed over, as they are intervals, of the future or of no clock."""
    texts = [*times_in_exif(picture.exif), *(one.get(name, "") for one in tags for name in TIMES)]
    return [
        f"The time {text.strip()[:40]!r} {why}; it is not used."
        for text in dict.fromkeys(texts)
        if (why := why_no_time(text))
    ]


def _inside(picture: Decoded, tags: dict[str, str], content: bytes, name: str) -> list[Voice]:
    bad = picture.bad_exif and not picture.exif
    exif = Place(None, BAD_EXIF) if bad else place_of_exif(picture.exif)
    voices: list[Voice] = [("EXIF", exif, ""), ("XMP", place_of_xmp(tags), "")]
    if content[:4] in TIFF_MARKS and all(place.lonlat is None for _, place, _ in voices):
        place = centre(content, name)
        nothing = place.lonlat is None and not place.why_not and _plain(exif.why_not)
        voices.append(("georeference", Place(None, NOWHERE) if nothing else place, ""))
    return voices


def _place(voices: Sequence[Voice], chosen: Voice | None) -> tuple[Place, Source | None]:
    """Give the place, or the reason that tells most: not that there are no EXIF data."""
    if chosen is not None:
        return chosen[1], chosen[0]
    reasons = [place.why_not for _, place, _ in voices if place.why_not]
    return Place(None, next((why for why in reasons if not _plain(why)), reasons[0])), None


def _plain(why: str) -> bool:
    """Tell whether a reason is that nothing was written, and not that something is wrong."""
    return why.startswith(("The file has no EXIF", "The EXIF data hold no GPS"))


def _odd(voices: Sequence[Voice], chosen: Voice | None) -> list[str]:
    """Say what is wrong with places that were passed over, and which lie elsewhere."""
    if chosen is None or chosen[1].lonlat is None:
        return []
    notes = list(chosen[1].notes)
    for _, place, _ in voices[: voices.index(chosen)]:
        notes += [place.why_not] if place.why_not and not _plain(place.why_not) else []
    for source, place, _ in voices[voices.index(chosen) + 1 :]:
        if place.lonlat is None:
            continue
        reach = sum(one.uncertainty_m or 0 for one in (chosen[1], place)) / 1000
        if (apart := kilometres(chosen[1].lonlat, place.lonlat)) > NEAR_KM + reach:
            notes.append(
                f"{chosen[0]} and {source} name places {apart:,.0f} km apart; that of"
                f" {chosen[0]} counts."
            )
    return notes


def _beside(beside: Sequence[Sidecar], used: dict[str, list[str]]) -> list[str]:
    notes = []
    for one in beside:
        if parts := used[one.name]:
            what = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
            notes.append(f"Read from {one.name} beside the photo: {what}.")
        elif not one.tags:
            notes.append(
                f"{one.name} beside the photo cannot be read: XMP has no document type and up to"
                " 4 MB."
            )
    return notes


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Measure a great circle, without torch.

    Args:
        a: Longitude and latitude, degrees.
        b: Longitude and latitude, degrees.

    Returns:
        Kilometres.

    Example:
        >>> round(kilometres((0.0, 0.0), (180.0, 0.0)))
        20015
    """
    (lon, lat), (other_lon, other_lat) = (tuple(map(math.radians, place)) for place in (a, b))
    half = (
        math.sin((lat - other_lat) / 2) ** 2
        + math.cos(lat) * math.cos(other_lat) * math.sin((lon - other_lon) / 2) ** 2
    )
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(half)))
