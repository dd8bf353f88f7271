"""Random places: what was available to whoever recorded, and what CSP tells apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from csp_core import geo
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, ConfigError
from csp_core.land import on_land
from csp_core.tables import construct

# Of the sphere, a little less than what the outlines cover, so that one round mostly suffices.
LAND_SHARE = 0.27


class Background:
    """Base of the backgrounds.

    Every process of a run draws the points of the whole batch from the same generator, so a draw
    must follow from the generator, the number of points and the fitted records alone.
    """

    def fit(self, dataset: RecordDataset) -> None:
        """Look at the training records, once before training; most backgrounds need nothing.

        Args:
            dataset: The training records.
        """

    def draw(self, generator: torch.Generator, n: int) -> Tensor:
        """Draw places.

        Args:
            generator: The source of chance.
            n: How many.

        Returns:
            ``(n, 2)`` float32 degrees.
        """
        raise TypeError(f"{type(self).__name__} must define draw.")


class Sphere(Background):
    """Uniform on the whole sphere, sea and ice included."""

    def draw(self, generator: torch.Generator, n: int) -> Tensor:
        """Draw places uniform on the sphere.

        Args:
            generator: The source of chance.
            n: How many.

        Returns:
            ``(n, 2)`` degrees.
        """
        return geo.sphere_points(torch.rand(n, 2, generator=generator))


class Land(Background):
    """Uniform on land, by the bundled outlines: places in the sea are drawn again."""

    def draw(self, generator: torch.Generator, n: int) -> Tensor:
        """Draw places uniform on land.

        Args:
            generator: The source of chance.
            n: How many.

        Returns:
            ``(n, 2)`` degrees.
        """
        found, missing = [torch.empty(0, 2)], n
        while missing > 0:
            tried = math.ceil(missing / LAND_SHARE) + 16
            places = geo.sphere_points(torch.rand(tried, 2, generator=generator))
            found.append(places[on_land(places)])
            missing -= len(found[-1])
        return torch.cat(found)[:n]


class TargetGroup(Background):
    """Places of the training records themselves, which share the bias of where people record.

    Source:
        Phillips et al. 2009, Sample selection bias and presence-only distribution models.
    """

    def __init__(self) -> None:
        self.places: Tensor | None = None

    def fit(self, dataset: RecordDataset) -> None:
        """Keep the places of the records.

        Args:
            dataset: The training records; those without a place are left out.

        Raises:
            BadRecordError: If no record has a place.
        """
        places = dataset.lonlat[~dataset.lonlat.isnan().any(dim=1)]
        if not len(places):
            raise BadRecordError("A target-group background needs records with a place; none have.")
        self.places = places

    def draw(self, generator: torch.Generator, n: int) -> Tensor:
        """Draw places of records, each as often as records were made there.

        Args:
            generator: The source of chance.
            n: How many.

        Returns:
            ``(n, 2)`` degrees.

        Raises:
            ConfigError: If ``fit`` has not been called.
        """
        if self.places is None:
            raise ConfigError(
                "A target-group background is drawn from the training records: call"
                " objective.fit(dataset) first."
            )
        return self.places[torch.randint(len(self.places), (n,), generator=generator)]


BACKGROUNDS: dict[str, type[Background]] = {
    "sphere": Sphere,
    "land": Land,
    "target_group": TargetGroup,
}


def make_background(name: str) -> Background:
    """Make a background.

    Args:
        name: A name in ``BACKGROUNDS``.

    Returns:
        The background.

    Raises:
        UnknownNameError: If there is none of that name.
    """
    return construct("background", BACKGROUNDS, name)


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
