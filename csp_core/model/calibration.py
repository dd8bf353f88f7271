"""What is fitted on held-out records after training."""

from __future__ import annotations

# What is fitted on held-out records after training, and kept in calibration.json.
CALIBRATED = (
    "temperature",
    "set_level",
    "image_temperature",
    "place_weight",
    "divide_frequency",
    "image_set_level",
    "joint_set_level",
)
