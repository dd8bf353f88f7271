"""Model directories: save, load and list models, with their cards.

A model is a folder of ``model.safetensors``, ``config.json``, ``classes.csv``,
``calibration.json``, ``metrics.json``, ``support.safetensors`` and ``README.md``, with images also
``image_stats.safetensors``, with texts ``tokenizer.json``. Nothing in it is ever executed.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from csp_core.data.names import clashes
from csp_core.data.records import ClassTable
from csp_core.errors import CheckpointError, ConfigError, CspError
from csp_core.files import (
    atomic_directory,
    harmless,
    load_tensors,
    save_tensors,
    write_json,
    write_text,
)
from csp_core.image import ImageEncoder, make_image_encoder
from csp_core.image.stats import ImageStats
from csp_core.location import LocationEncoder, make_location_encoder
from csp_core.model import SIDES, DualEncoder, Grouped, Heads, LowRank, Support
from csp_core.store.borrowing import borrow, described, lender
from csp_core.store.bounded import SPARE_CALLS, SPARE_VALUES, Bounded
from csp_core.store.catalog import find_listed, find_model
from csp_core.store.folder import (
    FORMAT,
    Contents,
    read_contents,
    read_mapping,
    read_model_config,
)
from csp_core.store.text_side import read_text_side, write_text_side
from csp_core.text import TextEncoder, TextTransformer, make_text_encoder

log = logging.getLogger(__name__)
# What the parts of a model raise on values that they were not made for.
UNFIT = (
    *(CspError, ArithmeticError, AttributeError, LookupError, OSError),
    *(RuntimeError, TypeError, ValueError),
)
STATS = "image_stats.safetensors"
# What building a model may allocate (16 MB) and call beside what its tensors account for.


def save_model(
    model: DualEncoder,
    directory: str | Path,
    *,
    metrics: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
    dtype: str = "float32",
) -> Path:
    """Write a model directory, whole or not at all.

    Args:
        model: A model made from named components.
        directory: Where it shall stand; one that stood there is replaced.
        metrics: Content of ``metrics.json``: split name to metrics.
        provenance: How it was made (configuration, versions, data), kept in ``config.json``.
        texts: Further text files by name, such as ``README.md`` (the card) and ``LICENSE``.
        dtype: ``float16`` writes the matrices among the weights in half precision, in half the
            space; they are read back in single precision.

    Returns:
        The directory.

    Raises:
        BadRecordError: If two of its classes have one name but for case, spaces or the form of a
            letter.
        CheckpointError: If the model has parts that no name describes, or writing fails.
    """
    model.classes.check_distinct()
    config = {
        "format": FORMAT,
        "name": model.name,
        **_encoders(model),
        "heads": _heads(model).to_dict(),
        "dim": model.dim,
        "bias": model.bias,
        "prior_kind": model.prior_kind,
        "num_classes": len(model.classes),
        **({} if model.classes.records is None else {"records": model.classes.records}),
        **described(model),
        "provenance": dict(provenance or {}),
    }
    texts = {"README.md": _plain_card(model), **(texts or {})}
    try:
        with atomic_directory(directory) as folder:
            save_tensors(folder / "model.safetensors", _tensors(model, dtype))
            write_json(folder / "config.json", config)
            write_text(folder / "classes.csv", _classes_csv(model.classes))
            write_text_side(folder, model.text)
            images, pixels = model.image_classifier is not None, model.pixel_classifier is not None
            calibration = model.calibration.to_dict(images=images, pixels=pixels)
            write_json(folder / "calibration.json", calibration)
            write_json(folder / "metrics.json", dict(metrics or {}))
            if model.image_stats is not None:
                save_tensors(folder / STATS, model.image_stats.tensors())
            if model.support is not None:
                save_tensors(folder / "support.safetensors", model.support.tensors())
                write_json(folder / "support.json", {"cell_degrees": model.support.cell_degrees})
            for name, text in texts.items():
                write_text(folder / name, text)
    except OSError as error:
        raise CheckpointError(f"Cannot write the model to {directory} ({error}).") from error
    return Path(directory)


def halve(model: torch.nn.Module) -> None:
    """Round the matrices among the weights to half precision, as ``dtype="float16"`` writes them.

    Vectors and fixed tensors, such as the frequencies of a position encoding, are few and stay.

    Args:
        model: The model; it still computes in single precision.

    Raises:
        CheckpointError: If a weight is too large for half precision.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            rounded = parameter.detach().half().to(parameter.dtype)
            if not rounded.isfinite().all():
                raise CheckpointError(f"{name} holds weights too large for float16; use float32.")
            parameter.data.copy_(rounded)


