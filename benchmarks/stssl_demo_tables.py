"""The table of the world of look-alikes: its rows, its aims, and what each row shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import mean
from typing import Any

from report import markdown, spread
from stssl_common import Measures, Outcome
from stssl_tables import differences, interval, told_interval

FLOOR, PLAIN, IMAGES = "labels alone", "FixMatch, one network", "teacher without place"
PERMUTED, KNOWS, AT_TEST = "teacher, places permuted", "teacher knows places", "places also at test"
CEILING = "labels alone, all of them"
# How much the student of the knowing teacher is to gain, in points.
AIM = 5.0
VERDICTS = {True: "met", False: "**missed**", None: "not judged"}
MEASURES = {
    "top1": "top-1",
    "look": "look-alike, given the kind",
    "shifted": "top-1, places shifted",
    "pseudo": "pseudo-labels right",
    "kept": "pseudo-labels kept",
}
# Rows of what could be known at best, and what stands in which column.
BEST = {
    "image alone": {"top1": "image", "look": "look"},
    "place alone": {"top1": "place"},
    "image and place": {"top1": "image + place"},
}
SHOWN = (FLOOR, PLAIN, IMAGES, PERMUTED, AT_TEST, KNOWS, CEILING)


def with_teachers(outcome: Outcome) -> Outcome:
    """Add the row of the teacher itself, which is measured in the runs of its student.

    Args:
        outcome: The trained rows.

    Returns:
        All rows.
    """
    planned, found = list(outcome.planned), dict(outcome.found)
    for cell in outcome.planned:
        if cell.row != KNOWS:
            continue
        taught = replace(cell, row=AT_TEST)
        planned.append(taught)
        if cell.key in outcome.found:
            told = outcome.found[cell.key]
            own = {k.removeprefix("taught_"): v for k, v in told.items() if "taught_" in k}
            found[taught.key] = own
    return Outcome(tuple(planned), found, outcome.failed)


def part_of(outcome: Outcome, column: str) -> Outcome:
    """Give the cells of one column alone."""
    planned = tuple(cell for cell in outcome.planned if cell.column == column)
    found = {key: told for key, told in outcome.found.items() if key[1] == column}
    return Outcome(planned, found)


def shown_of(outcome: Outcome) -> list[str]:
    """List the rows that were asked for, in the order of the table."""
    asked = {cell.row for cell in outcome.planned}
    return [row for row in SHOWN if row in asked]


def points(outcome: Outcome, column: str, row: str, measure: str = "top1") -> list[float]:
    """Pair a row with the teacher that knows no place, in points."""
    pairs = differences(outcome.found, row, IMAGES, [column], measure)
    return [100 * value for value in pairs]


def moves(outcome: Outcome, row: str) -> list[float]:
    """Tell how far a row's top-1 moves when the test places are shifted, in points."""
    return [100 * (one["shifted"] - one["top1"]) for one in told_of(outcome, row)]


def judge(outcome: Outcome, column: str) -> tuple[str, dict[str, Any]]:
    """Say of each aim whether it is met.

    Args:
        outcome: The rows of the column.
        column: The column.

    Returns:
        Markdown, and aim to the differences and whether it is met; None where draws are missing.
    """
    aims = {
        f"*{KNOWS}* is above *{IMAGES}* by {AIM:g} points or more, its interval above 0": (
            KNOWS,
            points(outcome, column, KNOWS),
            lambda mid, low, high: mid >= AIM and low > 0,
        ),
        f"*{PERMUTED}*: nothing is gained over *{IMAGES}*, the interval does not lie above 0": (
            PERMUTED,
            points(outcome, column, PERMUTED),
            lambda mid, low, high: low <= 0,
        ),
        f"*{AT_TEST}* falls when the test places are shifted, the interval below 0": (
            AT_TEST,
            moves(outcome, AT_TEST),
            lambda mid, low, high: high < 0,
        ),
        f"the student of *{KNOWS}* does not move then": (
            KNOWS,
            moves(outcome, KNOWS),
            lambda mid, low, high: low == high == 0,
        ),
    }
    rows, data = [], {}
    for aim, (row, values, holds) in aims.items():
        if row not in shown_of(outcome):
            continue
        planned = sum(cell.row == row for cell in outcome.planned)
        judged = len(values) == planned > 1
        met = bool(holds(*interval(values))) if judged else None
        rows.append([aim, told_interval(values), VERDICTS[met]])
        data[aim] = {"points": values, "met": met}
    return markdown(["aim", "points", ""], rows), data


