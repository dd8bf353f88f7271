"""Counting instead of learning: priors straight from the records, with the interface of a model.

Baselines hold the records themselves, so they are built from a user's own data and never shipped.
All are mixed with the class frequency, as ``mass`` records drawn from it, so that no share is zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from csp_core import geo
from csp_core.data.records import RecordDataset
from csp_core.errors import BadRecordError, ConfigError
from csp_core.support import Support
from csp_core.tables import construct

CHUNK = 512


class Baseline:
    """Base of the baselines: classes, frequency and support of the records given.

    Args:
        dataset: The training records; those without a place or a label are left out.
    """

    name = "baseline"
    prior_kind = "share"
    uses_date = False

    def __init__(self, dataset: RecordDataset) -> None:
        known = ~dataset.lonlat.isnan().any(dim=1) & (dataset.label >= 0)
        if not known.any():
            raise BadRecordError("A baseline needs records with a place and a label; none given.")
        self.lonlat, self.label = dataset.lonlat[known], dataset.label[known]
        self.classes = dataset.classes
        counts = torch.bincount(self.label, minlength=len(self.classes)).float()
        self.frequency = counts / counts.sum()
        self.support: Support | None = Support.from_records(
            self.lonlat, self.label, len(self.classes)
        )

    def prior(self, lonlat: Tensor, date: Tensor | None = None) -> Tensor:
        """Compute the share of every class at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: Not used: no baseline has a time input.

        Returns:
            ``(N, K)``, rows sum to 1.
        """
        chunks = torch.split(lonlat.float(), CHUNK)
        if not len(lonlat):
            return torch.zeros(0, len(self.classes))
        return torch.cat([self._share(chunk) for chunk in chunks])

    def _share(self, lonlat: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} must define its share.")


class ClassFrequency(Baseline):
    """The same answer everywhere: how often each class was recorded."""

    name = "class_frequency"

    def _share(self, lonlat: Tensor) -> Tensor:
        return self.frequency.expand(len(lonlat), -1).clone()


class NearestRecords(Baseline):
    """The classes of the k nearest records, each counting once.

    Args:
        dataset: The training records.
        k: How many records to look at, at least 1.
        mass: Weight of the class frequency, in records, above 0.
    """

    name = "nearest_records"

    def __init__(self, dataset: RecordDataset, k: int = 50, mass: float = 20.0) -> None:
        super().__init__(dataset)
        if k < 1 or mass <= 0:
            raise ConfigError(f"k is {k} and mass {mass}; give at least 1 and more than 0.")
        from sklearn.neighbors import BallTree

        self.k, self.mass = min(k, len(self.label)), mass
        self.tree = BallTree(torch.deg2rad(self.lonlat.flip(1)).numpy(), metric="haversine")

    def _share(self, lonlat: Tensor) -> Tensor:
        places = torch.deg2rad(lonlat.flip(1)).numpy()
        rows = torch.from_numpy(self.tree.query(places, k=self.k, return_distance=False))
        votes = torch.zeros(len(lonlat), len(self.classes))
        votes.scatter_add_(1, self.label[rows], torch.ones(rows.shape))
        return (votes + self.mass * self.frequency) / (self.k + self.mass)


class KernelDensity(Baseline):
    """Every record counts with the exponential of its great-circle distance.

    At bandwidth h the share of class k is (Σ_i exp(-d_i/h) [y_i = k] + mass · frequency_k) divided
    by its sum over classes; the shares at several bandwidths are averaged.

    Args:
        dataset: The training records.
        bandwidths_km: The lengths h, each above 0.
        mass: Weight of the class frequency, in records at distance 0, above 0.
    """

    name = "kernel_density"

    def __init__(
        self,
        dataset: RecordDataset,
        bandwidths_km: Sequence[float] = (150.0, 500.0),
        mass: float = 1.0,
    ) -> None:
        super().__init__(dataset)
        if not bandwidths_km or min(bandwidths_km) <= 0 or mass <= 0:
            raise ConfigError(
                f"bandwidths_km is {bandwidths_km} and mass {mass}; give values above 0."
            )
        self.bandwidths_km, self.mass = tuple(bandwidths_km), mass
        # Records at one place share a distance, so the sums run over places, not records.
        self.sites, site = torch.unique(self.lonlat, dim=0, return_inverse=True)
        self.counts = torch.zeros(len(self.sites), len(self.classes))
        self.counts.index_put_((site, self.label), torch.ones(len(site)), accumulate=True)

    def _share(self, lonlat: Tensor) -> Tensor:
        distance = geo.great_circle_km(lonlat[:, None], self.sites)
        shares = torch.zeros(len(lonlat), len(self.classes))
        for bandwidth in self.bandwidths_km:
            weighted = torch.exp(-distance / bandwidth) @ self.counts + self.mass * self.frequency
            shares += weighted / weighted.sum(dim=1, keepdim=True)
        return shares / len(self.bandwidths_km)


BASELINES: dict[str, type[Baseline]] = {
    kind.name: kind for kind in (ClassFrequency, NearestRecords, KernelDensity)
}


def make_baseline(name: str, dataset: RecordDataset, **options: object) -> Baseline:
    """Build a baseline from records.

    Args:
        name: A name in ``BASELINES``.
        dataset: The training records.
        **options: Options of the baseline.

    Returns:
        The baseline.

    Raises:
        UnknownNameError: If the baseline is unknown.
        ConfigError: If an option is unknown or out of range.
    """
    return construct("baseline", BASELINES, name, dataset, **options)
