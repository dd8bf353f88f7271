"""What a text encoder keeps beside its weights: pieces of words, and the words that it has met."""

from __future__ import annotations

import os
from pathlib import Path

from csp_core.files import read_text, write_text
from csp_core.store.folder import (
    MOST_WORDS_FILE,
    VOCABULARY,
    WORDS,
    check_entry,
    read_vocabulary,
)
from csp_core.text import TextTransformer, Vocabulary
from csp_core.text.words import read_words, write_words


def write_text_side(folder: Path, text: object) -> None:
    """Write what a text encoder of ours has learned to read; nothing for others.

    Args:
        folder: The model's directory.
        text: The encoder, or None.
    """
    if not isinstance(text, TextTransformer) or text.vocabulary is None:
        return
    write_text(folder / VOCABULARY, text.vocabulary.to_json())
    if text.words is not None:
        write_text(folder / WORDS, write_words(text.words))


def read_text_side(folder: Path, text: object) -> None:
    """Give a text encoder of ours what it has learned to read.

    Args:
        folder: The model's directory.
        text: The encoder, which is changed, or None.

    Raises:
        CspError: If the pieces are not there, or a file is none of that directory, too large or of
            another kind.
    """
    if not isinstance(text, TextTransformer):
        return
    text.take_vocabulary(Vocabulary.from_json(read_vocabulary(folder)))
    path = folder / WORDS
    if os.path.lexists(path):  # models that are older have none
        check_entry(path)
        text.words = read_words(read_text(path, most_bytes=MOST_WORDS_FILE))
