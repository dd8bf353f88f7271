"""The files of a model's directory, read within bounds and checked against each other.

A directory may come from anybody. Nothing here imports torch, so that listing models stays quick,
and nothing is allocated that the directory only claims to hold.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csp_core.errors import CheckpointError, ConfigError, CspError
from csp_core.files import check_tensors, parse_yaml, read_json, read_text
from csp_core.model import PRIOR_KINDS, Calibration, Heads, read_heads

FORMAT = "csp-model/1"
# A card is drawn as Markdown, which costs a browser more than text.
MOST_CARD, MOST_TEXT, MOST_CLASS_TABLE = 256 << 10, 1 << 20, 32 << 20
# The pieces of words of a text encoder, 65,536 at most, and the pairs that make them.
VOCABULARY, MOST_VOCABULARY = "tokenizer.json", 8 << 20
# The words of the captions that it learned from, one a line.
WORDS, MOST_WORDS_FILE = "words.txt", 16 << 20
MOST_FILES, MOST_CLASSES, MOST_COUNT = 1000, 200_000, 2**53
# Sizes that a layer may have without being seen among the tensors, such as that of an image.
FREE_SIZE = 4096
LAYERS = ("num_hidden", "num_blocks", "num_capsules", "layers")
SIZES = ("width", "context", "vocabulary")

ClassRow = tuple[str, str, int]


@dataclass(frozen=True)
class Contents:
    """What a model's directory says of itself.

    Args:
        config: Its ``config.json``.
        heads: Which heads the model has.
        calibration: What was fitted after training.
        classes: Scientific name, common name and count of each class.
        shapes: Name of each tensor of ``model.safetensors`` to its shape.
    """

    config: dict[str, Any]
    heads: Heads
    calibration: Calibration
    classes: tuple[ClassRow, ...]
    shapes: dict[str, tuple[int, ...]]


def read_contents(folder: Path) -> Contents:
    """Read all but the tensors, and check that it fits together.

    Args:
        folder: The directory.

    Returns:
        What it says.

    Raises:
        CspError: If a file is missing, damaged, out of bounds, or does not fit the others.
    """
    for path in entries(folder):
        check_entry(path)
    config = read_model_config(folder)
    shapes = check_tensors(folder / "model.safetensors")
    _check_config(config, shapes)
    calibration = Calibration.from_dict(read_mapping(folder / "calibration.json"))
    calibration.check_classes(config["num_classes"])
    if (config.get("text") or {}).get("name") == "transformer":
        read_vocabulary(folder)
    classes = _read_classes(folder / "classes.csv", config["num_classes"])
    if "records" in config:
        most = max([1, *(count for _, _, count in classes)])
        if _whole(config, "records", most) >= MOST_COUNT:
            raise ConfigError("config.json says more records than there can be, 2^53")
    return Contents(config, read_heads(config), calibration, classes, shapes)


def entries(folder: Path) -> Iterator[Path]:
    """Give what stands in a model's directory, whose layout is flat.

    Args:
        folder: The directory.

    Yields:
        Files, folders and what else there is, in the order of their names.

    Raises:
        CheckpointError: If it cannot be read, or holds far more than a model does.
    """
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in itertools.islice(found, MOST_FILES + 1))
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read ({error.strerror}).") from error
    if len(names) > MOST_FILES:
        raise CheckpointError(f"{folder} holds more than {MOST_FILES:,} files; a model has 10.")
    yield from (folder / name for name in names)


def check_entry(path: Path) -> None:
    """Check that what stands in a model's directory is a file or folder of that directory.

    Args:
        path: What stands there.

    Raises:
        CheckpointError: If it is a link that leaves the directory, a device, a pipe or a socket.
    """
    try:
        outside = path.is_symlink() and path.parent.resolve() not in path.resolve().parents
    except (OSError, RuntimeError):  # links that go round in circles
        outside = True
    if outside:
        raise CheckpointError(f"{path} is a link that leaves its directory; put a copy there.")
    if not (path.is_file() or path.is_dir()):
        raise CheckpointError(f"{path} is no ordinary file.")


def read_vocabulary(folder: Path) -> str:
    """Read the vocabulary of a model's text encoder, unchecked but for its size.

    Args:
        folder: The directory.

    Returns:
        Content of its ``tokenizer.json``.

    Raises:
        CspError: If there is none, or it is no file of that directory, or too large.
    """
    path = folder / VOCABULARY
    if os.path.lexists(path):
        check_entry(path)
    return read_text(path, most_bytes=MOST_VOCABULARY)


def read_own_text(path: Path, most_bytes: int = MOST_TEXT) -> str:
    """Read a text that comes with a model.

    Args:
        path: A file in the model's directory.
        most_bytes: How large it may be.

    Returns:
        The text, ``""`` where there is none.

    Raises:
        CheckpointError: If it is no file of that directory, or too large.
    """
    if not os.path.lexists(path):
        return ""
    check_entry(path)
    return read_text(path, most_bytes=most_bytes, errors="replace")


def read_front(folder: Path) -> tuple[dict[str, Any], str]:
    """Read a model's card.

    Args:
        folder: The directory.

    Returns:
        The values of its front matter, and the Markdown below it; empty where there is none.

    Raises:
        CspError: If it is not within bounds, or the front matter is no YAML.
    """
    path = folder / "README.md"
    text = read_own_text(path, MOST_CARD)
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        front, body = text[4:].split("\n---\n", 1)
        values = parse_yaml(front, f"The front matter of {path}")
        return (values if isinstance(values, dict) else {}), body.strip()
    return {}, text


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
            f"{folder}/config.json has format {str(config.get('format'))[:80]!r}; this version"
            f" reads {FORMAT!r}. It is a model of another program or version."
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
    if os.path.lexists(path):
        check_entry(path)
    value = read_json(path)
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds a {type(value).__name__}; an object is needed.")
    return value


def _check_config(config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check the sizes that are asked for against those of the tensors that are there."""
    classes, dim = (_whole(config, name, least) for name, least in (("num_classes", 0), ("dim", 1)))
    if classes > MOST_CLASSES:
        raise ConfigError(f"config.json says {classes:,} classes; {MOST_CLASSES:,} are the most")
    if (kind := config.get("prior_kind")) not in PRIOR_KINDS:
        raise ConfigError(f"prior_kind is {str(kind)[:80]!r}; it must be one of {PRIOR_KINDS}")
    for name in ("classifier.weight", "image_classifier.weight", "pixel_classifier.weight"):
        if name in shapes and shapes[name][:1] != (classes,):
            raise ConfigError(
                f"{name} has the shape {shapes[name]}, but config.json says {classes} classes"
            )
    if not isinstance(config.get("provenance", {}), dict):
        raise ConfigError("provenance in config.json is no object")
    largest = max([FREE_SIZE, *itertools.chain.from_iterable(shapes.values())])
    for part in ("location", "image", "text"):
        options = config.get(part)
        if options is not None and not isinstance(options, dict):
            raise ConfigError(f"{part} in config.json is a {type(options).__name__}, no object")
        for name, size in _sizes(options or {}):
            most = len(shapes) if name in LAYERS else largest
            if size > most:
                raise ConfigError(
                    f"{name} of the {part} encoder is {size:,}, more than the {len(shapes)} tensors"
                    " of model.safetensors can hold"
                )
    if dim > largest:
        raise ConfigError(f"dim is {dim:,}, but no tensor of model.safetensors is that wide")


