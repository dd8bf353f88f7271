"""What the numbers in a map of classes mean: names, numbers and colours."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.records import ClassTable
from csp_core.errors import CspError
from csp_core.store import find_model, read_model_config

COLOUR = re.compile(r"#[0-9a-f]{6}")
# Of classes whose table names no colour; of more than these, hues around the wheel.
PALETTE = (
    *("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#edc948"),
    *("#76b7b2", "#9c755f", "#ff9da7", "#bab0ac"),
)


@dataclass(frozen=True)
class MapLegend:
    """What the numbers in a map of classes mean.

    Args:
        names: Name of each class, in the order of the model's.
        numbers: Its number in the map.
        colours: Its colour, ``#rrggbb``.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]
    colours: tuple[str, ...]

    @property
    def dtype(self) -> str:
        """Kind of number of the map: ``uint8`` where that suffices, else ``uint16``."""
        # One number is left for no data.
        small = max(self.numbers) <= 255 and len(self.numbers) < 256
        return "uint8" if small else "uint16"

    @property
    def nodata(self) -> int:
        """The number of what has no class: the largest that no class has."""
        free = 255 if self.dtype == "uint8" else 65_535
        while free in self.numbers:
            free -= 1
        return free

    def encode(self, classes: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Turn classes to the numbers of the map.

        Args:
            classes: ``(…)`` 0 to K-1, -1 for none.

        Returns:
            ``(…)`` of ``dtype``.
        """
        # The last one is what -1 leads to.
        table = np.array([*self.numbers, self.nodata], dtype=self.dtype)
        found: npt.NDArray[Any] = table[classes]
        return found

    def rgb(self, label: int) -> tuple[int, int, int]:
        """Give red, green and blue of a class, 0 to 255."""
        text = self.colours[label]
        return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def make_legend(classes: ClassTable, about: Mapping[str, Any] | None = None) -> MapLegend:
    """Make the legend of a model's maps.

    Args:
        classes: The model's.
        about: What its data told: ``class_numbers`` and ``class_colours``, name to number and to
            colour. Where they are not those of the classes, classes are numbered from 0.

    Returns:
        The legend.
    """
    names = classes.names
    numbers = _numbers(names, (about or {}).get("class_numbers"))
    given = (about or {}).get("class_colours")
    table = given if isinstance(given, Mapping) else {}
    wanted = [str(table.get(name, "")).lower() for name in names]
    colours = [
        colour if COLOUR.fullmatch(colour) else _usual(label, len(names))
        for label, colour in enumerate(wanted)
    ]
    return MapLegend(names, numbers, tuple(colours))


def legend_of(model: str | Path, classes: ClassTable) -> MapLegend:
    """Make the legend of a stored model's maps, by what it keeps of its training data.

    Args:
        model: As for ``load_model``.
        classes: Its classes.

    Returns:
        The legend.
    """
    return make_legend(classes, told_of_data(model))


def told_of_data(model: str | Path) -> Mapping[str, Any]:
    """Read what a stored model keeps of its training data.

    Args:
        model: As for ``load_model``.

    Returns:
        Facts by name; none where it keeps none.
    """
    try:
        found = read_model_config(find_model(model))["provenance"]["data"]
    except (CspError, LookupError, TypeError):
        return {}
    return found if isinstance(found, Mapping) else {}


def _numbers(names: tuple[str, ...], given: object) -> tuple[int, ...]:
    if isinstance(given, Mapping) and all(name in given for name in names):
        found = tuple(given[name] for name in names)
        whole = all(type(number) is int and 0 <= number < 65_535 for number in found)
        if whole and len(set(found)) == len(found):
            return found
    return tuple(range(len(names)))


def _usual(label: int, count: int) -> str:
    if count <= len(PALETTE):
        return PALETTE[label]
    parts = colorsys.hls_to_rgb(label / count, 0.45 + 0.15 * (label % 2), 0.65)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)
