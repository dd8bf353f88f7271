"""Finding what somebody typed: coordinates, codes, links, names, beginnings, misspellings."""

from __future__ import annotations

import difflib
import functools
import re
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from csp_core.errors import DataNotFoundError
from csp_core.gazetteer.codes import parse_code
from csp_core.gazetteer.coordinates import FORMATS, parse_coordinates
from csp_core.gazetteer.index import COMMON, connect, index_path
from csp_core.gazetteer.places import Lookup, Place, fold, load_places

LIMIT = 8
# A place so many times larger than the next of its name is the one that was meant.
_LARGER = 5
# Shorter beginnings are looked for among the larger places only: there are too many others.
_SHORT = 3
_ALIKE = 78
# What a label ends with that says what a place is.
_KIND = re.compile(r"·\s*(?:country|lake|park|island|mountain|region)$")
_NOT_BUILT = (
    ". As long as the list of towns is not built, only large cities are known; the app builds it in"
    " about half a minute."
)
_sorting = threading.Lock()
_SELECT = "select p.name, p.country, p.lon, p.lat, p.region, p.kind, p.population, p.code, p.id"


def look_up(text: str, places: Sequence[Place] | None = None) -> Lookup:
    """Find what somebody typed: coordinates first, then codes and links, then names.

    Args:
        text: Coordinates, a plus code, MGRS or UTM, a link of a map site, or a name in any
            language, with or without its country or state.
        places: Where to look for names; all known ones by default.

    Returns:
        One place, or candidates to choose from. Typed coordinates are not checked for range.

    Raises:
        BadRecordError: If coordinates or a code cannot be read.
        DataNotFoundError: If nothing is called anything like it.
    """
    # Codes first: the N or S of a UTM zone would be taken for that of a latitude.
    pair = parse_code(text) or parse_coordinates(text)
    if pair is not None:
        return Lookup((Place(text.strip(), "", *pair),), certain=True)
    index = connect() if places is None else None
    found = _in_index(index, text) if index else _in_list(text, places or load_places())
    if found is None:
        raise DataNotFoundError(
            f"No place called {text.strip()[:80]!r} in the list. Type another city nearby, or"
            f" coordinates: {FORMATS}{_NOT_BUILT if places is None and index is None else ''}"
        )
    return found


