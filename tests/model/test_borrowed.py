"""What another model says of places, brought to one's own classes."""

from __future__ import annotations

import pytest
import torch

from csp_core.data.records import ClassTable
from csp_core.errors import ConfigError
from csp_core.model import Borrowed, taxa_of


class Lender:
    """Four taxa; what it says is given by hand."""

    name, support, uses_date, uses_hour = "lender", None, False, False

    def __init__(self, kind="relative"):
        self.prior_kind, self.classes = kind, ClassTable(("A a", "A b", "C c", "D d"))


TAXA = (("A a", "A b"), (), ("D d", "Nobody known"), ("Nobody known",))


@pytest.mark.parametrize("kind, first", [("relative", 0.7), ("share", 0.9)])
def test_of_several_taxa_the_highest_score_or_all_shares_count(kind, first):
    lent = Borrowed(Lender(kind), TAXA)
    found = lent.of_classes(torch.tensor([[0.2, 0.7, 0.4, 0.1]]))
    assert found[0, [0, 2]].tolist() == pytest.approx([first, 0.1])
    assert found.isnan().tolist() == [[False, True, False, True]]
    assert lent.count.tolist() == [2, 0, 1, 0] and "knows 2 of 4 classes" in str(lent)
    assert ("highest" in str(lent)) == (kind == "relative")


def test_places_unknown_stay_unknown():
    found = Borrowed(Lender(), TAXA).of_classes(torch.full((2, 4), float("nan")))
    assert found.isnan().all()


def test_a_lender_of_label_sets_or_of_other_taxa_is_refused():
    with pytest.raises(ConfigError, match="label sets"):
        Borrowed(Lender("probability"), TAXA)
    with pytest.raises(ConfigError, match="knows none"):
        Borrowed(Lender(), ((), ("Nobody known",)))


def test_names_are_one_or_several_texts():
    assert taxa_of([" A a ", ["B b", "C c"]]) == (("A a",), ("B b", "C c"))
    for wrong in (3, ["A a", None]):
        with pytest.raises(ConfigError, match=r"names\[0\]"):
            taxa_of([wrong])
