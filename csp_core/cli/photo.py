"""What ``csp predict --image`` prints: a picture by itself and with its place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from csp_core.cli.console import out, print_json
from csp_core.data.pictures import Photo, read_photo
from csp_core.inference import PhotoAnswer, PlaceReport, answer_photo, describe_place
from csp_core.model import LEVEL_MEANING, DualEncoder

# No side of a picture need have more pixels: a model looks at a few hundred.
FIT = 2048
# Of a longer set only the size is told.
MOST_NAMED = 8


@dataclass(frozen=True)
class When:
    """When a picture was taken.

    Args:
        date: Part of the year in [0, 1), or None.
        hour: Part of the day in [0, 1), or None.
        day: The date as YYYY-MM-DD, or None.
    """

    date: float | None = None
    hour: float | None = None
    day: str | None = None


def predict_photo(
    model: DualEncoder,
    file: Path,
    place: tuple[float, float] | None,
    given: When,
    *,
    top: int,
    as_json: bool,
) -> None:
    """Rank the classes for a picture and print them.

    Args:
        model: A model with an image classifier.
        file: The picture.
        place: Longitude and latitude, degrees; those that the file names if None.
        given: Date and hour; those of the file where they are None, but with a date of one's own
            the file's hour counts no more.
        top: How many classes to list.
        as_json: Whether to print data rather than tables.

    Raises:
        CspError: If the model sees no pictures, or the file is none.
    """
    photo = read_photo(file, fit=FIT)
    where = place or photo.lonlat
    source = "given" if place else photo.place_source
    radius = 0.0 if place or photo.uncertainty_m is None else photo.uncertainty_m / 1000
    when = _when(given, photo)
    answer = answer_photo(
        model, photo.image, lonlat=where, radius_km=radius, date=when.date, hour=when.hour, top=top
    )
    report = None
    if where is not None and model.classifier is not None:
        report = describe_place(model, *where, date=when.date, hour=when.hour, top=top)
    if as_json:
        nowhere: dict[str, Any] = {"model": model.name, "lon": None, "lat": None}
        told = {
            "file": file.name,
            "shape": list(photo.stored or photo.image.shape),
            "place_source": source,
            "why_no_place": "" if where else photo.why_no_place,
            "radius_km": radius,
            "day": when.day,
            "date": when.date,
            "hour": when.hour,
            "notes": list(photo.notes),
        }
        about = report.to_dict() if report else nowhere
        print_json({**about, "image": told, **answer.to_dict()})
        return
    known = f"Place: {where[0]:.4f}, {where[1]:.4f} ({source})." if where else ""
    lines = [known or f"No place: {photo.why_no_place}"]
    if report:
        lines += [support_line(model, report), *_day_line(model, when, own=given.day is None)]
    _print(answer, [*lines, *_set_line(answer, report), *photo.notes])


def support_line(model: DualEncoder, report: PlaceReport) -> str:
    """Say how much the place's part rests on.

    Args:
        model: The model.
        report: What it says of the place.

    Returns:
        One line.
    """
    if model.support is None:
        return "Support: not known; the model came without counts of its training records."
    return f"Support: {report.level} ({LEVEL_MEANING[report.level]})."


def _when(given: When, photo: Photo) -> When:
    if given.date is None:
        hour = _known(photo.hour) if given.hour is None else given.hour
        return When(_known(photo.date), hour, photo.taken[:10] or None)
    return given


def _day_line(model: DualEncoder, when: When, *, own: bool) -> list[str]:
    unused = "" if model.uses_date else "; the model has no time input, so it changes nothing"
    if when.day is None:
        return ["No date: the file names none."] if model.uses_date else []
    return [f"Date: {when.day} ({'of the file' if own else 'given'}){unused}."]


def _set_line(answer: PhotoAnswer, report: PlaceReport | None) -> list[str]:
    """Name the set that holds the truth 9 times in 10, where what it was fitted on is like this."""
    size = answer.set_size
    if size is None or not answer.fits or (report is not None and report.extrapolates):
        return []
    names = [line.common_name or line.taxon for line in answer.combined[:size]]
    told = f"the first {size}" if size > min(MOST_NAMED, len(names)) else ", ".join(names)
    return [f"9 times in 10 the truth is among: {told}."]


def _print(answer: PhotoAnswer, lines: list[str]) -> None:
    table = Table("rank", "image alone", "", "image and place", "", "was", "why")
    for alone, both in zip(answer.image_only, answer.combined, strict=True):
        first, second = (f"{line.taxon} {line.common_name}".strip() for line in (alone, both))
        why = both.reason.partition(": ")[2] if both.rank != both.image_rank else ""
        cells = (
            *(str(alone.rank), first, f"{alone.value:.1%}"),
            *(second, f"{both.value:.1%}", str(both.image_rank), why),
        )
        # Names may hold brackets, which are no markup.
        table.add_row(*map(Text, cells))
    out.print(table)
    for line in lines if answer.fits else [*lines, answer.fits_reason]:
        out.print(line, markup=False, highlight=False)


def _known(time: float) -> float | None:
    return None if math.isnan(time) else time
