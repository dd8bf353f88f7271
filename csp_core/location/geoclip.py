"""The location encoder of GeoCLIP: its projection, its random waves and its network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from csp_core.errors import CheckpointError, ConfigError
from csp_core.location.base import Options, PositionEncoding, reduced

# Coefficients of the Equal Earth projection, and GeoCLIP's scale, which brings x to [-1, 1].
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
SCALE = 66.50336 / 180


def equal_earth(lonlat: Tensor) -> Tensor:
    """Project places onto the plane so that areas keep their proportions.

    Args:
        lonlat: ``(N, 2)`` degrees.

    Returns:
        ``(N, 2)``: x in [-1, 1] and y in [-0.487, 0.487], the plane scaled as GeoCLIP does.

    Source:
        Šavrič, Patterson & Jenny 2019, The Equal Earth map projection.

    Example:
        >>> equal_earth(torch.tensor([[180.0, 0.0], [0.0, 90.0]])).round(decimals=3)
        tensor([[1.0000, 0.0000],
                [0.0000, 0.4870]])
    """
    lon, lat = torch.deg2rad(lonlat).unbind(1)
    theta = torch.asin(math.sqrt(3) / 2 * lat.sin())
    square = theta.square()
    sixth = square**3
    slope = A1 + 3 * A2 * square + sixth * (7 * A3 + 9 * A4 * square)
    x = 2 * math.sqrt(3) / 3 * lon * theta.cos() / slope
    y = theta * (A1 + A2 * square + sixth * (A3 + A4 * square))
    return SCALE * torch.stack((x, y), dim=1)


class EqualEarth(PositionEncoding):
    """Coordinates of the Equal Earth map; the poles are lines there.

    Source:
        Šavrič, Patterson & Jenny 2019, with the scale of Vivanco Cepeda et al. 2023 (GeoCLIP).
    """

    out_dim = 2

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, 2)``: x to the east, y to the north.
        """
        return equal_earth(lonlat)


