"""Tracing a module to an ONNX file: the operators that torch's exporter has no words for."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.onnx.symbolic_helper import parse_args

OPSET = 18


def _deg2rad(g: Any, degrees: Any) -> Any:
    return _times(g, degrees, math.pi / 180)


def _rad2deg(g: Any, radians: Any) -> Any:
    return _times(g, radians, 180 / math.pi)


def _times(g: Any, values: Any, factor: float) -> Any:
    constant = torch.tensor(factor, dtype=values.type().dtype())
    return g.op("Mul", values, g.op("Constant", value_t=constant))


def _sinh(g: Any, values: Any) -> Any:
    return g.op("Sinh", values)


def _asin(g: Any, values: Any) -> Any:
    """Write an arc sine, which runtimes have in single precision only.

    One step of Newton's method from there gives the digits of double precision, where the slope is
    not near 0; the one encoding that asks for it stays below sine 0.87.
    """
    if values.type().dtype() != torch.float64:
        return g.op("Asin", values)
    first = g.op("Cast", values, to_i=1)  # float
    first = g.op("Cast", g.op("Asin", first), to_i=11)  # double
    miss = g.op("Sub", values, g.op("Sin", first))
    return g.op("Add", first, g.op("Div", miss, g.op("Cos", first)))


@parse_args("v", "is", "b", "none")
def _resize(g: Any, pixels: Any, size: list[int], corners: bool, scales: Any) -> Any:
    """Write resizing without aliases as two products with matrices, as all sizes are known."""
    height, width = pixels.type().varyingSizes()[2:]
    rows = g.op("Constant", value_t=_resizing(height, size[0]))
    columns = g.op("Constant", value_t=_resizing(width, size[1]).T.contiguous())
    return g.op("MatMul", g.op("MatMul", rows, pixels), columns)


def _resizing(before: int, after: int) -> Tensor:
    """Give the matrix ``(after, before)`` by which torch resizes one side."""
    each = torch.eye(before)[None, None]
    with torch.no_grad():
        return F.interpolate(each, (after, before), mode="bilinear", antialias=True)[0, 0].clone()


OPERATORS: dict[str, Callable[..., Any]] = {
    "aten::deg2rad": _deg2rad,
    "aten::rad2deg": _rad2deg,
    "aten::sinh": _sinh,
    "aten::asin": _asin,
    "aten::_upsample_bilinear2d_aa": _resize,
}


def trace(
    module: nn.Module,
    example: Sequence[Tensor],
    *,
    inputs: Sequence[str],
    output: str,
    rows: str,
) -> bytes:
    """Write what a module computes as ONNX, with any number of rows.

    Torch has a newer exporter too. It rounds the plain numbers beside tensors of double precision,
    such as 2π, to single precision, which moves the finest waves of a position encoding by 5e-5.

    Args:
        module: In evaluation mode.
        example: One tensor for each input, all with the same number of rows, at least 2.
        inputs: Their names.
        output: Name of what it gives.
        rows: What to call a row of inputs and output, such as ``places``.

    Returns:
        The content of a ``.onnx`` file, opset 18.

    Raises:
        RuntimeError: If torch cannot export one of the operators, which its message names.
    """
    stream = io.BytesIO()
    # With gradients attention runs as the operators that it is made of, and places are embedded at
    # once: a part at a time would be written down with the number of parts of the example.
    with _operators(), _quiet(), torch.enable_grad():
        torch.onnx.export(
            module,
            tuple(example),
            stream,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=[output],
            dynamic_axes={name: {0: rows} for name in (*inputs, output)},
        )
    return stream.getvalue()


@contextlib.contextmanager
def _operators() -> Iterator[None]:
    for name, symbolic in OPERATORS.items():
        torch.onnx.register_custom_op_symbolic(name, symbolic, OPSET)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in OPERATORS:
            torch.onnx.unregister_custom_op_symbolic(name, OPSET)  # type: ignore[attr-defined]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch says of its exporters, and of shapes that are compared, to itself."""
    log = logging.getLogger("torch.onnx")
    before, shown = log.level, torch._C._jit_onnx_log
    log.setLevel(logging.ERROR)
    # It prints the whole graph of what cannot be written, and turns that on itself.
    torch._C._jit_onnx_log = lambda *said: None
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
        torch._C._jit_onnx_log = shown
