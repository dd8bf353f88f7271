"""What a model's card says of it to people: a headline, its word for a class, places to see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from csp_core.errors import ConfigError
from csp_core.files import harmless

MOST_HEADLINE, MOST_NOUN, MOST_NAME, MOST_EXAMPLES = 120, 40, 40, 6
# A noun stands in the middle of sentences, so it holds nothing that could be read as markup.
NOUN = re.compile(r"[^\W\d_]+(?:[ -][^\W\d_]+)*")
LINKS = ("gbif", "inaturalist", "ebird", "xeno-canto")
# What a record is called, several of them, and what was done with what is in one.
RECORD = ("record", "records", "recorded")
KEYS = ("headline", "singular", "plural", "examples", "links", "metres", *RECORD)
# A pixel of a picture from above, on the ground.
MOST_METRES = 100_000


@dataclass(frozen=True)
class Example:
    """A place that a model knows well.

    Args:
        name: What people call it.
        lon: Longitude, degrees.
        lat: Latitude, degrees.
    """

    name: str
    lon: float
    lat: float


@dataclass(frozen=True)
class Introduction:
    """What a model says of itself to people; what it does not say is empty.

    Args:
        headline: What it knows, and what it does not.
        singular: What one of its classes is, such as ``"kind of land cover"``.
        plural: What several are.
        examples: Places to look at; a page opens at the first.
        links: Where a class can be looked up, of ``LINKS``; None if the card does not say.
        metres: Side of a pixel of the pictures from above that it learned from; None likewise.
        record: What one of its records is, such as ``"patch"``, where that is no recording.
        records: What several are.
        recorded: What was done there with a class, such as ``"mapped"``.
    """

    headline: str = ""
    singular: str = ""
    plural: str = ""
    examples: tuple[Example, ...] = ()
    links: tuple[str, ...] | None = None
    metres: float | None = None
    record: str = ""
    records: str = ""
    recorded: str = ""


def check_introduction(given: Any) -> Introduction:
    """Read the introduction of a model.

    Args:
        given: Plain values, such as ``{headline: …, singular: …, plural: …, examples: [{name: …,
            lon: …, lat: …}]}``, each part optional.

    Returns:
        The introduction.

    Raises:
        ConfigError: If a part is unknown, too long, or not what it should be.

    Example:
        >>> check_introduction({"singular": "kind of crop", "plural": "kinds of crop"}).plural
        'kinds of crop'
    """
    if not isinstance(given, Mapping):
        raise ConfigError(f"The introduction is a {type(given).__name__}; a mapping is needed.")
    if unknown := [str(key)[:MOST_NAME] for key in given if key not in KEYS]:
        raise ConfigError(f"The introduction has no part {unknown[0]!r}; {', '.join(KEYS)}.")
    singular, plural = (_noun(given.get(key, ""), key) for key in ("singular", "plural"))
    if bool(singular) != bool(plural):
        raise ConfigError("The introduction needs both singular and plural, or neither.")
    words = {key: _noun(given.get(key, ""), key) for key in RECORD}
    if any(words.values()) and not all(words.values()):
        raise ConfigError(f"The introduction needs all of {', '.join(RECORD)}, or none.")
    examples = given.get("examples", ())
    if not isinstance(examples, (list, tuple)) or len(examples) > MOST_EXAMPLES:
        raise ConfigError(f"The introduction takes a list of up to {MOST_EXAMPLES} examples.")
    links = given.get("links")
    if links is not None and (not isinstance(links, list) or any(x not in LINKS for x in links)):
        raise ConfigError(f"links of the introduction takes a list of {', '.join(LINKS)}.")
    return Introduction(
        headline=_line(given.get("headline", ""), "headline", MOST_HEADLINE),
        singular=singular,
        plural=plural,
        examples=tuple(map(_example, examples)),
        links=None if links is None else tuple(dict.fromkeys(links)),
        metres=_metres(given.get("metres")),
        **words,
    )


def read_introduction(front: Mapping[str, Any]) -> Introduction:
    """Read the introduction in the front matter of a card, which may come from anybody.

    Args:
        front: The values of the front matter.

    Returns:
        The introduction, empty where there is none or it is not as it should be.
    """
    try:
        return check_introduction(front.get("introduction") or {})
    except ConfigError:  # a model with a clumsy card can still be asked
        return Introduction()


def _line(value: Any, what: str, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise ConfigError(f"{what} of the introduction must be text of up to {most} characters.")
    return harmless(" ".join(value.split()))


def _noun(value: Any, what: str) -> str:
    noun = _line(value, what, MOST_NOUN)
    if noun and not NOUN.fullmatch(noun):
        raise ConfigError(f"{what} of the introduction is {noun!r}; give plain words.")
    return noun


def _metres(value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 < value <= MOST_METRES):
        raise ConfigError(
            f"metres of the introduction is {value!r}; give the side of a pixel, such as 10."
        )
    return float(value)


def _example(value: Any) -> Example:
    if not isinstance(value, Mapping) or set(value) != {"name", "lon", "lat"}:
        raise ConfigError("An example of the introduction needs name, lon and lat.")
    name = _line(value["name"], "The name of an example", MOST_NAME)
    lon, lat = value["lon"], value["lat"]
    for number, most in ((lon, 180), (lat, 90)):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ConfigError(f"The place of the example {name!r} is no pair of numbers.")
        if not -most <= number <= most:
            raise ConfigError(f"The place of the example {name!r} is not on Earth.")
    return Example(name, float(lon), float(lat))
