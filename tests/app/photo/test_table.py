import csv
import io

from photo import table
from photo.table import Row


def test_a_table_as_csv_holds_no_formulas() -> None:
    row = Row("=1+1.jpg", "demo", "cc0", "+Aus bus", "@x", 0.5, lon=-110.0, lat=39.0, note="-a\rb")
    (line,) = csv.DictReader(io.StringIO(table.to_csv([row])))
    assert (line["photo"], line["most_likely"], line["common_name"]) == ("'=1+1.jpg", "'+Aus bus",
                                                                      "'@x")  # fmt: skip
    assert line["note"] == "'-a b" and line["lon"] == "-110.0" and line["date"] == ""


def test_cells_are_escaped() -> None:
    cells = table._cells(Row("a", common_name="<b>x</b>", probability=0.5, note="<i>"))
    assert "<b>x" not in cells and "&lt;b&gt;x&lt;/b&gt;, 50.0 %" in cells and "&lt;i&gt;" in cells
