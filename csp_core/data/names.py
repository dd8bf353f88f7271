"""When two names of classes are one: the same but for case, spaces and forms of Unicode."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable


def identity(name: str) -> str:
    r"""Bring a name to the form in which equal ones are the same text.

    Args:
        name: A name, as somebody wrote it.

    Returns:
        Letters in one case and one form of Unicode, words parted by one space.

    Example:
        >>> identity(" Turdus\u00a0Merula ") == identity("turdus  merula")
        True
        >>> identity("Ro\u0301ma") == identity("RÓMA")
        True
    """
    # ASCII is in that form of Unicode already; files of a million names hold little else.
    plain = name if name.isascii() else unicodedata.normalize("NFKC", name)
    return " ".join(plain.casefold().split())


def clashes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Find names that are one and the same.

    Args:
        names: Names of classes.

    Returns:
        Groups of two or more, in the order of the first of each.

    Example:
        >>> clashes(["Aba alta", "Zus zus", "aba  alta"])
        [('Aba alta', 'aba  alta')]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[identity(name)].append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
