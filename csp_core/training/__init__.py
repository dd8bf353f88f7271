"""Training: one call for every configuration."""

from __future__ import annotations

from csp_core.training.plan import Plan, TrainResult, plan_stages
from csp_core.training.run import train

__all__ = ["Plan", "TrainResult", "plan_stages", "train"]
