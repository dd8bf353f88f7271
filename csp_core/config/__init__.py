"""The configuration of a run: one frozen tree of sections."""

from __future__ import annotations

from csp_core.config.limits import check_limits
from csp_core.config.run import RunConfig, derive_config, load_config, parse_config, set_key
from csp_core.config.sections import (
    CardConfig,
    Component,
    DataConfig,
    ModelConfig,
    Section,
    TeacherConfig,
    TrainingConfig,
)

__all__ = [
    "CardConfig",
    "Component",
    "DataConfig",
    "ModelConfig",
    "RunConfig",
    "Section",
    "TeacherConfig",
    "TrainingConfig",
    "check_limits",
    "derive_config",
    "load_config",
    "parse_config",
    "set_key",
]
