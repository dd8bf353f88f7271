"""Pickles read as inert values: nothing that they name is looked up, imported or called."""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from csp_core.errors import BadRecordError, DataNotFoundError

# What a pickle may build, by the name that it gives it: functions of ours, given its arguments.
Table = Mapping[str, Callable[..., Any]]
# Text and numbers that stand in the opcode itself.
_PLAIN = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("BYTEARRAY8", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    }
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


@dataclass
class Node:
    """Something that a pickle builds from parts.

    Args:
        kind: What it is, as its table calls it.
        args: What it was built from.
        state: What was given to it later, or None.
    """

    kind: str
    args: tuple[Any, ...]
    state: Any = None

    def take(self, state: Any) -> Node:
        """Keep the state that the pickle gives.

        Args:
            state: Any inert value.

        Returns:
            This node.
        """
        self.state = state
        return self


def keep(kind: str) -> Callable[..., Node]:
    """Make a function that keeps its arguments as a node.

    Args:
        kind: What to call the node.

    Returns:
        The function.
    """
    return lambda *args: Node(kind, args)


@dataclass(frozen=True)
class _Name:
    """A name of the table that stands on the stack, waiting for its arguments."""

    name: str


@dataclass
class _Machine:
    """The stack and the memory of a pickle that is being read."""

    allowed: Table
    file: str
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def step(self, code: str, arg: Any) -> None:
        """Carry out one opcode."""
        if code in _PLAIN:
            self.stack.append(arg)
        elif code in _CONSTANTS:
            self.stack.append(_CONSTANTS[code])
        elif code in _TUPLES:
            at = len(self.stack) - _TUPLES[code]
            if at < 0:
                raise IndexError("tuple of more than there is")
            self.stack[at:] = [tuple(self.stack[at:])]
        elif code in _STEPS:
            _STEPS[code](self, arg)
        else:
            self.refuse(f"the opcode {code}")

    def above_mark(self) -> list[Any]:
        """Take what stands above the last mark, and the mark."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise IndexError("no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def name(self, name: str) -> None:
        """Put an allowed name on the stack."""
        if name not in self.allowed:
            self.refuse(name)
        self.stack.append(_Name(name))

    def build(self, what: Any, args: Any) -> None:
        """Build what a name stands for from its arguments, by the table."""
        if not isinstance(what, _Name) or not isinstance(args, tuple):
            self.refuse(f"a call of {type(what).__name__}")
        # Classes among the arguments, such as numpy.ndarray, are told by their names alone.
        plain = tuple(arg.name if isinstance(arg, _Name) else arg for arg in args)
        self.stack.append(self.allowed[what.name](*plain))

    def state(self) -> None:
        """Give the state on top of the stack to what stands below it."""
        state = self.stack.pop()
        if not hasattr(self.stack[-1], "take"):
            self.refuse(f"a state for {type(self.stack[-1]).__name__}")
        # The memory may hold the node itself, so it stays the same object.
        self.stack[-1].take(state)

    def refuse(self, what: str) -> NoReturn:
        """Say what is not read."""
        raise BadRecordError(
            f"the pickle asks for {what}, which is none of the {len(self.allowed)} things that are"
            " read from a pickle; nothing of it was carried out",
            file=self.file,
        )


def _extend(machine: _Machine, arg: Any) -> None:
    items = machine.above_mark()
    machine.stack[-1].extend(items)


def _append(machine: _Machine, arg: Any) -> None:
    item = machine.stack.pop()
    machine.stack[-1].append(item)


def _set_items(machine: _Machine, arg: Any) -> None:
    items = _pairs(machine.above_mark())
    machine.stack[-1].update(items)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _set_item(machine: _Machine, arg: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1][key] = value


def _stack_name(machine: _Machine, arg: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name(f"{module}.{name}")


def _call(machine: _Machine, arg: Any) -> None:
    args, what = machine.stack.pop(), machine.stack.pop()
    machine.build(what, args)


def _remember(machine: _Machine, arg: Any) -> None:
    machine.memo[len(machine.memo) if arg is None else arg] = machine.stack[-1]


_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, arg: None),
    **dict.fromkeys(("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"), _remember),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"),
        lambda machine, arg: machine.stack.append(machine.memo[arg]),
    ),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _call),
    "MARK": lambda machine, arg: machine.stack.append(_MARK),
    "POP": lambda machine, arg: machine.stack.pop(),
    "POP_MARK": lambda machine, arg: machine.above_mark(),
    "EMPTY_LIST": lambda machine, arg: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, arg: machine.stack.append({}),
    "DICT": lambda machine, arg: machine.stack.append(_pairs(machine.above_mark())),
    "LIST": lambda machine, arg: machine.stack.append(machine.above_mark()),
    "TUPLE": lambda machine, arg: machine.stack.append(tuple(machine.above_mark())),
    "APPEND": _append,
    "APPENDS": _extend,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": lambda machine, arg: machine.name(arg.replace(" ", ".", 1)),
    "STACK_GLOBAL": _stack_name,
    "BUILD": lambda machine, arg: machine.state(),
}


def read_inert(path: str | Path, allowed: Table) -> Any:
    """Read a pickle opcode by opcode, without running anything that it names.

    Lists, dictionaries, tuples, numbers and text are read as what they are. A name is compared with
    the table, and what is built under it is built by the function there, of the given arguments. No
    name leads to an import, so that nothing of the file is carried out.

    Args:
        path: The pickle.
        allowed: Full name, such as ``numpy.dtype``, to what makes it of its arguments. What is to
            be given a state later has a method ``take``.

    Returns:
        What stands on top of the stack in the end.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is no pickle, or asks for what is not in the table.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFoundError(f"No file {path}.")
    machine = _Machine(allowed, path.name)
    try:
        with path.open("rb") as stream:
            for opcode, arg, _ in pickletools.genops(stream):
                machine.step(opcode.name, arg)
        return machine.stack.pop()
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        if isinstance(error, BadRecordError):
            raise
        said = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise BadRecordError(f"not a pickle that can be read ({said})", file=path.name) from error
