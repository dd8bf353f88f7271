"""Reading the weights of an .onnx file by their names; what it computes is not looked at or run."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from csp_core.errors import CheckpointError

# Field numbers of the published schema: of a model, of its graph, and of a tensor.
GRAPH, TENSOR = 7, 5
DIMS, KIND, FLOATS, WHOLE, NAME, RAW, DOUBLES, PLACE = 1, 2, 4, 5, 8, 9, 10, 14
# How numbers are written, by what the schema calls their kind.
NUMBERS: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    7: np.dtype("<i8"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
ELSEWHERE = 1
MOST_AXES, MOST_TENSORS = 8, 100_000
# An .onnx file begins with the version of its format, a small number, in field 1.
BEGIN = b"\x08"


def is_onnx(path: Path, head: bytes) -> bool:
    """Tell whether a file says that it is one of ONNX, by its ending and its first byte.

    Args:
        path: The file.
        head: Its first byte or more.

    Returns:
        Whether it does.
    """
    return path.suffix.lower() == ".onnx" and head[:1] == BEGIN


def read_onnx(path: Path) -> dict[str, Tensor]:
    """Read the tensors that a file holds.

    Args:
        path: The file.

    Returns:
        Name to tensor; those of other kinds of number are left out.

    Raises:
        CheckpointError: If it is cut short or damaged, or its weights are in another file.
    """
    try:
        data = memoryview(path.read_bytes())
        found: dict[str, Tensor] = {}
        for graph in _parts(data, GRAPH):
            for number, one in enumerate(_parts(graph, TENSOR)):
                if number >= MOST_TENSORS:
                    raise ValueError("too many tensors")
                name, tensor = _tensor(one, path.name)
                if tensor is not None:
                    found[name] = tensor
        return found
    except (
        struct.error, ValueError, IndexError, OverflowError, UnicodeDecodeError, OSError
    ) as error:  # fmt: skip
        raise CheckpointError(
            f"{path.name} is cut short or damaged: get it again from its publisher."
        ) from error


def _tensor(data: memoryview, file: str) -> tuple[str, Tensor | None]:
    fields: dict[int, list[int | memoryview]] = {}
    for field, value in _fields(data):
        fields.setdefault(field, []).append(value)
    name = b"".join(map(bytes, _blocks(fields, NAME))).decode()
    if ELSEWHERE in fields.get(PLACE, ()):
        raise CheckpointError(
            f"{file} keeps its weights in another file beside it; give one that holds them itself,"
            " as it was published."
        )
    kind = NUMBERS.get(next((k for k in fields.get(KIND, ()) if isinstance(k, int)), 0))
    shape = _whole(fields, DIMS)
    if kind is None or len(shape) > MOST_AXES:
        return name, None
    values = _values(fields, kind)
    if min(shape, default=1) < 0 or math.prod(shape) != len(values):
        raise ValueError("a tensor of another size than its values")
    return name, torch.from_numpy(values.astype(kind.newbyteorder("=")).reshape(shape))


def _values(
    fields: dict[int, list[int | memoryview]], kind: np.dtype[Any]
) -> np.ndarray[tuple[int], np.dtype[Any]]:
    """Read the numbers of a tensor, which may be written in several ways."""
    if RAW in fields:
        return np.frombuffer(b"".join(map(bytes, _blocks(fields, RAW))), dtype=kind)
    if kind.itemsize == 2:  # half precision stands in the low bits of whole numbers
        return np.array(_whole(fields, WHOLE), dtype="<u2").view(kind)
    if kind.kind == "i":
        # Numbers below zero are written as if they had no sign.
        return np.array(_whole(fields, 7), dtype="<u8").view("<i8").astype(kind)
    where = FLOATS if kind.itemsize == 4 else DOUBLES
    return np.frombuffer(b"".join(map(bytes, _blocks(fields, where))), dtype=kind)


def _blocks(fields: dict[int, list[int | memoryview]], field: int) -> list[memoryview]:
    return [value for value in fields.get(field, ()) if isinstance(value, memoryview)]


def _whole(fields: dict[int, list[int | memoryview]], field: int) -> list[int]:
    """Read whole numbers, each a field of its own or all packed into one."""
    found: list[int] = []
    for value in fields.get(field, ()):
        if isinstance(value, int):
            found.append(value)
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            found.append(number)
    return found


def _parts(data: memoryview, wanted: int) -> Iterator[memoryview]:
    """Give what stands in one field of a message."""
    for field, value in _fields(data):
        if field == wanted and isinstance(value, memoryview):
            yield value


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Give the fields of a message: whole numbers, or bytes.

    Source:
        The published encoding of Protocol Buffers: each field begins with its number times 8 plus
        how it is written.
    """
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        how, value = key & 7, 0
        if how == VARINT:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if how == BYTES:
            size, at = _varint(data, at)
        elif how in (FOUR, EIGHT):
            size = 4 if how == FOUR else 8
        else:
            raise ValueError("a field that is written in no known way")
        if at + size > len(data):
            raise ValueError("a field beyond the end")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read a whole number of 7 bits a byte, the lowest first."""
    number = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
    raise ValueError("a number that does not end")
