"""Tables of pandas in pickles, read as columns with neither pandas nor anything else run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.inert import Node, keep, read_inert
from csp_core.errors import BadRecordError

# Booleans, whole numbers, floating-point numbers, bytes and text; objects stand in lists.
KINDS = re.compile(r"[<>|=]?(?:[biuf][1248]|[SU]\d{1,4}|O8?|\?)")
MOST_COLUMNS = 10_000


class _Type:
    """A kind of number, as NumPy writes it in pickles."""

    def __init__(self, name: str, *_: Any) -> None:
        if not isinstance(name, str) or not KINDS.fullmatch(name):
            raise ValueError(f"a column of kind {str(name)[:20]!r}")
        self.name = name

    def take(self, state: tuple[Any, ...]) -> None:
        order = str(state[1])
        self.name = (order if order in "<>|=" else "") + self.name.lstrip("<>|=")

    @property
    def kind(self) -> np.dtype[Any]:
        return np.dtype(self.name.replace("O8", "O"))


class _Array:
    """An array that is filled by its state."""

    def __init__(self, *_: Any) -> None:
        self.values: npt.NDArray[Any] = np.empty(0)

    def take(self, state: tuple[Any, ...]) -> None:
        shape, kind, by_columns, content = state[-4:]
        self.values = _filled(content, kind, shape, "F" if by_columns else "C")


def _filled(content: Any, kind: _Type, shape: Any, order: str) -> npt.NDArray[Any]:
    found: npt.NDArray[Any]
    if kind.kind.hasobject:
        found = np.empty(len(content), dtype=object)
        found[:] = [_plain(one) for one in content]
    else:
        raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
        found = np.frombuffer(raw, kind.kind)
    return found.reshape(tuple(int(side) for side in shape), order=_order(order))


def _order(order: str) -> Any:
    return "F" if order == "F" else "C"


def _buffer(content: Any, kind: _Type, shape: Any, order: str = "C", axes: Any = None) -> _Array:
    made = _Array()
    made.values = _filled(content, kind, shape, "C" if order is None else order)
    if axes is not None:
        made.values = made.values.transpose([int(axis) for axis in axes])
    return made


def _scalar(kind: _Type, content: Any) -> Any:
    return _plain(content) if kind.kind.hasobject else _filled(content, kind, (1,), "C")[0].item()


def _strings(reduced: tuple[Any, ...]) -> list[str | None]:
    """Read an Arrow array of text: bits of what is there, where each text begins, all letters."""
    kind, length, _, first, buffers = reduced[:5]
    there, starts, letters = ([*buffers, None, None, None])[:3]
    wide = kind in ("large_string", "large_utf8")
    if not wide and kind not in ("string", "utf8", "str"):
        raise ValueError(f"an Arrow column of {kind}")
    at = np.frombuffer(starts, "<i8" if wide else "<i4")[first : first + length + 1].tolist()
    known = np.ones(length, dtype=bool)
    if there is not None:
        known = np.unpackbits(np.frombuffer(there, np.uint8), bitorder="little")
        known = known[first : first + length].astype(bool)
    raw = b"" if letters is None else bytes(letters)
    return [raw[start:end].decode("utf-8") if here else None
            for start, end, here in zip(at[:-1], at[1:], known.tolist(), strict=True)]  # fmt: skip


def _text(value: Any, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise ValueError(f"text encoded as {encoding}")
    return str(value).encode("latin1")


def _letters(content: Any = b"", encoding: str = "latin1") -> bytes:
    return _text(content) if isinstance(content, str) else bytes(content)


def _part(*args: Any) -> slice:
    return slice(*(None if one is None else int(one) for one in args))


_INDEXES = ("Index", "Int64Index", "UInt64Index", "Float64Index", "NumericIndex", "RangeIndex")
_INDEX_HOMES = ("pandas", "pandas.core.indexes.base", "pandas.core.indexes.range",
                "pandas.core.indexes.numeric")  # fmt: skip
# Every name that pandas and NumPy of some years write, and what is made of it.
ALLOWED: dict[str, Callable[..., Any]] = {
    **{
        f"numpy.{core}.{name}": make
        for core in ("core", "_core")
        for name, make in (
            ("multiarray._reconstruct", _Array),
            ("multiarray.scalar", _scalar),
            ("numeric._frombuffer", _buffer),
        )
    },
    "numpy.dtype": _Type,
    "numpy.ndarray": _Array,
    **{f"{home}.slice": _part for home in ("builtins", "__builtin__")},
    **{f"{home}.bytearray": _letters for home in ("builtins", "__builtin__")},
    "_codecs.encode": _text,
    **{f"pandas{home}.DataFrame": keep("frame") for home in ("", ".core.frame")},
    **{
        f"pandas.{home}.BlockManager": keep("manager")
        for home in ("core.internals.managers", "core.internals", "_libs.internals")
    },
    "pandas._libs.internals._unpickle_block": keep("block"),
    "pandas.core.internals.blocks.new_block": keep("block"),
    "pandas._libs.internals.BlockPlacement": lambda place: place,
    "pandas.core.indexes.base._new_Index": keep("index"),
    **{f"{home}.{name}": keep("index") for home in _INDEX_HOMES for name in _INDEXES},
    "pandas.arrays.ArrowStringArray": keep("strings"),
    "pandas.core.arrays.string_arrow.ArrowStringArray": keep("strings"),
    "pandas.core.arrays.string_.StringArray": keep("strings"),
    "pandas.StringDtype": keep("kind"),
    "pandas.core.arrays.string_.StringDtype": keep("kind"),
    "pyarrow.lib._restore_array": _strings,
    "pyarrow.lib.chunked_array": lambda parts, kind=None: [one for part in parts for one in part],
    "pyarrow.lib.type_for_alias": lambda name: name,
    "pyarrow.lib.py_buffer": lambda content: content,
}


def read_frame(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read the columns of a pandas table from its pickle, without running anything in it.

    Args:
        path: The pickle, of a ``DataFrame`` of numbers, text and arrays.

    Returns:
        Name to ``(N,)`` column; of arrays, a column of them.

    Raises:
        DataNotFoundError: If there is no such file.
        BadRecordError: If it is of another form or asks for what is not in ``ALLOWED``.
    """
    top = read_inert(path, ALLOWED)
    try:
        if not (isinstance(top, Node) and top.kind == "frame"):
            raise ValueError(f"a {type(top).__name__}, not a table of pandas")
        state = top.state
        return _columns(state.get("_mgr", state.get("_data")))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError
            ) as error:  # fmt: skip
        raise BadRecordError(f"no table that can be read ({error})", file=Path(path).name
                             ) from error  # fmt: skip


