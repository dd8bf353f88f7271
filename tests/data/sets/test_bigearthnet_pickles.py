"""Published lists of patches in pickles: read as tables, and never run."""

from __future__ import annotations

import json
import os
import pickle
import pickletools
import struct
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from csp_core.cli import app
from csp_core.data.frames import ALLOWED, read_frame
from csp_core.data.inert import read_inert
from csp_core.data.sets.bigearthnet_labels import NAMES_19, NAMES_43
from csp_core.data.sets.bigearthnet_pickles import convert_split
from csp_core.errors import BadRecordError, DataNotFoundError

pandas = pytest.importorskip("pandas")
PATCHES = ("S2A_MSIL2A_20170617T113321_36_85", "S2B_MSIL2A_20170924T93021_41_29", "a")


def table(**changed: object):
    hot = np.zeros((3, 43), dtype=np.int64)
    hot[0, [2, 7]], hot[1, 38] = 1, 1
    small = np.zeros((3, 19))
    small[0, [2, 7]] = 1
    return pandas.DataFrame(
        {
            "patch": list(PATCHES),
            "lat": [52.3, 60.1, 46.0],
            "lng": [-6.9, 24.2, 9.1],
            "country": ["Ireland", "Finland", None],
            "date": ["2017-06-17 11:33:21"] * 3,
            "season": ["Summer"] * 3,
            "original_split": ["train"] * 3,
            "multi_hot_labels43": list(hot),
            "multi_hot_labels19": list(small),
            "another": [1, 2, 3],
        }
        | changed
    )


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("text", ["str", "object"])
def test_a_list_of_patches_becomes_parquet(tmp_path, protocol, text):
    frame = table()
    names = [name for name in frame.columns if frame[name].dtype == "str"]
    frame = frame.astype(dict.fromkeys(names, text))
    frame.to_pickle(tmp_path / "train.pkl", protocol=protocol)
    told = convert_split(tmp_path / "train.pkl", tmp_path / "train.parquet")
    assert told["rows"] == 3 and told["left_out"] == ["another"]
    found = pl.read_parquet(tmp_path / "train.parquet")
    assert found["patch_id"].to_list() == list(PATCHES)
    assert found["lon"].to_list() == [-6.9, 24.2, 9.1] and found["lat"].to_list()[0] == 52.3
    assert found["country"].to_list() == ["Ireland", "Finland", None]
    assert found["labels_43"].to_list() == [[NAMES_43[2], NAMES_43[7]], ["Airports"], []]
    assert found["labels_19"].to_list() == [[NAMES_19[2], NAMES_19[7]], [], []]


def test_filtered_tables_and_other_indexes_are_read(tmp_path):
    frame = table().set_index(pandas.Index(["x", "y", "z"]))[lambda rows: rows["lat"] > 50]
    frame.to_pickle(tmp_path / "few.pkl")
    found = read_frame(tmp_path / "few.pkl")
    assert found["patch"].tolist() == list(PATCHES[:2]) and found["another"].tolist() == [1, 2]
    assert [row.tolist() for row in found["multi_hot_labels43"]] == [
        row.tolist() for row in frame["multi_hot_labels43"]
    ]


def test_tables_of_earlier_years_are_read(tmp_path):
    # As pandas 1.1 and NumPy 1 wrote them: the blocks stand in a state, and modules had other
    # names. Written by hand, opcode by opcode.
    kind = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR(K\x03X\x01\x00\x00\x00<NNN"
    kind += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR"
    values = array + b"(K\x01(K\x01K\x02t" + kind + b"\x89C\x10" + np.array([1.5, 2.5]).tobytes()
    objects = b"cnumpy\ndtype\n(X\x02\x00\x00\x00O8K\x00K\x01tR(K\x03X\x01\x00\x00\x00|NNN"
    objects += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
    names = array + b"(K\x01(K\x01t" + objects + b"\x89](X\x03\x00\x00\x00latetb"
    index = b"cpandas.core.indexes.base\n_new_Index\n(cpandas.core.indexes.base\nIndex\n"
    index += b"}(X\x04\x00\x00\x00data" + names + b"X\x04\x00\x00\x00nameNutR"
    block = b"}(X\x06\x00\x00\x00values" + values + b"tbX\x08\x00\x00\x00mgr_locs"
    block += b"cbuiltins\nslice\n(K\x00K\x01K\x01tRu"
    said = b"}X\x06\x00\x00\x000.14.1}(X\x04\x00\x00\x00axes](" + index + b"Ne"
    said += b"X\x06\x00\x00\x00blocks]" + block + b"aus"
    manager = b"cpandas.core.internals.managers\nBlockManager\n)\x81(NNN" + said + b"tb"
    whole = b"\x80\x04cpandas.core.frame\nDataFrame\n)\x81}X\x04\x00\x00\x00_mgr" + manager
    (tmp_path / "old.pkl").write_bytes(whole + b"sb.")
    assert read_frame(tmp_path / "old.pkl")["lat"].tolist() == [1.5, 2.5]


class Malicious:
    def __init__(self, what, *args):
        self.what, self.args = what, args

    def __reduce__(self):
        return self.what, self.args


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("what", "named"), [(os.system, "posix.system"), (eval, r"(__builtin__|builtins)\.eval")]
)
def test_what_a_pickle_would_run_is_named_and_not_run(tmp_path, protocol, what, named):
    target, path = tmp_path / "hurt", tmp_path / "bad.pkl"
    command = f"touch {target}"
    command = f"__import__('os').system({command!r})" if what is eval else command
    hidden = table().assign(country=[Malicious(what, command)] * 3).astype({"country": "object"})
    for value in (Malicious(what, command), hidden):
        path.write_bytes(pickle.dumps(value, protocol=protocol))
        with pytest.raises(BadRecordError, match=named + r"|copy_reg"):
            convert_split(path, tmp_path / "out.parquet")
        assert not target.exists() and not (tmp_path / "out.parquet").exists()
    pickle.loads(pickle.dumps(Malicious(what, command), protocol=protocol))
    assert target.exists()  # so it would have been run


