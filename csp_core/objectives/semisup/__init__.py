"""Learning from few labels and many pictures without any."""

from csp_core.objectives.semisup.methods import METHODS
from csp_core.objectives.semisup.step import SemiSupervised

__all__ = ["METHODS", "SemiSupervised"]
