"""What another model says of places, brought to the classes of one that knows none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from csp_core.data.names import identity
from csp_core.errors import ConfigError
from csp_core.model.prior import Prior

# What botanists write before a form's own name, and what stands between two taxa in one name.
RANKS = ("subsp.", "ssp.", "var.", "f.", "forma")
OF_TWO = ("x", "X", "or")


@dataclass(frozen=True, eq=False)
class Borrowed:
    """The prior of another model, whose taxa are one, several or none for each class here.

    Args:
        prior: A model of shares or relative scores that knows places.
        taxa: For each class here the scientific names of that model's classes that it is; empty
            where the place shall say nothing of it. Names that the model does not know are left
            out.

    Raises:
        ConfigError: If the model is one of label sets, or knows none of the taxa.
    """

    prior: Prior
    taxa: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Check that there is something to take."""
        if self.prior.prior_kind == "probability":
            raise ConfigError(f"Model {self.prior.name!r} answers with label sets, no prior here.")
        if not bool(self.known.any()):
            raise ConfigError(f"Model {self.prior.name!r} knows none of the taxa.")

    @cached_property
    def _pairs(self) -> tuple[Tensor, Tensor]:
        """``(M,)`` class here and ``(M,)`` label there, for all taxa that are known."""
        flat = [(k, name) for k, names in enumerate(self.taxa) for name in names]
        label = self.prior.classes.match([name for _, name in flat])
        here = torch.tensor([k for k, _ in flat], dtype=torch.int64)
        return here[label >= 0], label[label >= 0]

    @cached_property
    def count(self) -> Tensor:
        """``(K,)`` int64, how many of the prior's taxa each class is."""
        return torch.bincount(self._pairs[0], minlength=len(self.taxa))

    @property
    def known(self) -> Tensor:
        """``(K,)`` bool, of which classes the place says something."""
        return self.count > 0

    def __str__(self) -> str:
        """Say among which classes the place is heard."""
        count, several = int(self.known.sum()), int((self.count > 1).sum())
        how = (
            "the shares of all are summed up"
            if self.prior.prior_kind == "share"
            else ("the highest score of theirs counts")
        )
        more = f" Of the {several} that are several taxa, {how}." if several else ""
        return (
            f"{self.prior.name} hears the place: it knows {count} of {len(self.taxa)} classes, and"
            " shares out among these what the picture gave to them together. All others are as the"
            f" picture has them.{more}"
        )

    def of_classes(self, said: Tensor) -> Tensor:
        """Bring what is said of the prior's taxa to the classes here.

        Of several taxa a relative score is the highest of theirs, a share the sum.

        Args:
            said: ``(N, S)`` of the prior's classes.

        Returns:
            ``(N, K)``, NaN for classes of which nothing is said.
        """
        here, label = self._pairs
        # By the shape, which a file of traced operators takes from the places it is given.
        rows, values = said.shape[0], said[:, label]
        how = "sum" if self.prior.prior_kind == "share" else "amax"
        empty = said.new_zeros(rows, len(self.taxa))
        found = empty.scatter_reduce(1, here.expand(rows, -1), values, how)
        return found.masked_fill(~self.known, torch.nan)


def match_taxa(model: Prior, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Match names to a model's classes, of a model that borrows a prior the taxa inside these too.

    A class of such a model may stand for several species: those that it lists, and those of the
    genus that it is named by. A form of a species is that species, unless a class is named by it. A
    hybrid, or either of two, is of no class but one of that name.

    Args:
        model: A model or a baseline.
        names: Scientific names.

    Returns:
        ``(len(names),)`` int64 label, -1 where there is none, or several hold the taxon; and
        ``bool``, whether the class bears another name than the taxon that it holds.
    """
    label = model.classes.match(names)
    lent: Borrowed | None = getattr(model, "borrowed", None)
    if lent is None:
        return label, torch.zeros(len(names), dtype=torch.bool)
    holds: dict[str, set[int]] = {}
    for k, some in enumerate(lent.taxa):
        for taxon in some:
            holds.setdefault(identity(taxon), set()).add(k)
    inside = label.clone()
    for row in (label < 0).nonzero()[:, 0].tolist():
        for taxon in _taxa_around(names[row]):
            found = holds.get(identity(taxon), set()) | {int(model.classes.match([taxon])[0])}
            found -= {-1}
            if found:
                inside[row] = found.pop() if len(found) == 1 else -1
                break
    return inside, inside != label


def _taxa_around(name: str) -> Iterator[str]:
    """Go from a scientific name to ever larger taxa that it lies in; one of two taxa lies in none.

    A form that others hold to be a species bears the same second name in its genus, as no two
    species or forms of a genus may share one: *Canis lupus familiaris* is *Canis familiaris*.

    Source:
        International Code of Zoological Nomenclature, 4th edition, articles 53.3 and 57.
    """
    words = [word for word in name.split() if identity(word) not in RANKS]
    if "/" in name or any(identity(word).startswith("×") or word in OF_TWO for word in words):
        yield name
        return
    for count in range(len(words), 0, -1):
        yield " ".join(words[:count])
        if count == 3:
            yield f"{words[0]} {words[2]}"


def taxa_of(names: Sequence[str | Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Write names of classes as taxa, one or several for each.

    Args:
        names: For each class a scientific name, or several.

    Returns:
        Stripped names.

    Raises:
        ConfigError: If one is no text.
    """
    found = []
    for k, given in enumerate(names):
        several = isinstance(given, Sequence) and not isinstance(given, str)
        each = tuple(given) if several else (given,)
        if not all(isinstance(name, str) for name in each):
            raise ConfigError(f"names[{k}] is {given!r}; give the scientific name of each class.")
        found.append(tuple(str(name).strip() for name in each))
    return tuple(found)
