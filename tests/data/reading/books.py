"""Makes small spreadsheets, part by part, as the formats have them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.data.reading import exports

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OASIS = "urn:oasis:names:tc:opendocument:xmlns"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
Rows = Sequence[Sequence[Any]]


def excel_cell(value: Any, row: int, column: int) -> str:
    """Write one cell; days are numbers in a style of dates."""
    at = f'r="{chr(65 + column)}{row}"'
    if value is None:
        return ""
    if isinstance(value, datetime.date):
        return f'<c {at} s="1"><v>{(value - datetime.date(1899, 12, 30)).days}</v></c>'
    if isinstance(value, int | float):
        return f"<c {at}><v>{value}</v></c>"
    return f'<c {at} t="inlineStr"><is><t>{escape(value)}</t></is></c>'


def excel_rows(rows: Rows, first: int = 1) -> str:
    """Write rows."""
    return "".join(
        f'<row r="{n}">{"".join(excel_cell(v, n, at) for at, v in enumerate(row))}</row>'
        for n, row in enumerate(rows, first)
    )


def excel(
    path: Path,
    sheets: Mapping[str, Rows | str],
    texts: str = "",
    folder: str = "worksheets",
    **more: str,
) -> Path:
    """Write a workbook of sheets, each of rows or of their XML."""
    names = enumerate(sheets, 1)
    listed = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="r{i}"/>' for i, n in names)
    related = "".join(
        f'<Relationship Id="r{i}" Type="{OFFICE}/worksheet" Target="{folder}/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r1"'
        f' Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets>'
        "</workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{related}'
        "</Relationships>",
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/>'
        '<xf numFmtId="14"/></cellXfs></styleSheet>',
    }
    if texts:
        files["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{texts}</sst>'
    for number, rows in enumerate(sheets.values(), 1):
        body = rows if isinstance(rows, str) else excel_rows(rows)
        text = f'<worksheet xmlns="{MAIN}"><sheetData>{body}</sheetData></worksheet>'
        files[f"xl/{folder}/sheet{number}.xml"] = text
    return exports.pack(path, files | more)


def open_cell(value: Any, more: str = "") -> str:
    """Write one cell; what is shown of numbers and days has the signs of another language."""
    if value is None:
        return f"<table:table-cell{more}/>"
    if isinstance(value, datetime.date):
        kind, shown = f'date" office:date-value="{value}', f"{value:%d.%m.%y}"
    elif isinstance(value, int | float):
        kind, shown = f'float" office:value="{value}', str(value).replace(".", ",")
    else:
        kind, shown = "string", escape(value)
    return (
        f'<table:table-cell office:value-type="{kind}"{more}><text:p>{shown}</text:p>'
        "</table:table-cell>"
    )


def open_rows(rows: Rows, between: str = "") -> str:
    """Write rows, filled up to the edge of a sheet as office programs do."""
    filling = '<table:table-cell table:number-columns-repeated="16000"/>'
    return between.join(
        f"<table:table-row>{between}{between.join(map(open_cell, row))}{filling}</table:table-row>"
        for row in rows
    )


def open_document(path: Path, sheets: Mapping[str, str], kind: str = ODS) -> Path:
    """Write an OpenDocument spreadsheet of sheets, each of the XML of its rows."""
    tables = "".join(f'<table:table table:name="{n}">{t}</table:table>' for n, t in sheets.items())
    spaces = " ".join(f'xmlns:{n}="{OASIS}:{n}:1.0"' for n in ("office", "table", "text"))
    body = f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
    files = {
        "mimetype": kind,
        "content.xml": f"<office:document-content {spaces}>{body}</office:document-content>",
        "meta.xml": "<office:document-meta/>",
        "META-INF/manifest.xml": "<m/>",
    }
    return exports.pack(path, files)
