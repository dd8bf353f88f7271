"""The page of the table of the CLIP family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from clip_findings import (
    CAPTIONS,
    CSP,
    FAMILY,
    FEWER,
    FILTERED,
    FOUND,
    HALF,
    LABELS,
    RANDOM,
    SHUFFLED,
    SIMCLR,
    THIRD,
    THREE,
    TOWERS,
    UNLIKE,
    WITH_CLASS,
    WORDS,
    deep,
    findings,
)
from report import markdown, spread
from stssl_common import Outcome
from stssl_tables import NOT_RUN, differences, told_interval


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        head: What stands above.
        measure: Name in the cells.
        scale: What numbers are multiplied by.
        digits: Decimals.
    """

    head: str
    measure: str
    scale: float = 100.0
    digits: int = 1


SPENT = (
    Column("steps", "steps", 1.0, 0),
    Column("s of a processor", "train_seconds", 1.0, 0),
    Column("MiB", "memory_mib", 1.0, 0),
)
PLACES = (
    Column("R@10", "recall_at_10"),
    Column("R@100", "recall_at_100"),
    Column("R@10 back", "back_recall_at_10"),
    Column("R@100 back", "back_recall_at_100"),
    Column("median km", "median_km", 1.0, 0),
    Column("≤ 25 km", "within_25_km"),
    Column("≤ 200 km", "within_200_km"),
    Column("≤ 750 km", "within_750_km"),
    Column("probe", "probe"),
    *SPENT,
)
READ = (
    Column("R@10 of captions", "text_recall_at_10"),
    Column("R@10 back", "text_back_recall_at_10"),
    Column("zero-shot", "text_zero_shot_top1"),
    Column("place–caption R@10", "words_recall_at_10"),
    Column("R@10 of places", "recall_at_10"),
    Column("R@100 of places", "recall_at_100"),
    Column("median km", "median_km", 1.0, 0),
    Column("probe", "probe"),
    *SPENT,
)

ABOUT = """\
The questions of Cui et al. 2022 ([arXiv 2203.05796](https://arxiv.org/abs/2203.05796)) on what one
core can do in minutes: 6,000 training pictures of EuroSAT at 32 pixels with their places, split by
blocks of 1°; validation and test are 1,000 and 2,000 pictures in blocks of their own. **These
runs are short**: each training picture passes the image tower 6 times whatever the objective does
with it (6 epochs of CLIP, FILIP and SigLIP, 3 of two views, 2 of SLIP's three), in batches of 128:
so an objective of several views makes fewer steps. Heads of image views are smaller than published.
The paper passes 15 million pictures 32 times; these numbers say how rows stand to each other here.
The image towers are a vision transformer of 0.47 million weights (patches of 8 pixels, 16 tokens,
4 layers) and `small_convnet` of 0.30 million; the location tower has 16 scales of `sphere_c` as
tokens and 2 transformer layers; AdamW, one learning rate ({rate}, chosen once, by CLIP with the
vision transformer on the validation blocks) for all rows. A draw is a seed.

R@k: how often the right place is among the first k of 1,000, asked by a picture, and *back*
a picture by its place, all in test blocks; chance is 1 and 10 %. Kilometres: how far the best of
some 4,000 places spread over the land near the training records lies from the true one; {centre}
*probe*: a linear classifier of the ten
classes on what the image encoder says before any head, all 6,000 labels given, penalty chosen in
validation. FILIP's whole embedding has no loss of its own: it is asked by late interaction of its
tokens and probed on their mean. *s of a processor* is that of training alone, on a machine that
others shared; *MiB* is the most memory beyond what stood there before.
Shares are in per cent; mean ± standard deviation over draws, their number in brackets. Of 1,000
askers alone, a share of 30 % has a standard error of 1.4 points, whatever the seed.
"""

PAGE = """\
{about}
## Five supervisions and SigLIP

{main}

The two rows of CLIP with fewer steps see half and a third of the pictures. *CSP* has dropout of 0.1
in its location tower, which one of its parts needs. *random pairs* is CLIP on places dealt out
anew. *supervised* is fitted to the labels with as many passes; its own top-1 is {labels}.

## Less CLIP, draw by draw

Points, with the 95 % interval over draws where there are several. *first 100* is R@100, mean of
both ways.

{less}

## What the pairs are worth

The first row is the one above. *{filtered}* leaves out the 30 % of pairs that agree least, by a
model that was trained on the same shuffled pairs. *{unlike}*: of pictures whose 8 × 8 thumbnails
have a cosine of 0.7 or more, the first stays; the next row has as many, chosen by chance.
What is left is passed more often, so that all rows see about as many pictures.

{data}

## Words

Captions are made of facts: the nearest named place and its country, in one set with the class,
which makes them labels in other words. *place–caption* tells of names and is hardly
more than copying. Zero-shot: the class whose name, in four templates, agrees best.

{words}

## How deep the second tower is

{depth}

## What of the paper holds here

{findings}

## Learning rate

Share found among the first 100, mean of both ways, on the validation blocks.

{tried}"""