@pytest.mark.parametrize(
    "code",
    [
        b"(S'touch x'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'x'\no.",  # OBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pname\n.",  # PERSID
        b"\x80\x05\x97.",  # NEXT_BUFFER
        b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.",
        b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.",
        b"cnumpy\ndtype\ncnumpy\ndtype\nR.",
        b"I1\nI2\nb.",
        b"cnumpy\ndtype\n(X\x03\x00\x00\x00M8stR.",
        b"(cnumpy\ndtype\nt.",
        b"N.",
        b"R.",
        b"no pickle",
        b"",
    ],
)
def test_opcodes_and_names_beyond_tables_are_refused(tmp_path, code):
    (tmp_path / "odd.pkl").write_bytes(code)
    with pytest.raises(BadRecordError, match=r"odd\.pkl"):
        read_frame(tmp_path / "odd.pkl")


def test_a_pickle_cut_short_anywhere_is_refused(tmp_path):
    whole = pickle.dumps(table())
    for end in range(0, len(whole) - 1, 97):
        (tmp_path / "cut.pkl").write_bytes(whole[:end])
        with pytest.raises(BadRecordError):
            read_frame(tmp_path / "cut.pkl")


def test_plain_values_are_read_as_they_are(tmp_path):
    value = {"a": [1, -2, 2**40, 2.5, None, True], "b": ("x", b"y", [], {}), "c": "x" * 300}
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        content = pickletools.optimize(pickle.dumps(value, protocol=protocol))
        (tmp_path / "plain.pkl").write_bytes(content)
        assert read_inert(tmp_path / "plain.pkl", ALLOWED) == value


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"multi_hot_labels43": [np.zeros(42)] * 3}, r"shape \(3, 42\)"),
        ({"multi_hot_labels43": [np.full(43, 2)] * 3}, "0 or 1"),
        ({"multi_hot_labels43": [np.zeros(43), np.zeros(43), np.zeros(2)]}, "differ in length"),
        ({"lat": ["a", "b", "c"]}, "no column of numbers"),
    ],
)
def test_lists_that_do_not_fit(tmp_path, changed, said):
    table(**changed).to_pickle(tmp_path / "x.pkl")
    with pytest.raises(BadRecordError, match=said):
        convert_split(tmp_path / "x.pkl", tmp_path / "x.parquet")
    table().drop(columns="patch").to_pickle(tmp_path / "x.pkl")
    with pytest.raises(BadRecordError, match="has patch and"):
        convert_split(tmp_path / "x.pkl", tmp_path / "x.parquet")
    with pytest.raises(DataNotFoundError):
        convert_split(tmp_path / "none.pkl", tmp_path / "x.parquet")


# Small files that ask for much time or memory


def framed(column: object) -> bytes:
    """Pickle a list of patches whose countries are given."""
    countries = np.empty(3, dtype=object)
    countries[:] = [column] * 3
    return pickle.dumps(table().assign(country=pandas.Series(countries, dtype="object")))


