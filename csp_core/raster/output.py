"""What every file of a raster has in common: how it is written, and whom it credits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.errors import CspError
from csp_core.inference import VALUE_MEANING
from csp_core.model import LEVEL_MEANING, LEVELS, UNKNOWN_LEVEL
from csp_core.raster.raster import Raster
from csp_core.raster.thresholds import Threshold
from csp_core.store import find_model, read_front, text_files

DIFFERENCE = "By how much the {} of the first named lies above that of the other."
MEANING = VALUE_MEANING | {
    "share difference": DIFFERENCE.format("share of recordings"),
    "relative difference": DIFFERENCE.format("relative score"),
    "probability difference": DIFFERENCE.format("probability"),
}
SUPPORT_MEANING: str = LEVEL_MEANING[LEVELS[-1][0]]
SUPPORT_UNKNOWN: str = LEVEL_MEANING[UNKNOWN_LEVEL]


@dataclass(frozen=True)
class Credit:
    """Whom a file names, and under which licence it may be passed on.

    Args:
        license: Licence of the model, or ``""``.
        attribution: Whose records it learned from, in a sentence or two, or ``""``.
        people: All of them by name, with their licences, or ``""``.
    """

    license: str = ""
    attribution: str = ""
    people: str = ""


NO_CREDIT = Credit()


def read_credit(model: str | Path) -> Credit:
    """Read the licence and the attribution that come with a model, its first paragraph apart.

    Args:
        model: As for ``load_model``.

    Returns:
        What is there; empty texts where nothing is.

    Raises:
        UnknownNameError: If there is no such model.
    """
    folder = find_model(model)
    try:
        licence = " ".join(str(read_front(folder)[0].get("license") or "").split())
        texts = text_files(folder)
    except CspError:  # a card that cannot be read names nobody, and ends no map
        licence, texts = "", {}
    text = texts.get("ATTRIBUTION.md") or texts.get("ATTRIBUTION") or ""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    plain = [part for part in paragraphs if not part.startswith("#")]
    first = plain[0] if plain else ""
    return Credit("" if licence == "unstated" else licence, first, "\n\n".join(plain[1:]))


def describe(raster: Raster, threshold: Threshold | None, credit: Credit) -> dict[str, Any]:
    """Say what a file holds, in the words that all formats share.

    Args:
        raster: The raster.
        threshold: The threshold that goes with it, or None.
        credit: Whom to name.

    Returns:
        Plain values; what is not known is left out.
    """
    facts: dict[str, Any] = {
        **raster.to_dict(),
        "meaning": MEANING[raster.kind],
        "support": "" if raster.support_known else SUPPORT_UNKNOWN,
        "license": credit.license,
        "attribution": credit.attribution,
        "recorders": credit.people,
    }
    if threshold is not None:
        facts["threshold"] = threshold.value
        facts["threshold_method"] = threshold.method
    return {name: value for name, value in facts.items() if value not in (None, "")}
