"""Layers of the CLIP family beside the model: heads of image views, and what guesses the hidden."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from csp_core import losses


def normed_layers(sizes: tuple[int, ...], *, last: bool) -> nn.Sequential:
    """Make linear layers with batch normalisation and ReLU between them.

    The normalisation is over the batch, in evaluation too: it keeps no running statistics, so that
    measuring changes nothing.

    Args:
        sizes: Of the input and of each layer's output.
        last: Whether the output is normalised too, without a ReLU.

    Returns:
        The layers.
    """
    parts: list[nn.Module] = []
    for number, (before, after) in enumerate(pairwise(sizes)):
        inner = number < len(sizes) - 2
        normed = inner or last
        # The normalisation would take a bias out again.
        parts.append(nn.Linear(before, after, bias=not normed))
        if normed:
            parts.append(nn.BatchNorm1d(after, track_running_stats=False))
        if inner:
            parts.append(nn.ReLU())
    return nn.Sequential(*parts)


class SimSiamHead(nn.Module):
    """Projector and predictor of images' embeddings in the shared space.

    Args:
        dim: Size of an embedding.
        hidden: Size of the projections and of the layers before them; the predictor's hidden layer
            has half of it.

    Source:
        Chen & He 2021, SimSiam; sizes of Li et al. 2022, DeCLIP.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.projector = normed_layers((dim, hidden, hidden, hidden), last=True)
        self.predictor = normed_layers((hidden, max(1, hidden // 2), hidden), last=False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Compute the loss of two views of the images of a whole batch.

        Args:
            first: ``(N, dim)`` embeddings of the first views.
            second: ``(N, dim)`` of the second.

        Returns:
            Scalar in [-1, 1].
        """
        one, other = self.projector(first), self.projector(second)
        return losses.simsiam(self.predictor(one), one, self.predictor(other), other)


class ViewHead(nn.Module):
    """Three layers on images' features, by which two views of an image are told from others'.

    Args:
        features: Size of the features before the model's own projection.
        hidden: Size of the two inner layers.
        dim: Size of the projections.
        temperature: Divisor of the cosines.

    Source:
        Mu et al. 2022, SLIP.
    """

    def __init__(self, features: int, hidden: int, dim: int, temperature: float = 0.1) -> None:
        super().__init__()
        self.layers = normed_layers((features, hidden, hidden, dim), last=False)
        self.temperature = temperature

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Compute the loss of two views of the images of a whole batch.

        Args:
            first: ``(N, features)`` of the first views.
            second: ``(N, features)`` of the second.

        Returns:
            Scalar, nats.
        """
        both: Tensor = self.layers(torch.cat((first, second)))
        own = torch.arange(len(both), device=both.device)
        partner = own.roll(len(first))
        return losses.nt_xent(both, both, partner, own, temperature=self.temperature)


class GuessTokens(nn.Linear):
    """Scores of every token of a vocabulary for tokens that were hidden.

    Args:
        width: Size of a token's state.
        vocabulary: Number of tokens there are.
    """

    def __init__(self, width: int, vocabulary: int) -> None:
        super().__init__(width, vocabulary)


class GuessScales(nn.Module):
    """The features that a place has at each scale, guessed from what has become of its tokens.

    Args:
        scales: Number of scales.
        width: Size of a token.
        features: Features of each scale.
    """

    def __init__(self, scales: int, width: int, features: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(scales, width, features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(scales, features))

    def forward(self, tokens: Tensor) -> Tensor:
        """Guess the features.

        Args:
            tokens: ``(N, scales, width)``.

        Returns:
            ``(N, scales, features)``.
        """
        found: Tensor = torch.einsum("nsw,swf->nsf", tokens, self.weight) + self.bias
        return found
