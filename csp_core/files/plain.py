"""Plain values in text, JSON and YAML that anybody may have written, read within bounds."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from csp_core.errors import CheckpointError, ConfigError, DataNotFoundError

# A model's largest JSON file has some kB, a configuration some hundred values; whatever is within
# the bounds is read in less than 2 s and 200 MB.
MOST_JSON, MOST_YAML = 4 << 20, 64 << 10
MOST_VALUES, MOST_DEPTH, MOST_WHOLE = 10_000, 64, 2**63
# What a spreadsheet takes for the beginning of a formula, in full width too.
FORMULA = tuple("=+-@\t\r\n＝＋－＠")
# What a terminal obeys, what turns the direction of the text around it, halves of characters.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def read_text(path: str | Path, *, most_bytes: int = MOST_JSON, errors: str = "strict") -> str:
    """Read a text file of bounded size; a device or pipe is never read.

    Args:
        path: File to read.
        most_bytes: How large it may be.
        errors: What to do with bytes that are no UTF-8, as for ``bytes.decode``.

    Returns:
        Its content, line ends as those of Unix.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is no ordinary file, too large, no UTF-8 or cannot be read.
    """
    try:
        return _universal(_read(path, most_bytes).decode("utf-8", errors))
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is no UTF-8 text ({error}).") from error


def _universal(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(path: str | Path, most_bytes: int) -> bytes:
    try:
        # Opening a pipe would wait for who writes to it.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise CheckpointError(f"{path} is no ordinary file.")
            data = stream.read(most_bytes + 1)
    except FileNotFoundError as error:
        raise DataNotFoundError(f"No file {path}.") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(data) > most_bytes:
        raise CheckpointError(f"{path} is larger than the {most_bytes:,} bytes it may have.")
    return data


def read_json(path: str | Path, *, most_bytes: int = MOST_JSON) -> Any:
    """Read a JSON file, within bounds of size and depth.

    Args:
        path: File to read.
        most_bytes: How large it may be.

    Returns:
        Its content.

    Raises:
        DataNotFoundError: If there is no such file.
        CheckpointError: If it is not JSON, or not within the bounds.
    """
    data = _read(path, most_bytes)
    try:
        value = json.loads(data.decode("utf-8"))
        check_plain(value)
    except RecursionError as error:
        raise CheckpointError(f"{path} is nested deeper than {MOST_DEPTH} levels.") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not readable JSON ({error}).") from error
    return value


class _BoundedLoader(yaml.SafeLoader):
    """Reads YAML that stays small when its aliases are written out."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.values = self.depth = 0
        self.sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        alias, before = self.check_event(yaml.AliasEvent), self.values
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ValueError(f"it is nested deeper than {MOST_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        if alias and id(node) not in self.sizes:
            raise ValueError("an alias stands inside of what it names")
        # An alias counts as often as what it names holds values.
        self.values += self.sizes[id(node)] if alias else 1
        if self.values > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES:,} values, aliases written out")
        if not alias:
            self.sizes[id(node)] = self.values - before
        return node


def parse_yaml(text: str, source: str) -> Any:
    """Read YAML within bounds of size, depth and of what its aliases make.

    Args:
        text: The YAML.
        source: Where it came from, for error messages.

    Returns:
        Plain values; ``None`` of an empty text.

    Raises:
        ConfigError: If it is not YAML, or not within the bounds.
    """
    try:
        if len(text) > MOST_YAML:
            raise ValueError(f"it is longer than {MOST_YAML:,} characters")
        value = _BoundedLoader(text).get_single_data()
        check_plain(value)
    except Exception as error:  # a tag's conversion raises whatever comes: LookupError, TypeError …
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise ConfigError(f"{source} is not YAML that can be read: {reason}.") from error
    return value


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; see ``parse_yaml``.

    Args:
        path: File to read.

    Returns:
        Plain values.

    Raises:
        DataNotFoundError: If there is no such file.
        ConfigError: If it is not YAML, or not within the bounds.
    """
    try:
        text = read_text(path, most_bytes=4 * MOST_YAML)
    except CheckpointError as error:
        raise ConfigError(f"{path} is not YAML that can be read: {error}") from error
    return parse_yaml(text, str(path))


def check_plain(value: Any, depth: int = 0) -> None:
    """Check that plain values can be handed on: walked through, written and turned into tensors.

    Args:
        value: Values as JSON and YAML have them.
        depth: How deep it stands.

    Raises:
        ValueError: If it is nested too deeply, or holds a whole number beyond 64 bits, or half a
            character, which no file or page can show.
    """
    if depth > MOST_DEPTH:
        raise ValueError(f"it is nested deeper than {MOST_DEPTH} levels")
    if isinstance(value, str):
        if not value.isascii() and printable(value) != value:
            raise ValueError(f"it holds half of a surrogate pair: {value[:80]!a}")
    elif isinstance(value, int) and not -MOST_WHOLE <= value < MOST_WHOLE:
        raise ValueError("it holds a whole number of more than 64 bits")
    elif isinstance(value, dict):
        for key, inner in value.items():
            check_plain(key, depth + 1)
            check_plain(inner, depth + 1)
    elif isinstance(value, (list, tuple, set)):
        for inner in value:
            check_plain(inner, depth + 1)


def printable(text: str) -> str:
    """Write out what is no whole character, as a file's name may hold it.

    Args:
        text: Any text.

    Returns:
        The text, halves of surrogate pairs as escapes.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def harmless(text: str) -> str:
    r"""Keep text of others from doing anything but being read, in a terminal or on a page.

    Args:
        text: Any text.

    Returns:
        The text, with a sign in the place of each character that a terminal would obey or that
        changes the direction of what stands beside it; line ends and tabs stay.

    Example:
        >>> harmless("Pica\x1b[2J pica")
        'Pica�[2J pica'
    """
    return OBEYED.sub("�", text)


def spreadsheet_cell(value: Any) -> Any:
    """Keep text from being taken for a formula by the spreadsheet that opens a CSV file.

    Args:
        value: What a cell holds.

    Returns:
        Text that begins as a formula does with an apostrophe before it, carriage returns as spaces,
        as the writer would end a row with them; all else as it is.

    Example:
        >>> spreadsheet_cell("=1+1"), spreadsheet_cell("Pica pica"), spreadsheet_cell(-1)
        ("'=1+1", 'Pica pica', -1)
    """
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(FORMULA) else "") + value.replace("\r", " ")
