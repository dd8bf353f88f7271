"""Reading a .tflite file: its constants as tensors, its operators as a graph; nothing is run."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import CheckpointError
from csp_core.importers.flatbuffer import Table

IDENTIFIER = b"TFL3"
# Kinds of number and of operator by their numbers in the published schema; of operators those that
# a location prior is made of, others keep their number as their name.
NUMBERS: dict[int, type[np.generic]] = {0: np.float32, 1: np.float16, 2: np.int32}
OPERATORS = {
    0: "ADD",
    2: "CONCATENATION",
    6: "DEQUANTIZE",
    9: "FULLY_CONNECTED",
    14: "LOGISTIC",
    18: "MUL",
    41: "SUB",
    45: "STRIDED_SLICE",
    58: "LESS",
    61: "GREATER",
    66: "SIN",
    70: "EXPAND_DIMS",
    123: "SELECT_V2",
}
ACTIVATIONS = {0: "", 1: "RELU"}
MOST_AXES = 8


@dataclass(frozen=True)
class Operator:
    """One step of a graph.

    Args:
        name: What it does, as in ``OPERATORS``.
        inputs: Numbers of the values that it takes.
        outputs: Numbers of the values that it gives.
        activation: What follows a fully connected layer: ``RELU``, or ``""`` for nothing.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str = ""


@dataclass(frozen=True)
class Graph:
    """What a file computes.

    Args:
        constants: Number of a value to its tensor, single precision or whole numbers.
        operators: The steps.
        inputs: Numbers of the values that are given.
        outputs: Numbers of the values that come out.
    """

    constants: dict[int, Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def maker(self, value: int) -> Operator | None:
        """Find what makes a value.

        Args:
            value: Its number.

        Returns:
            The operator, or None for constants and what is given.
        """
        return next((one for one in self.operators if value in one.outputs), None)

    def constant(self, value: int) -> Tensor | None:
        """Give a constant, also one that is kept in half precision and widened by the graph.

        Args:
            value: Its number.

        Returns:
            The tensor, or None where it is computed.
        """
        if value not in self.constants:
            maker = self.maker(value)
            if maker is None or maker.name != "DEQUANTIZE":
                return None
            value = maker.inputs[0]
        found = self.constants.get(value)
        return found.float() if found is not None and found.is_floating_point() else found


def is_tflite(head: bytes) -> bool:
    """Tell whether a file says that it is one of TensorFlow Lite.

    Args:
        head: Its first 8 bytes or more.

    Returns:
        Whether it does.
    """
    return head[4:8] == IDENTIFIER


def read_tflite(path: Path) -> Graph:
    """Read the constants and operators of a file.

    Args:
        path: The file.

    Returns:
        Its first graph.

    Raises:
        CheckpointError: If it is cut short or damaged.
    """
    try:
        model = Table.root(memoryview(path.read_bytes()))
        graph = model.tables(2)[0]
        buffers = [buffer.octets(0) for buffer in model.tables(4)]
        # The older field holds at most 127, and the newer one is absent in older files.
        codes = [max(one.number(0, "b"), one.number(3, "i")) for one in model.tables(1)]
        constants = {
            number: found
            for number, tensor in enumerate(graph.tables(0))
            if (found := _constant(tensor, buffers)) is not None
        }
        operators = tuple(_operator(one, codes) for one in graph.tables(3))
        return Graph(constants, operators, graph.numbers(1), graph.numbers(2))
    except (struct.error, ValueError, IndexError, OSError) as error:
        raise CheckpointError(
            f"{path.name} is cut short or damaged: get it again from its publisher."
        ) from error


def _constant(tensor: Table, buffers: list[memoryview]) -> Tensor | None:
    """Read a tensor whose values the file holds; None of one that is computed or of other kinds."""
    octets, kind = buffers[tensor.number(2, "I")], NUMBERS.get(tensor.number(1, "b"))
    shape = tensor.numbers(0)
    if not len(octets) or kind is None:
        return None
    size = math.prod(shape) * np.dtype(kind).itemsize
    if len(shape) > MOST_AXES or min(shape, default=1) < 0 or size != len(octets):
        raise ValueError("a tensor of another size than its values")
    return torch.from_numpy(np.frombuffer(octets, dtype=kind).reshape(shape).copy())


def _operator(one: Table, codes: list[int]) -> Operator:
    code = codes[one.number(0, "I")]
    name = OPERATORS.get(code, f"operator {code}")
    activation = ""
    if name == "FULLY_CONNECTED" and (options := one.nested(4)) is not None:
        number = options.number(0, "b")
        activation = ACTIVATIONS.get(number, f"activation {number}")
    return Operator(name, one.numbers(1), one.numbers(2), activation)