DOUBLED = b"]q\x00K\x01a" + b"".join(
    b"](h%ch%ceq%c" % (level, level, level + 1) for level in range(60)
)
KEYED = b"}" + b")" + b"\x85" * 1_000_000 + b"K\x01s."
HEAP = b"\x80\x04"
TEXT = b"X\x06\x00\x00\x00latin1"
HUGE = struct.pack("<Q", 2**40)
# What each asked for, once: hours, all memory, or the end of the process.
HOSTILE = {
    "text of lists doubled 60 times": HEAP + DOUBLED + b"0c_codecs\nencode\nh\x3c" + TEXT
    + b"\x86R.",
    "text of lists doubled 60 times, in a name": HEAP + DOUBLED + b"0h\x3ch\x3c\x93.",
    "kind of lists doubled 60 times": HEAP + DOUBLED + b"0cnumpy\ndtype\nh\x3c\x85R.",
    "encoding of lists doubled 60 times": HEAP + DOUBLED + b"0c_codecs\nencode\n" + TEXT
    + b"h\x3c\x86R.",
    "key of a million levels": HEAP + KEYED,
    "levels added to what lies within": HEAP + b"]q\x00]q\x01a0h\x01]q\x02a.",
    "bytes by number": HEAP + b"cbuiltins\nbytearray\nL60000000000L\n\x85R.",
    "bytes of more than the file": HEAP + b"\x8e" + HUGE + b"abc.",
    "letters of more than the file": HEAP + b"\x8d" + HUGE + b"abc.",
    "more bytes to change than the file": b"\x80\x05\x96" + HUGE + b"abc.",
    "lists 20,000 deep": HEAP + b"]" * 20_000 + b"a" * 19_999 + b".",
    "a list in itself": HEAP + b"]q\x00h\x00a.",
    "a list filled again and again": HEAP + b"cnumpy.core.multiarray\n_reconstruct\nq\x00]q\x01("
    + b"K\x01" * 9_000 + b"e0" + b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85Rq\x020"
    + b"h\x00)R(K\x01M\x28\x23\x85h\x02\x89h\x01tb" * 2_000 + b".",
    "keys of one hash": HEAP + b"}("
    + b"".join(b"\x8a\x0a%bN" % (n * (2**61 - 1)).to_bytes(10, "little") for n in range(20_000))
    + b"u.",
    "cells of lists": framed([[1]]),
    "half a character": framed("\ud800"),
}  # fmt: skip
SAID = {
    "text of lists doubled 60 times": "a list where str stands",
    "key of a million levels": "more than 100 levels",
    "levels added to what lies within": "a change of list",
    "bytes by number": "a int where bytes",
    "bytes of more than the file": "only 4 remain",
    "lists 20,000 deep": "more than 100 levels",
    "a list filled again and again": "more than 16 times what the file holds",
    "keys of one hash": "a key of type int",
    "cells of lists": "country holds a list",
}
READ = """
import json, sys
from csp_core.data.sets.bigearthnet_pickles import convert_split
from csp_core.errors import BadRecordError
for path in sys.argv[1:]:
    try:
        told = str(convert_split(path, path + ".parquet"))
    except BadRecordError as error:
        told = f"refused: {error}"
    print(json.dumps([path, told]), flush=True)
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Read the files in a process of their own, which may hang or end."""
    folder = tmp_path_factory.mktemp("hostile")
    paths = {str(folder / f"{row}.pkl"): name for row, name in enumerate(HOSTILE)}
    for path, name in paths.items():
        with open(path, "wb") as stream:
            stream.write(HOSTILE[name])
    try:
        done = subprocess.run([sys.executable, "-c", READ, *paths], capture_output=True,
                              text=True, timeout=90, check=False)  # fmt: skip
        said = done.stdout
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode()
    return {paths[path]: told for path, told in map(json.loads, said.splitlines())}


@pytest.mark.parametrize("name", HOSTILE)
def test_small_files_that_ask_for_much_are_refused(hostile, name):
    told = hostile[name]
    assert told.startswith("refused: ") and len(told) < 400 and "\n" not in told
    assert SAID.get(name, "") in told


def test_memory_and_depth_that_run_out_are_told_in_a_sentence(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"cmore\nthan\n)R.")
    for error, match in ((MemoryError, "more memory than there is"), (RecursionError, "depth")):

        def fail(error=error):
            raise error("depth exceeded")

        with pytest.raises(BadRecordError, match=match):
            read_inert(tmp_path / "x.pkl", {"more.than": fail})


def test_a_long_list_of_patches_is_read(tmp_path):
    number = 3000
    frame = pandas.concat([table()] * (number // 3), ignore_index=True)
    for protocol in (2, 5):
        frame.to_pickle(tmp_path / "long.pkl", protocol=protocol)
        convert_split(tmp_path / "long.pkl", tmp_path / "long.parquet")
        assert pl.read_parquet(tmp_path / "long.parquet")["labels_43"].list.len().sum() == number


def test_the_command_writes_what_it_can_and_names_what_it_refused(tmp_path):
    table().to_pickle(tmp_path / "train.pkl")
    (tmp_path / "val.pkl").write_bytes(pickle.dumps(os.getcwd))
    given = ["import-splits", str(tmp_path / "val.pkl"), str(tmp_path / "train.pkl")]
    result = CliRunner().invoke(app, [*given, str(tmp_path / "splits"), "--json"])
    assert result.exit_code == 1
    assert len(pl.read_parquet(tmp_path / "splits" / "train.parquet")) == 3
    assert not (tmp_path / "splits" / "val.parquet").exists()
    assert isinstance(result.exception, BadRecordError)
    assert "1 of 2 lists were refused" in str(result.exception) and "getcwd" in str(
        result.exception
    )
    told = json.loads(result.stdout)
    assert told["written"]["train.pkl"]["rows"] == 3 and list(told["refused"]) == ["val.pkl"]
