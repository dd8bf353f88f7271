"""What every text encoder has: captions as tokens, and a transformer over these."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError

log = logging.getLogger(__name__)
LAYERS, CONTEXT, MOST_WIDTH = range(1, 13), range(4, 513), 2048
# How much wider the hidden layer of a block is than a token.
WIDER = 4
Activation = Callable[[Tensor], Tensor]


class TextEncoder(nn.Module):
    """Base of the text encoders: a transformer over tokens, read at each caption's last token.

    A caption is the start token, pieces of words and the end token; what stands behind is padding,
    which no token sees.

    Args:
        dim: Size of the embedding.
        width: Size of a token, a multiple of ``heads``.
        layers: Number of layers, 1 to 12.
        heads: Heads of attention in each.
        context: Tokens of a caption at most, start and end included, 4 to 512.
        vocabulary: How many tokens there are.
        dropout: Dropout rate in [0, 1).
        causal: Whether a token sees only those before it.
        activation: Of the hidden layers.
        bias: Whether the map from the last token to the embedding has one.

    Raises:
        ConfigError: If an option is out of range.
    """

    pad_token, start_token, end_token, mask_token = 0, 1, 2, 3

    def __init__(
        self,
        dim: int,
        *,
        width: int,
        layers: int,
        heads: int,
        context: int,
        vocabulary: int,
        dropout: float,
        causal: bool,
        activation: Activation = nn.functional.gelu,
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes = {"width": width, "layers": layers, "heads": heads, "context": context}
        fits = 1 <= width <= MOST_WIDTH and heads >= 1 and width % max(heads, 1) == 0
        if dim < 1 or not fits or layers not in LAYERS or context not in CONTEXT:
            raise ConfigError(
                f"dim is {dim} and {sizes}; give dim 1 or more, a width of at most {MOST_WIDTH}"
                " that is a multiple of heads, 1 to 12 layers and a context of 4 to 512 tokens."
            )
        if not 0 <= dropout < 1:
            raise ConfigError(f"dropout is {dropout}; give a rate from 0 up to, not including, 1.")
        self.out_dim, self.context, self.width, self.causal = dim, context, width, bool(causal)
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Parameter(torch.randn(context, width) * 0.01)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, WIDER * width, dropout, activation, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, dim, bias=bias)
        nn.init.normal_(self.token.weight, std=0.02)
        # Set by ``make_text_encoder``; None for an encoder that no name describes.
        self.spec: Mapping[str, Any] | None = None

    @property
    def sizes(self) -> dict[str, Any]:
        """Options that the encoder found out by itself, as it is made again."""
        return {}

    @property
    def token_dim(self) -> int:
        """Size of each token that ``see`` gives."""
        return self.width

    @property
    def vocabulary_size(self) -> int:
        """How many tokens there are, the special ones included."""
        return self.token.num_embeddings

    @property
    def specials(self) -> tuple[int, ...]:
        """The tokens that are no part of a word: padding, start, end and mask."""
        return (self.pad_token, self.start_token, self.end_token, self.mask_token)

    def fit_captions(self, captions: Sequence[str], seed: int = 0) -> None:
        """Learn the vocabulary from captions; here, of an encoder that brings its own, nothing.

        Args:
            captions: The captions of the training records, each once.
            seed: Seed of what is drawn from very many.
        """

    def meet(self, captions: Sequence[str]) -> None:
        """Note the words of captions that it is to learn from; here nothing is noted.

        Args:
            captions: The captions of the training records.
        """

    def pieces(self, caption: str) -> list[int]:
        """Cut a caption into tokens.

        Args:
            caption: The caption.

        Returns:
            Tokens, without start and end.

        Raises:
            ConfigError: If the encoder has no vocabulary.
        """
        raise ConfigError(f"The text encoder {type(self).__name__} has no vocabulary.")

    def tokenise(self, captions: Sequence[str], *, told: bool = True) -> Tensor:
        """Make tokens of captions, cut where they are longer than the context.

        Args:
            captions: Captions; an empty one has no tokens but start and end.
            told: Whether to tell how many are cut.

        Returns:
            ``(N, L)`` int64 on the device of the encoder, L at most ``context``: start, pieces, end
            and padding.

        Raises:
            ConfigError: If the encoder has no vocabulary, or these are no captions.
        """
        if isinstance(captions, str) or not all(isinstance(each, str) for each in captions):
            raise ConfigError("Give captions as a sequence of texts.")
        rows = [self.pieces(caption) for caption in captions]
        most = self.context - 2
        if told and (cut := sum(len(row) > most for row in rows)):
            log.warning(
                "%s of %s captions are longer than the %d tokens that the text encoder reads, and"
                " are cut",
                *(f"{cut:,}", f"{len(rows):,}", most),
            )
        rows = [[self.start_token, *row[:most], self.end_token] for row in rows]
        tokens = torch.full((len(rows), max(map(len, rows), default=2)), self.pad_token)
        for row, found in zip(tokens, rows, strict=True):
            row[: len(found)] = torch.tensor(found)
        return tokens.to(self.token.weight.device)

    def real(self, tokens: Tensor) -> Tensor:
        """Tell tokens from padding.

        Args:
            tokens: ``(N, L)`` as of ``tokenise``.

        Returns:
            ``(N, L)`` bool, True up to the end token.
        """
        return tokens != self.pad_token

    def see(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embed captions, and give what has become of their tokens.

        Args:
            tokens: ``(N, L)`` int64, L at most ``context``.

        Returns:
            ``(N, dim)`` embeddings, ``(N, L, width)`` tokens behind the last layer norm, and
            ``(N, L)`` bool, True where there is a token and no padding.

        Raises:
            ConfigError: If there are more tokens than the context has.
        """
        if tokens.ndim != 2 or tokens.shape[1] > self.context or not tokens.shape[1]:
            raise ConfigError(
                f"Tokens have the shape {tuple(tokens.shape)}; give (N, L) with 1 to {self.context}"
                " of them a caption."
            )
        tokens = tokens.to(self.token.weight.device)
        mask, length = self.real(tokens), tokens.shape[1]
        # A row without any token is seen as if its first were one: attention to nothing is no
        # number.
        first = torch.arange(length, device=tokens.device) == 0
        hidden = ~(mask | first)
        later = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        states = self.token(tokens) + self.position[:length]
        # Attention over no rows is an error in torch.
        for layer in self.layers if len(tokens) else ():
            states = layer(
                states, src_mask=later if self.causal else None, src_key_padding_mask=hidden
            )
        states = self.norm(states)
        last = (mask.sum(dim=1) - 1).clamp_min(0)
        ends = states[torch.arange(len(tokens), device=tokens.device), last]
        return self.output(ends), states, mask

    def forward(self, tokens: Tensor) -> Tensor:
        """Embed captions.

        Args:
            tokens: ``(N, L)`` int64, L at most ``context``.

        Returns:
            ``(N, dim)``.
        """
        return self.see(tokens)[0]
