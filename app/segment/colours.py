"""Colours of classes that people tell apart whose eyes know fewer colours."""

from __future__ import annotations

from collections.abc import Sequence

# Okabe and Ito's, then Tol's muted ones; after these the names and numbers must do.
TOLD_APART = (
    *("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#332288", "#882255", "#44aa99", "#999933", "#aa4499"),
)
REST = "#8c8c8c"
# Words in the names of land cover, with the colour that people expect, of the same palette.
EXPECTED = (
    (("forest", "wood", "tree"), "#009e73"),
    (("water", "river", "lake", "sea"), "#0072b2"),
    (("building", "house", "urban", "built", "residential", "industrial"), "#d55e00"),
    (("field", "crop", "farm", "paddy", "arable", "agricult"), "#f0e442"),
    (("road", "highway", "street"), "#332288"),
    (("background", "other", "unknown", "rest"), "#b8b8b8"),
)


def class_colours(names: Sequence[str]) -> tuple[str, ...]:
    """Give each class a colour of its own as far as there are such.

    Args:
        names: The classes.

    Returns:
        ``#rrggbb`` of each.

    Example:
        >>> class_colours(["forest", "dune", "water"])
        ('#009e73', '#e69f00', '#0072b2')
    """
    found: dict[int, str] = {}
    for number, name in enumerate(names):
        for words, colour in EXPECTED:
            if any(word in name.casefold() for word in words) and colour not in found.values():
                found[number] = colour
                break
    left = [colour for colour in TOLD_APART if colour not in found.values()]
    free = iter([*left, *[REST] * len(names)])
    return tuple(found.get(number) or next(free) for number in range(len(names)))
