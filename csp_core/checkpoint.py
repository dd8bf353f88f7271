"""Model directories: save, load and list models, with their cards.

A model is a folder of ``model.safetensors``, ``config.json``, ``classes.csv``,
``calibration.json``, ``metrics.json``, ``support.safetensors`` and ``README.md``. Nothing in it is
ever executed.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from csp_core.data.records import ClassTable
from csp_core.errors import CheckpointError, ConfigError, CspError, UnknownNameError
from csp_core.files import (
    ASSETS,
    atomic_directory,
    check_tensors,
    load_tensors,
    read_json,
    save_tensors,
    write_json,
    write_text,
)
from csp_core.location import LocationEncoder, make_location_encoder
from csp_core.model import DualEncoder
from csp_core.support import Support

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
    """

    name: str
    directory: Path
    title: str
    summary: str
    kind: str
    num_classes: int
    license: str
    problem: str | None = None


def save_model(
    model: DualEncoder,
    directory: str | Path,
    *,
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Path:
    """Write a model directory, whole or not at all.

    Args:
        model: A model made from named components.
        directory: Where it shall stand; one that stood there is replaced.
        metrics: Content of ``metrics.json``: split name to metrics.
        provenance: How it was made (configuration, versions, data), kept in ``config.json``.
        texts: Further text files by name, such as ``README.md`` (the card) and ``LICENSE``.

    Returns:
        The directory.

    Raises:
        CheckpointError: If the model has parts that no name describes, or writing fails.
    """
    location = model.location
    if model.image is not None or not isinstance(location, LocationEncoder) or not location.spec:
        raise CheckpointError(
            "Only models whose encoders were made by name can be saved as a directory; this one"
            " has modules of your own. Save its state_dict with safetensors instead."
        )
    config = {
        "format": FORMAT,
        "name": model.name,
        "location": location.spec,
        "dim": model.dim,
        "bias": model.bias,
        "prior_kind": model.prior_kind,
        "num_classes": len(model.classes),
        "provenance": dict(provenance or {}),
    }
    texts = {"README.md": _plain_card(model), **(texts or {})}
    try:
        with atomic_directory(directory) as folder:
            save_tensors(folder / "model.safetensors", model.state_dict())
            write_json(folder / "config.json", config)
            write_text(folder / "classes.csv", _classes_csv(model.classes))
            write_json(folder / "calibration.json", _calibration(model))
            write_json(folder / "metrics.json", dict(metrics or {}))
            if model.support is not None:
                save_tensors(folder / "support.safetensors", model.support.tensors())
                write_json(folder / "support.json", {"cell_degrees": model.support.cell_degrees})
            for name, text in texts.items():
                write_text(folder / name, text)
    except OSError as error:
        raise CheckpointError(f"Cannot write the model to {directory} ({error}).") from error
    return Path(directory)


def load_model(name_or_path: str | Path) -> DualEncoder:
    """Load a model by its bundled name or its directory.

    Args:
        name_or_path: A name that ``list_models`` lists, a model directory, or a run directory.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        UnknownNameError: If it is neither a known name nor a folder.
        CheckpointError: If the folder is damaged, incomplete or of another program.
    """
    folder = find_model(name_or_path)
    config = _read_config(folder)
    try:
        model = _build(config, _read_classes(folder / "classes.csv"))
        model.load_state_dict(_finite(load_tensors(folder / "model.safetensors")))
        calibration = _mapping(folder / "calibration.json")
        model.temperature = float(calibration["temperature"])
        level = calibration.get("set_level")
        model.set_level = None if level is None else float(level)
        if not (0 < model.temperature < math.inf and 0 <= (model.set_level or 0) <= 1):
            raise ConfigError(f"the temperature is {model.temperature} and the set level {level}")
        if (folder / "support.safetensors").is_file():
            degrees = float(_mapping(folder / "support.json")["cell_degrees"])
            counts = load_tensors(folder / "support.safetensors")
            model.support = Support(**counts, num_classes=len(model.classes), cell_degrees=degrees)
    except CheckpointError:
        raise
    except (CspError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"The model in {folder} does not fit together ({reason}). Copy the whole folder again,"
            " or train anew."
        ) from error
    return model.eval()


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
        kind = "a pickle checkpoint" if path.suffix in PICKLES else "a file"
        raise CheckpointError(
            f"{path} is {kind}; a model is a directory with config.json and model.safetensors, as"
            " `csp train` writes it. Nothing was loaded from it."
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
        config, front = _read_config(folder), _split_card(folder)[0]
        check_tensors(folder / "model.safetensors")
        num_classes = int(config["num_classes"])
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
    )


def _read_config(folder: Path) -> dict[str, Any]:
    config = _mapping(folder / "config.json")
    if config.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder}/config.json has format {config.get('format')!r}; this version reads"
            f" {FORMAT!r}. It is a model of another program or version."
        )
    return config


def _mapping(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}; an object is needed.")
    return value


def _finite(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ConfigError(f"{name} holds values that are no finite numbers")
    return tensors


def _build(config: Mapping[str, Any], classes: ClassTable) -> DualEncoder:
    if len(classes) != config["num_classes"]:
        raise ConfigError(f"{len(classes)} classes, but config.json says {config['num_classes']}")
    location = make_location_encoder(dim=config["dim"], **config["location"])
    return DualEncoder(
        None,
        location,
        dim=config["dim"],
        classes=classes,
        bias=config["bias"],
        prior_kind=config["prior_kind"],
        name=config["name"],
    )


def _calibration(model: DualEncoder) -> dict[str, float]:
    fitted = {"temperature": model.temperature}
    return fitted if model.set_level is None else {**fitted, "set_level": model.set_level}


def _classes_csv(classes: ClassTable) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["class", "scientific_name", "common_name", "count"])
    columns = zip(classes.names, classes.common_names, classes.counts, strict=True)
    writer.writerows((label, *row) for label, row in enumerate(columns))
    return stream.getvalue()


def _read_classes(path: Path) -> ClassTable:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return ClassTable(
            tuple(row["scientific_name"] for row in rows),
            tuple(row["common_name"] for row in rows),
            tuple(int(row["count"]) for row in rows),
        )
    except (OSError, KeyError, ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is not a class table ({error}).") from error


def _split_card(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / "README.md"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        front, body = text[4:].split("\n---\n", 1)
        values = yaml.safe_load(front)
        return (values if isinstance(values, dict) else {}), body.strip()
    return {}, text


def _plain_card(model: DualEncoder) -> str:
    front = yaml.safe_dump({"title": model.name, "license": "unstated"}, sort_keys=False)
    body = f"A {model.prior_kind} prior over {len(model.classes)} classes, saved without a card."
    return f"---\n{front}---\n\n# {model.name}\n\n{body}\n"


def model_size(folder: Path) -> int:
    """Sum up the files of a model directory.

    Args:
        folder: The directory.

    Returns:
        Bytes.
    """
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def count_parameters(model: torch.nn.Module) -> int:
    """Count the weights of a module.

    Args:
        model: The module.

    Returns:
        Number of parameters.
    """
    return sum(parameter.numel() for parameter in model.parameters())
