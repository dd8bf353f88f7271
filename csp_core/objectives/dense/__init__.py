"""Objectives that compare the cells of images: dense contrast without labels, CSCL with masks."""

from __future__ import annotations

from csp_core.objectives.dense.contrast import DenseContrast
from csp_core.objectives.dense.cscl import CSCL

__all__ = ["CSCL", "DenseContrast"]
