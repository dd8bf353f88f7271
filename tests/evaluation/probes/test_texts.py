"""Tables to probe as texts: other endings, delimiters and encodings, lines that do not fit."""

import numpy as np
import polars as pl
import pytest

from csp_core.errors import BadRecordError, DataNotFoundError
from csp_core.evaluation.probes import read_probe_table


def rows(number=60):
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "decimalLongitude": rng.uniform(-180, 180, number).round(4),
            "decimalLatitude": rng.uniform(-80, 80, number).round(4),
            "value": rng.normal(size=number).round(4),
        }
    )


@pytest.mark.parametrize("ending", [".txt", ".TXT", ".tab", ".tsv", ".csv"])
@pytest.mark.parametrize(("sign", "called"), [("\t", "tab"), (",", "comma"), (";", "semicolon")])
def test_what_parts_the_columns_is_found_whatever_the_ending(tmp_path, ending, sign, called):
    path = tmp_path / f"t{ending}"
    rows().write_csv(path, separator=sign)
    read = read_probe_table(path)
    assert np.allclose(read.target.values, rows()["value"])
    usual = "comma" if ending == ".csv" else "tab"
    told = [] if called == usual else [f"The columns of {path.name} are parted by {called}s."]
    assert list(read.notes) == told


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "latin-1"])
def test_other_encodings(tmp_path, encoding):
    path = tmp_path / "t.txt"
    table = rows().with_columns(value=pl.Series(["Wald", "Öde"] * 30))
    path.write_bytes(table.write_csv(separator="\t").encode(encoding))
    assert read_probe_table(path).target.classes == ("Wald", "Öde")


def test_lines_that_do_not_fit_are_told_and_keep_the_count_of_lines(tmp_path):
    path = tmp_path / "t.txt"
    lines = rows().write_csv(separator="\t").splitlines()
    lines[3] = "7\t8"
    path.write_text("\n".join(lines))
    read = read_probe_table(path)
    assert len(read.lonlat) == 59
    assert read.notes == ("1 line is left out, the first line 4: 2 fields where the header has 3.",)
    lines[5] = "7\t8\ttall"
    path.write_text("\n".join(lines))
    with pytest.raises(BadRecordError, match="line 6: 'tall' in value"):
        read_probe_table(path)


@pytest.mark.parametrize("name", ["t.xyz", "t", "t.dat"])
def test_other_endings_are_refused_with_those_that_work(tmp_path, name):
    path = tmp_path / name
    rows().write_csv(path)
    with pytest.raises(BadRecordError, match=r"is not read here; give \.csv, \.tsv, \.txt, \.tab"):
        read_probe_table(path)
    with pytest.raises(DataNotFoundError, match=r"\.txt"):
        read_probe_table(tmp_path / "none.txt")


def test_what_is_no_text_is_called_by_its_name(tmp_path):
    path = tmp_path / "t.txt"
    rows().write_parquet(path)
    with pytest.raises(BadRecordError, match=r"t\.txt: cannot be read as a table \(this is parq"):
        read_probe_table(path)