def page(
    outcome: Outcome, searched: Outcome, rates: Sequence[float], rate: float
) -> tuple[str, dict[str, Any]]:
    """Write the page.

    Args:
        outcome: What there is.
        searched: The cells of the learning rate.
        rates: Those that were tried.
        rate: The one that was taken.

    Returns:
        Markdown, and differences behind it.
    """
    outcome = with_found(outcome)
    rows = [*FAMILY, HALF, THIRD, CSP, SIMCLR, RANDOM, LABELS]
    main = wide(outcome, rows, PLACES)
    quality = (SHUFFLED, FILTERED, UNLIKE, FEWER)
    of_data = [name for p in ("CLIP", "DeFILIP") for name in (p, *(f"{p}, {q}" for q in quality))]
    words = [f"{one}, {two}" for two in CAPTIONS for one in (WORDS, THREE)]
    places = [deep("location", 1), "CLIP", deep("location", 4)]
    texts = [deep("text", 1), f"{WORDS}, {WITH_CLASS}", deep("text", 4)]
    depth = wide(outcome, places, PLACES) + "\n\nText towers, captions with the class:\n\n"
    less, data = less_clip(outcome)
    told = list(findings(outcome))
    text = PAGE.format(
        about=ABOUT.format(rate=f"{rate:g}", centre=centre_of(outcome)), main=main,
        labels=shares(outcome, LABELS, "supervised"), less=less, filtered=FILTERED, unlike=UNLIKE,
        data=wide(outcome, of_data, PLACES), words=wide(outcome, ["CLIP", *words], READ, ("ViT",)),
        depth=depth + wide(outcome, texts, READ, ("ViT",)),
        findings="\n".join(f"- {one}" for one in told), tried=tried(searched, rates),
    )  # fmt: skip
    return text.strip(), {"differences": data, "findings": told}


def with_found(outcome: Outcome) -> Outcome:
    """Add the mean of both ways to the cells that have it."""
    found = {}
    for key, told in outcome.found.items():
        both = [told[n] for n in ("recall_at_100", "back_recall_at_100") if n in told]
        found[key] = {**told, FOUND: sum(both) / 2} if len(both) == 2 else told
    return replace(outcome, found=found)


def values(outcome: Outcome, row: str, tower: str, measure: str) -> list[float]:
    """List a measure over the draws that there are."""
    keys = sorted(key for key in outcome.found if key[:2] == (row, tower))
    return [outcome.found[key][measure] for key in keys if measure in outcome.found[key]]


def wide(
    outcome: Outcome,
    rows: Sequence[str],
    columns: Sequence[Column],
    towers: Sequence[str] = TOWERS,
) -> str:
    """Write a table with a row for each of some rows and each image tower.

    Args:
        outcome: What there is.
        rows: Rows.
        columns: Measures.
        towers: Image towers.

    Returns:
        Markdown; rows that were not planned are left out, and one not run says so.
    """
    planned = {cell.key[:2] for cell in outcome.planned}
    table = []
    for row in rows:
        for tower in towers:
            if (row, tower) not in planned:
                continue
            drawn = [key for key in outcome.found if key[:2] == (row, tower)]
            texts = []
            for column in columns:
                told = [column.scale * v for v in values(outcome, row, tower, column.measure)]
                texts.append(spread(told, column.digits) if told else "n/a")
            head = [row, f"{tower} ({len(drawn)})"]
            table.append([*head, *(texts if drawn else [NOT_RUN] * len(texts))])
    return markdown(["", "image tower", *(column.head for column in columns)], table)


def less_clip(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """Write how far rows are from CLIP with the same image tower, in pairs of the same draw."""
    table, data = [], {}
    for row in (*FAMILY[1:], HALF, THIRD, CSP, SIMCLR, RANDOM):
        texts = []
        for measure in (FOUND, "probe"):
            for tower in TOWERS:
                pairs = [
                    100 * value
                    for value in differences(outcome.found, row, "CLIP", [tower], measure)
                ]
                absent = row == SIMCLR and measure == FOUND
                texts.append("n/a" if absent else told_interval(pairs))
                if pairs:
                    data[f"{row} - CLIP, {tower}, {measure}"] = pairs
        table.append([row, *texts])
    heads = [f"{name}, {tower}" for name in ("first 100", "probe") for tower in TOWERS]
    return markdown(["less CLIP", *heads], table), data


def shares(outcome: Outcome, row: str, measure: str) -> str:
    """Tell a share of a row for each image tower."""
    told = []
    for tower in TOWERS:
        found = [100 * value for value in values(outcome, row, tower, measure)]
        told.append(f"{f'{spread(found, 1)} %' if found else NOT_RUN} ({tower})")
    return ", ".join(told)


def centre_of(outcome: Outcome) -> str:
    """Say how far off the training centre is."""
    for told in outcome.found.values():
        if "centre_median_km" in told:
            share = 100 * told.get("centre_within_200_km", 0.0)
            return (
                "always naming the middle of the training records is off by"
                f" {told['centre_median_km']:,.0f} km in the median, and {share:.1f} % lie within"
                " 200 km of it."
            )
    return "what always naming the middle of the training records gives was not measured."


def tried(searched: Outcome, rates: Sequence[float]) -> str:
    """Write what the learning rates reached."""
    lines = []
    for rate in rates:
        told = [m for key, m in with_found(searched).found.items() if key[1] == f"{rate:g}"]
        lines.append([f"{rate:g}", f"{100 * told[0][FOUND]:.1f}" if told else NOT_RUN])
    return markdown(["learning rate", "first 100, %"], lines)
