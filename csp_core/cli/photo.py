"""What ``csp predict --image`` prints: a picture by itself and with its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from csp_core.cli.console import out, print_json
from csp_core.data.pictures import read_photo
from csp_core.inference import (
    VALUE_MEANING,
    PhotoAnswer,
    PlaceReport,
    RankedAnswer,
    RankedTaxon,
    When,
    answer_photo,
    describe_place,
    remarks,
    taken,
)
from csp_core.model import LEVEL_MEANING, UNKNOWN_LEVEL, DualEncoder, Prior

# No side of a picture need have more pixels: a model looks at a few hundred.
FIT = 2048
PLACELESS = "This model looks at no place: its answer is that of the picture alone."
SHORT = (
    "It names {} kinds and no others: what is not on its list is called by what looks most like it."
)
# Of a longer set only the size is told.
MOST_NAMED = 8


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
        given: Date and hour, which come before those of the file as ``taken`` says.
        top: How many classes to list.
        as_json: Whether to print data rather than tables.

    Raises:
        CspError: If the model sees no pictures, or the file is none.
    """
    photo = read_photo(file, fit=FIT)
    found = taken(photo, place, given)
    where, when = found.place, found.when
    source = photo.place_source if found.own_place else "given"
    answer = answer_photo(
        model,
        photo.image,
        lonlat=where,
        radius_km=found.radius_km,
        date=when.date,
        hour=when.hour,
        top=top,
    )
    report = None
    lent = model.places
    if where is not None and lent is not None:
        report = describe_place(lent, *where, date=when.date, hour=when.hour, top=top)
    if as_json:
        told = {
            "file": file.name,
            "shape": list(photo.stored or photo.image.shape),
            "place_source": source,
            "why_no_place": _why_no_place(model, "" if where else photo.why_no_place),
            "radius_km": found.radius_km,
            "day": when.day,
            "date": when.date,
            "hour": when.hour,
            "notes": list(photo.notes),
        }
        print_json({**_about(model, report), "image": told, **answer.to_dict()})
        return
    known = f"Place: {where[0]:.4f}, {where[1]:.4f} ({source})." if where else ""
    lines = [known or f"No place: {photo.why_no_place}"]
    if report:
        assert lent is not None
        lines += [support_line(report), *_day_line(lent, when, own=found.own_date)]
    elif lent is None:
        # A place that the file happens to hold is not what the answer rests on.
        lines = [PLACELESS]
    said = [*lines, *_list_lines(model), *_set_lines(answer, report), *photo.notes]
    _print(answer, said, placeless=lent is None)


def _about(model: DualEncoder, report: PlaceReport | None) -> dict[str, Any]:
    """Tell the model and its place; what another model says of the place stands apart."""
    nowhere: dict[str, Any] = {"model": model.name, "lon": None, "lat": None}
    if report is None:
        return nowhere
    about = report.to_dict()
    if model.borrowed is None:
        return about
    return {**nowhere, "lon": report.lon, "lat": report.lat, "place_prior": about}


def _list_lines(model: DualEncoder) -> list[str]:
    """Say whose prior is heard, and how short a list of kinds is."""
    lines = [] if model.borrowed is None else [str(model.borrowed)]
    return lines if model.rest is None else [*lines, SHORT.format(len(model.classes) - 1)]


def set_line(where: str, lines: Sequence[RankedTaxon | RankedAnswer]) -> str:
    """Name the classes of a label set.

    Args:
        where: What the set is of.
        lines: The classes, with what is in the set.

    Returns:
        One line.
    """
    if all(one.in_set is None for one in lines):
        return f"The label set {where} is not known: no thresholds were fitted to such an answer."
    named = [f"{one.common_name or one.taxon} ({one.value:.0%})" for one in lines if one.in_set]
    if not named:
        return f"The label set {where}: no class reaches its threshold."
    return f"The label set {where}: {'; '.join(named)}."


def _why_no_place(model: DualEncoder, why: str) -> str:
    return PLACELESS if model.places is None else why


def support_line(report: PlaceReport) -> str:
    """Say how much the place's part rests on.

    Args:
        report: What it says of the place.

    Returns:
        One line.
    """
    meaning, more = LEVEL_MEANING[report.level], "".join(f" {one}" for one in remarks(report))
    if report.level == UNKNOWN_LEVEL:
        return f"Support: {meaning}.{more}"
    return f"Support: {report.level} ({meaning}).{more}"


def _day_line(model: Prior, when: When, *, own: bool) -> list[str]:
    unused = "" if model.uses_date else "; the model has no time input, so it changes nothing"
    if when.day is None:
        return ["No date: the file names none."] if model.uses_date else []
    return [f"Date: {when.day} ({'of the file' if own else 'given'}){unused}."]


def _set_lines(answer: PhotoAnswer, report: PlaceReport | None) -> list[str]:
    """Name the label set, or the set that holds the truth 9 times in 10.

    The latter only where what it was fitted on is like this.
    """
    if answer.kind == "probability":
        said = [set_line("of the image alone", answer.image_only)] if answer.fits else []
        if report is not None and answer.fits and not report.extrapolates:
            said.append(set_line("with the place", answer.combined))
        return [*said, VALUE_MEANING[answer.kind].replace(" here", "", 1)]
    size = answer.set_size
    if size is None or not answer.fits or (report is not None and report.extrapolates):
        return []
    names = [line.common_name or line.taxon for line in answer.combined[:size]]
    told = f"the first {size}" if size > min(MOST_NAMED, len(names)) else ", ".join(names)
    return [f"9 times in 10 the truth is among: {told}."]


def _print(answer: PhotoAnswer, lines: list[str], *, placeless: bool) -> None:
    if placeless:
        table = Table("rank", "image alone", "")
        for one in answer.image_only:
            name = f"{one.taxon} {one.common_name}".strip()
            table.add_row(*map(Text, (str(one.rank), name, f"{one.value:.1%}")))
    else:
        table = _both(answer)
    out.print(table)
    for line in lines if answer.fits else [*lines, answer.fits_reason]:
        out.print(line, markup=False, highlight=False)


def _both(answer: PhotoAnswer) -> Table:
    """Put the two rankings of a picture beside each other."""
    # Ranks of label sets are those of the set first, so they tell nothing of who gained.
    moves = () if answer.kind == "probability" else ("was", "why")
    table = Table("rank", "image alone", "", "image and place", "", *moves)
    for alone, both in zip(answer.image_only, answer.combined, strict=True):
        first, second = (f"{line.taxon} {line.common_name}".strip() for line in (alone, both))
        why = both.reason.partition(": ")[2] if both.rank != both.image_rank else ""
        cells = (
            *(str(alone.rank), first, f"{alone.value:.1%}"),
            *(second, f"{both.value:.1%}"),
            *((str(both.image_rank), why) if moves else ()),
        )
        # Names may hold brackets, which are no markup.
        table.add_row(*map(Text, cells))
    return table
