"""Random places for the random-location part of CSP: right ones, and those that were published."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core.data.background import BACKGROUNDS, Background
from csp_core.errors import ConfigError
from csp_core.tables import construct


class Quadrant(Background):
    """The published sampler "spherical": the north-east quadrant alone, even in degrees.

    A quarter of the sphere, and of that too much near its pole.

    Source:
        Default of the code of Mai et al. 2023, CSP, whose draws on the sphere are then not used.
    """

    def draw(self, generator: torch.Generator, n: int) -> Tensor:
        """Draw places with longitude in [0, 180) and latitude in [0, 90).

        Args:
            generator: The source of chance.
            n: How many.

        Returns:
            ``(n, 2)`` degrees.
        """
        return torch.rand(n, 2, generator=generator) * torch.tensor([180.0, 90.0])


class Ellipse(Background):
    """The published sampler "sphericalold": an ellipse on the map, dense at its rim.

    The points of a sphere seen from above, stretched to degrees: a third of them poleward of 60°,
    none at all in the corners of the map, where Alaska, Kamchatka, Fiji and New Zealand lie.

    Source:
        The training scripts of Mai et al. 2023, CSP.
    """

    def draw(self, generator: torch.Generator, n: int) -> Tensor:
        """Draw places with (longitude / 180)² + (latitude / 90)² at most 1.

        Args:
            generator: The source of chance.
            n: How many.

        Returns:
            ``(n, 2)`` degrees.
        """
        height, turn = torch.rand(n, 2, generator=generator).unbind(1)
        radius = (1 - height**2).clamp_min(0).sqrt()
        angle = 2 * math.pi * turn
        return torch.stack((180 * radius * angle.cos(), 90 * radius * angle.sin()), dim=1)


PUBLISHED: dict[str, type[Background]] = {"quadrant": Quadrant, "ellipse": Ellipse}


def make_sampler(name: str | None, *, published: bool) -> Background:
    """Make the source of random places.

    Args:
        name: A name in ``BACKGROUNDS``, or in ``PUBLISHED`` where those are wanted; None for
            ``sphere``, or ``ellipse``, that of the scripts, where those are wanted.
        published: Whether published faults are wanted.

    Returns:
        The source.

    Raises:
        UnknownNameError: If there is none of that name.
        ConfigError: If a published one is named where none is wanted.
    """
    if name in PUBLISHED and not published:
        raise ConfigError(
            f"random_places {name!r} misses most of the Earth, as published; give 'sphere', or"
            " compat: reference beside it to reproduce what was published."
        )
    default = "ellipse" if published else "sphere"
    return construct("source of random places", {**BACKGROUNDS, **PUBLISHED}, name or default)
