"""Names of BirdNET's classes, from the text of labels that is published beside a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ENDING = "labels.txt"
MOST_BYTES = 16 << 20
Names = tuple[tuple[str, str], ...]


def labels_beside(path: Path) -> tuple[str, ...]:
    """Read the labels that stand beside a file.

    Args:
        path: The file of weights.

    Returns:
        Lines of the one text in its folder whose name ends in ``labels.txt``; none where there is
        none, or where there are several.
    """
    found = [p for p in path.parent.iterdir() if p.name.lower().endswith(ENDING) and p.is_file()]
    if len(found) != 1 or found[0].stat().st_size > MOST_BYTES:
        return ()
    text = found[0].read_text(encoding="utf-8", errors="replace")
    return tuple(line for line in text.splitlines() if line.strip())


def class_names(lines: Sequence[str], count: int) -> tuple[Names, tuple[str, ...]]:
    """Name the classes of a model by the labels beside its file.

    Args:
        lines: The labels, as of ``labels_beside``.
        count: How many classes it has.

    Returns:
        Scientific and common name of each class, and a sentence on where they come from; no names
        where there are no labels, or none that fit.
    """
    names = tuple(_names(line) for line in lines)
    if not names:
        return (), (
            "The classes have no names: put the published text of labels into the folder of the"
            " file, as the only one there whose name ends in labels.txt, or give --classes.",
        )
    if len(names) != count or len({name for name, _ in names}) != count:
        said = f"The {len(names)} labels beside the file do not name {count} classes"
        return (), (f"{said}: the classes have no names.",)
    return names, ("The classes are named by the labels beside the file.",)


def _names(line: str) -> tuple[str, str]:
    """Take a line apart: scientific and common name, behind the species' code where there is one.

    Version 2 writes ``Turdus merula_Eurasian Blackbird``, version 3 tabs between code and names.
    """
    parts = [part.strip() for part in line.split("\t" if "\t" in line else "_")]
    scientific, common = (parts[-2], parts[-1]) if len(parts) > 1 else (parts[0], "")
    return scientific, "" if common == scientific else common
