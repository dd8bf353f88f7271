"""What the commands say of the installation: the models, the machine."""

from __future__ import annotations

import os
import platform
from importlib import metadata, util
from pathlib import Path
from typing import Any

from csp_core.errors import CspError
from csp_core.files import ASSETS
from csp_core.model import DualEncoder
from csp_core.store import ModelInfo, list_models, load_model, model_size


def model_rows() -> list[dict[str, Any]]:
    """List the models with their sizes.

    Returns:
        One dictionary a model.
    """
    return [
        {
            "name": info.name,
            "kind": info.kind,
            "num_classes": info.num_classes,
            "license": info.license,
            "title": info.title,
            "summary": info.summary,
            "megabytes": round(model_size(info.directory) / 1e6, 2),
            "problem": info.problem,
            "sees_pixels": info.sees_pixels,
        }
        for info in list_models()
    ]


def diagnose() -> list[dict[str, Any]]:
    """Look at what csp_core and the app need.

    Returns:
        ``name``, ``ok``, ``needed`` and what it ``says``, a dictionary each.
    """
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none; the CPU is used"
    rows = [
        _row("python", True, True, platform.python_version()),
        _row("torch", True, True, f"{torch.__version__}, {torch.get_num_threads()} threads"),
        _row("gpu", True, False, gpu),
    ]
    for package in ("streamlit", "streamlit-folium", "folium", "pydeck", "polars", "accelerate"):
        found = util.find_spec(package.replace("-", "_")) is not None
        rows.append(_row(package, found, True, metadata.version(package) if found else
                         "not installed; `make setup` installs it"))  # fmt: skip
    world = (ASSETS / "world" / "land.geojson").is_file()
    rows.append(_row("world map", world, True, "assets/world" if world else "not in assets/world"))
    rows.append(_leaflet())
    for info in list_models():
        problem = info.problem
        rows.append(_row(info.name, False, True, problem) if problem else _model_row(info))
    return rows


def _row(name: str, ok: bool, needed: bool, says: str) -> dict[str, Any]:
    return {"name": name, "ok": ok, "needed": needed, "says": says}


def _leaflet() -> dict[str, Any]:
    modules = ASSETS.parent / "app" / "static" / "node_modules" / "leaflet" / "dist"
    folder = Path(os.environ.get("CSP_LEAFLET_DIR") or modules)
    found = (folder / "leaflet.js").is_file()
    says = (
        "served locally" if found else "`make setup` installs it; until then the cell map is used"
    )
    return _row("leaflet", found, False, says)


def _model_row(info: ModelInfo) -> dict[str, Any]:
    try:
        # By its folder: a copy of the hub's is looked at as it is, without asking for a newer one.
        model: DualEncoder = load_model(info.directory)
    except CspError as error:
        return _row(info.name, False, True, str(error))
    classes = f"{len(model.classes)} classes" if len(model.classes) else "no classes, not ranking"
    return _row(info.name, True, True, f"model, {classes}")
