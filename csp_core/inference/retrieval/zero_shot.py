"""Classes by their names alone: which of the sentences that name them a picture agrees with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from csp_core.data.captions.templates import FORMS, THING
from csp_core.errors import BadRecordError
from csp_core.inference.retrieval.asking import see_captions
from csp_core.inference.retrieval.ranking import agreement
from csp_core.model.compared import by_tokens
from csp_core.model.towers import TowerOut

# The forms of captions that name what is seen and nothing else.
TEMPLATES = tuple(form.replace(f"{{{THING}}}", "{}") for form in FORMS[(THING,)])
MOST_TEMPLATES = 100


def zero_shot(
    model: Any,
    seen: TowerOut,
    classes: Sequence[str],
    templates: Sequence[str] = TEMPLATES,
) -> Tensor:
    """Say how well pictures, or places, agree with the names of classes.

    Each class is named in every template. The embeddings of its sentences are averaged and brought
    back to unit length, as CLIP does; a model that compares by tokens averages the agreements.

    Args:
        model: A model that reads words.
        seen: What it says of N pictures or places.
        classes: K names, none of them empty.
        templates: Sentences with ``{}`` where the name goes.

    Returns:
        ``(N, K)`` agreements in [-1, 1]; the largest of a row is the class that it is taken for.

    Raises:
        ConfigError: If the model reads no words.
        BadRecordError: If there is no class or template, or one names nothing.

    Source:
        Radford et al. 2021, CLIP, section 3.1.4.
    """
    check_templates(templates)
    if not classes:
        raise BadRecordError("There are no classes to choose among; give the names of some.")
    for name in classes:
        if not name.strip():
            raise BadRecordError("The name of a class is empty; give each one of its own.")
    sentences = [one.replace("{}", name) for name in classes for one in templates]
    said, count = see_captions(model, sentences), len(templates)
    if by_tokens(model.heads):
        found = agreement(model, seen, said)
        return found.reshape(len(found), len(classes), count).mean(dim=2)
    mean = said.embedding.reshape(len(classes), count, -1).mean(dim=1)
    return agreement(model, seen, TowerOut(F.normalize(mean, dim=1)))


def check_templates(templates: Sequence[str]) -> None:
    """Check sentences that shall name classes.

    Args:
        templates: The sentences.

    Raises:
        BadRecordError: If there is none, too many, or one has no ``{}``.
    """
    if not 1 <= len(templates) <= MOST_TEMPLATES:
        raise BadRecordError(f"There are {len(templates)} templates; give 1 to {MOST_TEMPLATES}.")
    for one in templates:
        if one.count("{}") != 1:
            raise BadRecordError(
                f"The template {one[:80]!r} must have {{}} once, where the name of a class goes,"
                " such as 'a photo of {}'."
            )


def top1(found: Tensor, label: Tensor) -> float:
    """Tell how often the true class agrees best; of several that tie, each counts its part.

    Args:
        found: ``(N, K)`` agreements.
        label: ``(N,)`` int64 true classes.

    Returns:
        Part of the N; NaN of none.

    Example:
        >>> import torch
        >>> top1(torch.tensor([[0.9, 0.1], [0.5, 0.5]]), torch.tensor([0, 1]))
        0.75
    """
    if not len(label):
        return float("nan")
    best = found >= found.max(dim=1, keepdim=True).values
    hit = best.gather(1, label[:, None])[:, 0].double() / best.sum(dim=1)
    return float(hit.mean())
