"""What ``csp predict --image`` prints: a picture by itself and with its place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from csp_core.cli.console import out, print_json
from csp_core.model import DualEncoder
from csp_core.photo import PhotoAnswer, answer_photo


def predict_photo(
    model: DualEncoder,
    file: Path,
    place: tuple[float, float] | None,
    date: float | None,
    hour: float | None,
    *,
    top: int,
    as_json: bool,
) -> None:
    """Rank the classes for a picture and print them.

    Args:
        model: A model with an image classifier.
        file: The picture.
        place: Longitude and latitude, degrees; those that the file names if None.
        date: Part of the year in [0, 1); that of the file if None.
        hour: Part of the day in [0, 1); that of the file if None.
        top: How many classes to list.
        as_json: Whether to print data rather than tables.

    Raises:
        CspError: If the model sees no pictures, or the file is none.
    """
    from csp_core.data.photos import read_photo
    from csp_core.infer import describe_place

    photo = read_photo(file)
    where = place or photo.lonlat
    source = "given" if place else photo.place_source
    radius = 0.0 if place or photo.uncertainty_m is None else photo.uncertainty_m / 1000
    day = date if date is not None else _known(photo.date)
    time = hour if hour is not None else _known(photo.hour)
    answer = answer_photo(
        model, photo.image, lonlat=where, radius_km=radius, date=day, hour=time, top=top
    )
    found = answer.to_dict()
    if as_json:
        report: dict[str, Any] = {"model": model.name, "lon": None, "lat": None}
        if where is not None and model.classifier is not None:
            report = describe_place(model, *where, date=day, hour=time, top=top).to_dict()
        shape = list(photo.image.shape)
        told = {
            "file": file.name,
            "shape": shape,
            "place_source": source,
            "why_no_place": "" if where else photo.why_no_place,
            "radius_km": radius,
            "date": day,
            "hour": time,
            "notes": list(photo.notes),
        }
        print_json({**report, "image": told, **found})
        return
    known = f"Place: {where[0]:.4f}, {where[1]:.4f} ({source})." if where else ""
    _print(answer, [known or f"No place: {photo.why_no_place}", *photo.notes])


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
