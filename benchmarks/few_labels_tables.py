"""Tables of answers from few labels: means, paired intervals over cells of the map, and aims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from report import markdown, spread
from torch import Tensor

SUPERVISED, SIMCLR, CSP, SHUFFLED = "supervised", "SimCLR", "CSP", "CSP, pairs shuffled"
PAPER, CODE = "CSP, paper's values", "CSP, published code's values"
METHODS = (SUPERVISED, SIMCLR, PAPER, CODE, CSP, SHUFFLED)
DRAWS = 1000
COLUMNS = {"top1": "top-1, %", "macro_f1": "macro-F1, %"}
IMAGE, PLACE, BOTH = "image", "place", "image+place"
MET, WITHIN, MISSED = "met", "not shown: the interval holds both", "missed"
NOT_RUN = "not run"
READING = (
    "EuroSAT is small, easy and not very geographic: this neither confirms nor refutes the figures"
    " of the paper, whose data sets were not run here."
)
Cell = dict[str, Tensor]
Cells = dict[tuple[str, float, str, int], Cell]


def values(cell: Cell, name: str, weight: Tensor | None = None) -> dict[str, Tensor]:
    """Compute the columns, for the records as they are or for resampled cells of the map.

    Args:
        cell: What ``measure`` returned.
        name: ``image``, ``place`` or ``image+place``.
        weight: ``(D, N)`` how often each record counts in each draw; once if None.

    Returns:
        Column to ``(D,)`` values in [0, 1]; the F1 is the mean over the classes present.
    """
    label, first = cell["label"], cell[name]
    weight = torch.ones(1, len(label)) if weight is None else weight
    truth = torch.nn.functional.one_hot(label, int(label.max()) + 1).float()
    number = max(truth.shape[1], int(first.max()) + 1)
    truth = torch.nn.functional.pad(truth, (0, number - truth.shape[1]))
    said = torch.nn.functional.one_hot(first, number).float()
    count, hits = weight @ truth, weight @ (truth * said)
    f1 = 2 * hits / (count + weight @ said).clamp_min(1e-9)
    present = count > 0
    return {
        "top1": hits.sum(dim=1) / weight.sum(dim=1),
        "macro_f1": (f1 * present).sum(dim=1) / present.sum(dim=1).clamp_min(1),
    }


Answers = Sequence[tuple[Cell, str]]


def resampled(*sets: Answers) -> list[dict[str, Tensor]]:
    """Average the columns over seeds, for the records as they are and for resampled 1° cells.

    Args:
        sets: Answers to compare, each one a seed, of the same records.

    Returns:
        For each, column to ``(1 + DRAWS,)``, the first of the records as they are.
    """
    blocks = torch.unique(torch.cat([cell["block"] for cell, _ in sets[0]]))
    draws = torch.randint(
        len(blocks), (DRAWS, len(blocks)), generator=torch.Generator().manual_seed(0)
    )
    times = torch.zeros(DRAWS, len(blocks)).scatter_add_(1, draws, torch.ones(draws.shape))
    found: list[dict[str, Tensor]] = [dict.fromkeys(COLUMNS, torch.zeros(())) for _ in sets]
    for runs in zip(*sets, strict=True):
        assert all(torch.equal(cell["label"], runs[0][0]["label"]) for cell, _ in runs)
        # A cell drawn twice counts twice in every seed.
        weight = times[:, torch.searchsorted(blocks, runs[0][0]["block"])]
        weight = torch.cat((torch.ones(1, weight.shape[1]), weight))
        for sums, (cell, name) in zip(found, runs, strict=True):
            for key, column in values(cell, name, weight).items():
                sums[key] = sums[key] + column / len(sets[0])
    return found


def bounds(column: Tensor) -> tuple[float, float, float]:
    """Give the value of the records as they are and the 95 % interval of the resampled.

    Args:
        column: ``(1 + DRAWS,)``.

    Returns:
        Value, lower and upper end.
    """
    low, high = torch.quantile(column[1:], torch.tensor([0.025, 0.975])).tolist()
    return float(column[0]), low, high


def pairs_of(cells: Cells, ours: tuple[str, float, str, str], theirs: tuple[str, float, str, str]
             ) -> tuple[Answers, Answers]:  # fmt: skip
    """Find the seeds that two answers share.

    Args:
        cells: As ``collect`` returned.
        ours: Split, fraction, method and answer.
        theirs: Likewise.

    Returns:
        The answers of both, one a seed.
    """
    seeds = sorted({s for *k, s in cells if tuple(k) == ours[:3]} & {
        s for *k, s in cells if tuple(k) == theirs[:3]})  # fmt: skip
    own, other = ([(cells[(*key[:3], s)], key[3]) for s in seeds] for key in (ours, theirs))
    return own, other


ROWS = {
    "image only, tuned": (SUPERVISED, IMAGE),
    "place only": (SUPERVISED, PLACE),
    "image + place, supervised": (SUPERVISED, BOTH),
    **{f"{m}: {n.replace('+', ' + ')}": (m, n) for m in METHODS[1:] for n in (IMAGE, BOTH)},
}
AGAINST = ((CSP, SIMCLR), (CSP, SHUFFLED), (CSP, SUPERVISED), (SIMCLR, SUPERVISED))


def tables(split: str, cells: Cells, fractions: Sequence[float]) -> tuple[str, dict[str, Any]]:
    """Write the tables of one split.

    Args:
        split: A key of ``SPLITS``.
        cells: As ``collect`` returned.
        fractions: The columns.

    Returns:
        Markdown, and the numbers behind it.
    """
    parts, data = [], {}
    if split != "demo":
        parts.append(f"## Split by {'1° block' if split == 'block' else 'record'}")
    for key, title in COLUMNS.items():
        rows = []
        for row, (method, name) in ROWS.items():
            texts = []
            for part in fractions:
                runs = [
                    c for (s, f, m, _), c in cells.items() if (s, f, m) == (split, part, method)
                ]
                found = [100 * float(values(cell, name)[key]) for cell in runs]
                data[f"{row}, {part:g}, {key}"] = found
                texts.append(f"{spread(found, 1)} ({len(found)})" if found else NOT_RUN)
            if set(texts) != {NOT_RUN}:
                rows.append([row, *texts])
        parts.append(markdown([title, *(f"{part:.0%}" for part in fractions)], rows))
    rows = []
    for first, second in AGAINST:
        for name in (IMAGE, BOTH):
            for part in fractions:
                own, other = pairs_of(
                    cells, (split, part, first, name), (split, part, second, name)
                )
                if own:
                    a, b = resampled(own, other)
                    gains = {key: bounds(100 * (a[key] - b[key])) for key in COLUMNS}
                    title = f"{first} − {second}"
                    data[f"{title}, {name}, {part:g}"] = gains
                    rows.append([title, name.replace("+", " + "), f"{part:.0%}",
                                 *map(_interval, gains.values()), str(len(own))])  # fmt: skip
    head = ["difference, points", "answer by", "labels", "top-1", "macro-F1", "seeds"]
    if rows:
        parts.append(markdown(head, rows))
    return "\n\n".join(parts), data


def _interval(gain: tuple[float, float, float], digits: int = 1) -> str:
    middle, low, high = gain
    mark = "**" if low > 0 or high < 0 else ""
    return f"{mark}{middle:+.{digits}f}{mark} [{low:+.{digits}f}, {high:+.{digits}f}]"


def aims(split: str, cells: Cells) -> list[list[str]]:
    """Compare what came out with what was aimed at, by image and place.

    Args:
        split: A key of ``SPLITS``.
        cells: As ``collect`` returned.

    Returns:
        Rows of a table.
    """
    asked = [
        ("CSP at 5% of the labels at least supervised at 10%", (CSP, 0.05), (SUPERVISED, 0.1)),
        *((f"CSP − {other} above 0, {part:.0%} of the labels", (CSP, part), (other, part))
          for other in (SIMCLR, SHUFFLED) for part in (0.01, 0.05)),
    ]  # fmt: skip
    rows = []
    for title, (method, part), (other, its) in asked:
        own, theirs = pairs_of(cells, (split, part, method, BOTH), (split, its, other, BOTH))
        told, met = "", NOT_RUN
        if own:
            a, b = resampled(own, theirs)
            gain = bounds(100 * (a["top1"] - b["top1"]))
            told, met = _interval(gain), _met(gain, 0.0)
        rows.append([title, told, met])
    for part in (0.01, 0.05):
        told, met = "", NOT_RUN
        own, theirs = pairs_of(cells, (split, part, CSP, BOTH), (split, part, SUPERVISED, BOTH))
        if own:
            alone = [(cell, IMAGE) for cell, _ in theirs]
            a, b, c = resampled(own, theirs, alone)
            best = b if b["top1"][0] >= c["top1"][0] else c
            less = bounds(100 * (1 - (1 - a["top1"]) / (1 - best["top1"])))
            told, met = f"{_interval(less)} %", _met(less, 15.0)
        title = f"error at {part:.0%} of the labels lower than the best supervised by 15 %"
        rows.append([title, told, met])
    return rows


def _met(gain: tuple[float, float, float], aim: float) -> str:
    middle, low, _ = gain
    return MISSED if middle < aim or middle == 0 else MET if low > aim else WITHIN


def side_by_side(cells: Cells) -> str:
    """Write what all labels reach on each split, and the aim.

    Args:
        cells: As ``collect`` returned.

    Returns:
        Markdown.
    """
    rows = []
    for row, (method, name) in ROWS.items():
        texts = []
        for split in ("random", "block"):
            runs = [cell for key, cell in cells.items() if key[:3] == (split, 1.0, method)]
            found = [100 * float(values(cell, name)["top1"]) for cell in runs]
            texts.append(f"{spread(found, 1)} ({len(found)})" if found else NOT_RUN)
        if set(texts) != {NOT_RUN}:
            rows.append([row, *texts])
    head = ["all labels, top-1, %", "random (aim: 97 by image + place)", "block"]
    return markdown(head, rows) if rows else "Not run."


def verdict(cells: Cells, judged: Sequence[Sequence[str]]) -> str:
    """Say in a few words what came out.

    Args:
        cells: As ``collect`` returned.
        judged: Split, aim, measured and outcome.

    Returns:
        A paragraph.
    """
    told = [row[3] for row in judged if row[3] != NOT_RUN]
    count = {word: told.count(word) for word in (MET, WITHIN, MISSED)}
    words = [
        f"Of {len(told)} aims measured, {count[MET]} are met with the whole interval,"
        f" {count[WITHIN]} are left open by it, and {count[MISSED]} are missed."
    ]
    for other in (SUPERVISED, SIMCLR, SHUFFLED):
        found: dict[str, list[str]] = {"above": [], "below": [], "not told apart from": []}
        for split, part in sorted({key[:2] for key in cells}):
            own, theirs = pairs_of(cells, (split, part, CSP, BOTH), (split, part, other, BOTH))
            if own:
                a, b = resampled(own, theirs)
                _, low, high = bounds(a["top1"] - b["top1"])
                kind = "above" if low > 0 else "below" if high < 0 else "not told apart from"
                found[kind].append(f"{part:.0%} ({split})")
        said = [f"{kind} at {', '.join(where)}" for kind, where in found.items() if where]
        if said:
            words.append(f"By image and place, CSP against {other}: {'; '.join(said)}.")
    seeds = {key[3] for key in cells}
    words += ["One seed of split, labels and training says little."] * (len(seeds) == 1)
    return " ".join(["**What it shows.**", *words, READING])


def search_table(tried: Sequence[Mapping[str, float]]) -> str:
    """Write what was tried.

    Args:
        tried: What was set and the answers measured, by name, the best first.

    Returns:
        Markdown.
    """
    if not tried:
        return "Not run."
    answers = [name for name in tried[0] if name in (IMAGE, PLACE, BOTH)]
    asked = [name for name in tried[0] if name not in answers]
    rows = [
        [
            *(f"{entry[name]:g}" for name in asked),
            *(f"{100 * entry[name]:.1f}" for name in answers),
        ]
        for entry in tried
    ]
    titles = [name.replace("_km", ", km").replace("_", " ") for name in asked]
    told = [f"{name.replace('+', ' + ')}, top-1" for name in answers]
    return markdown([f"{titles[0]}, search", *titles[1:], *told], rows)


def not_run(missing: Mapping[tuple[str, float, str], Sequence[int]], profile: str) -> str:
    """List the cells that are missing.

    Args:
        missing: Split, part of the labels and method to seeds.
        profile: Which network and budget this was.

    Returns:
        Markdown.
    """
    lines: dict[tuple[str, float, tuple[int, ...]], list[str]] = {}
    for (split, fraction, method), seeds in missing.items():
        lines.setdefault((split, fraction, tuple(seeds)), []).append(method)
    rows = [
        f"- {split} split, {fraction:.0%} of the labels, seeds {', '.join(map(str, seeds))}:"
        f" {'all methods' if len(methods) == len(METHODS) else '; '.join(methods)}"
        for (split, fraction, seeds), methods in lines.items()
    ]
    if profile != "gpu":
        rows.append("- ResNet-18 at 64 pixels with 5 seeds (`--profile gpu --seeds 0 1 2 3 4`)")
    return "\n".join(rows) or "Everything was run."
