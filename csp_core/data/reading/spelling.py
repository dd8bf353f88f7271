"""How a scientific name is written: case, spaces and forms of letters."""

from __future__ import annotations

import html
import re
import unicodedata

JOINED = re.compile(r"^[A-Za-z]+_[a-z]+(?:_[a-z]+)?$")
MARKUP = re.compile(r"</?(?:i|em|b|strong|span|a|p|u|font)\b[^<>]*>", re.IGNORECASE)
# All in one case the author is told by the year alone.
ONE_CASE = re.compile(
    r"^([^\W\d_]+ [^\W\d_]+(?: [^\W\d_]+)??) \(?[^\W\d_]+\.?,? (?:1[7-9]|20)\d\d\)?$"
)


def spelled_usually(name: str) -> str:
    """Bring spaces, letters and case of a scientific name to one form.

    Args:
        name: As it stands in the file.

    Returns:
        The name with its author, if it has one.

    Example:
        >>> spelled_usually("TURDUS  merula"), spelled_usually("Turdus merula linnaeus, 1758")
        ('Turdus merula', 'Turdus merula')
    """
    whole = name if name.isascii() else unicodedata.normalize("NFC", name)
    if "<" in whole or "&" in whole:
        # Web pages write names in italics.
        whole = html.unescape(MARKUP.sub("", whole))
    # Signs that nobody sees make another word of the same.
    if not whole.isprintable():
        whole = "".join(" " if c.isspace() else c for c in whole if c.isspace() or c.isprintable())
    whole = " ".join(whole.split())
    if whole[:1] in ("'", '"'):
        whole = re.sub(r"^([\"'])(.*)\1$", r"\2", whole)
    whole = whole.removesuffix(" [sic]")
    if "_" in whole and JOINED.match(whole):
        whole = whole.replace("_", " ")
    if whole.endswith("."):
        whole = re.sub(r"(?<=[a-z]{4})\.$", "", whole)
    if (whole[1:].islower() or whole.isupper()) and (match := ONE_CASE.match(whole)):
        return match[1].capitalize()
    words = whole.split(" ")
    if len(words) < 2 or not words[0].isalpha() or len(words[0]) < 3:
        return whole
    plain = whole.replace(" ", "").replace("-", "").isalpha()
    if plain and (whole.islower() or whole.isupper()):
        return whole.capitalize()
    if whole.isupper() and words[1].isalpha() and len(words[1]) > 2:
        # "TURDUS MERULA L."
        return " ".join([words[0].capitalize(), words[1].lower(), *map(str.title, words[2:])])
    if words[0].isupper() and words[1].isupper() and words[1].isalpha() and len(words[1]) > 2:
        # "TURDUS MERULA Linnaeus, 1758"
        return " ".join([words[0].capitalize(), words[1].lower(), *words[2:]])
    if words[0].isupper() and words[1].islower():
        # "TURDUS merula".
        return words[0].capitalize() + whole[len(words[0]) :]
    if words[0].islower() and words[1].islower():
        # "turdus merula Linnaeus, 1758", but not "cf. Turdus merula".
        return words[0].capitalize() + whole[len(words[0]) :]
    return whole
