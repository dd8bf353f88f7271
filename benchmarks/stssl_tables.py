"""Tables made of cells: rows are compared draw by draw, and intervals resample draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from report import markdown, spread
from stssl_common import Cell, Key, Measures, Outcome

# Up to five draws, all resamples are looked at; of more, this many.
RESAMPLES, MOST_ENUMERATED = 10_000, 5
NOT_RUN, NOT_ASKED = "not run", "n/a"


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Give a mean and its 95 % interval by resampling.

    Of few draws it is narrower than Student's: of five equally good it leaves out the truth in
    some 15 of 100 tables and not in 5, which a page is to say.

    Args:
        values: One a draw. Of up to five all resamples are looked at, of more 10,000.

    Returns:
        Mean, lower and upper end; of one value, the ends are infinite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    count = len(numbers)
    if count < 2:
        return float(numbers.mean()), -math.inf, math.inf
    if count <= MOST_ENUMERATED:
        chosen = np.stack(np.meshgrid(*[np.arange(count)] * count), axis=-1).reshape(-1, count)
    else:
        chosen = np.random.default_rng(0).integers(count, size=(RESAMPLES, count))
    low, high = np.quantile(numbers[chosen].mean(axis=1), (0.025, 0.975))
    return float(numbers.mean()), float(low), float(high)


def differences(
    found: Mapping[Key, Measures], row: str, other: str, columns: Sequence[str], measure: str
) -> list[float]:
    """Pair two rows draw by draw.

    Args:
        found: As in ``Outcome``.
        row: The row that is judged.
        other: The row that it is compared with.
        columns: A draw's difference is the mean over them; draws that lack one are left out.
        measure: What is compared.

    Returns:
        A difference for each draw that both rows have.
    """
    values = {key: told[measure] for key, told in found.items() if measure in told}
    pairs: dict[int, list[float]] = {}
    for column in columns:
        for draw in {key[2] for key in values}:
            ours, theirs = values.get((row, column, draw)), values.get((other, column, draw))
            if ours is not None and theirs is not None:
                pairs.setdefault(draw, []).append(ours - theirs)
    whole = [told for _, told in sorted(pairs.items()) if len(told) == len(columns)]
    return [sum(told) / len(told) for told in whole]


def told_interval(values: Sequence[float], digits: int = 1) -> str:
    """Write a difference, in bold where its interval leaves out 0.

    Args:
        values: One a draw.
        digits: Decimals.

    Returns:
        Such as ``"**+1.2** [+0.4, +2.0] (5)"``, the number of draws in brackets.
    """
    if not values:
        return NOT_RUN
    middle, low, high = interval(values)
    if len(values) == 1:
        return f"{middle:+.{digits}f} (1)"
    mark = "**" if low > 0 or high < 0 else ""
    return (
        f"{mark}{middle:+.{digits}f}{mark} [{low:+.{digits}f}, {high:+.{digits}f}] ({len(values)})"
    )


def measure_table(
    outcome: Outcome, measure: str, *, title: str, scale: float = 100.0, digits: int = 1
) -> str:
    """Write a measure of every row and column: mean ± standard deviation over draws.

    Args:
        outcome: What there is.
        measure: Its name in the cells.
        title: Heading of the rows.
        scale: What numbers are multiplied by.
        digits: Decimals.

    Returns:
        Markdown; the number of draws is in brackets.
    """
    rows, columns = _rows(outcome), _columns(outcome)
    table = []
    for row in rows:
        texts = []
        for column in columns:
            draws = [cell.draw for cell in outcome.planned if cell.key[:2] == (row, column)]
            told = [outcome.found.get((row, column, draw), {}) for draw in draws]
            values = [scale * one[measure] for one in told if measure in one]
            absent = NOT_RUN if draws and not any(told) else NOT_ASKED
            texts.append(f"{spread(values, digits)} ({len(values)})" if values else absent)
        if set(texts) != {NOT_ASKED}:
            table.append([row, *texts])
    return markdown([title, *columns], table)


def difference_table(
    outcome: Outcome,
    measure: str,
    *,
    other: str,
    rows: Sequence[str] | None = None,
    scale: float = 100.0,
    digits: int = 1,
) -> tuple[str, dict[str, Any]]:
    """Write how far rows are from one of them, in pairs of the same draw.

    Args:
        outcome: What there is.
        measure: Its name in the cells.
        other: The row to compare with.
        rows: Rows to compare; all others if None.
        scale: What numbers are multiplied by.
        digits: Decimals.

    Returns:
        Markdown with a last column over all columns together where there are several, and the
        differences of the draws behind it, by row and column.
    """
    columns = _columns(outcome)
    sets = {column: [column] for column in columns}
    if len(columns) > 1:
        sets["all"] = columns
    table, data = [], {}
    for row in _rows(outcome) if rows is None else rows:
        if row == other:
            continue
        texts = []
        for name, some in sets.items():
            asked = {cell.key[:2] for cell in outcome.planned}
            if not all((one, column) in asked for one in (row, other) for column in some):
                texts.append(NOT_ASKED)
                continue
            pairs = differences(outcome.found, row, other, some, measure)
            values = [scale * value for value in pairs]
            texts.append(told_interval(values, digits))
            if values:
                middle, low, high = interval(values)
                ends = None if len(values) == 1 else [low, high]
                data[f"{row} − {other}, {name}"] = {
                    "draws": values, "mean": middle, "interval": ends}  # fmt: skip
        if set(texts) != {NOT_ASKED}:
            table.append([row, *texts])
    return markdown([f"less *{other}*", *sets], table), data


def missing_list(outcome: Outcome) -> str:
    """List what was not run, and why where it failed.

    Args:
        outcome: What there is.

    Returns:
        Markdown.
    """
    lines: dict[tuple[str, str], list[Cell]] = {}
    for cell in outcome.missing:
        lines.setdefault(cell.key[:2], []).append(cell)
    told = []
    for (row, column), cells in lines.items():
        reasons = sorted({outcome.failed[c.key] for c in cells if c.key in outcome.failed})
        why = f" ({'; '.join(reasons)})" if reasons else ""
        draws = ", ".join(str(cell.draw) for cell in cells)
        told.append(f"- {row}, {column}: {'draws' if len(cells) > 1 else 'draw'} {draws}{why}")
    return "\n".join(told) or "Everything was run."


def numbers(outcome: Outcome) -> dict[str, Any]:
    """Give all measures for the JSON beside a page.

    Args:
        outcome: What there is.

    Returns:
        Row to column to draw to measures, and the missing cells.
    """
    cells: dict[str, Any] = {}
    for (row, column, draw), told in sorted(outcome.found.items()):
        cells.setdefault(row, {}).setdefault(column, {})[str(draw)] = told
    return {"cells": cells, "missing": [list(cell.key) for cell in outcome.missing]}


def _rows(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(cell.row for cell in outcome.planned))


def _columns(outcome: Outcome) -> list[str]:
    return list(dict.fromkeys(cell.column for cell in outcome.planned))
