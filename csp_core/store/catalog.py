"""Which models there are: bundled ones, those of a folder of yours, and what their cards say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from csp_core.errors import CheckpointError, CspError, UnknownNameError
from csp_core.files import ASSETS, check_tensors, read_json
from csp_core.model import read_heads

FORMAT = "csp-model/1"
PICKLES = (".pt", ".pth", ".tar", ".pkl", ".pickle", ".ckpt", ".bin")


@dataclass(frozen=True)
class ModelInfo:
    """One line of the list of models.

    Args:
        name: What ``load_model`` takes.
        directory: Where it is.
        title: Title of its card.
        summary: One sentence of its card.
        kind: ``"share"`` or ``"relative"``.
        num_classes: Number of classes.
        license: Licence of the weights.
        problem: Why it cannot be loaded, or None.
        sees_images: Whether it says anything of a picture itself.
    """

    name: str
    directory: Path
    title: str
    summary: str
    kind: str
    num_classes: int
    license: str
    problem: str | None = None
    sees_images: bool = False


def find_model(name_or_path: str | Path) -> Path:
    """Find a model's directory.

    Args:
        name_or_path: A bundled name, a model directory, or a run directory with a finished model.

    Returns:
        The directory that holds ``config.json``.

    Raises:
        UnknownNameError: If nothing is there.
        CheckpointError: If it is a file, or a folder without a model.
    """
    path = Path(name_or_path)
    known = {folder.name: folder for folder in _model_folders()}
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if path.is_file():
        pickled = path.suffix in PICKLES
        kind = "a pickle checkpoint" if pickled else "a file"
        way = " `csp import-model` makes one of a published checkpoint." if pickled else ""
        raise CheckpointError(
            f"{path} is {kind}; a model is a directory with config.json and model.safetensors, as"
            f" `csp train` writes it. Nothing was loaded from it.{way}"
        )
    if not path.is_dir():
        raise UnknownNameError("model", str(name_or_path), known)
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    raise CheckpointError(
        f"{path} holds no model: config.json is missing. A run writes its model when it ends."
    )


def list_models() -> list[ModelInfo]:
    """List the bundled models and those in the folder that ``CSP_MODELS`` names.

    Returns:
        One entry a model, damaged ones with their problem.
    """
    return [_describe(folder) for folder in _model_folders()]


def read_card(name_or_path: str | Path) -> str:
    """Read a model's card.

    Args:
        name_or_path: As for ``load_model``.

    Returns:
        Markdown without the front matter.

    Raises:
        UnknownNameError: If there is no such model.
    """
    return _split_card(find_model(name_or_path))[1]


def _model_folders() -> Iterator[Path]:
    roots = [ASSETS / "models", *map(Path, filter(None, [os.environ.get("CSP_MODELS")]))]
    for root in roots:
        if root.is_dir():
            yield from sorted(f for f in root.iterdir() if (f / "config.json").is_file())


def _describe(folder: Path) -> ModelInfo:
    try:
        config, front = read_model_config(folder), _split_card(folder)[0]
        check_tensors(folder / "model.safetensors")
        num_classes, heads = int(config["num_classes"]), read_heads(config)
    except (CspError, OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        return ModelInfo(folder.name, folder, folder.name, "", "", 0, "", problem=str(error))
    return ModelInfo(
        name=folder.name,
        directory=folder,
        title=str(front.get("title") or folder.name),
        summary=str(front.get("summary") or ""),
        kind=str(config.get("prior_kind")),
        num_classes=num_classes,
        license=str(front.get("license") or "unstated"),
        sees_images="image" in heads.classifiers,
    )


def read_model_config(folder: Path) -> dict[str, Any]:
    """Read what a model directory says it holds.

    Args:
        folder: The directory.

    Returns:
        Its ``config.json``.

    Raises:
        CheckpointError: If it is missing, damaged or of another program or version.
    """
    config = read_mapping(folder / "config.json")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder}/config.json has format {config.get('format')!r}; this version reads"
            f" {FORMAT!r}. It is a model of another program or version."
        )
    return config


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Args:
        path: The file.

    Returns:
        Its members.

    Raises:
        CheckpointError: If it is missing, damaged or no object.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}; an object is needed.")
    return value


def _split_card(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        front, body = text[4:].split("\n---\n", 1)
        values = yaml.safe_load(front)
        return (values if isinstance(values, dict) else {}), body.strip()
    return {}, text


def model_size(folder: Path) -> int:
    """Sum up the files of a model directory.

    Args:
        folder: The directory.

    Returns:
        Bytes.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
