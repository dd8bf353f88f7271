"""What of the findings of Cui et al. 2022 holds in the table of the CLIP family, and its rows."""

from __future__ import annotations

from collections.abc import Sequence

from stssl_common import Outcome
from stssl_tables import NOT_RUN, differences, interval, told_interval

CSP, SIMCLR, RANDOM, LABELS = "CSP (ours)", "SimCLR", "random pairs", "supervised"
HALF, THIRD = "CLIP, as many steps as of two views", "CLIP, as many steps as SLIP"
SHUFFLED, FILTERED = "30 % shuffled", "shuffled, then filtered"
UNLIKE, FEWER = "near-duplicates out", "as many out at random"
WITHOUT_CLASS, WITH_CLASS = "captions without the class", "captions with the class"
CAPTIONS = {WITHOUT_CLASS: "facts", WITH_CLASS: "facts_and_class"}
WORDS, THREE = "picture and words", "picture, place and words"
FAMILY = ("CLIP", "SLIP", "FILIP", "DeCLIP", "DeFILIP", "SigLIP")
TOWERS = ("ViT", "convnet")
# Mean of both ways, of those found among the first 100: the measure that chance decides least.
FOUND = "found"


def deep(side: str, layers: int) -> str:
    """Name the row of a tower of so many layers."""
    return f"CLIP, {side} tower of {layers} {'layer' if layers == 1 else 'layers'}"


def findings(outcome: Outcome) -> list[str]:
    """Say of each finding of the paper whether it holds here.

    Args:
        outcome: What there is, with ``found``.

    Returns:
        Sentences.
    """

    def gap(row: str, other: str, tower: str, measure: str = FOUND) -> list[float]:
        pairs = differences(outcome.found, row, other, [tower], measure)
        return [100 * value for value in pairs]

    said = []
    for row in FAMILY[1:]:
        told = [judged(gap(row, "CLIP", tower), tower) for tower in TOWERS]
        said.append(f"More supervision helps: {row} less CLIP, first 100: {'; '.join(told)}.")
    for row, other in (("FILIP", "CLIP"), ("DeFILIP", "DeCLIP")):
        told = [judged(gap(row, other, "ViT"), "ViT")]
        told += [judged(gap(row, other, "convnet"), "convnet", helps=False)]
        said.append(
            f"Comparing token by token helps a transformer and no convnet: {row} less {other}:"
            f" {'; '.join(told)}."
        )
    for preset in ("CLIP", "DeFILIP"):
        pairs = (
            (preset, f"{preset}, {SHUFFLED}", "clean pairs less shuffled ones"),
            (f"{preset}, {FILTERED}", f"{preset}, {SHUFFLED}", "filtered less shuffled"),
            (f"{preset}, {UNLIKE}", f"{preset}, {FEWER}", "near-duplicates out less as many"),
        )
        for row, other, name in pairs:
            told = [judged(gap(row, other, tower), tower) for tower in TOWERS]
            said.append(f"Data quality matters: {preset}, {name}: {'; '.join(told)}.")
    shallow = gap(deep("location", 1), deep("location", 4), "ViT")
    said.append(f"A shallow second tower loses little: 1 layer of places less 4: {lost(shallow)}.")
    both = ("text_recall_at_10", "text_back_recall_at_10")
    texts = [gap(deep("text", 1), deep("text", 4), "ViT", name) for name in both]
    mean = [sum(pair) / 2 for pair in zip(*texts, strict=True)]
    said.append(f"The same of words, R@10 of both ways: {lost(mean)}.")
    for name in CAPTIONS:
        told = judged(gap(f"{THREE}, {name}", "CLIP", "ViT"), "ViT")
        said.append(f"A third tower beside two, {name}, places in the first 100: {told}.")
    return said


def judged(pairs: Sequence[float], tower: str, *, helps: bool = True) -> str:
    """Tell a difference and whether it is as the paper says.

    Args:
        pairs: One a draw, points.
        tower: Image tower.
        helps: Whether the paper says that it is above 0.

    Returns:
        Part of a sentence.
    """
    if not pairs:
        return f"{tower} {NOT_RUN}"
    return f"{tower} {told_interval(pairs)}, {verdict(pairs, helps=helps)}"


def verdict(pairs: Sequence[float], *, helps: bool = True) -> str:
    """Say whether differences are as they are said to be.

    Args:
        pairs: One a draw.
        helps: Whether they are said to be above 0.

    Returns:
        ``holds``, ``does not hold``, ``undecided``, or that one draw decides nothing.
    """
    if len(pairs) < 2:
        as_said = (pairs[0] > 0) == helps
        return f"one draw, {'as' if as_said else 'not as'} the paper says, which decides nothing"
    _, low, high = interval(pairs)
    if low > 0:
        return "holds" if helps else "does not hold"
    if high < 0:
        return "does not hold" if helps else "holds"
    return "undecided" if helps else "holds as far as no gain is seen"


def lost(pairs: Sequence[float]) -> str:
    """Tell what a shallow tower loses; little is less than 2 points."""
    if not pairs:
        return NOT_RUN
    if len(pairs) < 2:
        return f"{told_interval(pairs)}, one draw decides nothing"
    low = interval(pairs)[1]
    holds = "holds (less than 2 points)" if low > -2 else "undecided, or it loses more"
    return f"{told_interval(pairs)}, {holds}"
