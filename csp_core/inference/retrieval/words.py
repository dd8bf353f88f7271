"""What a text tower makes of words: how a query is written, what is cut off, what it never met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csp_core.text.words import spaced, words_of

# Of a text that is quoted.
SHOWN = 60
# Of words, how many are named.
NAMED = 6
# Tokens of every text beside its own.
ENDS = ("start", "end")


def as_captions(model: Any, text: str) -> tuple[str, list[str]]:
    """Write a query as the captions were that a model learned from.

    Args:
        model: A model whose pieces of words were learned from captions; others are asked as it is.
        text: The query.

    Returns:
        The text to ask, with a space behind each comma; and a sentence where that changed it.
    """
    if not hasattr(getattr(model, "text", None), "words"):
        return text, []
    asked = spaced(text)
    return asked, [] if asked == text else [f"Read as {asked[:SHOWN]!r}, as captions are written."]


def notes_on_text(model: Any, captions: Sequence[str]) -> list[str]:
    """Say what is cut off texts, and what stands in them that the model never read.

    Args:
        model: A model; one that reads no words has nothing to say.
        captions: The texts.

    Returns:
        Sentences; none where all is read as it stands.
    """
    encoder = getattr(model, "text", None)
    if encoder is None:
        return []
    said, most = [], int(encoder.context) - len(ENDS)
    cut = [text for text in captions if len(encoder.pieces(text)) > most]
    if cut:
        which = "The text is" if len(captions) == 1 else f"{len(cut)} of {len(captions)} texts are"
        said.append(
            f"{which} longer than the {most} tokens that the model reads: the end of"
            f" {cut[0][:SHOWN]!r} was cut off."
        )
    letters = sorted({letter for text in captions for letter in text if not letter.isascii()})
    if odd := [letter for letter in letters if len(encoder.pieces(letter)) > 1]:
        said.append(
            f"The model never read {''.join(odd[:10])!r}: it takes it byte by byte, which means"
            " little to it."
        )
    return [*said, *_unmet(encoder, captions)]


def _unmet(encoder: Any, captions: Sequence[str]) -> list[str]:
    """Say which words were in no caption that an encoder learned from, and which were."""
    if len(captions) == 1 and not any(letter.isalnum() for letter in captions[0]):
        return ["No word stands in it, so the order of what follows tells little."]
    given = list(dict.fromkeys(word for text in captions for word in words_of(text)))
    met: frozenset[str] | None = getattr(encoder, "words", None)
    if met is None or not given:
        return _in_pieces(encoder, given)
    odd, known = [[w for w in given if (w in met) is wanted] for wanted in (False, True)]
    if not odd:
        return []
    were = "was" if len(odd) == 1 else "were"
    said = f"{_listed(odd)} {were} in no caption that the model learned from"
    if len(captions) > 1:
        return [f"{said}: of the texts with such words it knows the other words alone."]
    if not known:
        return [f"{said}: nothing is left, so the order of what follows tells little."]
    return [f"{said}; what is left: {_listed(known)}."]


def _in_pieces(encoder: Any, words: Sequence[str]) -> list[str]:
    """Say which words an encoder reads in pieces, where nobody kept what it has met."""
    if not hasattr(encoder, "words"):  # of a file that has met nearly all words there are
        return []
    cut = [word for word in words if len(encoder.pieces(word)) > 1]
    if not cut:
        return []
    return [
        f"{_listed(cut)} {'is' if len(cut) == 1 else 'are'} read in pieces, so the model has met"
        " such words rarely or never; which words its captions held was not kept."
    ]


def _listed(words: Sequence[str]) -> str:
    some = ", ".join(repr(word) for word in words[:NAMED])
    return f"{some} and {len(words) - NAMED} more" if len(words) > NAMED else some
