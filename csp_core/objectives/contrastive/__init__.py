"""Objectives that compare: CSP and SimCLR."""

from __future__ import annotations

from csp_core.objectives.contrastive.csp import CSPMC, CSPMSE, CSPNCE, CSPFeatures
from csp_core.objectives.contrastive.csp_parts import Contrastive
from csp_core.objectives.contrastive.pairs import Pairs
from csp_core.objectives.contrastive.simclr import SimCLR

__all__ = ["CSPMC", "CSPMSE", "CSPNCE", "CSPFeatures", "Contrastive", "Pairs", "SimCLR"]
