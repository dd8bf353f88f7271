"""What the numbers in masks mean: classes with their names and colours, and what is ignored."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.errors import BadRecordError, ConfigError
from csp_core.files import read_text

TABLE = "classes.csv"
# Numbers of classes are looked up in an array from the least to the greatest.
MOST = 1_000_000
FIRST = 5
UNKNOWN, IGNORED = -1, -2
_STRANGE = -3
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
YES, NO = ("1", "true", "yes", "x"), ("", "0", "false", "no")


@dataclass(frozen=True)
class Legend:
    """What the numbers in masks mean.

    Args:
        numbers: Number of each class in the masks.
        names: Name of each, sorted.
        colours: Colour of each, such as ``#1f7a3d``; empty where none is given.
        ignored: Numbers that are no class, ascending.
    """

    numbers: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    colours: tuple[str, ...] = ()
    ignored: tuple[int, ...] = ()

    def told(self) -> dict[str, object]:
        """Tell what the classes are in the masks, for cards and for maps that are written.

        Returns:
            Facts for ``info``: ``class_numbers``, ``class_colours`` where there are such, and
            ``ignored_numbers``.
        """
        coloured = {name: each for name, each in zip(self.names, self.colours, strict=True) if each}
        return {
            "class_numbers": dict(zip(self.names, self.numbers, strict=True)),
            **({"class_colours": coloured} if coloured else {}),
            "ignored_numbers": list(self.ignored),
        }

    def number(self, values: npt.NDArray[Any], name: str) -> npt.NDArray[np.int16]:
        """Turn numbers of a mask into classes.

        Args:
            values: Whole numbers of any shape.
            name: What to call the mask.

        Returns:
            The same shape: 0 to K-1; -2 where ignored.

        Raises:
            BadRecordError: If there is a number that is neither a class nor ignored.
        """
        known = (*self.numbers, *self.ignored)
        least, most = (min(known), max(known)) if known else (0, 0)
        table = np.full(most - least + 1, _STRANGE, dtype=np.int16)
        table[[number - least for number in self.ignored]] = IGNORED
        table[[number - least for number in self.numbers]] = np.arange(len(self.numbers))
        inside = (values >= least) & (values <= most)
        # Numbers of classes need not fit into the kind of number of a mask.
        at = np.where(inside, values.astype(np.int64), least) - least
        found: npt.NDArray[np.int16] = np.where(inside, table[at], np.int16(_STRANGE))
        if (found == _STRANGE).any():
            odd = np.unique(values[found == _STRANGE]).tolist()
            raise BadRecordError(
                f"labels do not match: {', '.join(map(str, odd[:FIRST]))} is neither in classes nor"
                f" ignored, which hold {', '.join(map(str, sorted(known)))}",
                file=name,
            )
        return found


def read_legend(root: Path, classes: Mapping[Any, Any] | None, ignored: Sequence[Any]) -> Legend:
    """Read what numbers in masks mean: from options, else from ``classes.csv`` in the folder.

    Args:
        root: The folder.
        classes: Number in the masks to name; or to ``{name: …, colour: "#rrggbb", ignored: …}``.
            None for the table, with the columns ``value`` and ``name``, and perhaps ``colour`` and
            ``ignored``.
        ignored: Further numbers in the masks that are no class.

    Returns:
        The classes, sorted by name. None at all where neither is given.

    Raises:
        ConfigError: If a number or colour is none, a number stands in both or two classes have one
            name.
        BadRecordError: If the table has other columns.
    """
    if classes is None:
        given = _read_table(root / TABLE) if (root / TABLE).is_file() else {}
    else:
        given = _checked(classes, ignored)
    rows: dict[int, tuple[str, str]] = {}
    left = {_whole(number, classes, ignored) for number in ignored}
    for number, (name, colour, no_class) in given.items():
        if no_class:
            left.add(number)
        else:
            rows[number] = (name, colour)
    names = [name for name, _ in rows.values()]
    if left & rows.keys() or len(set(names)) < len(names):
        raise ConfigError(
            f"classes is {classes!r} and ignored {list(ignored)!r}; give each number once and each"
            " class a name of its own."
        )
    ordered = sorted(rows.items(), key=lambda item: item[1][0])
    return Legend(
        tuple(number for number, _ in ordered),
        tuple(name for _, (name, _) in ordered),
        tuple(colour for _, (_, colour) in ordered),
        tuple(sorted(left)),
    )


_Row = tuple[str, str, bool]


def _checked(classes: Mapping[Any, Any], ignored: Sequence[Any]) -> dict[int, _Row]:
    if not isinstance(classes, Mapping):
        raise _unfit(classes, ignored)
    found: dict[int, _Row] = {}
    for key, value in classes.items():
        number = _whole(key, classes, ignored)
        if number in found:
            raise ConfigError(f"classes gives {number} twice; give each number once.")
        row = dict(value) if isinstance(value, Mapping) else {"name": value}
        if not row.keys() <= {"name", "colour", "ignored"} or "name" not in row:
            raise ConfigError(
                f"classes gives {number} as {value!r}; give a name, or"
                ' {name: forest, colour: "#1f7a3d", ignored: false}.'
            )
        colour = str(row.get("colour") or "")
        found[number] = (str(row["name"]), _colour(colour, number), bool(row.get("ignored")))
    return found


def _whole(number: Any, classes: Any, ignored: Sequence[Any]) -> int:
    try:
        # Where options are kept as JSON, the keys are text.
        found = int(number)
    except (TypeError, ValueError) as error:
        raise _unfit(classes, ignored) from error
    if abs(found) > MOST:
        raise ConfigError(f"classes has the number {found}; give up to {MOST:,}.")
    return found


def _unfit(classes: Any, ignored: Sequence[Any]) -> ConfigError:
    return ConfigError(
        f"classes is {classes!r} and ignored {ignored!r}; give whole numbers of the masks, such"
        " as {10: building} and [100]."
    )


def _colour(text: str, number: int) -> str:
    if text and not COLOUR.fullmatch(text):
        raise ConfigError(f"The colour of class {number} is {text!r}; give one such as #1f7a3d.")
    return text.lower()


def _read_table(path: Path) -> dict[int, _Row]:
    """Read the table of classes in a folder."""
    reader = csv.DictReader(io.StringIO(read_text(path).lstrip("\ufeff")))
    columns = {name.strip().lower(): name for name in reader.fieldnames or () if name}
    if not {"value", "name"} <= columns.keys():
        raise BadRecordError(
            f"has the columns {', '.join(columns)}; give value and name, and perhaps colour and"
            " ignored",
            file=path.name,
        )
    found: dict[int, _Row] = {}
    for line, row in enumerate(reader, start=2):
        cell = {key: (row[name] or "").strip() for key, name in columns.items()}
        said = cell.get("ignored", "").lower()
        try:
            number = int(cell["value"])
        except ValueError as error:
            raise BadRecordError(
                f"the value is {cell['value']!r}; give a whole number", line=line, file=path.name
            ) from error
        if number in found or abs(number) > MOST or said not in (*YES, *NO):
            raise BadRecordError(
                f"{number} is given twice, above {MOST:,}, or its ignored is {said!r}; give each"
                " number once, and ignored as true or false",
                line=line,
                file=path.name,
            )
        found[number] = (cell["name"], _colour(cell.get("colour", ""), number), said in YES)
    return found
