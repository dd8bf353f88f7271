"""How maps of scenes are drawn, and what is told of one that was."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import csp_core
from csp_core.data.pictures.scene import SceneFacts
from csp_core.errors import ConfigError
from csp_core.inference.segment.areas import LEAST, ClassArea
from csp_core.raster.output import NO_CREDIT, Credit
from csp_core.raster.scenes.files import LEVELS
from csp_core.raster.scenes.legend import MapLegend


@dataclass(frozen=True)
class Drawing:
    """How maps are drawn.

    Args:
        window: Longest side of a window, pixels; None for what suits the model.
        overlap: Pixels that neighbours share; None likewise.
        least: A pixel whose largest probability is below this is doubtful.
        bits: Of a stored probability, 8 or 16.
        metres: Side of a pixel of the pictures that the model learned from, or None.
        scheduler: What Dask computes on; None to compute here, without Dask.
        credit: Whom the files name.

    Raises:
        ConfigError: If ``bits`` is another number.
    """

    window: int | None = None
    overlap: int | None = None
    least: float = LEAST
    bits: int = 8
    metres: float | None = None
    scheduler: str | None = None
    credit: Credit = NO_CREDIT

    def __post_init__(self) -> None:
        """Check the bits."""
        if self.bits not in LEVELS:
            raise ConfigError(f"Probabilities of {self.bits} bits are not stored; give 8 or 16.")


AS_USUAL = Drawing()


def map_tags(model: str, source: str, credit: Credit) -> dict[str, str]:
    """Give what the files of a map say of how they came about.

    Args:
        model: Name of the model.
        source: Name of the scene.
        credit: Whom the files name.

    Returns:
        Texts by name, none of them empty.
    """
    told = {
        "model": model,
        "software": f"csp_core {csp_core.__version__}",
        "source": source,
        "license": credit.license,
        "attribution": credit.attribution,
    }
    return {name: text for name, text in told.items() if text}


@dataclass(frozen=True)
class MapReport:
    """What was drawn of a scene.

    Args:
        name: Its file.
        path: The map.
        model: Name of the model.
        legend: What the numbers in the map mean.
        areas: How much each class covers, in ``unit``.
        placed: Whether the scene lies on a known grid.
        facts: What its file says.
        no_data: Share of its pixels without data.
        notes: Sentences on what is odd about it, and in what it is unlike what the model knows.
    """

    name: str
    path: str
    model: str
    legend: MapLegend
    areas: tuple[ClassArea, ...]
    placed: bool
    facts: SceneFacts = field(repr=False)
    no_data: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """Of the areas: square metres, or pixels where nobody knows how large these are."""
        return "m²" if self.placed else "pixels"

    @property
    def doubtful(self) -> float:
        """Share of the area with data where no class is probable enough."""
        total = sum(area.counted for area in self.areas)
        return sum(area.doubtful for area in self.areas) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values.

        Returns:
            In the form of ``csp segment --json``.
        """
        rows = [
            {"number": number, "colour": colour, **asdict(area)}
            for number, colour, area in zip(
                self.legend.numbers, self.legend.colours, self.areas, strict=True
            )
        ]
        about = {"file": self.name, "path": self.path, "model": self.model}
        about |= {"width": self.facts.width, "height": self.facts.height}  # type: ignore[dict-item]
        return {
            **about,
            "placed": self.placed,
            "unit": self.unit,
            "no_data": self.no_data,
            "doubtful": self.doubtful,
            "notes": list(self.notes),
            "classes": rows,
        }
