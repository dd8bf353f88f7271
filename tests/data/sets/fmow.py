"""Makes a small folder in the form in which fMoW is published with its features."""

from __future__ import annotations

import json
from pathlib import Path

from csp_core.data.sets.fmow import LAYOUT
from tests.data.sets import inat2018


def make(folder: Path) -> Path:
    """Write the fake and return the folder above it."""
    inat2018.write(folder, LAYOUT)
    names = {name: number for number, name in inat2018.CLASSES.items()}
    (folder / LAYOUT.folder / LAYOUT.classes).write_text(json.dumps(names))
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder), "val_fraction": 0.2}
