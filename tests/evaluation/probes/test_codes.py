"""Tables to probe in which numbers such as -9999 stand for no value."""

import numpy as np
import polars as pl
import pytest
import torch

from csp_core.errors import BadRecordError
from csp_core.evaluation import probes
from csp_core.evaluation.probes import read_probe_table

ROWS, CODED = 300, 40


def places(rows=ROWS):
    rng = np.random.default_rng(0)
    return {"lon": rng.uniform(-170, 170, rows), "lat": rng.uniform(-80, 80, rows)}


def written(folder, values, name="t.csv"):
    table = pl.DataFrame(places(len(values)) | {"value": values})
    path = folder / name
    table.write_parquet(path) if name.endswith("parquet") else table.write_csv(path)
    return path


def elevations(code, number=CODED):
    """Give heights, and a code in their place in every so many rows."""
    values = np.random.default_rng(1).uniform(-12, 4320, ROWS).round(1)
    values[:: ROWS // number][:number] = code
    return values.tolist()


CODES = (-9999.0, -999.0, -32768.0, -99999.0, 9999.0, 1e20, -3.4028234663852886e38, 9.969e36)


@pytest.mark.parametrize("code", [*CODES, -1.7976931348623157e308, 99999.0, -2147483648.0])
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_code_far_from_all_values_is_left_out_and_told(tmp_path, code, name):
    path = written(tmp_path, elevations(code), name)
    read = read_probe_table(path)
    assert len(read.lonlat) == len(read.target.values) == 260
    assert -12 <= read.target.values.min() and read.target.values.max() <= 4320
    (note,) = read.notes
    word = repr(code).removesuffix(".0")
    assert note.startswith(f"40 rows are left out: value holds {word} in 40 rows, far from all its")
    assert f"--missing {word} says the same; --missing none keeps such rows." in note
    given = read_probe_table(path, missing=[word])
    assert torch.equal(given.lonlat, read.lonlat)
    assert "40 rows without a value are left out" in given.notes[0] and len(given.notes) == 1


@pytest.mark.parametrize("code", [-9999.0, 1e20])
def test_a_code_that_stands_there_once(tmp_path, code):
    read = read_probe_table(written(tmp_path, elevations(code, 1)))
    assert len(read.lonlat) == 299 and "1 row is left out" in read.notes[0]


def test_r2_is_that_of_the_rows_with_a_value(tmp_path):
    own = places()
    truth = np.cos(np.radians(own["lat"]))
    coded = np.where(np.arange(ROWS) % 8 == 0, -9999.0, truth)
    found = []
    for values, options in (
        (coded, {}),
        (np.where(coded < 0, np.nan, coded), {}),
        (coded, {"missing": ["none"]}),
    ):
        read = read_probe_table(written(tmp_path, values.tolist()), **options)
        ways = {"sincos": probes.plain_ways(read.lonlat)["sine and cosine"]}
        report = probes.run_probe(
            ways, probes.Places(read.lonlat, (read.target,)), blocks=[], folds=3, seeds=1
        )
        found.append(report.rows["sincos"]["random"]["r2"][0])
    assert found[0] == found[1] > 0.99 > 0.1 > found[2]


def test_codes_that_may_be_values_stay_usable(tmp_path):
    path = written(tmp_path, elevations(-999.0))
    read = read_probe_table(path, missing=["none"])
    assert len(read.lonlat) == ROWS and read.target.values.min() == -999
    (note,) = read.notes
    assert note.startswith("value holds -999 in 40 rows, far from") and "are kept" in note
    assert note.endswith("--missing -999 leaves them out.")
    # Among others of its size a code is a value, of which there is nothing to say.
    balance = np.linspace(-1100, 1100, ROWS).round().tolist()
    balance[:3] = [-999.0] * 3
    read = read_probe_table(written(tmp_path, balance))
    assert len(read.lonlat) == ROWS and read.notes == ()


def test_other_numbers_far_from_all_values_are_told_and_kept(tmp_path):
    cover = (np.arange(ROWS) % 101).astype(float)
    cover[:7] = 255
    read = read_probe_table(written(tmp_path, cover.tolist()))
    assert len(read.lonlat) == ROWS and read.target.values.max() == 255
    assert read.notes == (
        "value holds 255 in 7 rows, far from all its other values (0 to 100); if that stands for"
        " no value, say --missing 255.",
    )
    outlier = [*np.linspace(0, 1, ROWS - 1), 1e6]
    assert read_probe_table(written(tmp_path, outlier)).notes == ()


def test_codes_among_classes(tmp_path):
    kinds = [(-9999, 10, 20, 30, 40)[row % 5] for row in range(ROWS)]
    path = written(tmp_path, kinds)
    read = read_probe_table(path, kind="classes")
    assert read.target.classes == ("10", "20", "30", "40") and "-9999 in 60 rows" in read.notes[0]
    kept = read_probe_table(path, kind="classes", missing=["none"])
    assert "-9999" in kept.target.classes and "are kept" in kept.notes[0]
    words = [("wet", "dry", "-9999")[row % 3] for row in range(ROWS)]
    assert "-9999" in read_probe_table(written(tmp_path, words)).target.classes


def test_several_codes_are_left_out_together(tmp_path):
    values = elevations(-9999.0)
    values[1], values[2], values[4] = -32768.0, 1e38, 3e38
    (note,) = read_probe_table(written(tmp_path, values)).notes
    assert note.startswith("43 rows are left out: value holds -32768 in 1 row and -9999 in 40 rows")
    assert "--missing -32768,-9999,1e+38,3e+38" in note


def test_a_table_of_nothing_but_codes(tmp_path):
    with pytest.raises(BadRecordError, match="all values of value are -9999"):
        read_probe_table(written(tmp_path, [-9999.0] * 60))
    with pytest.raises(BadRecordError, match="all values of value are 7"):
        read_probe_table(written(tmp_path, [-9999.0, 7.0] * 30))
    with pytest.raises(BadRecordError, match="all values of value are 1e\\+38"):
        read_probe_table(written(tmp_path, [1e38] * 60))


def test_codes_are_found_before_rows_are_drawn(tmp_path):
    read = read_probe_table(written(tmp_path, elevations(-999.0)), most=200)
    assert len(read.lonlat) == 200 and "200 of 260 rows are drawn" in read.notes[1]


def test_decimal_commas_hide_no_code(tmp_path):
    lines = ["lon;lat;value"]
    rows = zip(*places().values(), elevations(-9999.0), strict=True)
    lines += [";".join(str(one).replace(".", ",") for one in row) for row in rows]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    read = read_probe_table(path)
    assert len(read.lonlat) == 260 and any("-9999 in 40 rows" in note for note in read.notes)


@pytest.mark.parametrize("kind", [None, "classes"])
def test_what_was_left_out_is_told_where_too_little_is_left(tmp_path, kind):
    path = written(tmp_path, [0.0, 9999.0] * 100)
    with pytest.raises(BadRecordError) as error:
        read_probe_table(path, kind=kind)
    assert "100 rows are left out: value holds 9999 in 100 rows" in str(error.value)
    assert "--missing none keeps such rows" in str(error.value)
    kept = read_probe_table(path, kind="classes", missing=["none"])
    assert len(kept.lonlat) == 200 and len(kept.target.classes) == 2
    few = written(tmp_path, [*np.linspace(0, 1, 20), *[-9999.0] * 20])
    with pytest.raises(BadRecordError, match=r"at least 30 places are needed\. 20 rows are left"):
        read_probe_table(few, kind="numbers")


def test_what_is_told_of_missing_names_the_words_of_the_table_too(tmp_path):
    heights = [f"{value:g}" for value in elevations(-9999)]
    heights[1:7] = ["NA"] * 3 + ["-"] * 3
    path = written(tmp_path, heights)
    told = read_probe_table(path)
    assert "--missing na,-,-9999 says the same; --missing na,- keeps such rows." in told.notes[1]
    same = read_probe_table(path, missing=["na", "-", "-9999"])
    assert torch.equal(same.lonlat, told.lonlat)
    kept = read_probe_table(path, missing=["na", "-"])
    assert len(told.lonlat) == ROWS - 6 - CODED and len(kept.lonlat) == ROWS - 6
    assert "--missing na,-,-9999 leaves them out" in kept.notes[1]


def test_a_code_among_words_stays_a_class_and_is_told(tmp_path):
    path = written(tmp_path, ["wood", "meadow", "-9999"] * 20 + ["NA"])
    told = read_probe_table(path)
    assert told.target.classes == ("-9999", "meadow", "wood")
    assert told.notes[1] == (
        "value holds -9999 in 20 rows, a class among words; if that stands for no value, say"
        " --missing na,-9999."
    )
    left = read_probe_table(path, missing=["na", "-9999"])
    assert left.target.classes == ("meadow", "wood") and len(left.lonlat) == 40
    plain = read_probe_table(written(tmp_path, ["wood", "meadow", "12"] * 20))
    assert plain.notes == ()
