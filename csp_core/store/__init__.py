"""Model directories: written, read and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.store.catalog import (
        FORMAT,
        ModelInfo,
        find_model,
        list_models,
        model_size,
        read_card,
        read_mapping,
        read_model_config,
    )
    from csp_core.store.checkpoint import halve, load_model, save_model

_HOMES = {
    "FORMAT": "csp_core.store.catalog",
    "ModelInfo": "csp_core.store.catalog",
    "find_model": "csp_core.store.catalog",
    "halve": "csp_core.store.checkpoint",
    "list_models": "csp_core.store.catalog",
    "load_model": "csp_core.store.checkpoint",
    "model_size": "csp_core.store.catalog",
    "read_card": "csp_core.store.catalog",
    "read_mapping": "csp_core.store.catalog",
    "read_model_config": "csp_core.store.catalog",
    "save_model": "csp_core.store.checkpoint",
}

__all__ = [
    "FORMAT",
    "ModelInfo",
    "find_model",
    "halve",
    "list_models",
    "load_model",
    "model_size",
    "read_card",
    "read_mapping",
    "read_model_config",
    "save_model",
]

__getattr__ = lazily(__name__, _HOMES)
