"""A location network over tokens: one for each scale, each time and the covariates, and [LOC]."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import check_rate

LAYERS = range(1, 5)
MOST_WIDTH = 1024
# How much wider the hidden layer of a block is than a token.
WIDER = 4


@dataclass(frozen=True, eq=False)
class TokenLayout:
    """How the features of a location encoder fall into tokens.

    Args:
        scales: ``(S, F)`` int64: the columns that each scale of the position has, -1 for none.
        further: How many columns stand behind these for each further input: the year, the day, the
            covariates.
    """

    scales: Tensor
    further: tuple[int, ...] = ()

    def by_scale(self, features: Tensor) -> Tensor:
        """Deal the features of the position out to the scales.

        Args:
            features: ``(N, out_dim)``, those of further inputs behind them or not.

        Returns:
            ``(N, S, F)``, 0 where a scale has fewer features than others.
        """
        columns = self.scales.to(features.device)
        found = features[:, columns.clamp_min(0)]
        return torch.where(columns >= 0, found, found.new_zeros(()))

    def behind(self, features: Tensor) -> tuple[Tensor, ...]:
        """Give the features of the further inputs.

        Args:
            features: ``(N, F)``: those of the position first.

        Returns:
            One block of columns for each input.
        """
        return torch.split(
            features[:, features.shape[1] - sum(self.further) :], list(self.further), 1
        )


def scale_columns(encoding: nn.Module) -> Tensor:
    """Tell which features each scale of a position encoding has.

    Args:
        encoding: The encoding; one of a user's own may say nothing of scales and has one then.

    Returns:
        ``(S, F)`` int64, -1 where a scale has fewer features than others.
    """
    found = getattr(encoding, "scale_columns", None)
    if isinstance(found, Tensor):
        return found
    size: Any = encoding.out_dim
    return torch.arange(size)[None]


class MultiScaleTokens(nn.Module):
    """A transformer over tokens of a place, whose first token, [LOC], becomes the embedding.

    Every scale of a multi-scale encoding has a token, by a linear map of its own; so have the year,
    the day and the covariates where the encoder has them. Behind an encoding of one scale, there is
    one token of the position. Tokens of what is not known are masked.

    Args:
        layout: How the features fall into tokens; a number means one token of so many features.
        out_dim: Size of the embedding.
        width: Size of a token, a multiple of ``heads``.
        layers: Number of layers, 1 to 4.
        heads: Heads of attention in each.
        dropout: Dropout rate in [0, 1).
        scale_drop: Share of the tokens of scales that are left out in training, in [0, 1).

    Raises:
        ConfigError: If an option is out of range.
    """

    # The table's other networks are given a number of features, this one how they fall into tokens.
    takes_layout = True

    def __init__(
        self,
        layout: int | TokenLayout,
        out_dim: int,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        scale_drop: float = 0.0,
    ) -> None:
        super().__init__()
        if layers not in LAYERS or heads < 1 or not 1 <= width <= MOST_WIDTH or width % heads:
            raise ConfigError(
                f"width is {width}, layers {layers} and heads {heads}; give a width of at most"
                f" {MOST_WIDTH} that is a multiple of heads, and 1 to 4 layers."
            )
        check_rate(dropout)
        check_rate(scale_drop)
        if isinstance(layout, int):
            layout = TokenLayout(torch.arange(layout)[None])
        self.layout, self.width, self.scale_drop = layout, width, float(scale_drop)
        scales, features = layout.scales.shape
        bound = 1 / math.sqrt(features)
        self.scale_weight = nn.Parameter(
            torch.empty(scales, features, width).uniform_(-bound, bound)
        )
        self.further = nn.ModuleList(nn.Linear(size, width) for size in layout.further)
        slots = 1 + scales + len(layout.further)
        # Of [LOC] the slot is all there is; of a scale, what tells it from the others.
        self.slot = nn.Parameter(torch.randn(slots, width) * 0.02)
        self.mask_vector = nn.Parameter(torch.randn(width) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, WIDER * width, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, out_dim)

    @property
    def scales(self) -> int:
        """How many tokens of scales there are; they stand right behind [LOC]."""
        return len(self.layout.scales)

    def forward(self, features: Tensor, known: Tensor | None = None) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, F)``.
            known: ``(N, T)`` bool: whether each further input is known; None for all.

        Returns:
            ``(N, out_dim)``.
        """
        return self.see(features, known)[0]

    def see(
        self,
        features: Tensor,
        known: Tensor | None = None,
        *,
        masked: Tensor | None = None,
        dropped: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map encoded places to embeddings and to what has become of their tokens.

        Args:
            features: ``(N, F)``.
            known: ``(N, T)`` bool: whether each further input is known; None for all.
            masked: What stands in the place of scales: ``(N, S)`` bool, True for the learned mask
                vector; or int64, the row whose token it is and -1 for the mask vector.
            dropped: ``(N, S)`` bool: scales that are left out; None for those that chance drops in
                training.

        Returns:
            ``(N, out_dim)`` embeddings, ``(N, M, width)`` tokens behind the last layer norm ([LOC],
            scales, further inputs) and ``(N, M)`` bool, True where there is a token.
        """
        number = features.shape[0]  # unlike len(), not a constant where it is traced
        content = torch.einsum("nsf,sfw->nsw", self.layout.by_scale(features), self.scale_weight)
        if masked is not None:
            content = self._replaced(content, masked)
        elif self.training:
            # Processes wait for a gradient of every weight, this one's too.
            content = content + 0.0 * self.mask_vector
        blocks = zip(self.further, self.layout.behind(features), strict=True)
        parts = [content, *(layer(block)[:, None] for layer, block in blocks)]
        tokens = torch.cat((content.new_zeros(number, 1, self.width), *parts), dim=1) + self.slot
        mask = self._mask(number, known, dropped, features.device)
        # Attention over no rows is an error in torch.
        for layer in self.layers if number else ():
            tokens = layer(tokens, src_key_padding_mask=~mask)
        tokens = self.norm(tokens)
        return self.output(tokens[:, 0]), tokens, mask

    def _replaced(self, content: Tensor, masked: Tensor) -> Tensor:
        """Put the mask vector, or the tokens of other rows, in the place of some ``(N, S, W)``."""
        if tuple(masked.shape) != tuple(content.shape[:2]):
            raise ConfigError(
                f"masked has the shape {tuple(masked.shape)}; give one value for each of the"
                f" {len(content)} places and {self.scales} scales."
            )
        own = torch.arange(len(content), device=content.device)[:, None]
        source = torch.where(masked, -1, own) if masked.dtype == torch.bool else masked
        scale = torch.arange(self.scales, device=content.device)
        taken = content[source.clamp_min(0), scale]
        return torch.where((source < 0)[..., None], self.mask_vector.to(content.dtype), taken)

    def _mask(
        self, number: int, known: Tensor | None, dropped: Tensor | None, device: torch.device
    ) -> Tensor:
        """Tell which tokens there are, ``(N, M)``."""
        if dropped is None:
            dropped = torch.zeros(number, self.scales, dtype=torch.bool, device=device)
            if self.training and self.scale_drop:
                dropped = torch.rand(number, self.scales, device=device) < self.scale_drop
        if known is None:
            known = dropped.new_ones(number, len(self.further))
        return torch.cat((dropped.new_ones(number, 1), ~dropped, known), dim=1)
