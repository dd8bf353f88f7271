"""The networks behind a position encoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import check_rate
from csp_core.location.dropout import Dropout
from csp_core.location.geoclip import Capsules
from csp_core.location.modulated import Modulated
from csp_core.location.siren import ResidualSiren, Siren
from csp_core.location.tokens import MultiScaleTokens
from csp_core.tables import lookup

# In place where that is possible: each stands behind a linear layer, whose gradient needs only what
# went into it.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.2, inplace=True),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}
# Of a network whose widths are listed, input and output among them.
MOST_LAYERS = 34


class ResidualMLP(nn.Module):
    """Feed-forward network with dropout, skip connections and layer norm in its hidden layers.

    A hidden layer is linear, activation, dropout, plus its input where the sizes agree, then layer
    norm. The published networks also put activation and dropout on the output, which makes every
    embedding non-negative; ``final_activation`` gives that form, None leaves the output linear.

    Args:
        in_dim: Input features.
        out_dim: Output features.
        hidden_dim: Width of the hidden layers.
        num_hidden: Number of hidden layers, 0 for a linear map.
        activation: A name from ``ACTIVATIONS``.
        dropout: Dropout rate in [0, 1).
        final_activation: Activation of the output, followed by dropout; None for a linear output.
        input_dropout: Dropout rate of the encoded place itself, in [0, 1).

    Source:
        ``MultiLayerFeedForwardNN`` of Mai et al. 2020 and 2023.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dim: int = 512,
        num_hidden: int = 1,
        activation: str = "leaky_relu",
        dropout: float = 0.5,
        final_activation: str | None = None,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if hidden_dim < 1 or num_hidden < 0:
            raise ConfigError(
                f"hidden_dim is {hidden_dim} and num_hidden {num_hidden}; give at least 1 and 0."
            )
        check_rate(dropout)
        check_rate(input_dropout)
        widths = [in_dim] + [hidden_dim] * num_hidden
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_dim) for _ in range(num_hidden))
        self.output = nn.Linear(widths[-1], out_dim)
        self.activation = lookup("activation", ACTIVATIONS, activation)()
        self.input_dropout, self.dropout = Dropout(input_dropout), Dropout(dropout)
        self.final = (
            nn.Identity() if final_activation is None else _final(final_activation, dropout)
        )
        for layer in (*self.hidden, self.output):
            nn.init.xavier_uniform_(layer.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``.

        Returns:
            ``(N, out_dim)``.
        """
        features = self.input_dropout(features)
        for linear, norm in zip(self.hidden, self.norms, strict=True):
            hidden = self.dropout(self.activation(linear(features)))
            if hidden.shape == features.shape:
                hidden = hidden + features
            features = norm(hidden)
        result: Tensor = self.final(self.output(features))
        return result


def _final(activation: str, dropout: float) -> nn.Module:
    return nn.Sequential(lookup("activation", ACTIVATIONS, activation)(), Dropout(dropout))


class _FCBlock(nn.Module):
    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.w1, self.w2 = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        hidden = self.dropout(torch.relu(self.w1(features)))
        result: Tensor = features + torch.relu(self.w2(hidden))
        return result


class FCNet(nn.Module):
    """Fully connected network of residual blocks, without normalisation.

    Args:
        in_dim: Input features.
        out_dim: Output features and width of every block.
        num_blocks: Number of residual blocks.
        dropout: Dropout rate inside a block, in [0, 1).

    Source:
        Mac Aodha et al. 2019 (``FCNet``); Cole et al. 2023 (``ResidualFCNet``).
    """

    def __init__(
        self, in_dim: int, out_dim: int, num_blocks: int = 4, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_rate(dropout)
        blocks = [_FCBlock(out_dim, dropout) for _ in range(num_blocks)]
        self.feats = nn.Sequential(nn.Linear(in_dim, out_dim), nn.ReLU(), *blocks)

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``.

        Returns:
            ``(N, out_dim)``, non-negative.
        """
        result: Tensor = self.feats(features)
        return result


class Dense(nn.Module):
    """Fully connected layers, an activation behind each, and nothing else.

    Args:
        in_dim: Input features.
        out_dim: Output features, behind an activation too.
        hidden_dims: Width of each hidden layer; none for a single layer.
        activation: A name from ``ACTIVATIONS``.

    Source:
        The location prior of BirdNET 2.4, whose hidden layers are of 256 and 512, and whose output
        is of 1,024.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dims: Sequence[int] = (256, 512),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        widths = [in_dim, *hidden_dims, out_dim]
        if min(widths) < 1 or len(widths) > MOST_LAYERS:
            raise ConfigError(
                f"hidden_dims is {list(hidden_dims)}; give widths of at least 1, and at most"
                f" {MOST_LAYERS - 2} of them."
            )
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.activation = lookup("activation", ACTIVATIONS, activation)()

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``.

        Returns:
            ``(N, out_dim)``.
        """
        for layer in self.layers:
            features = self.activation(layer(features))
        return features


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "residual_mlp": ResidualMLP,
    "fcnet": FCNet,
    "dense": Dense,
    "modulated": Modulated,
    "siren": Siren,
    "residual_siren": ResidualSiren,
    "capsules": Capsules,
    "tokens": MultiScaleTokens,
}
