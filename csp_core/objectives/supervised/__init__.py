"""Objectives that learn from labels, or from a teacher's shares."""

from __future__ import annotations

from csp_core.objectives.supervised.distil import SoftLabelSets, SoftTargets
from csp_core.objectives.supervised.image_and_place import ImageSoftmax
from csp_core.objectives.supervised.multilabel import LabelSets
from csp_core.objectives.supervised.scores import SoftScores
from csp_core.objectives.supervised.segmentation import Segmentation
from csp_core.objectives.supervised.softmax import Softmax

__all__ = [
    "ImageSoftmax",
    "LabelSets",
    "Segmentation",
    "SoftLabelSets",
    "SoftScores",
    "SoftTargets",
    "Softmax",
]
