"""The semi-supervised methods: one step, each with its own policy of thresholds."""

from __future__ import annotations

from csp_core.objectives.semisup.step import SemiSupervised
from csp_core.objectives.semisup.thresholds import POLICIES


class Supervised(SemiSupervised):
    """Learn from the labelled images alone: the floor that every method is compared with."""

    policy_class = POLICIES["supervised"]


class PseudoLabel(SemiSupervised):
    """Learn what the network says with confidence of weak views, on these views."""

    policy_class = POLICIES["pseudo_label"]


class FixMatch(SemiSupervised):
    """Learn on strong views what is said with a fixed confidence of weak ones."""

    policy_class = POLICIES["fixmatch"]


class FreeMatch(SemiSupervised):
    """FixMatch with a threshold a class that follows how sure the network is of it."""

    policy_class = POLICIES["freematch"]


class SoftMatch(SemiSupervised):
    """FixMatch in which all pseudo-labels count, less the less sure they are."""

    policy_class = POLICIES["softmatch"]


class DeFixMatch(SemiSupervised):
    """FixMatch without its bias: the same loss on labelled images is taken off."""

    policy_class = POLICIES["defixmatch"]


class UDAL(SemiSupervised):
    """FixMatch with logits adjusted to a distribution of classes that flattens as it goes."""

    policy_class = POLICIES["udal"]


class CDMAD(SemiSupervised):
    """FixMatch without what the network says of a picture in which there is nothing."""

    policy_class = POLICIES["cdmad"]


class CAP(SemiSupervised):
    """Label sets by the quantiles at which as many images have each label as labelled ones do."""

    policy_class = POLICIES["cap"]
    label_sets = True


METHODS: dict[str, type[SemiSupervised]] = {
    "supervised": Supervised,
    "pseudo_label": PseudoLabel,
    "fixmatch": FixMatch,
    "freematch": FreeMatch,
    "softmatch": SoftMatch,
    "defixmatch": DeFixMatch,
    "udal": UDAL,
    "cdmad": CDMAD,
    "cap": CAP,
}
