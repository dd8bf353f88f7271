"""Makes a small table of occurrences as a user would bring it."""

from __future__ import annotations

from pathlib import Path

HEADER = "gbifID,species,vernacularName,decimalLongitude,decimalLatitude,eventDate,recordedBy"


def make(folder: Path, *, sites: int = 12) -> Path:
    """Write a file of two taxa at ``sites`` places each, and return its path."""
    lines = [HEADER]
    for i in range(sites):
        for j, (name, common) in enumerate((("Aus bus", "First"), ("Cus dus", "Second"))):
            row = (2 * i + j, name, common, i * 3 - 20.5, 5 * j + 1.25, f"2021-{i % 12 + 1:02}-03")
            lines.append(",".join(map(str, row)) + ",Somebody")
    path = folder / "fake.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader reads the fake."""
    return {"root": make(folder), "val_fraction": 0.2, "test_fraction": 0.2}
