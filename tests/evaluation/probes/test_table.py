import datetime

import numpy as np
import polars as pl
import pytest

from csp_core.errors import BadRecordError, ConfigError, DataNotFoundError
from csp_core.evaluation.probes import read_probe_table


def frame(rows=60, **columns):
    rng = np.random.default_rng(0)
    own = {"lon": rng.uniform(-180, 180, rows), "lat": rng.uniform(-80, 80, rows)}
    return pl.DataFrame(own | {"value": rng.normal(size=rows)} | columns)


def written(folder, table, name="t.csv"):
    path = folder / name
    table.write_parquet(path) if name.endswith("parquet") else table.write_csv(path)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_numbers_are_read_whatever_the_columns_are_called(tmp_path, name):
    table = frame()
    path = written(
        tmp_path, table.rename({"lon": "Longitude", "lat": "y", "value": "Height"}), name
    )
    read = read_probe_table(path)
    assert read.target.classes == () and read.notes == ()
    assert np.allclose(read.lonlat.numpy(), table.select("lon", "lat").to_numpy(), atol=1e-6)
    assert np.allclose(read.target.values, table["value"])
    more = written(tmp_path, table.with_columns(other=pl.lit(1), a=table["lon"]), name)
    assert read_probe_table(more, lon="a").lonlat[:, 0].tolist() == read.lonlat[:, 0].tolist()


def test_words_for_no_value_are_no_class(tmp_path):
    words = ["wet", "dry", "NA"] * 20
    read = read_probe_table(written(tmp_path, frame(value=words)))
    assert read.target.classes == ("dry", "wet") and len(read.lonlat) == 40
    (note,) = read.notes
    assert "20 rows without a value are left out (20 'NA'); if such a word is a value" in note
    kept = read_probe_table(tmp_path / "t.csv", missing=["none"])
    assert kept.target.classes == ("NA", "dry", "wet") and kept.notes == ()
    numbers = ["NA" if row % 3 else str(row / 7) for row in range(120)]
    read = read_probe_table(written(tmp_path, frame(120, value=numbers)))
    assert read.target.classes == () and len(read.lonlat) == 40


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_number_for_no_value_is_one_however_it_is_written(tmp_path, name):
    values = [-9999.0] * 10 + [row / 7 for row in range(50)]
    path = written(tmp_path, frame(value=values), name)
    read = read_probe_table(path, missing=["na", "-9999"])
    assert len(read.lonlat) == 50 and read.target.values.min() == 0
    assert "10 rows without a value are left out (10 '-9999.0')" in read.notes[0]
    flags = read_probe_table(written(tmp_path, frame(value=[True, False] * 30)), missing=["1"])
    assert len(flags.lonlat) == 60


def test_numbers_whose_squares_are_none(tmp_path):
    path = written(tmp_path, frame(value=[10.0**200] * 30 + [1.0] * 30))
    with pytest.raises(BadRecordError, match="1e\\+200, whose square is no number"):
        read_probe_table(path)


def test_classes_and_rare_ones(tmp_path):
    words = ["wet"] * 30 + ["dry"] * 27 + ["odd"] * 3
    read = read_probe_table(written(tmp_path, frame(value=words)))
    assert read.target.classes == ("dry", "wet") and len(read.lonlat) == 57
    assert read.target.values.tolist() == [1] * 30 + [0] * 27
    (note,) = read.notes
    assert "1 class with fewer than 5 rows is left out (odd): 3 rows" in note
    flags = read_probe_table(written(tmp_path, frame(value=[True, False] * 30), "t.parquet"))
    assert flags.target.classes == ("false", "true")
    kinds = pl.Series("value", ["wet", "dry"] * 30, pl.Categorical)
    kept = read_probe_table(written(tmp_path, frame().with_columns(kinds), "t.parquet"))
    assert kept.target.classes == ("dry", "wet")


