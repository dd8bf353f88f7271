"""The table of policies: which pseudo-labels count."""

from __future__ import annotations

from csp_core.objectives.semisup.adaptive import FreeMatch, SoftMatch
from csp_core.objectives.semisup.adjusted import CDMAD, UDAL
from csp_core.objectives.semisup.fixed import DeFixMatch, FixMatch, PseudoLabel, Supervised
from csp_core.objectives.semisup.policy import Judged, Policy, Task
from csp_core.objectives.semisup.quantiles import CAP

__all__ = ["POLICIES", "Judged", "Policy", "Task"]

POLICIES: dict[str, type[Policy]] = {
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
