"""Units of distances: what they are in metres, and which column or heading names them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

METRES = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres", "mtr", "mts"), 1.0),
    **dict.fromkeys(("km", "kms", "kilometer", "kilometers", "kilometre", "kilometres"), 1000.0),
    **dict.fromkeys(("ft", "feet", "foot"), 0.3048),
    **dict.fromkeys(("mi", "mile", "miles"), 1609.344),
    **dict.fromkeys(("yd", "yds", "yard", "yards"), 0.9144),
    "cm": 0.01,
}
# How a heading ends that names its unit. One letter is a unit only behind a word of distances.
_LONG = "|".join(sorted((unit for unit in METRES if len(unit) > 1), key=len, reverse=True))
HEADING = re.compile(rf"(?:accuracy|uncertainty|error|precision|distance)(?:in)?m$|({_LONG})$")
# "Error unit" may be that of `max error`; a word of fewer letters says too little.
SHORTEST = 5
# What a heading and that of its unit differ in.
OWN_END, UNIT_END = re.compile(r"(?:distance)?$"), re.compile(r"(?:distance)?(?:units?|uom)$")


def unit_of_heading(heading: str) -> str:
    """Give the unit that a heading names.

    Args:
        heading: As ``columns.plain`` leaves it.

    Returns:
        A key of ``METRES``, ``""`` where it names none.

    Example:
        >>> unit_of_heading("accuracykm"), unit_of_heading("coordinateuncertaintyinmeters")
        ('km', 'meters')
        >>> unit_of_heading("uncertaintym"), unit_of_heading("maxerrordistance")
        ('m', '')
    """
    found = HEADING.search(heading.removesuffix("parsed"))
    return (found[1] or "m") if found else ""


def unit_column(heading: str, units: Sequence[str], others: Collection[str]) -> str:
    """Choose the column that holds the unit of another one.

    A heading that names its unit itself needs none, and the unit of one distance is not that of
    another which stands beside it.

    Args:
        heading: That of the distances; all headings as ``columns.plain`` leaves them.
        units: Headings of units, best first.
        others: All headings of the file.

    Returns:
        One of ``units``, ``""`` where none belongs to it.

    Example:
        >>> unit_column("maxerrordistance", ["accuracyunit", "maxerrorunits"], [])
        'maxerrorunits'
        >>> unit_column("coordinateuncertaintyinmeters", ["maxerrorunits"], [])
        ''
    """
    if not heading or unit_of_heading(heading):
        return ""
    own = OWN_END.sub("", heading, count=1)
    stems = {unit: UNIT_END.sub("", unit) for unit in units}
    exact = [unit for unit, stem in stems.items() if stem == own]
    if exact:
        return exact[0]
    owned = {OWN_END.sub("", other, count=1) for other in others}
    # "uncertainty unit" is that of `coordinateUncertainty`, where no other column is closer to it.
    close = [
        unit
        for unit, stem in stems.items()
        if len(stem) >= SHORTEST and own.endswith(stem) and stem not in owned
    ]
    return next(iter(close), "")