def suggest(text: str, limit: int = LIMIT) -> tuple[Place, ...]:
    """List what an unfinished name may become: beginnings first, then names spelled alike.

    Args:
        text: What has been typed so far.
        limit: At most so many.

    Returns:
        The places, the larger ones first; empty for coordinates and where nothing fits.
    """
    text = _KIND.sub("", text.rstrip())
    index, wanted = connect(), fold(text)
    if not wanted:
        return ()
    if index is None:
        found = _in_list(text, load_places())
        return found.places[:limit] if found else ()
    begun = _begun(index, *_readings(index, text)[0], limit=limit)
    if any(place.weight >= COMMON for place in begun):
        return begun
    if unfinished := _unfinished(index, wanted, limit):
        return unfinished
    # Hamlets begin so at most; a city may be misspelt.
    alike = _alike(index, wanted, limit)
    return tuple(dict.fromkeys((*begun[: limit // 2], *alike, *begun)))[:limit]


def _unfinished(index: sqlite3.Connection, wanted: str, limit: int) -> tuple[Place, ...]:
    """Read the last words as the beginning of a region or country: "paris te"."""
    words = wanted.split()
    for count in range(1, min(4, len(words))):
        name, rest = " ".join(words[:-count]), " ".join(words[-count:])
        found = tuple(
            place
            for place in _exact(index, name, (), limit=200)
            if any(
                fold(part).startswith(rest)
                for part in (f"{place.region} {place.country}", place.country)
            )
        )
        if found:
            return found[:limit]
    return ()


def _in_index(index: sqlite3.Connection, text: str) -> Lookup | None:
    text = _KIND.sub("", text.rstrip())
    if not fold(text):
        return None
    ways = _readings(index, text)
    # Where a country or state was named that has no such place, nobody knows which is meant.
    elsewhere = "," in text and bool(ways[0][1])
    for name, codes in ways:
        exact = _exact(index, name, codes)
        # A hamlet that is called so in some language may not be what was meant.
        if exact and (exact[0].weight >= COMMON or fold(exact[0].name) == name or codes):
            sure = _dominates(exact) and (bool(codes) or name == fold(text) or not elsewhere)
            return Lookup(exact, certain=sure)
    begun = _begun(index, *ways[0], limit=LIMIT)
    nearly = [p for p in begun if fold(p.name).startswith(ways[0][0])]
    if len(begun) == 1 and nearly and 2 * len(ways[0][0]) >= len(fold(begun[0].name)):
        return Lookup(begun, certain=True)
    found = begun
    if all(place.weight < COMMON for place in begun):
        # Nobody means a hamlet's long name who has misspelt a city's.
        found = tuple(dict.fromkeys((*_alike(index, fold(text), LIMIT), *begun)))[:LIMIT]
    return Lookup(found, certain=False) if found else None


def _dominates(places: Sequence[Place]) -> bool:
    return len(places) == 1 or places[0].weight >= _LARGER * max(1, places[1].weight)


def _readings(index: sqlite3.Connection, text: str) -> list[tuple[str, tuple[str, ...]]]:
    """Read a text as a name, and as a name with a country or state behind it."""
    ways: list[tuple[str, tuple[str, ...]]] = []
    head, *tails = text.split(",")
    known = [codes for tail in tails[:3] if (codes := _codes(index, fold(tail)))]
    if known:
        # "Portland, Maine, USA" is in both.
        both = functools.reduce(_within, known)
        ways.extend((fold(head), codes) for codes in (both, known[-1], known[0]) if codes)
    ways.append((fold(text), ()))
    words = fold(text).split()
    for count in range(1, min(4, len(words))):
        if codes := _codes(index, " ".join(words[-count:])):
            ways.append((" ".join(words[:-count]), codes))
    if tails:
        # A part of a country that is not known: the name alone, to choose from.
        ways.append((fold(head), ()))
    return ways


def _codes(index: sqlite3.Connection, name: str) -> tuple[str, ...]:
    rows = index.execute("select code from qualifier where folded = ?", (name,))
    return tuple(row[0] for row in rows)


def _within(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Take of two lists of codes those that lie in one of the other list."""
    return tuple(
        max(one, other, key=len)
        for one in some
        for other in others
        if f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")
    )


def _exact(
    index: sqlite3.Connection, name: str, codes: tuple[str, ...], *, limit: int = LIMIT
) -> tuple[Place, ...]:
    # A place's own name counts as much as ten times the people behind another's second name.
    rows = index.execute(
        f"{_SELECT} from name n join place p on p.id = n.place where n.folded = ?"
        " order by n.population * (1 + 9 * n.own) + n.own desc limit 200",
        (name,),
    )
    return _places(rows, codes, limit)


def _begun(
    index: sqlite3.Connection, name: str, codes: tuple[str, ...], *, limit: int
) -> tuple[Place, ...]:
    if len(name) < 2 and name.isascii():
        return ()
    table = "common" if len(name) <= _SHORT else "name"
    # A place's own name comes first: every beginning fits some name of a large country.
    rows = index.execute(
        f"{_SELECT} from {table} n join place p on p.id = n.place"
        " where n.folded >= ? and n.folded < ? order by n.population *"
        " case when n.own then 1.0 when p.kind = 'country' then .001 else .05 end desc limit ?",
        (name, name + "\U0010ffff", 2000 if codes else 10 * limit),
    )
    return _places(rows, codes, limit)


def _places(rows: Iterable[tuple], codes: tuple[str, ...], limit: int) -> tuple[Place, ...]:  # type: ignore[type-arg]
    found: dict[int, Place] = {}
    for *values, code, number in rows:
        fits = not codes or any(code == one or code.startswith(f"{one}.") for one in codes)
        if fits and number not in found:
            found[number] = Place(*values)
        if len(found) == limit:
            break
    return tuple(found.values())


@functools.lru_cache(maxsize=1)
def _common(path: Path) -> Mapping[tuple[str, int], tuple[str, ...]]:
    """Sort the names of larger places by first letter and length; all threads share them."""
    sorted_names: dict[tuple[str, int], list[str]] = {}
    index = connect()
    for (name,) in index.execute("select distinct folded from common") if index else ():
        sorted_names.setdefault((name[0], len(name)), []).append(name)
    return {key: tuple(names) for key, names in sorted_names.items()}


def _alike(index: sqlite3.Connection, name: str, limit: int) -> tuple[Place, ...]:
    if len(name) < 4:
        return ()
    with _sorting:  # once, and not by each thread that comes meanwhile
        common = _common(index_path())
    lengths = range(len(name) - 2, len(name) + 3)
    # The first letter is seldom the wrong one, and the names with another take ten times as long.
    near = [common.get((name[0], length), ()) for length in lengths]
    far = (names for (_, length), names in common.items() if length in lengths)
    best: dict[Place, float] = {}
    for folded, score in _spelled_alike(name, near, limit) or _spelled_alike(name, far, limit):
        for place in _exact(index, folded, ())[:2]:
            best[place] = max(score, best.get(place, 0))
    ranked = sorted(best, key=lambda place: (-round(best[place] / 6), -place.weight))
    return tuple(ranked[:limit])


def _spelled_alike(
    name: str, groups: Iterable[Sequence[str]], limit: int
) -> list[tuple[str, float]]:
    from rapidfuzz import fuzz, process

    return [
        (found, score)
        for names in groups
        for found, score, _ in process.extract(
            name, names, scorer=fuzz.ratio, score_cutoff=_ALIKE, limit=3 * limit
        )
    ]


def _in_list(text: str, places: Sequence[Place]) -> Lookup | None:
    wanted = fold(text)
    if not wanted:
        return None
    exact = [p for p in places if wanted in (fold(p.name), fold(p.label))]
    if exact:
        return Lookup(tuple(exact), certain=len(exact) == 1)
    near = [p for p in places if f" {fold(p.label)}".find(f" {wanted}") >= 0]
    if not near:
        close = difflib.get_close_matches(wanted, {fold(p.name) for p in places}, 3, cutoff=0.75)
        near = [p for p in places if fold(p.name) in close]
    if not near:
        return None
    certain = len(near) == 1 and fold(near[0].name).startswith(wanted)
    return Lookup(tuple(near[:6]), certain=certain)
