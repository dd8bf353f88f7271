"""A model's answer about places as an ONNX file, which is checked before it is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import csp_core
from csp_core import geo
from csp_core.errors import CheckpointError, ConfigError
from csp_core.files.writing import check_writable, writing
from csp_core.model import PLACE, DualEncoder
from csp_core.model.parts import evaluating
from csp_core.store.catalog import find_model
from csp_core.store.checkpoint import load_model
from csp_core.store.folder import read_front
from csp_core.store.traced import OPSET, trace

# How far an answer may be off, as a part of the largest number among ours where that is above 1.
TOLERANCE = 1e-5
# Places drawn over the sphere for the check, beside the edges of the map, and how many at a time.
DRAWN, BATCHES = 240, (1, 2, 33)
INPUTS = {
    "lonlat": "(places, 2) float32: longitude in [-180, 180] and latitude in [-90, 90], degrees,"
    " WGS84, longitude first; at least one place. Nothing checks the range.",
    "date": "(places,) float32: part of the year in [0, 1), 0 at its first midnight; NaN where"
    " unknown.",
    "hour": "(places,) float32: part of the day in [0, 1), on the clock of the training records;"
    " NaN where unknown.",
}
OUTPUTS = {
    "share": "(places, classes) float32: of the recordings of the listed classes made at a place,"
    " the part that would be of each; rows sum to 1. Not the chance that a class is present.",
    "relative": "(places, classes) float32 in [0, 1]: scores that rank places and classes; no"
    " percentage, and not the chance that a class is present.",
    "probability": "(places, classes) float32 in [0, 1]: the probability that a class is in the"
    " label set of a place, each class by itself.",
    "embedding": "(places, dimensions) float32: the embedding of a place, not normalised.",
}
# Each kind of answer by its name in the file.
NAMES = {"relative": "score"}


@dataclass(frozen=True)
class Exported:
    """What was written, and how it was checked.

    Args:
        path: The file.
        model: Name of the model.
        kind: What it answers with: ``share``, ``relative``, ``probability`` or ``embedding``.
        inputs: Names of its inputs.
        output: Name of its output.
        width: How many classes or dimensions an answer has.
        places: At how many places its answers were compared with the model's.
        batches: In batches of how many.
        difference: The largest difference, as a part of the largest number where that is above 1.
        num_bytes: Size of the file.
    """

    path: Path
    model: str
    kind: str
    inputs: tuple[str, ...]
    output: str
    width: int
    places: int
    batches: tuple[int, ...]
    difference: float
    num_bytes: int


class Answer(nn.Module):
    """What the file computes: the calibrated prior, or the embedding, with times by position.

    Args:
        model: The model.
        kind: ``share``, ``relative``, ``probability`` or ``embedding``.
    """

    def __init__(self, model: DualEncoder, kind: str) -> None:
        super().__init__()
        self.model, self.kind = model, kind
        used = {"lonlat": True, "date": model.uses_date, "hour": model.uses_hour}
        self.inputs = tuple(name for name, uses in used.items() if uses)

    @property
    def output(self) -> str:
        """Name of what the file gives."""
        return NAMES.get(self.kind, self.kind)

    def forward(self, *given: Tensor) -> Tensor:
        """Answer about ``(N, 2)`` degrees and ``(N,)`` times: ``(N, K)`` or ``(N, dim)``."""
        if self.kind == "embedding":
            return self.model.embed_location(**self._named(given))
        logits = self.model.divided(self.model.class_logits(**self._named(given)), PLACE)
        return logits.softmax(dim=1) if self.kind == "share" else logits.sigmoid()

    def ours(self, *given: Tensor) -> Tensor:
        """Answer as the model does when it is asked.

        Args:
            *given: ``(N, 2)`` degrees, and ``(N,)`` times as of ``inputs``.

        Returns:
            ``(N, K)`` or ``(N, dim)``.
        """
        if self.kind != "embedding":
            return self.model.prior(**self._named(given))
        with evaluating(self.model):
            return self.model.embed_location(**self._named(given))

    def _named(self, given: tuple[Tensor, ...]) -> dict[str, Any]:
        return dict(zip(self.inputs, given, strict=True))


def export_model(
    name_or_path: str | Path, output: str | Path, *, embedding: bool = False
) -> Exported:
    """Write what a model says of places as an ONNX file.

    The file holds all that it needs: the position encoding, grids of covariates, the network, the
    calibration and, as metadata, the names of the classes. It is compared with the model on ONNX
    Runtime, at places over the sphere, at the poles and at ±180°, and written only where they
    agree.

    Args:
        name_or_path: As for ``load_model``.
        output: File to write; its name ends in ``.onnx``.
        embedding: Whether to give the embedding of a place though the model has classes.

    Returns:
        What was written.

    Raises:
        ConfigError: If the name has another ending.
        BadRecordError: If the file cannot be written.
        CheckpointError: If the model knows nothing of places, cannot be exported, or the file
            would answer otherwise than the model.
    """
    output = Path(output)
    if output.suffix.lower() != ".onnx":
        raise ConfigError(f"{output} has another ending; give a name that ends in .onnx.")
    check_writable(output)
    model = load_model(name_or_path)
    content, answer = to_onnx(
        model, front=read_front(find_model(name_or_path))[0], embedding=embedding
    )
    given = _places(len(answer.inputs))
    sizes = (*BATCHES, len(given[0]))
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
        kind=answer.kind,
        inputs=answer.inputs,
        output=answer.output,
        width=width,
        places=len(given[0]),
        batches=sizes,
        difference=difference,
        num_bytes=len(content),
    )


def to_onnx(
    model: DualEncoder, *, front: Mapping[str, Any] | None = None, embedding: bool = False
) -> tuple[bytes, Answer]:
    """Make the content of an ONNX file of what a model says of places, unchecked.

    Args:
        model: The model, in evaluation mode.
        front: What its card says in its front matter: title, summary and licence.
        embedding: Whether to give the embedding of a place though the model has classes.

    Returns:
        The content, and what it computes.

    Raises:
        CheckpointError: If the model knows nothing of places, or cannot be exported.
    """
    answer = Answer(model, _kind(model, embedding)).eval()
    return _with_metadata(_traced(answer), answer, front or {}), answer


def compare(
    content: bytes, answer: Answer, given: tuple[Tensor, ...], sizes: tuple[int, ...]
) -> tuple[float, int]:
    """Compare the answers of an ONNX file with the model's.

    Args:
        content: Of the file.
        answer: What it should compute.
        given: The inputs, ``(N, 2)`` and ``(N,)``.
        sizes: Of the batches, each of the first so many places.

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
    """Have ONNX Runtime answer batches of the first so many places."""
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


