"""Names of classes from a table, for files that hold none."""

from __future__ import annotations

import csv
from pathlib import Path

from csp_core.data.records import ClassTable
from csp_core.errors import BadRecordError, DataNotFoundError


def read_class_names(path: str | Path, count: int) -> ClassTable:
    """Read what the labels of a model mean.

    Args:
        path: CSV with the columns ``class`` (0 to ``count`` - 1, each once, in any order),
            ``scientific_name`` and, if known, ``common_name``.
        count: Number of classes of the model.

    Returns:
        The names, by label.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If a column or class is missing, or one stands there twice.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}.")
    found: dict[int, tuple[str, str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            missing = {"class", "scientific_name"} - set(reader.fieldnames or ())
            if missing:
                raise BadRecordError(
                    f"no column {sorted(missing)[0]!r}; give class, scientific_name and"
                    " common_name.",
                    file=path.name,
                )
            for row in reader:
                label, names = _row(row, count, path.name, reader.line_num)
                if label in found:
                    raise BadRecordError(
                        f"class {label} stands there twice.", file=path.name, line=reader.line_num
                    )
                found[label] = names
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadRecordError(f"cannot be read as CSV ({error}).", file=path.name) from error
    if len(found) != count:
        first = next(label for label in range(count) if label not in found)
        raise BadRecordError(
            f"{len(found)} classes, but the model has {count}; class {first} is missing.",
            file=path.name,
        )
    scientific, common = zip(*(found[label] for label in range(count)), strict=True)
    return ClassTable(scientific, common)


def _row(
    row: dict[str, str | None], count: int, file: str, line: int
) -> tuple[int, tuple[str, str]]:
    text = (row["class"] or "").strip()
    if not text.isdecimal() or int(text) >= count:
        raise BadRecordError(
            f"{text!r} is no class of this model; give 0 to {count - 1}.",
            file=file,
            line=line,
            column="class",
        )
    name = (row["scientific_name"] or "").strip()
    if not name:
        raise BadRecordError("the name is empty.", file=file, line=line, column="scientific_name")
    return int(text), (name, (row.get("common_name") or "").strip())