class GeoCLIP(PositionEncoding):
    """Random waves on the Equal Earth map at several scales, for the network ``capsules``.

    Together, with an embedding of 512 dimensions, they are the location encoder of GeoCLIP; the
    published weights come in through ``published_state``.

    Args:
        sigmas: Standard deviation of the frequencies of each scale, in waves per unit of the map.
        num_frequencies: Number of random frequencies at each scale.
        seed: Seed of the frequencies, which are kept with the weights.

    Source:
        Vivanco Cepeda et al. 2023, GeoCLIP; Tancik et al. 2020.

    Example:
        >>> from csp_core import make_location_encoder
        >>> encoder = make_location_encoder("geoclip", dim=512)
        >>> encoder(torch.tensor([[2.35, 48.86]])).shape
        torch.Size([1, 512])
    """

    frequencies: Tensor
    default_network = "capsules"
    example_options: ClassVar[Options] = {"sigmas": [1.0, 2.0, 4.0], "num_frequencies": 3}

    def __init__(
        self,
        sigmas: Sequence[float] = (1.0, 16.0, 256.0),
        num_frequencies: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not sigmas or min(sigmas) <= 0 or num_frequencies < 1:
            raise ConfigError(
                f"sigmas is {tuple(sigmas)} and num_frequencies {num_frequencies}; give sigmas"
                " above 0 and at least one frequency."
            )
        draws = torch.randn(
            len(sigmas), num_frequencies, 2, generator=torch.Generator().manual_seed(seed)
        )
        self.register_buffer("frequencies", torch.tensor(sigmas)[:, None, None] * draws)
        self.out_dim = 2 * len(sigmas) * num_frequencies

    @property
    def scale_columns(self) -> Tensor:
        """Which features each scale has, ``(S, 2 F)`` int64."""
        return torch.arange(self.out_dim).view(len(self.frequencies), -1)

    def forward(self, lonlat: Tensor) -> Tensor:
        """Encode places.

        Args:
            lonlat: ``(N, 2)`` degrees.

        Returns:
            ``(N, out_dim)``: scales outermost, in each the cosines and then the sines.
        """
        waves = equal_earth(lonlat.double()) @ self.frequencies.double().flatten(0, 1).T
        angle = reduced(2 * math.pi * waves).to(lonlat.dtype)
        angle = angle.view(-1, *self.frequencies.shape[:2])  # (N, scales, F)
        return torch.cat((angle.cos(), angle.sin()), dim=2).flatten(1)


class Capsules(nn.Module):
    """One network for each block of the features, summed.

    Args:
        in_dim: Input features, a multiple of ``num_capsules``.
        out_dim: Output features.
        num_capsules: Number of blocks, the scales of ``geoclip``.
        hidden_dim: Width of the hidden layers.
        num_hidden: Number of hidden layers.

    Source:
        Vivanco Cepeda et al. 2023, GeoCLIP.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        num_capsules: int = 3,
        hidden_dim: int = 1024,
        num_hidden: int = 3,
    ) -> None:
        super().__init__()
        if num_capsules < 1 or in_dim % num_capsules:
            raise ConfigError(
                f"num_capsules is {num_capsules}; {in_dim} features need a number that divides"
                " them, one capsule for each scale of geoclip."
            )
        if hidden_dim < 1 or num_hidden < 1:
            raise ConfigError(
                f"hidden_dim is {hidden_dim} and num_hidden {num_hidden}; give at least 1 of each."
            )
        self.capsules = nn.ModuleList(
            _capsule(in_dim // num_capsules, out_dim, hidden_dim, num_hidden)
            for _ in range(num_capsules)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map encoded places to embeddings.

        Args:
            features: ``(N, in_dim)``, one block of columns for each capsule.

        Returns:
            ``(N, out_dim)``.
        """
        blocks = features.chunk(len(self.capsules), dim=1)
        outputs = [capsule(block) for capsule, block in zip(self.capsules, blocks, strict=True)]
        return torch.stack(outputs).sum(0)


def _capsule(in_dim: int, out_dim: int, hidden_dim: int, num_hidden: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Linear(in_dim, hidden_dim), nn.ReLU()]
    for _ in range(num_hidden - 1):
        layers += [nn.Linear(hidden_dim, hidden_dim), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden_dim, out_dim))


def published_state(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the published weights of GeoCLIP's location encoder.

    Args:
        published: ``LocEnc{i}.capsule.0.b``, ``LocEnc{i}.capsule.{1,3,5}.*`` and
            ``LocEnc{i}.head.0.*`` of each capsule i.

    Returns:
        The state of ``make_location_encoder("geoclip", dim=512)``.

    Raises:
        CheckpointError: If they are not such weights.

    Source:
        ``location_encoder_weights.pth`` of GeoCLIP.
    """
    count = sum(name.endswith(".capsule.0.b") for name in published)
    state: dict[str, Tensor] = {}
    used = {f"LocEnc{i}.capsule.0.b" for i in range(count)}
    for i in range(count):
        for theirs, ours in (("capsule.1", 0), ("capsule.3", 2), ("capsule.5", 4), ("head.0", 6)):
            for part in ("weight", "bias"):
                used.add(name := f"LocEnc{i}.{theirs}.{part}")
                if name in published:
                    state[f"network.capsules.{i}.{ours}.{part}"] = published[name]
    wrong = used ^ set(published)
    if wrong or not count:
        raise CheckpointError(
            "These are not the weights of GeoCLIP's location encoder: missing or unknown"
            f" {sorted(wrong)[:3]}. Give the content of location_encoder_weights.pth, whose names"
            " begin with LocEnc0."
        )
    waves = [published[f"LocEnc{i}.capsule.0.b"] for i in range(count)]
    return {"encoding.frequencies": torch.stack(waves), **state}
