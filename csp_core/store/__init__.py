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
    from csp_core.store.derived import folder_name, keep_derived, save_derived
    from csp_core.store.export import Exported, export_model
    from csp_core.store.folder import FORMAT, entries, read_front, read_mapping, read_model_config
    from csp_core.store.hub import Shared, fetch_model, share_model
    from csp_core.store.introduction import Example, Introduction, check_introduction
    from csp_core.store.kept import keep_run, kept_runs, let_go_run

_HOMES = {
    "Example": "csp_core.store.introduction",
    "Exported": "csp_core.store.export",
    "FORMAT": "csp_core.store.folder",
    "Introduction": "csp_core.store.introduction",
    "ModelInfo": "csp_core.store.catalog",
    "Shared": "csp_core.store.hub",
    "check_introduction": "csp_core.store.introduction",
    "class_names": "csp_core.store.catalog",
    "entries": "csp_core.store.folder",
    "export_model": "csp_core.store.export",
    "fetch_model": "csp_core.store.hub",
    "find_model": "csp_core.store.catalog",
    "folder_name": "csp_core.store.derived",
    "halve": "csp_core.store.checkpoint",
    "keep_derived": "csp_core.store.derived",
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
    "save_derived": "csp_core.store.derived",
    "save_model": "csp_core.store.checkpoint",
    "share_model": "csp_core.store.hub",
    "text_files": "csp_core.store.catalog",
}

__all__ = [
    "FORMAT",
    "Example",
    "Exported",
    "Introduction",
    "ModelInfo",
    "Shared",
    "check_introduction",
    "class_names",
    "entries",
    "export_model",
    "fetch_model",
    "find_model",
    "folder_name",
    "halve",
    "keep_derived",
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
    "save_derived",
    "save_model",
    "share_model",
    "text_files",
]

__getattr__ = lazily(__name__, _HOMES)
