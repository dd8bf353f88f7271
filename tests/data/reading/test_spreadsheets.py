"""Records in spreadsheets: which sheet, which row, which columns; and what is refused."""

from __future__ import annotations

import datetime

import pandas as pd
import pyogrio
import pytest

from csp_core.data import read_occurrences
from csp_core.data.reading import sheetscan
from csp_core.errors import BadRecordError
from tests.data.reading import books, exports

DAY = datetime.date(2020, 5, 1)
HEADER = ("species", "lat", "lon", "eventDate")
BIRDS = [HEADER, ("Turdus merula", 52.5, 13.4, DAY), ("Parus major", 48, "11.5", None)]
PLACES = [("Turdus merula", 13.4, 52.5, DAY), ("Parus major", 11.5, 48.0, None)]
FILL = '<table:table-row table:number-rows-repeated="1048000">' + (
    '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
)
STRING = ' office:value-type="string"'


def write(path, sheets):
    """Write the same sheets in the format that the path says."""
    if path.suffix == ".xlsx":
        return books.excel(path, sheets)
    return books.open_document(path, {n: books.open_rows(r) + FILL for n, r in sheets.items()})


def read(path, **options):
    records, report = read_occurrences(path, **options)
    return records.table.select("scientific_name", "lon", "lat", "date").rows(), report


UNDATED = "1 of 2 records have no date"


@pytest.fixture(params=["xlsx", "ods"])
def path(request, tmp_path):
    return tmp_path / f"book.{request.param}"


def test_a_sheet_of_records(path):
    places, report = read(write(path, {"A": BIRDS}))
    assert places == PLACES and report.format == path.suffix[1:]
    assert report.notes == (UNDATED,) and report.rows_read == 2


def test_the_sheet_that_holds_records_is_found_and_told(path):
    about = [("About these records",), ("Made by", "Ada")]
    places, report = read(write(path, {"Read me": about, "Data": BIRDS, "More": about}))
    assert places == PLACES
    assert report.notes == ("sheet 'Data' was read, not 'Read me', 'More'", UNDATED)


def test_lines_above_the_header_and_columns_of_one_name(path):
    rows = [
        ("Birds of my garden", None, None, None, None),
        (None, None, None, None, None),
        ("Species", "lat", "lat", "lon", "lon"),
        ("Turdus merula", None, 52.5, None, 13.4),
        (None, None, None, None, None),
        ("Aus bus", None, None, None, 3),
    ]
    places, report = read(write(path, {"A": rows}))
    assert [row[:3] for row in places] == [("Turdus merula", 13.4, 52.5)]
    assert report.dropped == {"coordinates are missing": 1} and report.rows_read == 2
    # The row of the sheet, as whoever looks for it sees it.
    assert report.examples["coordinates are missing"][0][0] == 6
    before, filled = report.notes
    assert before == "1 line before the header not read, the first: 'Birds of my garden'"
    assert filled.endswith("where the first is empty: 3")


def test_headings_of_ones_own(path):
    rows = [("Title", None, None), ("art", "n", "e"), ("Turdus merula", 52.5, 13.4)]
    mapping = {"scientific_name": "art", "lat": "n", "lon": "e"}
    assert read(write(path, {"A": rows}), mapping=mapping)[0] == [(*PLACES[0][:3], None)]


@pytest.mark.parametrize("driver", ["XLSX", "ODS"])
def test_what_another_program_writes(tmp_path, driver):
    path = tmp_path / f"a.{driver.lower()}"
    table = {
        "species": ["Turdus merula"],
        "lat": [52.5],
        "lon": [13.4],
        "eventDate": ["2020-05-01"],
    }
    pyogrio.write_dataframe(pd.DataFrame(table), path, driver=driver)
    assert read(path)[0] == PLACES[:1]


def test_shared_texts_and_cells_without_references(tmp_path):
    header = "".join(f'<c t="s"><v>{n}</v></c>' for n in range(3))
    rows = (
        f'<row>{header}</row><row><c t="s"><v>3</v></c><c><v>52.5</v></c><c><v>13.4</v></c></row>'
    )
    words = ("species", "lat", "lon", "Turdus merula")
    texts = "".join(f"<si><t>{word}</t></si>" for word in words)
    path = books.excel(tmp_path / "a.xlsx", {"A": rows}, texts=texts)
    assert [row[:3] for row in read(path)[0]] == [PLACES[0][:3]]


CORNER = books.excel_rows([HEADER]) + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
LONG = '<row r="{0}"><c r="A{0}" t="s"><v>0</v></c></row>'
REPEATED = ' table:number-columns-repeated="{}"'