def test_whole_numbers_are_numbers_unless_classes_are_asked_for(tmp_path):
    path = written(tmp_path, frame(value=[1, 2, 4] * 20))
    numbers, classes = read_probe_table(path), read_probe_table(path, kind="classes")
    assert numbers.target.values.tolist() == [1, 2, 4] * 20 and "3 different" in numbers.notes[0]
    assert classes.target.classes == ("1", "2", "4")


def test_places_that_are_one_and_rows_without_a_value(tmp_path):
    table = frame()
    values = [None, *table["value"][1:].to_list()]
    same = table["lon"].to_list()
    path = written(tmp_path, pl.concat([frame(value=values), frame(lon=same)[:10]]))
    read = read_probe_table(path)
    assert len(read.lonlat) == 69 and len(read.notes) == 2
    assert "1 rows without a value are left out (1 empty)." in read.notes
    assert "9 rows repeat a place" in read.notes[1] and "one fold" in read.notes[1]
    few = read_probe_table(path, most=40, seed=1)
    assert len(few.lonlat) == 40 and "40 of 69 rows are drawn" in few.notes[1]
    again = read_probe_table(path, most=40, seed=1)
    assert np.array_equal(few.target.values, again.target.values)


def test_words_for_no_value_among_numbers(tmp_path):
    words = ["n/a", "NA", *map(str, range(58))]
    read = read_probe_table(written(tmp_path, frame(value=words)))
    assert len(read.lonlat) == 58 and "2 rows without a value" in read.notes[0]


def test_the_words_that_were_taken_for_no_value_are_counted(tmp_path):
    words = ["none", "oak", "ash", "None", "oak", None] * 10
    (note,) = read_probe_table(written(tmp_path, frame(value=words))).notes
    assert note.startswith("30 rows without a value are left out (10 empty, 10 'None', 10 'none')")


def semicolons(folder, **columns):
    """Write a table as a spreadsheet of a country with decimal commas does."""
    table = frame(**columns)
    path = folder / "t.csv"
    lines = [";".join(table.columns)]
    lines += [";".join(str(one).replace(".", ",") for one in row) for row in table.iter_rows()]
    path.write_text("\n".join(lines) + "\n")
    return table, path


def test_decimal_commas_of_a_semicolon_table_are_numbers(tmp_path):
    table, path = semicolons(tmp_path, value=[round(x / 2, 1) for x in range(60)])
    read = read_probe_table(path)
    assert read.target.classes == () and np.allclose(read.target.values, table["value"])
    assert np.allclose(read.lonlat.numpy(), table.select("lon", "lat").to_numpy(), atol=1e-6)
    said = " ".join(read.notes)
    assert "are parted by semicolons" in said and "Decimal commas in lon are read as points" in said
    assert "Assumed: decimal comma in `value`: 60 of 60" in said
    classes = read_probe_table(path, kind="classes", value="value", folds=1)
    assert classes.target.classes[1] == "0,5"


def test_commas_of_thousands_where_all_else_has_points(tmp_path):
    read = read_probe_table(
        written(tmp_path, frame(value=[f"{1000 + 7 * x:,}" for x in range(60)]))
    )
    assert read.target.values.tolist() == [1000 + 7 * x for x in range(60)]
    assert "comma of thousands in `value`" in read.notes[0]


def test_commas_that_may_mean_both_are_refused(tmp_path):
    mixed = ["3,5", "2.75"] * 30
    with pytest.raises(
        BadRecordError, match="commas in value, such as in '3,5', may part decimals"
    ):
        read_probe_table(written(tmp_path, frame(value=mixed)))
    assert read_probe_table(tmp_path / "t.csv", kind="classes").target.classes == ("2.75", "3,5")
    words = ["1,2 or 3", "a, b"] * 30
    assert read_probe_table(written(tmp_path, frame(value=words))).target.classes == (
        "1,2 or 3", "a, b",
    )  # fmt: skip


def test_amounts_with_units_are_classes_and_that_is_said(tmp_path):
    read = read_probe_table(written(tmp_path, frame(value=["3.5 m", "7 m"] * 30)))
    assert read.target.classes == ("3.5 m", "7 m")
    assert "such as '3.5 m' are no plain numbers, so all are taken as classes" in read.notes[0]


