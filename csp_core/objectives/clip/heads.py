"""Layers of the CLIP family beside the model: heads of image views, and what guesses the hidden."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from csp_core import losses
from csp_core.errors import ConfigError
from csp_core.location import LocationEncoder
from csp_core.model import DualEncoder
from csp_core.objectives.clip.spec import Spec
from csp_core.text import TextEncoder

# Sizes of the published heads: of the projections, and of the layers before.
SIMSIAM, NT_XENT = (1024, 1024), (256, 4096)


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
        hidden: Size of the layers before the projections.
        size: Size of the projections; the predictor's hidden layer has half of it.

    Source:
        Chen & He 2021, SimSiam; sizes of Li et al. 2022, DeCLIP.
    """

    def __init__(self, dim: int, hidden: int, size: int) -> None:
        super().__init__()
        self.projector = normed_layers((dim, hidden, hidden, size), last=True)
        self.predictor = normed_layers((size, max(1, size // 2), size), last=False)

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


def make_image_head(
    model: DualEncoder, spec: Spec, dim: int | None, hidden: int | None
) -> SimSiamHead | ViewHead | None:
    """Make the head by which images are compared with each other.

    Args:
        model: The model, with an image encoder.
        spec: What the objective does.
        dim: Size of the projections; None for the published one.
        hidden: Size of the layers before; None for the published one.

    Returns:
        The head, or None where images are not compared.

    Raises:
        ConfigError: If a size is below 1.
    """
    if not spec.has("image"):
        return None
    usual = NT_XENT if spec.image_loss == "nt_xent" else SIMSIAM
    size, inner = usual[0] if dim is None else dim, usual[1] if hidden is None else hidden
    if size < 1 or inner < 1:
        raise ConfigError(f"head_dim is {dim} and head_hidden {hidden}; give at least 1.")
    if spec.image_loss == "simsiam":
        return SimSiamHead(model.dim, inner, size)
    features = getattr(model.image, "out_dim", None)
    if not isinstance(features, int):
        raise ConfigError("An encoder of your own needs an integer attribute out_dim.")
    return ViewHead(features, inner, size)


def count_scales(model: DualEncoder) -> int:
    """Count the tokens of scales that the model's places have, 0 where it has no such tokens."""
    place = model.location
    slots = place.scale_slots if isinstance(place, LocationEncoder) else slice(0, 0)
    return max(0, slots.stop - slots.start)


def make_guesses(model: DualEncoder, spec: Spec, sides: list[str], scales: int) -> nn.ModuleDict:
    """Make the layers that guess what is hidden of places and captions.

    Args:
        model: The model.
        spec: What the objective does.
        sides: The sides that are compared.
        scales: How many tokens of scales a place has.

    Returns:
        Side to layer; empty where nothing is hidden.
    """
    found = nn.ModuleDict()
    place, text = model.location, model.text
    if spec.has("masked") and "location" in sides and scales > 1:
        assert isinstance(place, LocationEncoder)  # others have no tokens of scales
        features = place.scale_features(torch.zeros(1, 2)).shape[2]
        found["location"] = GuessScales(scales, place.token_dim, features)
    if spec.has("masked") and "text" in sides:
        assert isinstance(text, TextEncoder)  # the model takes no other
        found["text"] = GuessTokens(text.token_dim, text.vocabulary_size)
    return found
