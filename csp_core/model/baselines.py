"""Counting instead of learning: priors straight from the records, with the interface of a model.

Baselines hold the records themselves, so they are built from a user's own data and never shipped.
All are mixed with the class frequency, so that no share is zero: as ``mass`` records drawn from it,
or in a random forest with a fixed weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csp_core import geo
from csp_core.data.records import RecordDataset, recounted
from csp_core.errors import BadRecordError, ConfigError
from csp_core.model.support import Support
from csp_core.tables import construct

CHUNK = 512
FLOOR = 1e-12


class Baseline:
    """Base of the baselines: classes, frequency and support of the records given.

    From label sets a baseline tells, of each class by itself, the probability that it is in the set
    of a record; what is unknown of a set counts neither way.

    Args:
        dataset: The training records; those without a place or a label are left out.

    Raises:
        BadRecordError: If none is left.
    """

    name = "baseline"
    prior_kind = "share"
    uses_date = False
    uses_hour = False

    def __init__(self, dataset: RecordDataset) -> None:
        known = ~dataset.lonlat.isnan().any(dim=1) & dataset.labelled()
        if not known.any():
            raise BadRecordError("A baseline needs records with a place and a label; none given.")
        self.lonlat, self.label = dataset.lonlat[known], dataset.label[known]
        self.labels = None if dataset.labels is None else dataset.labels[known]
        counted = recounted(dataset.classes, self.label, self.labels)
        self.prior_kind = "share" if self.labels is None else "probability"
        self.classes = dataset.classes if self.labels is None else counted
        self.frequency = counted.usual()
        self.support: Support | None = Support.from_records(
            self.lonlat, self.label, len(self.classes), labels=self.labels
        )

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Compute the share, or of label sets the probability, of every class at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: Not used: no baseline has a time input.
            hour: Not used.

        Returns:
            ``(N, K)``, rows of shares sum to 1.
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
        if self.labels is not None:
            near = self.labels[rows]
            has, told = (near == 1).sum(dim=1), (near >= 0).sum(dim=1)
            return (has + self.mass * self.frequency) / (told + self.mass)
        votes = torch.zeros(len(lonlat), len(self.classes))
        votes.scatter_add_(1, self.label[rows], torch.ones(rows.shape))
        return (votes + self.mass * self.frequency) / (self.k + self.mass)


class KernelDensity(Baseline):
    """Every record counts with the exponential of its great-circle distance.

    At bandwidth h the share of class k is (Σ_i exp(-d_i/h) [y_i = k] + mass · frequency_k) divided
    by its sum over classes; the shares at several bandwidths are averaged. Of label sets the
    divisor is, for each class, the same sum over the records of which it is known, and mass.

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
        self.vectors = geo.unit_vectors(self.sites)
        self.counts = torch.zeros(len(self.sites), len(self.classes))
        if self.labels is None:
            self.counts.index_put_((site, self.label), torch.ones(len(site)), accumulate=True)
        else:
            self.counts.index_add_(0, site, (self.labels == 1).float())
            self.told = torch.zeros_like(self.counts)
            self.told.index_add_(0, site, (self.labels >= 0).float())

    def _share(self, lonlat: Tensor) -> Tensor:
        # Chords by differences stay exact for near places, and cost a third of the half-chord form.
        chord = torch.cdist(
            geo.unit_vectors(lonlat),
            self.vectors,
            compute_mode="donot_use_mm_for_euclid_dist",
        )
        distance = 2 * geo.EARTH_RADIUS_KM * torch.asin((chord / 2).clamp(max=1))
        shares = torch.zeros(len(lonlat), len(self.classes))
        for bandwidth in self.bandwidths_km:
            weight = torch.exp(-distance / bandwidth)
            weighted = weight @ self.counts + self.mass * self.frequency
            if self.labels is None:
                shares += weighted / weighted.sum(dim=1, keepdim=True)
            else:
                shares += weighted / (weight @ self.told + self.mass)
        return shares / len(self.bandwidths_km)


class RandomForest(Baseline):
    """The mean of many decision trees on longitude, latitude and the unit vector.

    Holds the trees, and in their leaves the share of every class: with 330 classes and 20,000
    records some GB.

    Args:
        dataset: The training records.
        trees: Number of trees, at least 1.
        min_samples_leaf: Records in a leaf, at least 1.
        smoothing: Weight of the class frequency beside the trees, above 0 and below 1.
        seed: Seed of the trees.
        threads: Processes that grow trees at a time; the trees are the same for any number.

    Raises:
        ConfigError: If an option is out of range, or something is unknown of a label set.

    Source:
        Breiman 2001, Random forests, as in scikit-learn.
    """

    name = "random_forest"

    def __init__(
        self,
        dataset: RecordDataset,
        trees: int = 200,
        min_samples_leaf: int = 8,
        smoothing: float = 0.2,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        super().__init__(dataset)
        if trees < 1 or min_samples_leaf < 1 or not 0 < smoothing < 1:
            raise ConfigError(
                f"trees is {trees}, min_samples_leaf {min_samples_leaf} and smoothing {smoothing};"
                " give at least 1, at least 1 and a part between 0 and 1."
            )
        if self.labels is not None and (self.labels < 0).any():
            raise ConfigError(
                "random_forest needs label sets in which every class is known to be there or not;"
                " take nearest_records or kernel_density."
            )
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        self.smoothing = smoothing
        # The variance of 0 and 1 is half of Gini's impurity, so a regression of them grows the
        # trees of label sets with one answer a class.
        kind = RandomForestClassifier if self.labels is None else RandomForestRegressor
        self.forest = kind(
            n_estimators=trees,
            min_samples_leaf=min_samples_leaf,
            max_features="sqrt",
            random_state=seed,
            n_jobs=threads,
        )
        truth = self.label if self.labels is None else self.labels.float()
        self.forest.fit(self._features(self.lonlat), truth.numpy())
        found = getattr(self.forest, "classes_", np.arange(len(self.classes)))
        self.seen = torch.from_numpy(found).long()

    def _features(self, lonlat: Tensor) -> NDArray[np.float32]:
        # Trees cut along axes: the vector lets them cut without seeing the antimeridian. Longitude
        # 180 is -180, so that one place never falls on both sides of a cut.
        lon = torch.where(lonlat[:, :1] == 180, -180.0, lonlat[:, :1])
        same = torch.cat((lon, lonlat[:, 1:]), dim=1)
        features: NDArray[np.float32] = torch.cat((same, geo.unit_vectors(same)), dim=1).numpy()
        return features

    def _share(self, lonlat: Tensor) -> Tensor:
        ask = self.forest.predict_proba if self.labels is None else self.forest.predict
        # Of one class alone, a regression gives a column without its second dimension.
        grown = torch.from_numpy(ask(self._features(lonlat))).float().view(len(lonlat), -1)
        share = torch.zeros(len(lonlat), len(self.classes)).index_copy_(1, self.seen, grown)
        return (1 - self.smoothing) * share + self.smoothing * self.frequency


BASELINES: dict[str, type[Baseline]] = {
    kind.name: kind for kind in (ClassFrequency, NearestRecords, KernelDensity, RandomForest)
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
