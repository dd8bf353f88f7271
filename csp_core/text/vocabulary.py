"""A vocabulary of byte pairs, learned from captions and kept in a ``tokenizer.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from csp_core.errors import ConfigError

SPECIALS = ("<pad>", "<start>", "<end>", "<mask>")
PAD, START, END, MASK = range(len(SPECIALS))
# Every byte has a token, so that no character is unknown.
BYTES = 256
FEWEST, MOST = len(SPECIALS) + BYTES, 1 << 16
# Of a caption that is longer, the rest is not read: no text tower sees so much.
MOST_CHARACTERS = 20_000
# A pair that stands in one caption alone is no word.
LEAST_PAIRS = 2
# Bytes of a piece. Where words have no spaces between them, a sentence that stands twice would be
# one piece, and the file of some of these larger than one that is read.
LONGEST_PIECE = 32


class Vocabulary:
    """Pieces of words, and the rules that put them together from bytes.

    Captions are taken in small letters, in one form of each character, with single spaces. Words
    that look like a special token are words.

    Args:
        tokens: Piece to number: the special ones first, then every byte, then pairs.
        merges: Pairs in the order in which they are joined.

    Raises:
        ConfigError: If they do not fit together.
    """

    def __init__(self, tokens: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        _check(tokens, merges)
        self._tokenizer = _pipeline(models.BPE(vocab=tokens, merges=list(merges)))
        self._size = len(tokens)

    def __len__(self) -> int:
        """Count the pieces, the special ones included."""
        return self._size

    def __deepcopy__(self, memo: dict[int, Any]) -> Vocabulary:
        """Give itself: it never changes, and copies of a model share it."""
        return self

    @classmethod
    def learn(cls, captions: Sequence[str], most: int) -> Vocabulary:
        """Learn the pieces that captions are made of.

        Args:
            captions: What to learn from.
            most: How many pieces to learn at most, the special ones and the bytes included.

        Returns:
            The vocabulary; the same captions give the same one.

        Raises:
            ConfigError: If it may have too few or too many.
        """
        if not FEWEST <= most <= MOST:
            raise ConfigError(f"vocabulary is {most}; give {FEWEST} to {MOST}.")
        tokenizer = _pipeline(models.BPE())
        trainer = trainers.BpeTrainer(
            vocab_size=most,
            min_frequency=LEAST_PAIRS,
            max_token_length=LONGEST_PIECE,
            special_tokens=list(SPECIALS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        with _one_thread():
            tokenizer.train_from_iterator((_plain(caption) for caption in captions), trainer)
        return cls.from_json(tokenizer.to_str())

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read a vocabulary; of all that such a file may say, only pieces and pairs are used.

        Args:
            text: Content of a ``tokenizer.json``.

        Returns:
            The vocabulary.

        Raises:
            ConfigError: If it is none that this program writes.
        """
        try:
            model: Any = json.loads(text)["model"]
            tokens, merges = dict(model["vocab"]), [_pair(each) for each in model["merges"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"tokenizer.json holds no byte pairs ({error!r}).") from error
        return cls(tokens, merges)

    def to_json(self) -> str:
        """Return the content of a ``tokenizer.json``, as Hugging Face's tokenizers read it."""
        return str(self._tokenizer.to_str(pretty=False))

    def encode(self, caption: str) -> list[int]:
        """Cut a caption into pieces.

        Args:
            caption: The caption.

        Returns:
            Their numbers, without start and end.
        """
        found: list[int] = self._tokenizer.encode(_plain(caption)).ids
        return found


def _plain(caption: str) -> str:
    # Halves of characters, which no UTF-8 holds, become question marks.
    return caption[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _pipeline(model: models.BPE) -> Tokenizer:
    """Put what stands before and behind the pieces around them."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pair(merge: Any) -> tuple[str, str]:
    """Read a pair, which earlier versions of the library wrote with a space between."""
    first, second = merge.split(" ") if isinstance(merge, str) else merge
    return first, second


def _check(tokens: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
    """Check that pieces are numbered one by one, and that pairs join pieces that there are."""
    if not FEWEST <= len(tokens) <= MOST or len(merges) > MOST:
        raise ConfigError(
            f"tokenizer.json has {len(tokens):,} pieces and {len(merges):,} pairs; a vocabulary has"
            f" {FEWEST} to {MOST:,}."
        )
    numbers = list(tokens.values())
    if not all(type(number) is int for number in numbers) or set(numbers) != set(
        range(len(tokens))
    ):
        raise ConfigError("tokenizer.json does not number its pieces from 0 on, each once.")
    alphabet = (*SPECIALS, *pre_tokenizers.ByteLevel.alphabet())
    if [tokens.get(name) for name in SPECIALS] != list(range(len(SPECIALS))) or not all(
        letter in tokens for letter in alphabet
    ):
        raise ConfigError(
            f"tokenizer.json does not begin with {', '.join(SPECIALS)}, or has no piece for some"
            " byte: it is of another program."
        )
    for first, second in merges:
        known = isinstance(first, str) and isinstance(second, str)
        joined = first + second if known else ""
        if joined in SPECIALS or not {first, second, joined} <= tokens.keys():
            raise ConfigError("tokenizer.json joins a pair of which it has no piece.")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Learn on one thread: processes that are forked later would be warned of others."""
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ["TOKENIZERS_PARALLELISM"]
        else:
            os.environ["TOKENIZERS_PARALLELISM"] = before
