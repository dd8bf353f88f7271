"""One species by one model as a map, with its name and area."""

from __future__ import annotations

from dataclasses import dataclass

from csp_core.model import DualEncoder
from csp_core.raster import Raster, Threshold, subtract
from csp_core.store import ModelInfo
from shared.words import species_label


@dataclass(frozen=True)
class Layer:
    """One species by one model, as a map.

    Args:
        info: The model.
        model: The same, loaded.
        taxon: Scientific name.
        raster: Its values; no data where the model extrapolates, unless they are shown.
        threshold: Where its line is drawn, or None.
        guesses: Whether values are shown where the model extrapolates.
    """

    info: ModelInfo
    model: DualEncoder
    taxon: str
    raster: Raster
    threshold: Threshold | None
    guesses: bool

    @property
    def name(self) -> str:
        """The species' names."""
        return species_label(self.model.classes, self.taxon)

    @property
    def counted(self) -> bool | None:
        """Which cells count by whether the model extrapolates there, as ``area_km2`` takes it.

        Those of a model without counts, of which nobody can say, count all where they are shown.
        """
        return None if self.guesses and self.model.support is None else False

    def area_km2(self) -> float:
        """Measure the area above the threshold, without guesses."""
        if self.threshold is None:
            return 0.0
        return self.raster.area_km2(self.threshold.value, extrapolated=self.counted)


def difference_of(first: Layer, other: Layer) -> Raster:
    """Subtract one map from another; a model without counts of its records hides nothing."""
    known = [layer for layer in (first, other) if layer.model.support is not None]
    unsupported = [layer.raster.extrapolated for layer in known]
    return subtract(first.raster, other.raster, unsupported)


def write_area(km2: float) -> str:
    """Write an area with three digits that count.

    Example:
        >>> write_area(1234567.0), write_area(45678.0), write_area(0.0)
        ('1.23 million km²', '45,700 km²', '0 km²')
    """
    if km2 >= 1e6:
        return f"{float(f'{km2 / 1e6:.3g}'):,g} million km²"
    return f"{float(f'{km2:.3g}'):,.0f} km²"


def title_of(layer: Layer, first: Layer, other: Layer) -> str:
    """Tell a map from the other of two, by species, by model or by both."""
    if first.taxon == other.taxon:
        return layer.info.name
    return layer.name if first.info.name == other.info.name else f"{layer.name}, {layer.info.name}"


def titles(first: Layer, other: Layer) -> tuple[str, str]:
    """Tell two maps apart, by species, by model or by both."""
    return title_of(first, first, other), title_of(other, first, other)