def at(column, row, value):
    cells = frame()[column].cast(pl.String).to_list()
    cells[row] = value
    return {column: cells}


@pytest.mark.parametrize(
    ("columns", "options", "says"),
    [
        ({"value": ["wet"] * 60}, {}, "are the class 'wet': give at least two classes"),
        ({"value": [3.0] * 60}, {}, "all values of value are 3: there is nothing to tell"),
        ({"value": [f"c{i}" for i in range(60)]}, {}, "60 classes in 60 rows: none has the 5"),
        ({"value": list(range(60))}, {"kind": "classes"}, "60 classes in 60 rows"),
        (at("value", 7, "tall"), {}, "line 9: 'tall' in value is no finite number"),
        (at("value", 7, "inf"), {}, "line 9: 'inf' in value is no finite number"),
        ({"value": ["a", "b"] * 30}, {"kind": "numbers"}, "line 2: 'a' in value is no finite"),
        (at("lat", 3, "95"), {}, "line 5: .*, 95.* is no place: .*Latitude|line 5: .*swapped"),
        (at("lon", 3, "1000"), {}, "line 5: 1000.*Longitude goes from -180 to 180"),
        (at("lon", 3, "8,5"), {}, "line 5: 8,5, .* is no place: row 4: give degrees in numbers"),
        (at("lon", 3, None), {}, "line 5: None, .* is no place"),
        ({"lon": [7.0] * 60, "lat": [8.0] * 60}, {}, "60 rows at 1 different places; at least 30"),
        ({"value": [None] * 60}, {}, "no row has a value|no values"),
        ({"other": [1] * 60}, {"value": "tall"}, "there is no column 'tall'; they are lon, lat"),
        ({}, {"value": "lat"}, "need a column each"),
    ],
)
def test_bad_tables_are_told_in_a_sentence(tmp_path, columns, options, says):
    with pytest.raises(BadRecordError, match=says) as caught:
        read_probe_table(written(tmp_path, frame(**columns)), **options)
    assert "t.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_tables_without_what_is_needed(tmp_path):
    with pytest.raises(BadRecordError, match="no rows"):
        read_probe_table(written(tmp_path, frame()[:0]))
    with pytest.raises(BadRecordError, match="20 rows at 20 different places"):
        read_probe_table(written(tmp_path, frame(20)))
    with pytest.raises(BadRecordError, match="no column for lon"):
        read_probe_table(written(tmp_path, frame().drop("lon")))
    with pytest.raises(BadRecordError, match="which column holds the values"):
        read_probe_table(written(tmp_path, frame(a=["x"] * 60, b=["y"] * 60).drop("value")))
    with pytest.raises(BadRecordError, match="which column holds the values"):
        read_probe_table(written(tmp_path, frame().drop("value")))
    for odd in ([[1, 2]] * 60, [datetime.date(2020, 1, 1)] * 60, [b"x"] * 60):
        for column in ("value", "lon"):
            table = frame().with_columns(pl.Series(column, odd))
            with pytest.raises(BadRecordError, match=f"{column} holds .*; give numbers or text"):
                read_probe_table(written(tmp_path, table, "t.parquet"))
    (tmp_path / "e.csv").write_bytes(b"")
    with pytest.raises(BadRecordError, match="cannot be read as a table"):
        read_probe_table(tmp_path / "e.csv")
    with pytest.raises(DataNotFoundError):
        read_probe_table(tmp_path / "none.csv")
    with pytest.raises(BadRecordError, match="row 4"):
        read_probe_table(written(tmp_path, frame(**at("lat", 3, "x")), "t.parquet"))


def test_options_out_of_range(tmp_path):
    path = written(tmp_path, frame())
    with pytest.raises(ConfigError, match="'ranks': give numbers or classes"):
        read_probe_table(path, kind="ranks")
    with pytest.raises(ConfigError, match="At most 5 rows"):
        read_probe_table(path, most=5)