def refused_workbooks(folder):
    yield books.excel(folder / "corner.xlsx", {"A": CORNER}), "reaches over 1,048,576 rows"
    hidden = books.excel(folder / "hidden.xlsx", {"A": CORNER}, folder="media")
    yield hidden, "reaches over 1,048,576 rows"
    quoted = CORNER.replace('"XFD1048576"', "  'XFD1048576'").replace("r=  ", "r =  ")
    yield books.excel(folder / "quoted.xlsx", {"A": quoted}), "reaches over 1,048,576 rows"
    rows = "<row/>" * 10_001 + f"<row>{'<c><v>1</v></c>' * 1000}</row>"
    yield books.excel(folder / "unnumbered.xlsx", {"A": rows}), "reaches over"
    many = "".join(LONG.format(n) for n in range(1, 400))
    text = f"<si><t>{'A' * 1_000_000}</t></si>"
    yield books.excel(folder / "texts.xlsx", {"A": many}, texts=text), "repeats long texts"
    odd = many.replace("<v>0</v>", "<v>&#48;</v>")
    yield books.excel(folder / "odd.xlsx", {"A": odd}, texts=text), "repeats long texts"
    dtd = '<!DOCTYPE x [<!ENTITY a "b">]>' + books.excel_rows(BIRDS)
    yield books.excel(folder / "dtd.xlsx", {"A": dtd}), "document type"
    sheets = dict.fromkeys(map(str, range(1001)), BIRDS)
    yield books.excel(folder / "sheets.xlsx", sheets), "1,005 parts"


def refused_documents(folder):
    def book(name, rows):
        return books.open_document(folder / f"{name}.ods", {"A": rows})

    cell = books.open_cell("x", REPEATED.format(16384))
    row = '<table:table-row table:number-rows-repeated="{}">{}</table:table-row>'
    yield book("all", row.format(1048576, cell)), "reaches over 1,048,576 rows"
    hidden = row.format("&#49;048576", cell)
    yield book("entity", hidden), "reaches over"
    last = f"<table:table-row>{books.open_cell('x')}</table:table-row>"
    empty = '<table:table-cell table:number-columns-repeated="16384"/>' + books.open_cell("x")
    yield book("behind", row.format(1048575, empty) + last), "reaches over"
    spaces = '<table:table-cell office:value-type="string"><text:p>a<text:s text:c="4000000000"/>'
    yield (
        book("spaces", f"<table:table-row>{spaces}</text:p></table:table-cell></table:table-row>"),
        ("repeats spaces"),
    )
    long = books.open_cell("x" * 10_000, REPEATED.format(1000))
    yield book("long", row.format(100, long)), "repeats long texts"


@pytest.mark.parametrize("make", [refused_workbooks, refused_documents])
def test_what_would_take_too_much_memory_is_refused_before_it_is_read(tmp_path, make, monkeypatch):
    monkeypatch.setattr("csp_core.data.reading.spreadsheets._choose", None)
    for path, said in make(tmp_path):
        with pytest.raises(BadRecordError, match=said) as caught:
            read_occurrences(path)
        assert "CSV" in str(caught.value) and "\n" not in str(caught.value)


def test_runs_that_fill_nothing_up_are_looked_at_once():
    run = b"<table:table-cell/>" * 100_000 + b"<table:table-cell>x</table:table-cell>"
    assert sheetscan.LAST_CELLS.sub(lambda found: found[2] or found[1], run) == run
    ends = b"<table:table-cell/>" * 3 + b"</table:table-row>"
    assert sheetscan.LAST_CELLS.sub(lambda f: f[2] or f[1], ends) == b"</table:table-row>"


def test_budgets_of_rows_and_bytes(tmp_path, monkeypatch):
    path = books.excel(tmp_path / "a.xlsx", {"A": BIRDS})
    monkeypatch.setattr(sheetscan, "MAX_CELLS", 11)
    with pytest.raises(BadRecordError, match="reaches over 3 rows and 4 columns"):
        read_occurrences(path)
    monkeypatch.setattr(sheetscan, "MAX_CELLS", 12)
    assert read(path)[0] == PLACES
    monkeypatch.setattr(sheetscan, "MAX_TABLES", 1000)
    with pytest.raises(BadRecordError, match="more than is read at once"):
        read_occurrences(path)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"mimetype": books.ODS, "content.xml": "<office:document-content/>"}, "holds a table"),
        ({"mimetype": books.ODS, "content.xml": "no"}, "No sheet|damaged"),
        ({"mimetype": books.ODS.replace("sheet", "text"), "content.xml": "<x/>"}, "no spreadsheet"),
        ({"[Content_Types].xml": "", "xl/workbook.bin": "x"}, r"\.xlsb"),
        ({"[Content_Types].xml": "", "word/document.xml": "x"}, "another office document"),
        ({"[Content_Types].xml": "", "xl/workbook.xml": "<workbook>"}, "damaged"),
    ],
)
def test_what_is_no_spreadsheet(tmp_path, files, said):
    with pytest.raises(BadRecordError, match=said):
        read_occurrences(exports.pack(tmp_path / "a.zip", files))
