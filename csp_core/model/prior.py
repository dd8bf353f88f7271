"""What a model and a baseline have in common, and what their values are compared with."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from csp_core.data.records import ClassTable
from csp_core.model.support import Support


def class_frequency(model: Prior) -> Tensor | None:
    """Give what the values of a model's classes are compared with, where that is known.

    Args:
        model: A model or a baseline.

    Returns:
        ``(K,)`` P(class): shares of the training records, or the part of the label sets that have
        each class. None for relative scores, and where nobody counted the label sets.
    """
    counted = model.prior_kind == "share" or model.classes.records is not None
    return model.classes.frequency() if counted and model.prior_kind != "relative" else None


class Prior(Protocol):
    """What a model and a baseline have in common, so that each can stand where the other does."""

    name: str
    classes: ClassTable
    prior_kind: str
    support: Support | None

    @property
    def uses_date(self) -> bool:
        """Whether the time of the year changes what it says."""
        ...

    @property
    def uses_hour(self) -> bool:
        """Whether the time of the day changes what it says."""
        ...

    def prior(
        self, lonlat: Tensor, date: Tensor | None = None, hour: Tensor | None = None
    ) -> Tensor:
        """Return ``(N, K)`` for checked places ``(N, 2)``; see ``csp_core.location_prior``."""
        ...
