"""A prior from elsewhere, such as BirdNET's, brought to the classes of one's own records."""

from __future__ import annotations

import torch
from torch import Tensor

from csp_core.data.records import RecordDataset, recounted
from csp_core.errors import BadRecordError, ConfigError
from csp_core.model.prior import Prior
from csp_core.model.support import Support

CHUNK = 2048
# The factors stand still when none changes by more than this part in a step.
STILL, MOST_STEPS = 1e-4, 200


class OutsidePrior:
    """The shares of recordings that follow from what another model says of places.

    At place x the share of class k is c_k (s_k(x) + floor)^power, divided by the sum over classes,
    with s_k what the other model says of the class of that scientific name, asked without a date.
    The factors c_k are those with which the shares of each class, summed over the places of the
    training records, give its number of training records: so a score that follows checklists is
    brought to the level of recordings, class by class. Classes that the other model does not know
    have their part of the training records, everywhere; a ``Mixture`` has for them the mean of its
    other priors.

    Args:
        dataset: The training records.
        other: A model of shares or relative scores that knows places.
        power: Exponent of the scores, above 0.
        floor: What is added to each score, above 0, so that none excludes.
        name: What to call it.

    Raises:
        ConfigError: If an option is out of range, either is of label sets, or the other model knows
            none of the classes.
        BadRecordError: If no record has a place and a label.
    """

    prior_kind = "share"
    support: Support | None = None
    uses_date = uses_hour = False

    def __init__(
        self,
        dataset: RecordDataset,
        other: Prior,
        *,
        power: float = 1.0,
        floor: float = 1e-3,
        name: str = "outside_prior",
    ) -> None:
        if not 0 < power < float("inf") or not 0 < floor < float("inf"):
            raise ConfigError(f"power is {power} and floor {floor}; give values above 0.")
        if dataset.labels is not None or other.prior_kind == "probability":
            raise ConfigError(
                "An outside prior is one of shares: neither the records nor the other model may be"
                " of label sets."
            )
        self.classes, self.other, self.name = dataset.classes, other, name
        self.power, self.floor = float(power), float(floor)
        self.label = other.classes.match(dataset.classes.names)
        self.known = self.label >= 0
        if not self.known.any():
            raise ConfigError(
                f"The outside prior {other.name!r} knows none of the {len(self.label)} classes of"
                " the training records; classes are matched by scientific name."
            )
        placed = ~dataset.lonlat.isnan().any(dim=1) & dataset.labelled()
        if not placed.any():
            raise BadRecordError("An outside prior needs records with a place; none given.")
        lonlat, label = dataset.lonlat[placed], dataset.label[placed]
        self.frequency = recounted(dataset.classes, label, None).usual()
        self.factor = self._fit(lonlat, torch.bincount(label, minlength=len(self.label)))

    @property
    def unknown(self) -> list[str]:
        """Scientific names of the classes that the other model does not know."""
        return [n for n, k in zip(self.classes.names, self.known.tolist(), strict=True) if not k]

    def _fit(self, lonlat: Tensor, counts: Tensor) -> Tensor:
        """Find ``(M,)`` log c_k of the known classes, by proportional fitting."""
        sites, times = torch.unique(lonlat, dim=0, return_counts=True)
        score, times = self._scores(sites), times.double()
        # A class without training records counts as half a record, as elsewhere.
        wanted = counts[self.known].double().clamp_min(0.5)
        factor = wanted.log()
        # Known classes share what is not the others', so that both sides have the same sum.
        part = times * (wanted.sum() / times.sum())
        for _ in range(MOST_STEPS):
            expected = part @ (score + factor).softmax(dim=1)
            # One record more on both sides: classes of few records take small steps.
            step = ((wanted + 1) / (expected + 1)).log()
            factor = factor + step
            if float(step.abs().max()) < STILL:
                break
        return factor - factor.mean()

    def _scores(self, lonlat: Tensor) -> Tensor:
        """``(N, M)`` power · log(s + floor) of the known classes."""
        columns = self.label[self.known]
        parts = [self.other.prior(p)[:, columns] for p in torch.split(lonlat.float(), CHUNK)]
        return self.power * (torch.cat(parts).double() + self.floor).log()

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Compute the share of every class at checked places.

        Args:
            lonlat: ``(N, 2)`` degrees.
            date: Not used: the other model is asked for the whole year.
            hour: Not used.

        Returns:
            ``(N, K)``, rows sum to 1.
        """
        if not len(lonlat):
            return torch.zeros(0, len(self.label))
        found = self.frequency.double().repeat(len(lonlat), 1)
        rest = found[:, self.known].sum(dim=1, keepdim=True)
        found[:, self.known] = rest * (self._scores(lonlat) + self.factor).softmax(dim=1)
        return found.float()


def filled(value: Tensor, known: Tensor, others: Tensor) -> Tensor:
    """Give the classes that a prior does not know the share that others give them.

    Args:
        value: ``(N, K)`` its shares.
        known: ``(K,)`` bool, which classes it knows.
        others: ``(N, K)`` shares that others give.

    Returns:
        ``(N, K)``: the others' share of what is unknown, its own of the rest, which sum to 1.

    Example:
        >>> value, others = torch.tensor([[0.6, 0.2, 0.2]]), torch.tensor([[0.1, 0.4, 0.5]])
        >>> filled(value, torch.tensor([True, True, False]), others)
        tensor([[0.3750, 0.1250, 0.5000]])
    """
    own = value * known
    left = (others * known).sum(dim=1, keepdim=True)
    return torch.where(known, left * own / own.sum(dim=1, keepdim=True), others)
