"""Workbooks: what the sheets show comes out as bounded tables."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date, datetime, time
from typing import TYPE_CHECKING

import openpyxl
import pytest
from openpyxl.chart import BarChart, Reference
from openpyxl.comments import Comment
from PIL import Image

from nemo_retriever_dagster.errors import CorruptFileError, DataError, LimitExceededError
from nemo_retriever_dagster.extract.contract import ExtractOptions, Page
from nemo_retriever_dagster.extract.xlsx import XlsxExtractor
from nemo_retriever_dagster.extract.xlsx_cells import place
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def read(path: Path, limits: Limits | None = None, **options: object) -> list[Page]:
    chosen = ExtractOptions(format="xlsx", **options)  # type: ignore[arg-type]
    return list(XlsxExtractor().extract(path, chosen, Budget(limits=limits or Limits())))


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def build(fill: Callable[[openpyxl.Workbook], None]) -> Path:
        book = openpyxl.Workbook()
        fill(book)
        path = tmp_path / "made.xlsx"
        book.save(path)
        return path

    return build


def table(make, rows: list[list[object]], **options: object) -> Element:
    def fill(book):
        for row in rows:
            book.active.append(row)

    (page,) = read(make(fill), **options)
    (element,) = page.elements[1:]
    return element


def test_sheets_are_pages_under_their_name(make):
    def fill(book):
        book.active.title = "Sales"
        book.active["A1"] = "only a remark"
        book.create_sheet("Costs").append(["Item", "Price"])
        book.create_sheet("Secret").sheet_state = "hidden"

    pages = read(make(fill))
    assert [(page.number, page.total, page.elements[0].text) for page in pages] == [
        (1, 3, "Sales"),
        (2, 3, "Costs"),
        (3, 3, "Secret"),
    ]
    assert [element.kind for element in pages[0].elements] == [Kind.TEXT, Kind.TEXT]
    assert pages[1].elements[1].table.rows() == [["Item", "Price"]]
    assert pages[2].elements[0].attributes == {"part": "sheet", "hidden": True}


def test_rows_of_text_over_numbers_are_a_header(make):
    element = table(make, [["Car", "Doors"], ["Coupe", 2], ["Van", 5]])
    assert element.text == "| Car | Doors |\n| --- | --- |\n| Coupe | 2 |\n| Van | 5 |"
    assert [cell.header for cell in element.table.cells] == [True, True, False, False, False, False]


def test_types_are_shown_as_in_the_sheet(make):
    rows = [[date(2024, 3, 1), datetime.fromisoformat("2024-03-01T13:45"), time(9, 5), True, 0.1 + 0.2, 10**6, "x"]]
    assert table(make, rows).table.rows() == [
        ["2024-03-01", "2024-03-01 13:45", "09:05:00", "TRUE", "0.3", "1000000", "x"]
    ]


def test_number_formats_that_files_use_without_stating_them(make):
    def fill(book):
        book.active.append([45292, 45292, 0.5, 1234.5, -1234.5, 0])

    ids = [31, 57, 32, 44, 44, 44]
    styles = "".join(f'<xf numFmtId="{code}"/>' for code in ids).encode()
    path = rewrite(
        make(fill), "xl/styles.xml", lambda data: re.sub(rb"(?<=<cellXfs)[^>]*>.*(?=</cellXfs>)", b">" + styles, data)
    )
    places = iter(range(len(ids)))
    path = rewrite(
        path,
        "xl/worksheets/sheet1.xml",
        lambda data: re.sub(rb"(?<=<c )", lambda _: f's="{next(places)}" '.encode(), data),
    )
    assert read(path)[0].elements[1].table.rows() == [
        ["2024-01-01", "2024-01-01", "12:00:00", "$1,234.50", "$(1,234.50)", "$-"]
    ]


def test_signs_that_xml_cannot_hold_are_put_back(make):
    def fill(book):
        book.active.append(["one_x000D_\ntwo", "a_x005F_x0041_b", "_xD83D__xDE00_", "bell_x0007_", "_x00zz_"])

    assert read(make(fill))[0].elements[1].table.rows() == [["one\ntwo", "a_x0041_b", "😀", "bell", "_x00zz_"]]


def test_the_text_of_a_formula_is_put_back_too(make):
    def fill(book):
        book.active.append(["=A2", 1])

    kept = b't="str"><f>A2</f><v>x_x000D_y</v>'
    path = rewrite(
        make(fill), "xl/worksheets/sheet1.xml", lambda data: re.sub(rb"><f>A2</f><v( ?/|></v)>", b" " + kept, data)
    )
    assert read(path)[0].elements[1].table.rows() == [["x\ny", "1"]]


def test_empty_rows_part_blocks_and_empty_columns_are_left_out(make):
    def fill(book):
        for cell, value in {"A1": "Report", "C4": "k", "E4": "v", "C5": "a", "E5": 1}.items():
            book.active[cell] = value

    (page,) = read(make(fill))
    assert [element.text for element in page.elements[1:]] == ["Report", "| k | v |\n| --- | --- |\n| a | 1 |"]


def test_merged_cells_are_spans(make):
    def fill(book):
        for row in [["wide", None, "x"], ["tall", "b", "c"], [None, "d", "e"]]:
            book.active.append(row)
        book.active.merge_cells("A1:B1")
        book.active.merge_cells("A2:A3")

    (page,) = read(make(fill))
    cells = {c.text: (c.row, c.column, c.row_span, c.column_span) for c in page.elements[1].table.cells}
    assert cells["wide"] == (0, 0, 1, 2)
    assert cells["tall"] == (1, 0, 2, 1)
    assert cells["e"] == (2, 2, 1, 1)


def test_long_tables_are_groups_of_rows_that_repeat_the_header(make):
    def fill(book):
        book.active.append(["n", "square"])
        for n in range(450):
            book.active.append([n, n * n])

    (page,) = read(make(fill))
    tables = [element.table for element in page.elements[1:]]
    assert [part.shape for part in tables] == [(201, 2), (201, 2), (51, 2)]
    assert {tuple(part.rows()[0]) for part in tables} == {("n", "square")}
    assert [row for part in tables for row in part.rows()[1:]] == [[str(n), str(n * n)] for n in range(450)]


def test_formula_without_a_kept_result_is_shown_itself(make):
    assert table(make, [["a", 1], ["sum", "=SUM(B1:B1)"]]).table.rows()[1] == ["sum", "=SUM(B1:B1)"]


def test_charts_pictures_and_comments_of_a_sheet(make):
    drawn = io.BytesIO()
    Image.new("RGB", (90, 90), "olive").save(drawn, "PNG")

    def fill(book):
        sheet = book.active
        for row in [["quarter", "profit"], ["Q1", 3], ["Q2", 5]]:
            sheet.append(row)
        sheet["B2"].comment = Comment("Unaudited", "Eve")
        chart = BarChart()
        chart.add_data(Reference(sheet, min_col=2, min_row=1, max_row=3), titles_from_data=True)
        chart.title = "Profit"
        sheet.add_chart(chart, "E5")
        sheet.add_image(openpyxl.drawing.image.Image(Image.open(drawn)), "J5")

    (page,) = read(make(fill))
    kinds = [element.kind for element in page.elements]
    assert sorted(kinds) == sorted([Kind.TEXT, Kind.TABLE, Kind.CHART, Kind.IMAGE, Kind.TEXT])
    chart = page.elements[kinds.index(Kind.CHART)]
    assert chart.text.startswith("Profit")
    assert "no copy of its data" in chart.warnings[0], "openpyxl writes no cached values"
    assert page.elements[-1].text == "Comment on B2: Unaudited"


def test_tables_that_are_not_wanted_stay_as_text(make):
    element = table(make, [["a", "b"], ["c", 1]], tables=False)
    assert (element.kind, element.text) == (Kind.TEXT, "a\tb\nc\t1")


def test_a_few_far_cells_make_no_vast_grid(make):
    def fill(book):
        for n in range(1, 150):
            book.active.cell(n, n * 100, n)

    with pytest.raises(LimitExceededError):
        read(make(fill), Limits(xml_nodes=20_000))
    assert sum(len(e.table.cells) for e in read(make(fill))[0].elements if e.table) <= 149 * 149


def rewrite(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    target = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(old.read(name)) if name == part else old.read(name))
    return target


def test_a_damaged_sheet_does_not_cost_the_others(make):
    def fill(book):
        book.active.append(["lost", 1])
        book.create_sheet("good").append(["kept", 2])

    pages = read(rewrite(make(fill), "xl/worksheets/sheet1.xml", lambda data: data[:80]))
    assert "cannot be read" in pages[0].elements[1].warnings[0]
    assert pages[1].elements[1].table.rows() == [["kept", "2"]]


def test_damaged_styles_are_a_warning(make):
    def fill(book):
        book.active.append(["n", 2])

    pages = read(rewrite(make(fill), "xl/styles.xml", lambda data: data[:80]))
    assert pages[0].elements[1].table.rows() == [["n", "2"]]
    assert "styles.xml cannot be read" in pages[0].elements[-1].warnings[0]


def test_damage_is_text_or_one_typed_error(make):
    def fill(book):
        book.active.append(["n", 2])

    path = make(fill)
    data = path.read_bytes()
    for spot in range(0, len(data), len(data) // 60):
        path.write_bytes(data[:spot])
        with pytest.raises(DataError):
            read(path)
        broken = bytearray(data)
        broken[spot] ^= 0x55
        path.write_bytes(bytes(broken))
        try:
            assert len(read(path)) == 1
        except DataError:
            continue


def test_places_of_cells():
    assert (place("A1"), place("$AA$10")) == ((0, 0), (9, 26))
    with pytest.raises(CorruptFileError):
        place("R1C1C")