def _columns(manager: Node) -> dict[str, npt.NDArray[Any]]:
    if manager.args:
        blocks, axes = manager.args[:2]
        parts = [(one.args[0], one.args[1]) for one in blocks]
    else:  # before pandas 1.3
        said = manager.state[3]["0.14.1"]
        axes, parts = said["axes"], [(one["values"], one["mgr_locs"]) for one in said["blocks"]]
    names = [str(name) for name in _index(axes[0])]
    found: dict[str, npt.NDArray[Any]] = {}
    for values, where in parts:
        array = _plain(values)
        rows = array if array.ndim == 2 else array[None]
        places = np.arange(len(names))[where if isinstance(where, slice) else _plain(where)]
        for place, row in zip(places.tolist(), rows, strict=True):
            found[names[place]] = row
    if len(found) != len(names) or len({len(column) for column in found.values()}) > 1:
        raise ValueError("columns are missing or differ in length")
    return {name: found[name] for name in names}


def _index(node: Node) -> list[Any]:
    said = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], dict) else node.state
    if "data" in said:
        values: list[Any] = _plain(said["data"]).tolist()
        return values
    numbers = range(int(said["start"]), int(said["stop"]), int(said["step"]))
    if len(numbers) > MOST_COLUMNS:
        raise ValueError(f"{len(numbers)} columns")
    return list(numbers)


def _plain(value: Any) -> Any:
    """Give the array in a node, and other values as they are."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, Node) and value.kind == "strings":
        state = value.state if isinstance(value.state, dict) else {}
        values = state.get("_pa_array", state.get("_ndarray", state.get("_data")))
        if values is None:
            raise ValueError("text in a form that is not known")
        held = _plain(values)
        if isinstance(held, list):
            array = np.empty(len(held), dtype=object)
            array[:] = held
            return array
        return held
    return value