def _kind(model: DualEncoder, embedding: bool) -> str:
    """Tell what to answer with, or why a model has no answer about places."""
    if model.location is None:
        raise CheckpointError(
            f"Model {model.name!r} knows nothing of places, and only what a model says of places"
            " is exported; `csp models` lists models that do."
        )
    has_classes = model.classifier is not None
    return model.prior_kind if has_classes and not embedding else "embedding"


def _traced(answer: Answer) -> bytes:
    example = [part[:3] for part in _places(len(answer.inputs))]
    try:
        return trace(answer, example, inputs=answer.inputs, output=answer.output, rows="places")
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(
            f"Model {answer.model.name!r} cannot be written as ONNX ({reason[:300]}); models made"
            " of the encodings and networks of csp_core can."
        ) from error


def _places(count: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Draw places over the sphere and take the edges of the map; with times, some unknown."""
    generator = torch.Generator().manual_seed(seed)
    drawn = geo.sphere_points(torch.rand(DRAWN, 2, generator=generator))
    sides = [(lon, lat) for lon in (-180.0, 180.0) for lat in (-60.0, -1.5, 0.0, 45.0, 78.5)]
    poles = [(lon, lat) for lat in (-90.0, 90.0) for lon in (-180.0, -90.0, 0.0, 36.8, 180.0)]
    lonlat = torch.cat((torch.tensor([*sides, *poles, (0.0, 0.0)]), drawn)).float()
    times = []
    for every in range(3, 2 + count):
        time = torch.rand(len(lonlat), generator=generator)
        time[::every] = torch.nan
        times.append(time)
    return (lonlat, *times)


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
        "inputs": json.dumps({name: INPUTS[name] for name in answer.inputs}),
        "outputs": json.dumps({answer.output: OUTPUTS[answer.kind]}),
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
