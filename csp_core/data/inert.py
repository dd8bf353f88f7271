"""Pickles read as inert values: nothing that they name is looked up, imported or called."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from csp_core.data.pickle_steps import MOST_STEPS, MOST_TIMES, Built, Machine, Table
from csp_core.errors import BadRecordError, DataNotFoundError


@dataclass
class Node(Built):
    """Something that a pickle builds from parts.

    Args:
        kind: What it is, as its table calls it.
        args: What it was built from.
        state: What was given to it later, or None.
    """

    kind: str
    args: tuple[Any, ...]
    state: Any = None

    def take(self, state: Any) -> None:
        """Keep the state that the pickle gives.

        Args:
            state: Any inert value.
        """
        self.state = state


def keep(kind: str) -> Callable[..., Node]:
    """Make a function that keeps its arguments as a node.

    Args:
        kind: What to call the node.

    Returns:
        The function.
    """
    return lambda *args: Node(kind, args)


@dataclass
class _Rest:
    """A file of which no more is asked for than it still holds, whatever lengths it says."""

    stream: IO[bytes]
    size: int

    def read(self, length: int) -> bytes:
        left = self.size - self.stream.tell() if length > 8 else length
        return self.stream.read(min(length, left))

    def readline(self) -> bytes:
        return self.stream.readline()


# What values that are of no known form raise.
FAULTS = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError,
          RecursionError)  # fmt: skip


def said(error: BaseException) -> str:
    """Say in a few words what went wrong, however long the values are.

    Args:
        error: One of ``FAULTS``.

    Returns:
        The beginning of its first line.
    """
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return (str(error).splitlines() or [type(error).__name__])[0][:100]


def read_inert(path: str | Path, allowed: Table) -> Any:
    """Read a pickle opcode by opcode, without running anything that it names.

    Lists, dictionaries, tuples, numbers and text are read as what they are. A name is compared with
    the table, and what is built under it is built by the function there, of the given arguments. No
    name leads to an import, so that nothing of the file is carried out. Lengths, levels, steps and
    what is built are bounded, so that a small file asks for little time and memory.

    Args:
        path: The pickle.
        allowed: Full name, such as ``numpy.dtype``, to what makes it of its arguments. What is to
            be given a state later is a ``Built``.

    Returns:
        What stands on top of the stack in the end.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no pickle, or asks for what is not in the table or for too much.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}.")
    size = path.stat().st_size
    machine = Machine(allowed, path.name, MOST_TIMES * (size + 1000))
    try:
        with path.open("rb") as stream:
            steps = pickletools.genops(cast("IO[bytes]", _Rest(stream, size)))
            for number, (opcode, arg, _) in enumerate(steps):
                if number == MOST_STEPS:
                    machine.bound(f"more than {MOST_STEPS:,} steps")
                machine.step(opcode.name, arg)
        return machine.stack.pop()
    except FAULTS as error:
        if isinstance(error, BadRecordError):
            raise
        raise BadRecordError(
            f"not a pickle that can be read ({said(error)})", file=path.name
        ) from error