def table(outcome: Outcome, column: str, best: Mapping[str, list[float]]) -> str:
    """Write the rows, and under them what could be known at best.

    Args:
        outcome: The rows of the column.
        column: The column.
        best: As ``best_known`` returned.

    Returns:
        Markdown.
    """
    rows = []
    for row in shown_of(outcome):
        told = told_of(outcome, row)
        texts = []
        for measure in MEASURES:
            values = [100 * one[measure] for one in told if measure in one]
            texts.append(spread(values, 1) if values else "n/a" if told else "not run")
        less = "" if row == IMAGES else told_interval(points(outcome, column, row))
        rows.append([row, *texts, less])
    for title, shares in BEST.items():
        texts = dict.fromkeys(MEASURES, "n/a")
        for measure, name in shares.items():
            rate, error = (100 * value for value in best[name])
            texts[measure] = f"{rate:.2f} (± {error:.2f})"
        rows.append([f"*best possible: {title}*", *texts.values(), ""])
    head = [f"{column}, %", *MEASURES.values(), f"top-1 less *{IMAGES}*, points"]
    return markdown(head, rows)


# What a row is, and what its numbers show: a measure's name stands for its mean in per cent.
READING = {
    FLOOR: "what the labels teach without any other image: {top1:.1f}, and of two look-alikes the"
    " right one in {look:.1f} of 100 cases, where guessing gives 50.",
    PLAIN: "the network labels for itself: {pseudo:.1f} % of the pseudo-labels that count are"
    " right, and of two look-alikes it finds {look:.1f} %.",
    IMAGES: "two networks of images, what the knowing teacher is compared with: {pseudo:.1f} % of"
    " the pseudo-labels that count are right, and the student is at {top1:.1f}.",
    PERMUTED: "the networks of the knowing row, but training records have each other's places:"
    " {pseudo:.1f} % of the pseudo-labels that count are right, and the student is at {top1:.1f};"
    " it is the link of place and image that the knowing row lives on.",
    AT_TEST: "the teacher of the knowing row itself, given the places of the test: {top1:.1f}; with"
    " each look-alike where the other one lived {shifted:.1f}. So far it goes by the place, and"
    " against the image.",
    KNOWS: "its student, which sees images alone: {top1:.1f} ({lowest:.1f} in its worst draw),"
    " and {shifted:.1f} with shifted places, as it is given none; {pseudo:.1f} % of the"
    " pseudo-labels that count were right. Where it is far below them, it had not yet learned them"
    " in these steps.",
    CEILING: "the same network with the labels of all training images, as many of them in a step as"
    " others see with and without a label: {top1:.1f}. With so few steps it is no bound.",
}


def reading(outcome: Outcome) -> str:
    """Say of each row that was run what it is and what it shows.

    Args:
        outcome: The rows of a column.

    Returns:
        Markdown.
    """
    lines = []
    for row in shown_of(outcome):
        told = told_of(outcome, row)
        if told:
            means = {name: _mean(told, name) for name in MEASURES}
            means["lowest"] = 100 * min(one["top1"] for one in told)
            lines.append(f"- *{row}*: {READING[row].format(**means)}")
    alone, own = (told_of(outcome, row) for row in (FLOOR, IMAGES))
    if alone and own:
        more = _mean(own, "top1") - _mean(alone, "top1")
        lines.append(
            f"- Without places, pseudo-labels {'help' if more > 0 else 'do not help'} here:"
            f" *{IMAGES}* is at {more:+.1f} points from *{FLOOR}*."
        )
    return "\n".join(lines)


def told_of(outcome: Outcome, row: str) -> list[Measures]:
    """List what the draws of a row measured, as far as they were run."""
    keys = [cell.key for cell in outcome.planned if cell.row == row]
    return [outcome.found[key] for key in keys if key in outcome.found]


def _mean(told: list[Measures], name: str) -> float:
    """Average a measure over the draws that have it, in per cent; NaN where none has."""
    values = [100 * one[name] for one in told if name in one]
    return mean(values) if values else math.nan
