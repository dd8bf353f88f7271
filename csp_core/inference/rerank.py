"""Any classifier's answer, re-ranked by what a place says of its classes."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from csp_core.errors import BadRecordError, ConfigError
from csp_core.inference.prior import location_prior
from csp_core.model import Borrowed, Prior, calibration_of, taxa_of
from csp_core.model.combine import doubted, posterior_within

# What follows genus and species, such as an author or a subspecies; or anything in parentheses.
MORE = re.compile(r"^\S+ [a-z][\w-]*\s+\S|\(")


@dataclass(frozen=True, eq=False)
class Reranked:
    """What a classifier says once the place has been heard.

    Args:
        probs: ``(N, K)``, rows sum to 1.
        prior: ``(N, K)`` what the place says of each class, as it was used; NaN for classes that
            the model does not know and where the place is unknown.
        weight: Exponent of the prior.
        names: The K classes; of several taxa, with semicolons between them.
        matched: Which of them the model knows.
        unmatched: Which it does not; what the place says does not touch them.
        model: Name of the model.
    """

    probs: Tensor
    prior: Tensor
    weight: float
    names: tuple[str, ...]
    matched: tuple[str, ...]
    unmatched: tuple[str, ...]
    model: str

    def __str__(self) -> str:
        """Say how the classes were matched."""
        some = ", ".join(self.unmatched[:3]) + (", …" if len(self.unmatched) > 3 else "")
        left = f"; untouched by the place: {some}" if self.unmatched else ""
        return f"{self.model} knows {len(self.matched)} of {len(self.names)} classes{left}."


def rerank(
    probs: Tensor | ArrayLike,
    lonlat: Tensor | ArrayLike,
    *,
    model: Prior,
    date: Tensor | ArrayLike | None = None,
    weight: float | None = None,
    names: Sequence[str | Sequence[str]] | None = None,
) -> Reranked:
    """Re-rank any classifier's probabilities by the place where each picture was taken.

    Classes are matched by scientific name. Those that the model does not know keep the probability
    they have, all together and each; the others share theirs out anew. A class that the place
    speaks against becomes less likely and never impossible. A class that is several taxa is given
    as a sequence of their names: the highest relative score of them counts, or the sum of shares.

    Args:
        probs: ``(N, K)`` P(class | image) of any classifier, at least 0; a row need not sum to 1.
            Tensors on any device, arrays or lists, as are places and dates; the work is done on
            the CPU.
        lonlat: ``(N, 2)`` longitude, latitude, degrees; NaN where the place is unknown, which
            leaves the answer as it is.
        model: A model or a baseline.
        date: ``(N,)`` part of the year in [0, 1), NaN where unknown, or None.
        weight: Exponent of the prior, at least 0; None for the one the model was fitted with, or 1.
        names: Scientific names of the K classes, one or several for each; None if they are the
            model's own.

    Returns:
        The new probabilities, float32 on the CPU, and how the classes were matched.

    Raises:
        BadRecordError: If probabilities, places or dates are none, or their numbers differ.
        ConfigError: If the number of names is not that of the classes, one is no text, no class is
            known, the model is none or one of label sets, or the weight is negative.

    Source:
        Mac Aodha et al. 2019, eq. 2.

    Example:
        >>> from csp_core import load_model
        >>> names = ["Luscinia luscinia", "Turdus tephronotus", "Canis lupus"]
        >>> probs = torch.tensor([[0.3, 0.5, 0.2]])
        >>> oslo = torch.tensor([[10.7, 59.9]])
        >>> found = rerank(probs, oslo, model=load_model("birds"), names=names)
        >>> print(found)
        birds knows 2 of 3 classes; untouched by the place: Canis lupus.
        >>> found.probs.argmax().item(), round(found.probs[0, 2].item(), 3)
        (0, 0.2)
    """
    _check_model(model)
    probs, lonlat = _checked(_numbers("probs", probs), _numbers("lonlat", lonlat))
    days = _days(date, len(probs))
    taxa = taxa_of(model.classes.names if names is None else names)
    lent = _matched(model, taxa, probs.shape[1])
    fitted = calibration_of(model)
    chosen = fitted.place_weight if weight is None else float(weight)
    if not 0 <= chosen < math.inf:
        raise ConfigError(f"weight is {chosen}; give at least 0, or None for the fitted one.")
    prior = torch.full(probs.shape, float("nan"))
    placed = ~lonlat.isnan().any(dim=1)
    found = probs.clone()
    if placed.any():
        when = None if days is None else days[placed]
        said = doubted(model, location_prior(model, lonlat[placed], date=when))
        prior[placed] = lent.of_classes(said).to(prior.dtype)
        frequency = None
        if fitted.divide_frequency:
            frequency = lent.of_classes(model.classes.frequency()[None])[0]
        found[placed] = posterior_within(
            probs[placed], prior[placed], weight=chosen, class_frequency=frequency
        )
    own, known = tuple("; ".join(each) for each in taxa), lent.known.tolist()
    return Reranked(
        probs=found,
        prior=prior,
        weight=chosen,
        names=own,
        matched=tuple(name for name, yes in zip(own, known, strict=True) if yes),
        unmatched=tuple(name for name, yes in zip(own, known, strict=True) if not yes),
        model=model.name,
    )


def _check_model(model: object) -> None:
    if isinstance(model, str | Path):
        kind = type(model).__name__ if isinstance(model, str) else "path"
        raise ConfigError(f"model is the {kind} {str(model)!r}; give load_model({str(model)!r}).")
    if not hasattr(model, "classes"):
        raise ConfigError(f"model is of type {type(model).__name__}; give what load_model returns.")
    if getattr(model, "prior_kind", "") == "probability":
        raise ConfigError(
            f"Model {getattr(model, 'name', '')!r} answers with label sets, and a classifier's"
            " probabilities share 1 out among classes that exclude each other: take a model of"
            " shares, or combine probabilities of label sets with csp_core.inference.set_posterior."
        )


def _numbers(name: str, values: Tensor | ArrayLike) -> Tensor:
    """Bring numbers of any form to the CPU as floating-point numbers; None becomes NaN."""
    if isinstance(values, Tensor):
        values = values.cpu()
        return values if values.is_floating_point() else values.float()
    try:
        # A copy, since tensors may be written to and some arrays may not.
        return torch.from_numpy(np.array(values, dtype=np.float32))
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadRecordError(f"{name} must be numbers, as many in each row: {error}") from error


def _checked(probs: Tensor, lonlat: Tensor) -> tuple[Tensor, Tensor]:
    """Check probabilities and places, and make each row of the first sum to 1."""
    if probs.ndim != 2 or lonlat.shape != (len(probs), 2):
        raise BadRecordError(
            f"probs has shape {tuple(probs.shape)} and lonlat {tuple(lonlat.shape)}; give (N, K)"
            " and (N, 2)."
        )
    total = probs.double().sum(dim=1, keepdim=True)
    if not (probs.isfinite().all() and (probs >= 0).all() and (total > 0).all()):
        raise BadRecordError(
            "Probabilities must be finite and at least 0, and one in each row above 0. Of logits,"
            " give the softmax."
        )
    return (probs / total).to(torch.float32), lonlat


def _days(date: Tensor | ArrayLike | None, number: int) -> Tensor | None:
    days = None if date is None else _numbers("date", date).reshape(-1)
    if days is not None and len(days) != number:
        raise BadRecordError(f"{len(days)} dates for {number} pictures; give one each, or None.")
    return days


def _matched(model: Prior, taxa: tuple[tuple[str, ...], ...], number: int) -> Borrowed:
    """Match the classes to the model's; none known is told with an example of its names."""
    if len(taxa) != number:
        raise ConfigError(
            f"probs has {number} classes and there are {len(taxa)} names; give the scientific name"
            " of each class, in the order of the columns."
        )
    flat = [name for each in taxa for name in each]
    if not (model.classes.match(flat) >= 0).any():
        if not len(model.classes):
            raise ConfigError(f"Model {model.name!r} ranks no classes; take one that does.")
        raise ConfigError(
            f"Model {model.name!r} knows none of the {len(taxa)} classes, such as {flat[:1]};"
            f" classes are matched by scientific name, such as {model.classes.names[0]!r}"
            f"{', without author or subspecies' if any(map(MORE.search, flat)) else ''}."
        )
    return Borrowed(model, taxa)
