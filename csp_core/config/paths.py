"""Paths in a configuration: absolute where it is read, short where it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

# Keys whose values may name a file or folder.
PATHS = (
    "data.root",
    "model.init_from",
    "model.image.weights",
    "model.location.covariates.source",
)


def anchor(tree: dict[str, Any], folder: Path) -> None:
    """Make the paths of a configuration file absolute."""
    data, model = tree.get("data"), tree.get("model")
    if isinstance(data, dict) and isinstance(data.get("root"), str):
        data["root"] = str(folder / data["root"])
    if isinstance(model, dict) and isinstance(model.get("init_from"), str):
        # A bundled model's name stays a name; only what exists beside the file is a path.
        beside = folder / model["init_from"]
        model["init_from"] = str(beside) if beside.exists() else model["init_from"]
    image = model.get("image") if isinstance(model, dict) else None
    if isinstance(image, dict) and isinstance(image.get("weights"), str):
        beside = folder / image["weights"]
        # What is not there may be a word, such as the one for the hub's weights.
        image["weights"] = str(beside) if beside.exists() else image["weights"]
    if covariates := _covariates(tree):
        covariates["source"] = str(folder / covariates["source"])
    for changes in _changes(tree):
        for key in PATHS:
            if isinstance(changes.get(key), str) and (folder / changes[key]).exists():
                changes[key] = str(folder / changes[key])
    for teacher in tree.get("teachers") or ():
        if isinstance(teacher, dict) and isinstance(teacher.get("path"), str):
            beside = folder / teacher["path"]
            # A run made by an earlier stage may come later, but a bare name is a bundled model.
            if beside.exists() or "/" in teacher["path"]:
                teacher["path"] = str(beside)


def shorten(tree: dict[str, Any]) -> dict[str, Any]:
    """Cut the paths of a whole tree to their last part.

    Args:
        tree: Plain values of all sections, changed.

    Returns:
        The tree.
    """
    for place, key in [(tree["data"], "root"), *((t, "path") for t in tree["teachers"])]:
        if place.get(key):
            place[key] = PurePath(place[key]).name
    if (tree["model"]["image"] or {}).get("weights"):
        tree["model"]["image"]["weights"] = PurePath(tree["model"]["image"]["weights"]).name
    if covariates := _covariates(tree):
        covariates["source"] = PurePath(covariates["source"]).name
    if tree["model"]["init_from"]:
        tree["model"]["init_from"] = PurePath(tree["model"]["init_from"]).name
    for changes in _changes(tree):
        named = [key for key in PATHS if isinstance(changes.get(key), str)]
        changes.update({key: PurePath(changes[key]).name for key in named})
    return tree


def _changes(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what other stages of a run do otherwise: ``{section.key: value}`` each."""
    teachers = tree.get("teachers") or ()
    found = [t.get("overrides") for t in teachers if isinstance(t, dict)]
    return [one for one in (tree.get("pretrain"), *found) if isinstance(one, dict)]


def _covariates(tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the options of covariates that name a file."""
    found: Any = tree
    for key in ("model", "location", "covariates"):
        found = found.get(key) if isinstance(found, dict) else None
    named = isinstance(found, dict) and isinstance(found.get("source"), str)
    return found if named else None
