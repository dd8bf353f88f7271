"""Tables of pandas in pickles, read as columns with neither pandas nor anything else run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from csp_core.data.inert import FAULTS, Node, keep, read_inert, said
from csp_core.data.pickle_steps import Built
from csp_core.errors import BadRecordError

# Booleans, whole numbers, floating-point numbers, bytes and text; objects stand in lists.
KINDS = re.compile(r"[<>|=]?(?:[biuf][1248]|[SU]\d{1,4}|O8?|\?)")
MOST_COLUMNS = 10_000


def _known(value: Any, *kinds: type[Any]) -> Any:
    """Give a value of known kind; of others only the kind is told, as they may be endless."""
    if type(value) not in kinds:
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"a {type(value).__name__} where {wanted} stands in tables")
    return value


class _Type(Built):
    """A kind of number, as NumPy writes it in pickles."""

    def __init__(self, name: str, *_: Any) -> None:
        if not KINDS.fullmatch(_known(name, str)):
            raise ValueError(f"a column of kind {name[:20]!r}")
        self.name = name

    def take(self, state: tuple[Any, ...]) -> None:
        order = _known(state[1], str)
        self.name = (order if order in "<>|=" else "") + self.name.lstrip("<>|=")

    @property
    def kind(self) -> np.dtype[Any]:
        return np.dtype(self.name.replace("O8", "O"))


class _Array(Built):
    """An array that is filled by its state."""

    def __init__(self, *_: Any) -> None:
        self.values: npt.NDArray[Any] = np.empty(0)

    def __len__(self) -> int:
        return int(self.values.size)

    def take(self, state: tuple[Any, ...]) -> None:
        shape, kind, by_columns, content = state[-4:]
        self.values = _filled(content, kind, shape, "F" if by_columns else "C")


def _filled(content: Any, kind: _Type, shape: Any, order: str) -> npt.NDArray[Any]:
    found: npt.NDArray[Any]
    if kind.kind.hasobject:
        found = _objects([_plain(one) for one in _known(content, list)])
    else:
        found = np.frombuffer(_letters(content), kind.kind)
    sides = tuple(_known(side, int) for side in _known(shape, tuple))
    return found.reshape(sides, order=_order(order))


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Put values into ``(N,)`` objects, arrays among them as one each."""
    found = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        found[row] = value
    return found


def _order(order: str) -> Any:
    return "F" if _known(order, str) == "F" else "C"


def _buffer(content: Any, kind: _Type, shape: Any, order: str = "C", axes: Any = None) -> _Array:
    made = _Array()
    made.values = _filled(content, kind, shape, "C" if order is None else order)
    if axes is not None:
        made.values = made.values.transpose([_known(axis, int) for axis in axes])
    return made


def _scalar(kind: _Type, content: Any) -> Any:
    return _plain(content) if kind.kind.hasobject else _filled(content, kind, (1,), "C")[0].item()


def _strings(reduced: tuple[Any, ...]) -> _Array:
    """Read an Arrow array of text: bits of what is there, where each text begins, all letters."""
    kind, length, _, first, buffers = _known(reduced, tuple)[:5]
    there, starts, letters = ([*_known(buffers, list, tuple), None, None, None])[:3]
    wide = _known(kind, str) in ("large_string", "large_utf8")
    if not wide and kind not in ("string", "utf8", "str"):
        raise ValueError(f"an Arrow column of {kind[:20]}")
    rows = slice(_known(first, int), first + _known(length, int))
    raw = b"" if letters is None else _letters(letters)
    at = np.frombuffer(_letters(starts), "<i8" if wide else "<i4")[rows.start : rows.stop + 1]
    # One text begins where that before it ends, so that none has more letters than there are.
    if min(first, length) < 0 or len(at) != length + 1 or (at[1:] < at[:-1]).any():
        raise ValueError(f"{length} texts whose beginnings do not fit")
    if at[0] < 0 or at[-1] > len(raw):
        raise ValueError(f"texts beyond their {len(raw)} letters")
    known = np.ones(length, dtype=bool)
    if there is not None:
        known = np.unpackbits(np.frombuffer(_letters(there), np.uint8), bitorder="little")
        known = known[rows].astype(bool)
    ends = at.tolist()
    texts = zip(ends[:-1], ends[1:], known.tolist(), strict=True)
    made = _Array()
    made.values = _objects([raw[a:b].decode("utf-8") if here else None for a, b, here in texts])
    return made


