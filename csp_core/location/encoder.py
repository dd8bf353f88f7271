"""The location encoder: a position encoding, further inputs beside it, and a network."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from csp_core.errors import ConfigError
from csp_core.location.covariates import Covariates
from csp_core.location.nearness import Nearness
from csp_core.location.time import TimeFeatures
from csp_core.location.tokens import MultiScaleTokens, TokenLayout, scale_columns

# Places a thread embeds at a time where no gradients are asked for: what lies between the layers
# then stays in its cache, and the memory of one part serves the next.
CACHED_PLACES = 1024


class LocationEncoder(nn.Module):
    """A position encoding, with features of time and covariates beside it, and a network.

    Args:
        encoding: Module ``(N, 2)`` degrees → ``(N, encoding.out_dim)``.
        network: Module ``(N, F)`` → ``(N, dim)``, where F counts the features of the position, of
            the time and of the covariates, which stand beside each other in this order.
        dim: Size of the embedding, which with nearness is 1 more than what the network gives.
        spec: The component that makes this encoder again, or None for a user's own modules.
        time: Features of the time, or None.
        covariates: Values sampled at the place, or None.
        nearness: How near some places lie, the last number of the embedding, or None.
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
        nearness: Nearness | None = None,
    ) -> None:
        super().__init__()
        self.encoding, self.network = encoding, network
        self.time, self.covariates, self.nearness = time, covariates, nearness
        self.out_dim = dim
        self.spec = None if spec is None else dict(spec)

    def with_nearness(self, nearness: Nearness | None) -> LocationEncoder:
        """Make an encoder of the same parts with another nearness.

        Args:
            nearness: It, or None for an encoder that knows none.

        Returns:
            The encoder, which shares its weights with this one; this one where neither knows any.
        """
        if nearness is None and self.nearness is None:
            return self
        dim, spec = self.network_dim, self.spec
        if spec is not None:
            spec = {name: value for name, value in spec.items() if name != "nearness"}
            spec |= {} if nearness is None else {"nearness": nearness.spec}
        dim += 0 if nearness is None else nearness.out_dim
        return LocationEncoder(
            self.encoding,
            self.network,
            dim,
            spec,
            time=self.time,
            covariates=self.covariates,
            nearness=nearness,
        )

    @property
    def network_dim(self) -> int:
        """Size of what the network gives, which stands first in the embedding."""
        return self.out_dim - (0 if self.nearness is None else self.nearness.out_dim)

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
        return self._inputs(lonlat, date, hour)[0]

    def _inputs(
        self, lonlat: Tensor, date: Tensor | None, hour: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Give the features, and ``(N, T)`` which further inputs are known, if there are any."""
        # In half precision 180° at a frequency of 100 is off by whole waves, so mixed precision
        # begins behind the encoding.
        with _full_precision(lonlat.device.type):
            # Places may be given in any precision; what is known of them is not made less.
            lonlat = lonlat if lonlat.dtype == torch.float64 else lonlat.float()
            features: Tensor = self.encoding(lonlat).to(self._weights_dtype(lonlat.dtype))
            if self.time is None and self.covariates is None:
                return features, None
            parts, known = [features], []
            if self.time is not None:
                times, there = self.time.encode(len(lonlat), date, hour)
                parts.append(times.to(features.dtype))
                known.append(there)
            if self.covariates is not None:
                values = self.covariates(lonlat)
                parts.append(values.to(features.dtype))
                known.append((values[:, values.shape[1] // 2 :] == 0).any(dim=1, keepdim=True))
            return torch.cat(parts, dim=1), torch.cat(known, dim=1)

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
            return self._embed(lonlat, date, hour)
        found: Tensor | None = None
        for start in range(0, len(lonlat), rows):
            own = slice(start, start + rows)
            when = [None if part is None else part[own] for part in (date, hour)]
            part = self._embed(lonlat[own], *when)
            if found is None:
                found = part.new_empty(len(lonlat), part.shape[1])
            found[own] = part
        assert found is not None  # there are more places than in one part
        return found

    def _embed(self, lonlat: Tensor, date: Tensor | None, hour: Tensor | None) -> Tensor:
        features, known = self._inputs(lonlat, date, hour)
        if isinstance(self.network, MultiScaleTokens):
            return self._beside_nearness(self.network(features, known), lonlat)
        return self._beside_nearness(self.network(features), lonlat)

    def _beside_nearness(self, found: Tensor, lonlat: Tensor) -> Tensor:
        """Put how near the places lie beside what the network gives."""
        if self.nearness is None:
            return found
        with _full_precision(lonlat.device.type):
            near: Tensor = self.nearness(
                lonlat if lonlat.dtype == torch.float64 else lonlat.float()
            )
        return torch.cat((found, near.to(found.dtype)), dim=1)

    @property
    def token_dim(self) -> int:
        """Size of each token that ``tokens`` gives."""
        return self.network.width if isinstance(self.network, MultiScaleTokens) else self.out_dim

    @property
    def scale_slots(self) -> slice:
        """Where the tokens of scales stand among all; empty where the network has none."""
        scales = self.network.scales if isinstance(self.network, MultiScaleTokens) else 0
        return slice(1, 1 + scales)

    def scale_features(self, lonlat: Tensor) -> Tensor:
        """Compute the features of each scale, before any network.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, S, F)``, 0 where a scale has fewer features than others; S is 1 for an encoding
            that has no scales.
        """
        with _full_precision(lonlat.device.type):
            lonlat = lonlat if lonlat.dtype == torch.float64 else lonlat.float()
            return TokenLayout(scale_columns(self.encoding)).by_scale(self.encoding(lonlat))

    def tokens(
        self,
        lonlat: Tensor,
        date: Tensor | None = None,
        hour: Tensor | None = None,
        *,
        masked: Tensor | None = None,
        dropped: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embed places, and give their tokens; with a network without any, one: the embedding.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: ``(N,)`` parts of the year in [0, 1), NaN where unknown; None for all unknown.
            hour: ``(N,)`` parts of the day in [0, 1), likewise.
            masked: What stands in the place of scales, ``(N, S)``, as of ``MultiScaleTokens.see``.
            dropped: ``(N, S)`` bool: scales that are left out, likewise.

        Returns:
            ``(N, dim)`` embeddings, ``(N, M, token_dim)`` tokens, and ``(N, M)`` bool, True where
            there is a token: not where a time is unknown or a scale left out.

        Raises:
            ConfigError: If scales are to be masked or left out and the network has no tokens.
        """
        features, known = self._inputs(lonlat, date, hour)
        if isinstance(self.network, MultiScaleTokens):
            found = self.network.see(features, known, masked=masked, dropped=dropped)
            return self._beside_nearness(found[0], lonlat), *found[1:]
        if masked is not None or dropped is not None:
            raise ConfigError(
                f"The location network {type(self.network).__name__} has no tokens of scales to"
                " mask or leave out: give model.location.network: tokens."
            )
        embedding = self._beside_nearness(self.network(features), lonlat)
        return embedding, embedding[:, None], embedding.new_ones(len(embedding), 1).bool()


def _full_precision(device: str) -> AbstractContextManager[None]:
    """Switch mixed precision off, where the device has any."""
    available = torch.amp.is_autocast_available(device)
    return torch.autocast(device, enabled=False) if available else nullcontext()