def _tensors(model: torch.nn.Module, dtype: str) -> dict[str, torch.Tensor]:
    if dtype not in ("float32", "float16"):
        raise ConfigError(f"dtype is {dtype!r}; give 'float32' or 'float16'.")
    tensors: dict[str, torch.Tensor] = model.state_dict()
    if dtype == "float16":
        halve(model)
        matrices = {name for name, value in model.named_parameters() if value.ndim > 1}
        tensors = {n: t.half() if n in matrices else t for n, t in tensors.items()}
    return tensors


def load_model(name_or_path: str | Path) -> DualEncoder:
    """Load a model by its bundled name or its directory.

    Args:
        name_or_path: A name that ``list_models`` lists, a model directory, a run directory, or
            ``hf:OWNER/NAME``, with ``@REVISION`` for one of its revisions, which is fetched.

    Returns:
        The model, in evaluation mode, on the CPU.

    Raises:
        UnknownNameError: If it is neither a known name nor a folder.
        ConfigError: If it begins with ``hf:`` and is no name of a model on the hub.
        CheckpointError: If the folder is damaged, incomplete or of another program.
    """
    folder = find_model(name_or_path)
    read_model_config(folder)  # a model of another program is told as that first
    try:
        model = _load(folder)
    except CheckpointError:
        raise
    except UNFIT as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"The model in {folder} does not fit together ({reason[:400]}). Copy the whole folder"
            " again, or train anew."
        ) from error
    return model.eval()


def _load(folder: Path) -> DualEncoder:
    contents = read_contents(folder)
    model = _build(contents)
    read_text_side(folder, model.text)
    _check_shapes(model, contents.shapes)
    model.load_state_dict(_finite(load_tensors(folder / "model.safetensors")))
    if isinstance(model.image_classifier, Grouped):
        model.image_classifier.check()
    borrow(model, contents.config, _lent)
    model.calibration = contents.calibration
    if (folder / STATS).is_file():
        model.image_stats = ImageStats(**_finite(load_tensors(folder / STATS)))
    if (folder / "support.safetensors").is_file():
        degrees = float(read_mapping(folder / "support.json")["cell_degrees"])
        counts = load_tensors(folder / "support.safetensors")
        model.support = Support(**counts, num_classes=len(model.classes), cell_degrees=degrees)
    return model


def _lent(name: str) -> DualEncoder:
    """Load a model that another borrows from: only one that is listed, by its name."""
    folder = find_listed(name)
    if lender(read_model_config(folder)) is not None:
        raise ConfigError(f"model {name!r}, whose prior it borrows, borrows one itself")
    return load_model(folder)


