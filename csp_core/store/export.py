"""A model's answer about places or pictures as an ONNX file, checked before it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import csp_core
from csp_core.errors import CheckpointError, ConfigError
from csp_core.files.writing import check_writable, writing
from csp_core.model import DualEncoder
from csp_core.store.answers import BATCHES, PLACES, Answer, answer_of
from csp_core.store.catalog import find_model
from csp_core.store.checkpoint import load_model
from csp_core.store.folder import read_front
from csp_core.store.traced import OPSET, trace

# How far an answer may be off, as a part of the largest number among ours where that is above 1.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Exported:
    """What was written, and how it was checked.

    Args:
        path: The file.
        model: Name of the model.
        of: ``places``, ``images`` or ``both``.
        kind: What it answers with: ``share``, ``relative``, ``probability`` or ``embedding``.
        inputs: Names of its inputs.
        output: Name of its output.
        width: How many classes or dimensions an answer has.
        rows: On how many places or pictures its answers were compared with the model's.
        batches: In batches of how many.
        difference: The largest difference, as a part of the largest number where that is above 1.
        num_bytes: Size of the file.
        left: What else the model knows that the file does not hold, a sentence; empty for nothing.
    """

    path: Path
    model: str
    of: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    width: int
    rows: int
    batches: tuple[int, ...]
    difference: float
    num_bytes: int
    left: str = ""


def export_model(
    name_or_path: str | Path,
    output: str | Path,
    *,
    of: str | None = None,
    embedding: bool = False,
    side: int | None = None,
) -> Exported:
    """Write what a model says of places, of pictures or of both together as an ONNX file.

    The file holds all that it needs: the position encoding, grids of covariates, the networks, the
    calibration and, as metadata, the names of the classes. It is compared with the model on ONNX
    Runtime, at places over the sphere, at the poles and at ±180° or on pictures of noise and
    ramps, and written only where they agree.

    Args:
        name_or_path: As for ``load_model``.
        output: File to write; its name ends in ``.onnx``.
        of: ``places``, ``images`` or ``both``; None for places where the model knows them.
        embedding: Whether to give the embedding though the model has classes.
        side: Of pictures, pixels, where the model names none.

    Returns:
        What was written.

    Raises:
        ConfigError: If the name has another ending, or an option does not fit.
        BadRecordError: If the file cannot be written.
        CheckpointError: If the model has no such answer, cannot be exported, or the file would
            answer otherwise than the model.
    """
    output = Path(output)
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"{output} has another ending; give a name that ends in .onnx.")
    check_writable(output)
    model = load_model(name_or_path)
    front = read_front(find_model(name_or_path))[0]
    content, answer = to_onnx(model, front=front, of=of, embedding=embedding, side=side)
    given = answer.examples()
    sizes = (*BATCHES[answer.of], len(given[0]))
    difference, width = compare(content, answer, given, sizes)
    if not difference <= TOLERANCE:
        raise CheckpointError(
            f"ONNX Runtime answers otherwise than model {model.name!r}, by {difference:.1e} where"
            f" {TOLERANCE:g} is the most; nothing was written."
        )
    with writing(output) as temporary:
        temporary.write_bytes(content)
    return Exported(
        path=output,
        model=model.name,
        of=answer.of,
        kind=answer.kind,
        inputs=answer.inputs,
        output=answer.output,
        width=width,
        rows=len(given[0]),
        batches=sizes,
        difference=difference,
        num_bytes=len(content),
        left=_left(model, answer, asked=of is not None),
    )


def _left(model: DualEncoder, answer: Answer, *, asked: bool) -> str:
    """Say what else the model knows; of pictures only where nobody chose among the parts."""
    parts = []
    if model.image is not None and answer.of == PLACES and not asked:
        together = model.image_classifier is not None and model.places is not None
        more = "--of images and --of both write" if together else "--of images writes"
        parts.append(f"what it says of pictures, which {more}")
    if model.text is not None:
        parts.append("its text encoder, which takes words and is not written")
    return f"The file leaves out {' and '.join(parts)}." if parts else ""


def to_onnx(
    model: DualEncoder,
    *,
    front: Mapping[str, Any] | None = None,
    of: str | None = None,
    embedding: bool = False,
    side: int | None = None,
) -> tuple[bytes, Answer]:
    """Make the content of an ONNX file of what a model says, unchecked.

    Args:
        model: The model, in evaluation mode.
        front: What its card says in its front matter: title, summary and licence.
        of: As for ``export_model``, as are the options behind.
        embedding: Whether to give the embedding though the model has classes.
        side: Of pictures, pixels, where the model names none.

    Returns:
        The content, and what it computes.

    Raises:
        ConfigError: If an option does not fit.
        CheckpointError: If the model has no such answer, or cannot be exported.
    """
    answer = answer_of(model, of=of, embedding=embedding, side=side).eval()
    return _with_metadata(_traced(answer), answer, front or {}), answer


def compare(
    content: bytes, answer: Answer, given: tuple[Tensor, ...], sizes: tuple[int, ...]
) -> tuple[float, int]:
    """Compare the answers of an ONNX file with the model's.

    Args:
        content: Of the file.
        answer: What it should compute.
        given: The inputs, as of ``Answer.examples``.
        sizes: Of the batches, each of the first so many rows.

    Returns:
        The largest difference, as a part of the largest number of ours where that is above 1; and
        how wide an answer is.

    Raises:
        CheckpointError: If ONNX Runtime cannot run the file.
    """
    ours, worst = answer.ours(*given), 0.0
    if not ours.isfinite().all():
        return float("inf"), ours.shape[1]
    scale = max(1.0, float(ours.abs().max()))
    for size, theirs in zip(sizes, _answers(content, answer, given, sizes), strict=True):
        if theirs.shape != ours[:size].shape or not theirs.isfinite().all():
            return float("inf"), ours.shape[1]
        worst = max(worst, float((theirs - ours[:size]).abs().max()) / scale)
    return worst, ours.shape[1]


def _answers(
    content: bytes, answer: Answer, given: tuple[Tensor, ...], sizes: tuple[int, ...]
) -> list[Tensor]:
    """Have ONNX Runtime answer batches of the first so many rows."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4
    batches = [
        {name: part[:size].numpy() for name, part in zip(answer.inputs, given, strict=True)}
        for size in sizes
    ]
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return [torch.from_numpy(session.run(None, batch)[0]) for batch in batches]
    except Exception as error:  # its errors have no base of their own
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"ONNX Runtime cannot run what torch made of model {answer.model.name!r} ({reason});"
            " nothing was written."
        ) from error


