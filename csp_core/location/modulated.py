"""A location network whose place is seen in the light of the time: feature-wise modulation."""

from __future__ import annotations

from itertools import repeat

from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.base import check_rate
from csp_core.location.dropout import Dropout

# Above the smallest normal number of half precision, as in the published network.
EPSILON = 1e-4


class _PreNorm(nn.Module):
    """A residual block: layer norm, GELU and a linear layer, twice."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim, eps=EPSILON) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(2))
        self.activation, self.dropout = nn.GELU(), Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        first, second = self.layers
        hidden = first(self.activation(self.norms[0](features)))
        hidden = second(self.dropout(self.activation(self.norms[1](hidden))))
        result: Tensor = features + hidden
        return result


class Modulated(nn.Module):
    """Residual blocks on the place, each of which the time stretches and shifts.

    What stands behind the features of the place, such as those of the time, does not stand beside
    them: for each block it gives a factor and a shift of every feature. Blocks without, and a
    narrow layer, come last.

    Args:
        in_dim: Input features.
        out_dim: Output features, behind a GELU.
        modulating: How many of the input features, the last ones, modulate the others; 0 for none.
        hidden_dim: Width of the blocks.
        num_blocks: Blocks that are modulated.
        num_plain: Blocks after these that are not.
        dropout: Dropout rate inside a block, in [0, 1).

    Raises:
        ConfigError: If an option is out of range.

    Source:
        Perez et al. 2018, FiLM; the Geomodel of BirdNET 3, with blocks of 512.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        modulating: int = 0,
        hidden_dim: int = 512,
        num_blocks: int = 4,
        num_plain: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= modulating < in_dim or hidden_dim < 1 or min(num_blocks, num_plain) < 0:
            raise ConfigError(
                f"modulating is {modulating}, hidden_dim {hidden_dim}, num_blocks {num_blocks} and"
                f" num_plain {num_plain}; give fewer features than the {in_dim} there are, a width"
                " of at least 1, and 0 blocks or more."
            )
        check_rate(dropout)
        self.modulating = modulating
        self.place = nn.Linear(in_dim - modulating, hidden_dim)
        self.blocks = nn.ModuleList(_PreNorm(hidden_dim, dropout) for _ in range(num_blocks))
        self.modulations = nn.ModuleList(
            nn.Sequential(
                nn.Linear(modulating, hidden_dim),
                nn.GELU(),
                nn.Linear(hidden_dim, 2 * hidden_dim),
            )
            for _ in range(num_blocks if modulating else 0)
        )
        self.norm = nn.LayerNorm(hidden_dim, eps=EPSILON)
        self.plain = nn.Sequential(*(_PreNorm(hidden_dim, dropout) for _ in range(num_plain)))
        self.last_norm = nn.LayerNorm(hidden_dim, eps=EPSILON)
        self.output, self.activation = nn.Linear(hidden_dim, out_dim), nn.GELU()

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``, the modulating ones last.

        Returns:
            ``(N, out_dim)``.
        """
        first = features.shape[1] - self.modulating
        place, light = features[:, :first], features[:, first:]
        hidden = self.place(place)
        for block, modulation in zip(self.blocks, self._modulations(), strict=False):
            hidden = block(hidden)
            if modulation is not None:
                factor, shift = modulation(light).chunk(2, dim=1)
                hidden = hidden * (1 + factor) + shift
        hidden = self.last_norm(self.plain(self.norm(hidden)))
        result: Tensor = self.activation(self.output(hidden))
        return result

    def _modulations(self) -> list[nn.Module | None]:
        given: list[nn.Module | None] = list(self.modulations)
        return given or list(repeat(None, len(self.blocks)))
