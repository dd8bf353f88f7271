"""Files in very many parts: small chunks are put together, and the parts are counted first."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import importing, tabular
from csp_core.data.reading.metaxml import MAX_FILES
from csp_core.data.reading.source import Chunk
from csp_core.errors import BadRecordError


def write_groups(path, rows, each):
    table = pa.table({"scientific_name": ["Pica pica"] * rows, "lon": np.linspace(1, 2, rows),
                      "lat": np.linspace(3, 4, rows)})  # fmt: skip
    pq.write_table(table, path, row_group_size=each)


def test_records_of_many_row_groups_are_judged_together(tmp_path, monkeypatch):
    calls = []
    judge = importing.judge
    monkeypatch.setattr(importing, "judge", lambda *a: calls.append(1) or judge(*a))
    write_groups(tmp_path / "many.parquet", 300, 1)
    write_groups(tmp_path / "one.parquet", 300, 300)
    many, told = read_occurrences(tmp_path / "many.parquet")
    assert len(calls) == 1 and told.rows_kept == 300
    one, _ = read_occurrences(tmp_path / "one.parquet")
    assert many.table.equals(one.table)


def test_very_many_small_row_groups_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tabular, "MANY_GROUPS", 9)
    write_groups(tmp_path / "a.parquet", 10, 1)
    with pytest.raises(BadRecordError, match="10 row groups"):
        read_occurrences(tmp_path / "a.parquet")
    monkeypatch.setattr(tabular, "FEW_ROWS", 1)
    assert read_occurrences(tmp_path / "a.parquet")[1].rows_kept == 10


def test_chunks_are_put_together_up_to_a_size(monkeypatch):
    monkeypatch.setattr(importing, "FEW_ROWS", 4)

    def chunk(line, name="a", rows=2):
        table = pl.DataFrame({name: ["x"] * rows})
        return Chunk(table, pl.Series(range(line, line + rows)), ((line + rows, "odd"),))

    found = list(importing._together(iter([chunk(1), chunk(4), chunk(7), chunk(10, "b")])))
    assert [len(one.table) for one in found] == [4, 2, 2]
    assert found[0].lines.to_list() == [1, 2, 4, 5] and found[0].rejected == (
        (3, "odd"),
        (6, "odd"),
    )
    long = pl.DataFrame({"a": ["x" * (1 << 22)]})
    parts = [Chunk(long, pl.Series([n])) for n in (1, 2)]
    assert list(importing._together(iter(parts))) == parts


@pytest.mark.parametrize("files", [["o.txt"] * 2, [f"{n}.txt" for n in range(MAX_FILES + 1)]])
def test_an_archive_names_few_files_and_each_once(tmp_path, files):
    places = "".join(f"<location>{name}</location>" for name in files)
    terms = enumerate(("scientificName", "decimalLongitude", "decimalLatitude"))
    fields = "".join(f'<field index="{n}" term="{term}"/>' for n, term in terms)
    meta = (
        f'<archive><core rowType="Occurrence" fieldsTerminatedBy=","><files>{places}</files>'
        f"{fields}</core></archive>"
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in {"meta.xml", *files}:
            archive.writestr(name, meta if name == "meta.xml" else "Pica pica,1,2\n")
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(BadRecordError, match=f"{len(files)} files for one table"):
        read_occurrences(tmp_path / "a.zip")
