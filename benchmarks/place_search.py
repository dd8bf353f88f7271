"""How long it takes to suggest, find and name a place, each as the app asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median, quantiles

from report import arguments, markdown, write_report

from csp_core import gazetteer

BEGUN = ("mu", "mun", "san", "san fr", "Мос", "東", "ken", "lake v", "são pa", "springf", "new y")
MISSPELT = ("nairb", "Mnuich", "Copenhagn", "Reykavik", "Amstredam", "Philadelpha", "Los Angelse")
# Compared with every name, as none with the same first letter is like them.
UNKNOWN = ("qwzxcv", "zzqqpp", "xyzzyq", "wkrzlp")
NAMES = (
    *("Wien", "Zürich", "München", "Москва", "東京", "Paris, Texas", "القاهرة", "São Paulo"),
    *("Springfield", "London, Ontario", "Kenya", "Lake Victoria", "48.2 N 16.37 E", "8FVC9G8F+6X"),
)
POINTS = ((16.4, 48.2), (36.8, -1.3), (-150.0, 10.0), (179.9, -16.8), (-74.0, 40.7), (100.0, 65.0))


def milliseconds(
    ask: Callable[[object], object], what: Sequence[object], rounds: int
) -> list[float]:
    """Ask for each of some things, one after the other, some times over.

    Args:
        ask: Answers one.
        what: The things.
        rounds: How many times over.

    Returns:
        Milliseconds, one an answer; those of what had to be read first are left out.
    """
    for thing in what:
        ask(thing)
    found = []
    for _ in range(rounds):
        for thing in what:
            begun = time.perf_counter()
            ask(thing)
            found.append(1000 * (time.perf_counter() - begun))
    return found


def main() -> None:
    """Run the benchmark."""
    options = arguments("Time to suggest, find and name a place.")
    gazetteer.build_index()
    rounds = 3 if options.quick else 30
    asked = {
        "suggest for a beginning": (gazetteer.suggest, BEGUN),
        "suggest for a misspelling": (gazetteer.suggest, MISSPELT),
        "suggest where nothing fits": (gazetteer.suggest, UNKNOWN),
        "find a whole name or code": (gazetteer.look_up, NAMES),
        "name the nearest town": (lambda at: gazetteer.nearest_place(*at), POINTS),
        "name the country": (lambda at: gazetteer.country_at(*at), POINTS),
    }
    rows, times = [], {}
    for words, (ask, what) in asked.items():
        found = times[words] = milliseconds(ask, what, rounds)
        high = quantiles(found, n=20)[-1]
        row = words, str(len(found)), *(f"{ms:.1f}" for ms in (median(found), high, max(found)))
        rows.append(row)
    head = ["question", "answers", "median, ms", "19 of 20 below, ms", "slowest, ms"]
    write_report(
        "place_search",
        "Suggesting, finding and naming a place",
        markdown(head, rows),
        {"milliseconds": {words: sorted(found) for words, found in times.items()}},
        options,
    )


if __name__ == "__main__":
    main()
