"""What a text tower makes of words: what it cuts off, and what it never met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Of a text that is quoted.
SHOWN = 60
# Tokens of every text beside its own.
ENDS = ("start", "end")


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
    return said
