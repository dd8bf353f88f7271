"""What settings that compare pictures, places and captions need: checked, and told to a form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from csp_core.config.quality import PIXELS
from csp_core.config.sections import Component, DataConfig, ModelConfig
from csp_core.data.sets.facts import FACTS, facts_of
from csp_core.errors import ConfigError
from csp_core.model import TOWERS
from csp_core.objectives import OBJECTIVES
from csp_core.objectives.clip import ClipFamily
from csp_core.objectives.clip.spec import part_weight

# The network behind a position encoding that makes tokens of a place.
TOKENS = "tokens"
READERS = tuple(name for name, kind in OBJECTIVES.items() if "text" in kind.learns_from)


def check_compared(
    objective: Component, model: ModelConfig, data: DataConfig, *, starts: bool
) -> None:
    """Check that a run of the CLIP family has what it compares, as far as its settings tell.

    Args:
        objective: What is learned; others than those of the family are left alone.
        model: What is trained.
        data: What on.
        starts: Whether it starts from another model, which may bring what it knows of words.

    Raises:
        ConfigError: If the model has no two sides, an option is out of range, or nothing can be
            read by its text encoder.
    """
    kind = OBJECTIVES[objective.name]
    if not issubclass(kind, ClipFamily):
        return
    sides = [side for side in TOWERS if getattr(model, side) is not None]
    # A location encoder that nobody named has its usual network, which is not written out.
    network = _name(model.location.options, "network") if model.location else ""
    kind.check_settings(sides, objective.options, tokens=network == TOKENS)
    facts = FACTS.get(data.name)
    silent = data.captions is None and facts is not None and not facts.captions
    if model.text and silent and not starts:
        raise ConfigError(
            f"model.text reads captions, and the data set {data.name!r} has none of its own: give"
            " data.captions, such as facts, or leave model.text out."
        )


def hints(tree: Mapping[str, Any]) -> dict[str, str]:
    """Say what of a form does not fit the objective that is chosen, or would suit it better.

    Args:
        tree: Sections of plain values, not checked yet.

    Returns:
        The key of a setting, such as ``model.text``, to one or two sentences.
    """
    return {**dict(_of_model(tree)), **dict(_of_quality(tree))}


def _of_model(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    objective, known = _name(tree, "objective"), _has(tree, "model", "location")
    if objective not in OBJECTIVES:
        return
    if objective not in READERS:
        yield (
            "model.text",
            f"The objective {objective} reads no captions, so neither they nor a text encoder"
            f" change anything. These read them: {', '.join(READERS)}.",
        )
        return
    if not _has(tree, "model", "image"):
        yield (
            "model.image",
            f"The objective {objective} compares images with places or captions: give an image"
            " encoder.",
        )
    weights = _at(tree, "objective").get("weights")
    parts = {part: part_weight(objective, part, weights) for part in ("fine", "masked")}
    if known and any(parts.values()) and _name(tree, "model", "location", "network") != TOKENS:
        does = "compares token by token" if parts["fine"] else "hides scales of a place"
        yield (
            "model.location.network",
            f"The objective {objective} {does}, and behind this network a place is one token:"
            f" the network {TOKENS}, behind an encoding of several scales, makes one of each.",
        )
    if parts["fine"] and _name(tree, "model", "image") not in ("", "timm"):
        yield (
            "model.image",
            f"The objective {objective} compares parts of a picture one by one. It was made for a"
            " vision transformer, such as timm with vit_small_patch16_224, and hurt convolutional"
            " networks in the paper.",
        )


def _of_quality(tree: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data = _at(tree, "data")
    quality = _at(tree, "data", "quality")
    own = facts_of(_name(tree, "data")).captions
    if data.get("captions") is None and not own:
        yield "data.quality.caption_noise", "There are no captions to exchange: choose some above."
    if quality.get("near_duplicates") is None:
        yield (
            "data.quality.embedding",
            f"Only near_duplicates compares images, by their {PIXELS} or a model's embedding.",
        )
    if quality.get("disagreeing") is None:
        yield "data.quality.model", "Only disagreeing asks a model."
    if data.get("images") is False or _name(tree, "data") == "occurrences":
        why = "near_duplicates and disagreeing compare images; these records bring none."
        yield "data.quality.near_duplicates", why
        yield "data.quality.disagreeing", why


def _at(tree: Any, *way: str) -> dict[str, Any]:
    """Give a section; nothing where there is none."""
    for part in way:
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return dict(tree) if isinstance(tree, Mapping) else {}


def _name(tree: Any, *way: str) -> str:
    """Name a component, given by its name alone or with options; nothing where there is none."""
    *sections, last = way
    found = _at(tree, *sections).get(last)
    found = found.get("name") if isinstance(found, Mapping) else found
    return found if isinstance(found, str) else ""


def _has(tree: Any, section: str, side: str) -> bool:
    # The location is there where nothing is said of it.
    usual = {"location": "usual"}.get(side)
    return _at(tree, section).get(side, usual) is not None
