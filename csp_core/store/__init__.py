"""Model directories: written, read and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from csp_core.tables import lazily

if TYPE_CHECKING:
    from csp_core.store.catalog import (
        ModelInfo,
        class_names,
        find_model,
        list_models,
        made_folder,
        model_size,
        read_card,
        text_files,
    )
    from csp_core.store.checkpoint import halve, load_model, save_model
    from csp_core.store.folder import FORMAT, entries, read_front, read_mapping, read_model_config
    from csp_core.store.introduction import Example, Introduction, check_introduction
    from csp_core.store.kept import keep_run, kept_runs, let_go_run

_HOMES = {
    "Example": "csp_core.store.introduction",
    "FORMAT": "csp_core.store.folder",
    "Introduction": "csp_core.store.introduction",
    "ModelInfo": "csp_core.store.catalog",
    "check_introduction": "csp_core.store.introduction",
    "class_names": "csp_core.store.catalog",
    "entries": "csp_core.store.folder",
    "find_model": "csp_core.store.catalog",
    "halve": "csp_core.store.checkpoint",
    "keep_run": "csp_core.store.kept",
    "kept_runs": "csp_core.store.kept",
    "let_go_run": "csp_core.store.kept",
    "list_models": "csp_core.store.catalog",
    "load_model": "csp_core.store.checkpoint",
    "made_folder": "csp_core.store.catalog",
    "model_size": "csp_core.store.catalog",
    "read_card": "csp_core.store.catalog",
    "read_front": "csp_core.store.folder",
    "read_mapping": "csp_core.store.folder",
    "read_model_config": "csp_core.store.folder",
    "save_model": "csp_core.store.checkpoint",
    "text_files": "csp_core.store.catalog",
}

__all__ = [
    "FORMAT",
    "Example",
    "Introduction",
    "ModelInfo",
    "check_introduction",
    "class_names",
    "entries",
    "find_model",
    "halve",
    "keep_run",
    "kept_runs",
    "let_go_run",
    "list_models",
    "load_model",
    "made_folder",
    "model_size",
    "read_card",
    "read_front",
    "read_mapping",
    "read_model_config",
    "save_model",
    "text_files",
]

__getattr__ = lazily(__name__, _HOMES)
