"""The steps of a pickle, carried out on inert values within bounds of time, memory and nesting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from csp_core.errors import BadRecordError

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
# A list of all patches has some 25 million steps, and its vectors lie about ten levels deep.
MOST_STEPS = 60_000_000
MOST_DEEP = 100
# What is built holds as much as the file or a few times that; more only if parts are used again
# and again, as no table is written.
MOST_TIMES = 16
MOST_KEYS = 8  # texts of a tuple that is a key


class Built:
    """What a table may build and a pickle may give a state to, once, later."""

    def take(self, state: Any) -> None:
        """Keep the state that the pickle gives.

        Args:
            state: Any inert value.
        """
        raise TypeError(f"{type(self).__name__} has no state")

    def __len__(self) -> int:
        """Tell how many values it holds of its own."""
        return 0


@dataclass(frozen=True)
class _Name:
    """A name of the table that stands on the stack, waiting for its arguments."""

    name: str


@dataclass
class Machine:
    """The stack and the memory of a pickle that is being read.

    What was fetched from the memory is changed no more, so nothing holds itself, and how deep each
    value is nested is known when it is put into another.
    """

    allowed: Table
    file: str
    room: int
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    deep: dict[int, int] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)

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
            self.stack[at:] = [self.hold(tuple(self.stack[at:]))]
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

    def hold(self, whole: Any) -> Any:
        """Note how deep a new list, tuple or dictionary is nested."""
        self.nest(whole, 0, whole)
        return whole

    def nest(self, whole: Any, deep: int, parts: Iterable[Any]) -> None:
        """Note how deep something is nested that is given parts."""
        for part in parts:
            if isinstance(part, _HOLDERS):
                deep = max(deep, self.deep[id(part)])
        if deep >= MOST_DEEP:
            self.bound(f"more than {MOST_DEEP} levels of nesting")
        self.deep[id(whole)] = deep + 1

    def change(self, kind: type[Any], parts: Iterable[Any]) -> Any:
        """Give what is on top of the stack, to be given more parts."""
        top = self.stack[-1]
        if not isinstance(top, kind) or id(top) in self.closed:
            self.bound(f"a change of {type(top).__name__}")
        self.nest(top, self.deep[id(top)] - 1, parts)
        return top

    def pairs(self, items: list[Any]) -> dict[Any, Any]:
        """Pair keys and values; keys are text, small numbers or a few texts."""
        for key in items[::2]:
            many = isinstance(key, tuple) and len(key) <= MOST_KEYS
            known = all(isinstance(one, str) for one in (key if many else [key]))
            if not known and not (isinstance(key, int) and key.bit_length() < 32):
                self.bound(f"a key of type {type(key).__name__}")
        return dict(zip(items[::2], items[1::2], strict=True))

    def fetch(self, key: int) -> None:
        """Put a value from the memory on the stack, which is changed no more."""
        value = self.memo[key]
        if isinstance(value, (list, dict, Built)):
            self.closed.add(id(value))
        self.stack.append(value)

    def weigh(self, value: Any, level: int = 0) -> None:
        """Subtract what something is built of from what may be built of this file."""
        many = isinstance(value, (list, tuple))
        flat = (bytes, bytearray, Built, str) if level < 2 else (bytes, bytearray, Built)
        if many or isinstance(value, flat):
            self.room -= len(value)
            if self.room < 0:
                self.bound(f"more than {MOST_TIMES} times what the file holds")
        if many and level < 4:
            for part in value:
                self.weigh(part, level + 1)

    def name(self, name: str) -> None:
        """Put an allowed name on the stack."""
        if name not in self.allowed:
            self.refuse(name[:100])
        self.stack.append(_Name(name))

    def build(self, what: Any, args: Any) -> None:
        """Build what a name stands for from its arguments, by the table."""
        if not isinstance(what, _Name) or not isinstance(args, tuple):
            self.refuse(f"a call of {type(what).__name__}")
        # Classes among the arguments, such as numpy.ndarray, are told by their names alone.
        plain = tuple(arg.name if isinstance(arg, _Name) else arg for arg in args)
        self.weigh(plain)
        self.stack.append(made := self.allowed[what.name](*plain))
        if isinstance(made, _HOLDERS):
            self.deep[id(made)] = self.deep[id(args)]

    def state(self) -> None:
        """Give the state on top of the stack to what stands below it."""
        state = self.stack.pop()
        self.weigh(state)
        # The memory may hold the node itself, so it stays the same object.
        self.change(Built, (state,)).take(state)

    def bound(self, what: str) -> NoReturn:
        """Say what no table asks for."""
        raise BadRecordError(
            f"the pickle asks for {what}; no table does, and nothing of it was carried out",
            file=self.file,
        )

    def refuse(self, what: str) -> NoReturn:
        """Say what is not read."""
        raise BadRecordError(
            f"the pickle asks for {what}, which is none of the {len(self.allowed)} things that are"
            " read from a pickle; nothing of it was carried out",
            file=self.file,
        )


# What may hold other values.
_HOLDERS = (list, tuple, dict, Built)


def _extend(machine: Machine, arg: Any) -> None:
    items = machine.above_mark()
    machine.change(list, items).extend(items)


def _append(machine: Machine, arg: Any) -> None:
    item = machine.stack.pop()
    machine.change(list, (item,)).append(item)


def _set_items(machine: Machine, arg: Any) -> None:
    items = machine.pairs(machine.above_mark())
    machine.change(dict, items.values()).update(items)


def _set_item(machine: Machine, arg: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.change(dict, (value,)).update(machine.pairs([key, value]))


def _dictionary(machine: Machine, arg: Any) -> None:
    items = machine.pairs(machine.above_mark())
    machine.stack.append(machine.hold({}))
    machine.change(dict, items.values()).update(items)


def _stack_name(machine: Machine, arg: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        machine.refuse(f"a name of type {type(name).__name__} in {type(module).__name__}")
    machine.name(f"{module}.{name}")


def _call(machine: Machine, arg: Any) -> None:
    args, what = machine.stack.pop(), machine.stack.pop()
    machine.build(what, args)


def _remember(machine: Machine, arg: Any) -> None:
    key, top = len(machine.memo) if arg is None else arg, machine.stack[-1]
    if not 0 <= key < MOST_STEPS or machine.memo.setdefault(key, top) is not top:
        machine.bound("a place in the memory that is taken or none")


_STEPS: dict[str, Callable[[Machine, Any], Any]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, arg: None),
    **dict.fromkeys(("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"), _remember),
    **dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"),
        lambda machine, arg: machine.fetch(arg),
    ),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _call),
    "MARK": lambda machine, arg: machine.stack.append(_MARK),
    "POP": lambda machine, arg: machine.stack.pop(),
    "POP_MARK": lambda machine, arg: machine.above_mark(),
    "EMPTY_LIST": lambda machine, arg: machine.stack.append(machine.hold([])),
    "EMPTY_DICT": lambda machine, arg: machine.stack.append(machine.hold({})),
    "DICT": _dictionary,
    "LIST": lambda machine, arg: machine.stack.append(machine.hold(machine.above_mark())),
    "TUPLE": lambda machine, arg: machine.stack.append(machine.hold(tuple(machine.above_mark()))),
    "APPEND": _append,
    "APPENDS": _extend,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": lambda machine, arg: machine.name(arg.replace(" ", ".", 1)),
    "STACK_GLOBAL": _stack_name,
    "BUILD": lambda machine, arg: machine.state(),
}