def _whole(config: Mapping[str, Any], name: str, least: int) -> int:
    value = config.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(
            f"{name} in config.json is {str(value)[:80]}, no whole number from {least}"
        )
    return value


def _sizes(options: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Give all sizes among the options of an encoder."""
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _sizes(value)
        elif isinstance(value, int) and (
            name in (*LAYERS, *SIZES) or "dim" in name or "num_" in name
        ):
            yield name, value


def _read_classes(path: Path, count: int) -> tuple[ClassRow, ...]:
    try:
        if os.path.lexists(path):
            check_entry(path)
        lines = csv.DictReader(io.StringIO(read_text(path, most_bytes=MOST_CLASS_TABLE)))
        rows = tuple(
            (row["scientific_name"], row["common_name"], int(row["count"]))
            for row in itertools.islice(lines, count + 1)
        )
    except (CspError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise CheckpointError(f"{path} is not a class table ({str(error)[:200]}).") from error
    if len(rows) != count:
        found = f"more than {count}" if len(rows) > count else len(rows)
        raise ConfigError(f"{path} has {found} classes, but config.json says {count}")
    if (wrong := next((row[2] for row in rows if not 0 <= row[2] < MOST_COUNT), None)) is not None:
        raise ConfigError(f"{path} has a count of {str(wrong)[:40]}; counts are from 0 to 2^53")
    if len({row[0] for row in rows}) < count:
        raise ConfigError(f"{path} names a class twice; class names must be unique")
    return rows
