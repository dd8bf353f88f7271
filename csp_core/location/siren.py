"""Networks of sines behind a position encoding: siren and residual_siren."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import check_rate
from csp_core.location.dropout import Dropout


class Siren(nn.Module):
    """Linear layers followed by sines, and a linear output.

    Args:
        in_dim: Input features.
        out_dim: Output features.
        hidden_dim: Width of the hidden layers; the released SatCLIP models have 512.
        num_hidden: Number of hidden layers, at least 1.
        first_w0: Factor inside the sine of the first layer, which spreads its frequencies.
        w0: Factor inside the other sines.
        dropout: Dropout rate before each sine, in [0, 1).

    Source:
        Sitzmann et al. 2020, SIREN, with the factors of Klemmer et al. 2025 (SatCLIP).
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dim: int = 256,
        num_hidden: int = 2,
        first_w0: float = 30.0,
        w0: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if hidden_dim < 1 or num_hidden < 1 or not first_w0 > 0 or not w0 > 0:
            raise ConfigError(
                f"hidden_dim is {hidden_dim}, num_hidden {num_hidden}, first_w0 {first_w0} and w0"
                f" {w0}; give at least 1 of the first two and factors above 0."
            )
        check_rate(dropout)
        widths = [in_dim] + [hidden_dim] * num_hidden
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.last_layer = nn.Linear(hidden_dim, out_dim)
        self.dropout = Dropout(dropout)
        self.factors = [float(first_w0)] + [float(w0)] * (num_hidden - 1)
        # Sines keep the spread of what goes into them only from these ranges.
        bounds = [1 / in_dim] + [math.sqrt(6 / hidden_dim) / w0] * num_hidden
        for layer, bound in zip((*self.layers, self.last_layer), bounds, strict=True):
            for parameter in layer.parameters():
                nn.init.uniform_(parameter, -bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``.

        Returns:
            ``(N, out_dim)``.
        """
        for layer, w0 in zip(self.layers, self.factors, strict=True):
            features = torch.sin(w0 * self.dropout(layer(features)))
        result: Tensor = self.last_layer(features)
        return result


class ResidualSiren(Siren):
    """Sines that average what goes into them with what went into the ones before.

    The sine of the first layer is taken of w0 sinh 2z, which widens its frequencies. Deep networks
    of this kind train where plain ones do not.

    Args:
        in_dim: Input features.
        out_dim: Output features.
        hidden_dim: Width of the hidden layers; Climplicit has 512.
        num_hidden: Number of hidden layers, at least 1; Climplicit has 16.
        first_w0: Factor inside the sine of the first layer.
        w0: Factor inside the other sines.
        dropout: Dropout rate before each average, in [0, 1).

    Source:
        Dollinger et al. 2025, Climplicit (ReSIREN); the first layer after Gao & Jaiman 2024
        (H-SIREN).
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        hidden_dim: int = 256,
        num_hidden: int = 4,
        first_w0: float = 30.0,
        w0: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(in_dim, out_dim, hidden_dim, num_hidden, first_w0, w0, dropout)

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``.

        Returns:
            ``(N, out_dim)``.
        """
        inner: Tensor = self.dropout(self.layers[0](features))
        hidden = torch.sin(self.factors[0] * torch.sinh(2 * inner))
        for layer, w0 in zip(self.layers[1:], self.factors[1:], strict=True):
            inner = (self.dropout(layer(hidden)) + inner) / 2
            hidden = torch.sin(w0 * inner)
        result: Tensor = self.last_layer(hidden)
        return result
