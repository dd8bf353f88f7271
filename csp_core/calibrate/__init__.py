"""Calibration: what makes shares mean what they say, and sets hold the truth as often as they say.

All functions take shares or logits and true classes of records that nothing was fitted to.
"""

from __future__ import annotations

from csp_core.calibrate.label_sets import (
    NO_THRESHOLD,
    SortedClasses,
    add_place,
    fit_class_temperatures,
    fit_set_thresholds,
    fit_set_weight,
    fit_thresholds,
    sort_classes,
)
from csp_core.calibrate.reliability import ReliabilityBin, reliability_bins, wilson_interval
from csp_core.calibrate.sets import (
    SetReport,
    crossfit_sets,
    fit_set_level,
    halve_groups,
    measure_sets,
    prediction_sets,
)
from csp_core.calibrate.temperature import fit_class_bias, fit_class_slope, fit_temperature
from csp_core.calibrate.weight import PlaceWeight, fit_place_weight, log_frequency

__all__ = [
    "NO_THRESHOLD",
    "PlaceWeight",
    "ReliabilityBin",
    "SetReport",
    "SortedClasses",
    "add_place",
    "crossfit_sets",
    "fit_class_bias",
    "fit_class_slope",
    "fit_class_temperatures",
    "fit_place_weight",
    "fit_set_level",
    "fit_set_thresholds",
    "fit_set_weight",
    "fit_temperature",
    "fit_thresholds",
    "halve_groups",
    "log_frequency",
    "measure_sets",
    "prediction_sets",
    "reliability_bins",
    "sort_classes",
    "wilson_interval",
]
