"""Which sides of a model can be compared with each other, and how."""

from __future__ import annotations

from collections.abc import Collection

from csp_core.model.heads import Heads

# In the order in which they are told.
TOWERS = ("image", "location", "text")


def compared_sides(heads: Heads, sides: Collection[str]) -> tuple[str, ...]:
    """Tell which sides of a model share a space, in which what belongs together lies near.

    Classifiers are learned afterwards and move the encoders, so a model that has one promises
    nothing any more. A head of two layers is of images alone, as SimCLR has it, unless the heads
    say that it is shared, as CSP's deep head is.

    Args:
        heads: Its heads.
        sides: Which of ``TOWERS`` it has.

    Returns:
        Two or three of ``TOWERS``; none where there are not two to compare.

    Example:
        >>> compared_sides(Heads(classifiers=()), ["image", "location"])
        ('image', 'location')
        >>> compared_sides(Heads(), ["image", "location"])
        ()
    """
    if heads.classifiers or heads.pixels:
        return ()
    linear = heads.image == "linear" if heads.shared is None else heads.shared
    joined = (heads.image is not None and linear) or _tokens(heads) > 0
    found = tuple(one for one in TOWERS if one in sides and (one != "image" or joined))
    return found if len(found) > 1 else ()


def by_tokens(heads: Heads) -> bool:
    """Tell whether a model compares token by token: its whole embeddings have learned nothing.

    Args:
        heads: Its heads.

    Returns:
        Whether it does; else by whole embeddings.
    """
    return _tokens(heads) > 0 and heads.image is None


def _tokens(heads: Heads) -> int:
    return int(getattr(heads, "tokens", 0))
