"""The colours of the two themes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """The colours of one theme.

    ``looked`` fills where there are recordings, and hardly any of the species; ``ramp`` is cividis,
    from few records to many; ``values`` is viridis, from low values to high; ``less`` and ``more``
    are the purples and greens of a difference, from its lower end to the middle and on to the upper
    end.
    """

    sea: str
    land: str
    border: str
    river: str
    pin: str
    ring: str
    text: str
    line: str
    hatch: str
    looked: str
    ramp: tuple[str, ...]
    values: tuple[str, ...]
    less: tuple[str, ...]
    more: tuple[str, ...]


LIGHT = Palette(
    sea="#dde8ec",
    land="#f7f6f1",
    border="#a9b3b1",
    river="#a8c1cc",
    pin="#d55e00",
    ring="#ffffff",
    text="#1d282a",
    line="#d01c8b",
    hatch="#9ba7a9",
    looked="#cdd6cc",
    ramp=("#ffe945", "#cbba69", "#958f78", "#575d6d", "#00224e"),
    values=(
        *("#fde725", "#addc30", "#5ec962", "#28ae80", "#21918c"),
        *("#2c728e", "#3b528b", "#472d7b", "#440154"),
    ),
    less=("#40004b", "#762a83", "#9970ab", "#c2a5cf"),
    more=("#a6dba0", "#5aae61", "#1b7837", "#00441b"),
)
DARK = Palette(
    sea="#0d1c26",
    land="#263236",
    border="#55666a",
    river="#24424f",
    pin="#e69f00",
    ring="#12181a",
    text="#e4ecea",
    line="#ff8fd0",
    hatch="#5f7074",
    looked="#43524f",
    ramp=("#3b5284", "#7c7b78", "#a69d75", "#d3c164", "#ffea46"),
    values=(
        *("#472d7b", "#3e4989", "#31688e", "#26828e", "#1f9e89"),
        *("#35b779", "#6ece58", "#b5de2b", "#fde725"),
    ),
    less=("#f0d9ff", "#c79be0", "#9a63b8", "#6d3f86"),
    more=("#2f6b3a", "#459a52", "#7fcb86", "#d3f5d0"),
)
