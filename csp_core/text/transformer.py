"""A text encoder that learns its vocabulary and its weights from the captions at hand."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from csp_core.errors import ConfigError
from csp_core.text.base import TextEncoder
from csp_core.text.vocabulary import FEWEST, MOST, Vocabulary
from csp_core.text.words import all_words

# Captions that the vocabulary is learned from; of more, so many are drawn.
MOST_CAPTIONS = 200_000


class TextTransformer(TextEncoder):
    """A transformer over pieces of words, which are learned from the training captions.

    Args:
        dim: Size of the embedding.
        width: Size of a token, a multiple of ``heads``.
        layers: Number of layers, 1 to 12.
        heads: Heads of attention in each.
        context: Tokens of a caption at most, start and end included, 4 to 512; what is longer is
            cut.
        vocabulary: How many tokens there are at most, 260 to 65,536: padding, start, end and mask,
            every byte, and the pairs that are learned.
        dropout: Dropout rate in [0, 1).
        causal: Whether a token sees only those before it, as in CLIP.

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Radford et al. 2021, CLIP; there with a vocabulary of its own and causal.

    Example:
        >>> encoder = TextTransformer(8, width=16, layers=1, heads=2, vocabulary=300)
        >>> encoder.fit_captions(["a field of wheat", "a field of rye"])
        >>> encoder(encoder.tokenise(["a field"])).shape
        torch.Size([1, 8])
    """

    def __init__(
        self,
        dim: int,
        *,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        context: int = 32,
        vocabulary: int = 4096,
        dropout: float = 0.0,
        causal: bool = False,
    ) -> None:
        if not FEWEST <= vocabulary <= MOST:
            raise ConfigError(f"vocabulary is {vocabulary}; give {FEWEST} to {MOST:,}.")
        super().__init__(
            dim,
            width=width,
            layers=layers,
            heads=heads,
            context=context,
            vocabulary=vocabulary,
            dropout=dropout,
            causal=causal,
        )
        self.vocabulary: Vocabulary | None = None
        # The words of the captions that it learned from; None where nobody kept them.
        self.words: frozenset[str] | None = None

    def fit_captions(self, captions: Sequence[str], seed: int = 0) -> None:
        """Learn the vocabulary from captions, and keep as many tokens as it has.

        Args:
            captions: The captions of the training records, each once.
            seed: Seed of those that are drawn from more than 200,000.

        Raises:
            ConfigError: If there are none.
        """
        if not captions:
            raise ConfigError(
                "The text encoder learns its vocabulary from captions, and there are none: give"
                " data.captions, or leave model.text out."
            )
        self.meet(captions)
        if len(captions) > MOST_CAPTIONS:
            generator = torch.Generator().manual_seed(seed)
            drawn = torch.randperm(len(captions), generator=generator)[:MOST_CAPTIONS]
            captions = [captions[row] for row in drawn.sort().values.tolist()]
        self.take_vocabulary(Vocabulary.learn(captions, self.vocabulary_size))

    def meet(self, captions: Sequence[str]) -> None:
        """Note the words of captions that it is to learn from.

        Args:
            captions: The captions of the training records.
        """
        self.words = all_words(captions)

    def take_vocabulary(self, vocabulary: Vocabulary) -> None:
        """Take a vocabulary, and keep as many tokens as it has.

        Args:
            vocabulary: One that was learned before.

        Raises:
            ConfigError: If it has more tokens than the encoder.
        """
        size = len(vocabulary)
        if size > self.vocabulary_size:
            raise ConfigError(
                f"The vocabulary has {size:,} tokens and the text encoder {self.vocabulary_size:,}:"
                f" give model.text.vocabulary {size} at least."
            )
        if size < self.vocabulary_size:
            kept = self.token.weight.detach()[:size].clone()
            self.token = nn.Embedding(size, self.width, _weight=kept)
        if self.spec is not None:
            self.spec = {**self.spec, "vocabulary": size}
        self.vocabulary = vocabulary

    def pieces(self, caption: str) -> list[int]:
        """Cut a caption into pieces of the vocabulary; of what it has no piece, into bytes.

        Args:
            caption: The caption.

        Returns:
            Tokens, without start and end.

        Raises:
            ConfigError: If no vocabulary was learned.
        """
        if self.vocabulary is None:
            raise ConfigError(
                "The text encoder has no vocabulary yet: call fit_captions with the captions it is"
                " to learn from."
            )
        return self.vocabulary.encode(caption)