def _traced(answer: Answer) -> bytes:
    example = [part[:3] for part in answer.examples()]
    try:
        return trace(answer, example, inputs=answer.inputs, output=answer.output, rows=answer.rows)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"Model {answer.model.name!r} cannot be written as ONNX ({reason[:300]}); models made"
            " of the encodings, networks and image encoders of csp_core can."
        ) from error


def _with_metadata(content: bytes, answer: Answer, front: Mapping[str, Any]) -> bytes:
    """Say in the file what it is, in words and for programs."""
    import onnx

    graph = onnx.load_from_string(content)
    model = answer.model
    graph.producer_name, graph.producer_version = "csp_core", csp_core.__version__
    told = {
        "model": model.name,
        "title": str(front.get("title") or model.name),
        "summary": str(front.get("summary") or ""),
        "license": str(front.get("license") or "unstated"),
        "kind": answer.kind,
        "of": answer.of,
        "inputs": json.dumps(answer.told()[0]),
        "outputs": json.dumps(answer.told()[1]),
    }
    if answer.kind != "embedding":
        told["classes"] = json.dumps(list(model.classes.names), ensure_ascii=False)
        told["common_names"] = json.dumps(list(model.classes.common_names), ensure_ascii=False)
        told["prior_kind"] = model.prior_kind
    graph.doc_string = f"{told['title']}. {told['summary']}".strip()
    for key, value in told.items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    versions = {part.version for part in graph.opset_import if not part.domain}
    if versions != {OPSET}:
        raise CheckpointError(f"torch wrote ONNX opset {sorted(versions)} instead of {OPSET}.")
    found: bytes = graph.SerializeToString()
    return found
