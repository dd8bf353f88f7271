"""The words that a text encoder has met in captions, kept beside its pieces of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from csp_core.errors import ConfigError

# Of more, none are kept: nobody could say then which words are missing.
MOST_WORDS, LONGEST_WORD = 200_000, 64
_WORD = re.compile(r"[^\W\d_]+")
# Scripts that put no spaces between words: what stands between two signs is no word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
# Signs that captions have a space behind.
_TIGHT = re.compile(r"(?<=[^\W\d_])\s*([,;:])\s*(?=[^\W\d_])")


def words_of(text: str) -> list[str]:
    """List the words of a text, in small letters, each once.

    Args:
        text: Any text.

    Returns:
        The words in their order; none of scripts that put no spaces between them.

    Example:
        >>> words_of("Forest near Bergen,Norway: a forest")
        ['forest', 'near', 'bergen', 'norway', 'a']
    """
    plain = unicodedata.normalize("NFKC", text).lower()
    found = dict.fromkeys(_WORD.findall(plain))
    return [word for word in found if not _UNSPACED.search(word)]


def all_words(captions: Iterable[str]) -> frozenset[str] | None:
    """Collect the words of captions.

    Args:
        captions: The captions.

    Returns:
        The words; None for more than 200,000.
    """
    found: set[str] = set()
    for caption in captions:
        found.update(word for word in words_of(caption) if len(word) <= LONGEST_WORD)
        if len(found) > MOST_WORDS:
            return None
    return frozenset(found)


def spaced(text: str) -> str:
    """Write a text as captions are written: one space behind a comma, none before it.

    Args:
        text: Any text.

    Returns:
        The text; commas beside digits stay as they are.

    Example:
        >>> spaced("Lisbon,Portugal"), spaced("1,5 km of hedge")
        ('Lisbon, Portugal', '1,5 km of hedge')
    """
    return _TIGHT.sub(r"\1 ", text)


def write_words(words: Iterable[str]) -> str:
    """Write words as a file holds them.

    Args:
        words: The words.

    Returns:
        A word a line, sorted.
    """
    return "".join(f"{word}\n" for word in sorted(words))


def read_words(text: str) -> frozenset[str]:
    """Read words.

    Args:
        text: A word a line.

    Returns:
        The words.

    Raises:
        ConfigError: If a line is no word, or there are too many.
    """
    lines: Sequence[str] = text.split("\n")
    lines = lines[:-1] if lines and not lines[-1] else lines
    if len(lines) > MOST_WORDS:
        raise ConfigError(f"words.txt has {len(lines):,} lines; {MOST_WORDS:,} are the most.")
    for line in lines:
        if len(line) > LONGEST_WORD or not _WORD.fullmatch(line):
            raise ConfigError(f"words.txt holds {line[:80]!r}, which is no word; give one a line.")
    return frozenset(lines)