def _chunked(parts: Any, kind: Any = None) -> _Array:
    """Put the parts of an Arrow column of text one behind the other."""
    made = _Array()
    arrays = [_known(part, _Array).values for part in _known(parts, list, tuple)]
    made.values = _objects([one for array in arrays for one in array.tolist()])
    return made


def _text(value: Any, encoding: str = "latin1") -> bytes:
    if _known(encoding, str) not in ("latin1", "latin-1"):
        raise ValueError(f"text encoded as {encoding[:20]}")
    return bytes(_known(value, str).encode("latin1"))


def _letters(content: Any = b"", encoding: str = "latin1") -> bytes:
    """Give bytes of bytes or text; a number would be so many zeros."""
    if isinstance(content, str):
        return _text(content, encoding)
    return bytes(_known(content, bytes, bytearray))


def _part(*args: Any) -> slice:
    return slice(*(_known(one, int, type(None)) for one in args))


def _place(place: Any) -> Any:
    return _known(place, slice, _Array)


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
    "pandas._libs.internals.BlockPlacement": _place,
    "pandas.core.indexes.base._new_Index": keep("index"),
    **{f"{home}.{name}": keep("index") for home in _INDEX_HOMES for name in _INDEXES},
    "pandas.arrays.ArrowStringArray": keep("strings"),
    "pandas.core.arrays.string_arrow.ArrowStringArray": keep("strings"),
    "pandas.core.arrays.string_.StringArray": keep("strings"),
    "pandas.StringDtype": keep("kind"),
    "pandas.core.arrays.string_.StringDtype": keep("kind"),
    "pyarrow.lib._restore_array": _strings,
    "pyarrow.lib.chunked_array": _chunked,
    "pyarrow.lib.type_for_alias": lambda name: _known(name, str),
    "pyarrow.lib.py_buffer": _letters,
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
    except FAULTS as error:
        raise BadRecordError(f"no table that can be read ({said(error)})", file=Path(path).name
                             ) from error  # fmt: skip


def _columns(manager: Node) -> dict[str, npt.NDArray[Any]]:
    if manager.args:
        blocks, axes = manager.args[:2]
        parts = [(one.args[0], one.args[1]) for one in _known(blocks, tuple, list)]
    else:  # before pandas 1.3
        told = manager.state[3]["0.14.1"]
        axes, parts = told["axes"], [(one["values"], one["mgr_locs"]) for one in told["blocks"]]
    names = [str(_known(name, str, int)) for name in _index(axes[0])]
    if len(names) > MOST_COLUMNS or len(parts) > len(names):
        raise ValueError(f"{len(names)} columns in {len(parts)} blocks")
    found: dict[str, npt.NDArray[Any]] = {}
    for values, where in parts:
        array = _plain(values)
        if array.ndim not in (1, 2):
            raise ValueError(f"a block of {array.ndim} dimensions")
        rows = array if array.ndim == 2 else array[None]
        for place, row in zip(_places(where, len(names)), rows, strict=True):
            found[names[place]] = row
    if len(found) != len(names) or len({len(column) for column in found.values()}) > 1:
        raise ValueError("columns are missing or differ in length")
    return {name: found[name] for name in names}


def _places(where: Any, number: int) -> list[int]:
    """Find the places of a block's columns among so many names."""
    if not isinstance(where, slice):
        where = _known(where, _Array).values
        if where.dtype.kind not in "iu" or where.ndim != 1 or len(where) > number:
            raise ValueError(f"a block of columns {where.dtype} {where.shape}")
    found: list[int] = np.arange(number)[where].tolist()
    return found


def _index(node: Node) -> list[Any]:
    told = node.args[1] if len(node.args) == 2 and isinstance(node.args[1], dict) else node.state
    if "data" in told:
        values: list[Any] = _plain(told["data"]).tolist()
        return values
    numbers = range(*(_known(told[name], int) for name in ("start", "stop", "step")))
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
        return _known(values, _Array).values
    return value
