"""What a model and a baseline have in common."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from csp_core.data.records import ClassTable
from csp_core.model.support import Support


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
