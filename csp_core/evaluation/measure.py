"""What every measure has in common: how answers of one kind are calibrated, measured and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from csp_core.data.records import RecordDataset
from csp_core.model import Prior


class Numbers(Protocol):
    """The numbers of one answer, such as ``Metrics``."""

    def to_dict(self) -> dict[str, Any]:
        """Return them by name: plain numbers and, of label sets, a list of those of the classes."""
        ...


@dataclass(frozen=True)
class Fitted:
    """What calibrating or checking a finished model found.

    Args:
        metrics: Answer to its numbers.
        sets: Answer, or place, to the report on sets that hold the truth 9 times in 10.
    """

    metrics: Mapping[str, Numbers]
    sets: Mapping[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """One kind of answers that a model gives to records.

    Args:
        applies: Whether a model, or a baseline, answers records so.
        measure: Numbers of each answer; without the place where that is asked for.
        watch: What an epoch's line of metrics tells, without ``val_``.
        calibrate: Fits what turns scores into answers to records held out, keeps it in the model,
            and measures there.
        check: Measures a calibrated model on records of the test, once; None where it is left to
            whoever evaluates the model.
        monitor: Which value of ``watch``, of a model, tells the best epoch if nobody chooses:
            a name among its values, or ``loss`` for the objective itself.
        rising: Values of ``watch`` of which more is better; of all others less is.
        headline: Answers that stand for all, the first that there is.
        columns: Name of a number to its heading on the card.
        sets_of: What the sets are of, and the heading of their rows, on the card.
        of_classes: Name of a number of each class to its heading on the card, where there are such.
    """

    applies: Callable[[Prior, RecordDataset], bool]
    measure: Callable[..., Mapping[str, Numbers]]
    watch: Callable[[Any, RecordDataset], dict[str, float]]
    calibrate: Callable[[Any, RecordDataset], Fitted]
    monitor: Callable[[Any], str]
    headline: tuple[str, ...]
    columns: Mapping[str, str]
    rising: frozenset[str] = frozenset()
    check: Callable[[Any, RecordDataset], Fitted] | None = None
    sets_of: tuple[str, str] = ("", "by")
    of_classes: Mapping[str, str] = field(default_factory=dict)


def plain(found: Mapping[str, Numbers]) -> dict[str, Any]:
    """Give numbers as files and commands hold them.

    Args:
        found: Answer to its numbers.

    Returns:
        The plain numbers by answer; those of an only answer themselves.
    """
    if len(found) == 1:
        return dict(next(iter(found.values())).to_dict())
    return {name: numbers.to_dict() for name, numbers in found.items()}
