"""The networks behind a position encoding, and the location encoder that composes the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import check_rate
from csp_core.location.covariates import Covariates
from csp_core.location.dropout import Dropout
from csp_core.location.geoclip import Capsules
from csp_core.location.siren import ResidualSiren, Siren
from csp_core.location.time import TimeFeatures
from csp_core.tables import lookup

# Places a thread embeds at a time where no gradients are asked for: what lies between the layers
# then stays in its cache, and the memory of one part serves the next.
CACHED_PLACES = 1024

# In place where that is possible: each stands behind a linear layer, whose gradient needs only what
# went into it.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.2, inplace=True),
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}


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


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "residual_mlp": ResidualMLP,
    "fcnet": FCNet,
    "siren": Siren,
    "residual_siren": ResidualSiren,
    "capsules": Capsules,
}


class LocationEncoder(nn.Module):
    """A position encoding, with features of time and covariates beside it, and a network.

    Args:
        encoding: Module ``(N, 2)`` degrees → ``(N, encoding.out_dim)``.
        network: Module ``(N, F)`` → ``(N, dim)``, where F counts the features of the position, of
            the time and of the covariates, which stand beside each other in this order.
        dim: Size of the embedding.
        spec: The component that makes this encoder again, or None for a user's own modules.
        time: Features of the time, or None.
        covariates: Values sampled at the place, or None.
    """

    def __init__(
        self,
        encoding: nn.Module,
        network: nn.Module,
        dim: int,
        spec: Mapping[str, Any] | None = None,
        *,
        time: TimeFeatures | None = None,
        covariates: Covariates | None = None,
    ) -> None:
        super().__init__()
        self.encoding, self.network = encoding, network
        self.time, self.covariates = time, covariates
        self.out_dim = dim
        self.spec = None if spec is None else dict(spec)

    @property
    def uses_date(self) -> bool:
        """Whether the part of the year is an input."""
        return self.time is not None and self.time.day_of_year

    @property
    def uses_hour(self) -> bool:
        """Whether the part of the day is an input."""
        return self.time is not None and self.time.hour

    def features(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Compute what the network is given.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, F)``.
        """
        # In half precision 180° at a frequency of 100 is off by whole waves, so mixed precision
        # begins behind the encoding.
        with _full_precision(lonlat.device.type):
            # Places may be given in any precision; what is known of them is not made less.
            lonlat = lonlat if lonlat.dtype == torch.float64 else lonlat.float()
            features: Tensor = self.encoding(lonlat).to(self._weights_dtype(lonlat.dtype))
            if self.time is None and self.covariates is None:
                return features
            parts = [features]
            if self.time is not None:
                parts.append(self.time(len(lonlat), date, hour).to(features.dtype))
            if self.covariates is not None:
                parts.append(self.covariates(lonlat).to(features.dtype))
            return torch.cat(parts, dim=1)

    def _weights_dtype(self, otherwise: torch.dtype) -> torch.dtype:
        """Give the kind of number that the network computes with."""
        weight = next((p for p in self.network.parameters() if p.is_floating_point()), None)
        return otherwise if weight is None else weight.dtype

    def forward(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Embed places, at a time where the encoder knows time.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.

        Returns:
            ``(N, dim)``.
        """
        rows = CACHED_PLACES * torch.get_num_threads()
        whole = self.training or torch.is_grad_enabled() or lonlat.device.type != "cpu"
        if whole or len(lonlat) <= rows:
            result: Tensor = self.network(self.features(lonlat, date, hour))
            return result
        found: Tensor | None = None
        for start in range(0, len(lonlat), rows):
            own = slice(start, start + rows)
            when = [None if part is None else part[own] for part in (date, hour)]
            part = self.network(self.features(lonlat[own], *when))
            if found is None:
                found = part.new_empty(len(lonlat), part.shape[1])
            found[own] = part
        assert found is not None  # there are more places than in one part
        return found


def _full_precision(device: str) -> AbstractContextManager[None]:
    """Switch mixed precision off, where the device has any."""
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()
