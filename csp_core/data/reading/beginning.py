"""Where a table begins: what may stand before its header."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from csp_core.data.reading.columns import plain
from csp_core.data.reading.headings import ALIASES, EPITHET, GENUS

DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
# Spreadsheets write the delimiter into a line of its own, perhaps filled up to the table's width.
SEPARATOR = re.compile(r'^"?sep=([^\w\s"]|\t)"?[\s;,|]*$', re.IGNORECASE)
COMMENT = "#"
# Exports explain themselves in fewer lines than this.
SEARCHED = 200
NAMES = {*ALIASES["scientific_name"], "species"}


@dataclass(frozen=True)
class Beginning:
    """Where the header of a table stands.

    Args:
        skip: Lines before it.
        delimiter: What a line before it says of the delimiter, ``""`` if none does.
        notes: What to say of those lines.
    """

    skip: int
    delimiter: str = ""
    notes: tuple[str, ...] = ()


def best_delimiter(line: str) -> str:
    """Give the delimiter that a line holds most of, outside of quotes."""
    return max(DELIMITERS, key=re.sub(r'"[^"]*"', "", line).count)


def find_beginning(lines: Iterable[str]) -> Beginning:
    """Find the header of delimited text.

    It is the first line that names a place and a taxon as exports do. Where none does, it is the
    first that is neither a comment nor a title.

    Args:
        lines: The text, from its beginning.

    Returns:
        Where the header stands; where everything is blank, at the first line.
    """
    some = [line.strip("\r\n") for line, _ in zip(lines, range(SEARCHED), strict=False)]
    filled = [at for at, line in enumerate(some) if line.strip()]
    if not filled:
        return Beginning(0)
    delimiter, notes, first = "", [], filled[0]
    if said := SEPARATOR.match(some[first].strip(" ")):
        delimiter = said[1]
        notes.append(f"the line {some[first].strip()!r} before the header names the delimiter")
        filled = filled[1:]
    rows = {at: _cut(some[at], delimiter) for at in filled}
    start = next((at for at, row in rows.items() if is_header(row)), None)
    if start is None:
        start = _plain_start(some, rows)
    before = [at for at in filled if at < start]
    if before:
        notes.append(before_header(len(before), some[before[0]]))
    return Beginning(start, delimiter, tuple(notes))


def before_header(number: int, first: str) -> str:
    """Say what of a table was not read.

    Args:
        number: Of lines.
        first: The first of them.

    Returns:
        The sentence.
    """
    lines = "1 line" if number == 1 else f"{number} lines"
    return f"{lines} before the header not read, the first: {first.strip()[:80]!r}"


def is_header(cells: Sequence[str]) -> bool:
    """Tell whether cells name a place and a taxon as exports do.

    Args:
        cells: One line of a table.

    Returns:
        Whether they do.

    Example:
        >>> is_header(["Species", "Lat", "Long"]), is_header(["Parus major", "52", "13"])
        (True, False)
    """
    names = {plain(cell) for cell in cells}
    taxon = names & NAMES or (names & {*GENUS} and names & {*EPITHET})
    return bool(names & {*ALIASES["lon"]} and names & {*ALIASES["lat"]} and taxon)


def _cut(line: str, delimiter: str) -> list[str]:
    return [cell.strip(' "') for cell in line.split(delimiter or best_delimiter(line))]


def _plain_start(lines: Sequence[str], rows: dict[int, list[str]]) -> int:
    """Find a header whose names are not known: no comment, no title above a wider table."""
    order = list(rows)
    if not order:
        return len(lines)
    table = [at for at in order if not lines[at].lstrip(' "').startswith(COMMENT)]
    if not table:
        return order[0]
    first = table[0]
    at = order.index(first)
    close = at and re.match(r"#\w", lines[order[at - 1]].lstrip())
    if close and len(rows[order[at - 1]]) == len(rows[first]) > 2:
        # Some tools write their header as a comment, without a space.
        return order[at - 1]
    if len(rows[first]) == 1:
        wide = (a for a, b in itertools.pairwise(table) if len(rows[a]) == len(rows[b]) > 1)
        return next(wide, first)
    return first