def _check_shapes(model: DualEncoder, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Check, before they are read, that the tensors of a file are those of the model."""
    needed = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in sorted(needed.keys() | shapes.keys()):
        if needed.get(name) != shapes.get(name):
            wanted, found = (str(each.get(name, "none")) for each in (needed, shapes))
            raise ConfigError(
                f"{name[:200]}: config.json describes {wanted}, model.safetensors holds {found}"
            )


def _finite(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ConfigError(f"{name} holds values that are no finite numbers")
    return tensors


def _build(contents: Contents) -> DualEncoder:
    config, heads = contents.config, contents.heads
    location, image, text = (config.get(side) for side in ("location", "image", "text"))
    files = [(each or {}).get("weights") for each in (image, text)]
    if any(files) or ((location or {}).get("covariates") or {}).get("source"):
        raise ConfigError("config.json names further files; a model holds all that it needs")
    columns = list(zip(*contents.classes, strict=True))
    if same := clashes(columns[0] if columns else ()):
        log.warning(
            "%s has classes that differ only in case, spaces or the form of a letter: %s. Ask for"
            " them just as they are written.",
            harmless(str(config["name"])[:200]),
            harmless("; ".join(" = ".join(map(repr, group)) for group in same[:5])),
        )
    held = sum(math.prod(shape) for shape in contents.shapes.values())
    # Some parts are made and discarded, so that a seed gives the weights it always gave.
    values, calls = SPARE_VALUES + 4 * held, SPARE_CALLS + 200 * len(contents.shapes)
    reason = "config.json describes far more weights than model.safetensors holds"
    with Bounded(values, reason, calls=calls):
        names, common, counts = columns or ((), (), ())
        table = ClassTable(names, common, counts, config.get("records"))
        return DualEncoder(
            make_image_encoder(**image) if image else None,
            make_location_encoder(dim=config["dim"], **location) if location else None,
            text=make_text_encoder(dim=config["dim"], **text) if text else None,
            dim=config["dim"],
            classes=table,
            bias=config["bias"],
            prior_kind=config["prior_kind"],
            name=str(config["name"])[:200],
            heads=heads,
        )


def _encoders(model: DualEncoder) -> dict[str, Any]:
    """Describe the encoders that there are, by name and options."""
    found: dict[str, Any] = {}
    kinds: dict[str, type[LocationEncoder | ImageEncoder | TextEncoder]]
    kinds = {"location": LocationEncoder, "image": ImageEncoder, "text": TextEncoder}
    for side, kind in kinds.items():
        encoder = getattr(model, side)
        if encoder is None:
            continue
        if not isinstance(encoder, kind) or not encoder.spec:
            raise CheckpointError(
                "Only models whose encoders were made by name can be saved as a directory; this one"
                f" has modules of your own ({side}). Save its state_dict with safetensors instead."
            )
        if isinstance(encoder, TextTransformer) and encoder.vocabulary is None:
            raise CheckpointError(
                f"The text encoder of model {model.name!r} has no vocabulary yet: call its"
                " fit_captions before."
            )
        found[side] = encoder.spec
    if not found:
        raise CheckpointError(f"Model {model.name!r} has no encoder, so there is nothing to save.")
    return found


def _heads(model: DualEncoder) -> Heads:
    """Tell the heads that there are, with the temperatures as they were learned."""
    has = {"image": model.image_classifier, "location": model.classifier}
    scales = [] if model.log_scale is None else model.log_scale.detach().exp().tolist()
    return Heads(
        image=None if model.image_head is None else model.heads.image,
        location=None if model.location_head is None else model.heads.location,
        classifiers=tuple(side for side in SIDES if has[side] is not None),
        temperatures=tuple(round(1 / scale, 6) for scale in scales) or None,
        token=getattr(model.image, "token", None) is not None,
        pixels=model.pixel_classifier is not None,
        tokens=0 if model.token_heads is None else model.heads.tokens,
        bias=model.logit_bias is not None,
        fine=model.image_classifier.fine.out_features
        if isinstance(model.image_classifier, Grouped)
        else 0,
        rank=model.heads.rank if isinstance(model.classifier, LowRank) else 0,
    )


def _classes_csv(classes: ClassTable) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["class", "scientific_name", "common_name", "count"])
    columns = zip(classes.names, classes.common_names, classes.counts, strict=True)
    writer.writerows((label, *row) for label, row in enumerate(columns))
    return stream.getvalue()


def _plain_card(model: DualEncoder) -> str:
    front = yaml.safe_dump({"title": model.name, "license": "unstated"}, sort_keys=False)
    what = f"A {model.prior_kind} prior over {len(model.classes)} classes"
    if model.prior_kind == "probability":
        what = f"Label sets of {len(model.classes)} classes by their places"
    if model.classifier is None:
        side = "image" if model.location is None else "location"
        what = f"A pre-trained {side} encoder without classes"
    if model.image_classifier is not None:
        several = ", several a picture" if model.prior_kind == "probability" else ""
        what = f"What is in pictures, of {len(model.classes)} classes{several}"
    elif model.pixel_classifier is not None:
        what = f"What each pixel of a picture is, of {len(model.classes)} classes"
    body = f"{what}, saved without a card."
    return f"---\n{front}---\n\n# {model.name}\n\n{body}\n"


def count_parameters(model: torch.nn.Module) -> int:
    """Count the weights of a module.

    Args:
        model: The module.

    Returns:
        Number of parameters.
    """
    return sum(parameter.numel() for parameter in model.parameters())
