"""What a species learned from a handful of places says of itself: in sentences, and as a card."""

from __future__ import annotations

import math
from typing import Any

from csp_core.inference.few_shot.background import BACKGROUND_MEANING
from csp_core.inference.few_shot.learning import FewShot
from csp_core.inference.few_shot.places import CELL_DEGREES
from csp_core.inference.prior import write_score

# As of ``store.introduction``.
MOST_HEADLINE = 120


def told_of(found: FewShot) -> tuple[str, ...]:
    """Say how a species was learned, how well its places foretell each other, and its threshold.

    Args:
        found: The species.

    Returns:
        Sentences.
    """
    chosen, given = found.chosen, found.given
    kind = found.ground.background.kind
    background = BACKGROUND_MEANING.get(kind, "points that were given")
    said = [
        f"Learned from {_count(len(given.seen))} where it was seen"
        + (f" and {len(given.missed):,} where it was not" if len(given.missed) else "")
        + f", against {background}, on the embedding of {found.ground.model.name}."
    ]
    said.append(_distance(found))
    if chosen.left_out is None:
        said.append(
            "Nothing could be left out, so the penalty is a fixed one and nobody knows how good"
            " the map is."
        )
    else:
        left = chosen.left_out
        said.append(
            f"Each place left out is scored above {left.auc:.0%} of the background by the others"
            f" (log-loss {left.log_loss:.2f}; a score of ½ everywhere"
            f" {_chance(len(given.seen), len(given.missed)):.2f}); that chose a penalty of"
            f" {chosen.penalty:g}."
        )
    said.append(f"Threshold {write_score(chosen.threshold)}: {chosen.rule}.")
    return (*said, *found.notes)


def _distance(found: FewShot) -> str:
    """Say whether distance counts, and what follows for a range elsewhere."""
    distance = found.chosen.distance
    if distance is None:
        return (
            "Distance does not count: what is marked is alike, anywhere in the world, however far"
            " from where it was seen."
        )
    return (
        "The map knows both what kind of place it is and how far it lies from where it was seen,"
        f" by a kernel of {distance.nearness.km:g} km: places far from all of those score low"
        " however alike they are, so that a second range far away is found only without distance."
    )


def _chance(seen: int, missed: int) -> float:
    """Give the log-loss of a score of one half everywhere, weighed as the one left out is."""
    return (2 + missed / max(seen, missed)) * math.log(2)


def card_of(found: FewShot) -> dict[str, Any]:
    """Give what ``save_derived`` and ``keep_derived`` need to save a species beside its model.

    Args:
        found: The species.

    Returns:
        ``card``, ``body``, ``metrics`` and ``provenance``.
    """
    taxon, many = found.model.classes.names[0], _count(len(found.given.seen))
    summary = f"Where {taxon} is to be expected, learned from {many}."
    card = {
        "title": f"{taxon}, from {many}",
        "summary": summary,
        "library_name": "csp_core",
        "tags": ["geospatial", "species-distribution", "few-shot"],
        "prior_kind": "relative",
        "introduction": {
            "headline": f"{taxon}, learned from {many}"[:MOST_HEADLINE],
            "singular": "species",
            "plural": "species",
        },
    }
    limits = (
        "Scores are relative: they rank places and are no chance that the species is there."
        f" {kept_of(found)}"
    )
    lines = "\n".join(f"- {sentence}" for sentence in told_of(found))
    body = f"{summary}\n\n## How it was made\n\n{lines}\n\n## Limits\n\n{limits}\n"
    numbers = found.to_dict()
    left = found.chosen.left_out
    metrics = {} if left is None else {"leave_one_out": numbers["leave_one_out"]}
    return {
        "card": card,
        "body": body,
        "metrics": metrics,
        "provenance": {"few_shot": numbers},
    }


def kept_of(found: FewShot) -> str:
    """Say what a saved model holds of the places.

    Args:
        found: The species.

    Returns:
        A sentence.
    """
    if found.chosen.distance is None:
        return (
            "The model holds no place and no counts by cell, so nobody can say where it"
            " extrapolates."
        )
    return (
        f"The model holds the cells of {CELL_DEGREES:g}° in which it was seen, and no place more"
        " exactly, nor counts by cell; learned without distance it would hold none of them."
    )


def _count(number: int) -> str:
    return "1 place" if number == 1 else f"{number:,} places"
