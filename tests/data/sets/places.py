"""Makes the table of classes of a model, at whose places nothing is recorded."""

from __future__ import annotations

from pathlib import Path

NAMES = ("Aus bus", "Cus dus", "Eus fus")


def make(folder: Path) -> Path:
    """Write the table, as a model's directory holds it, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{label},{name},,0" for label, name in enumerate(NAMES)]
    text = "\n".join(["class,scientific_name,common_name,count", *rows, ""])
    (folder / "classes.csv").write_text(text, encoding="utf-8")
    return folder


def options(folder: Path) -> dict[str, object]:
    """Give the options with which the loader draws few places."""
    return {"root": make(folder), "size": 60, "val_fraction": 0.2, "test_fraction": 0.2}
