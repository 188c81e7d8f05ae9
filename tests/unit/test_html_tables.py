"""Tables in HTML: their cells where a browser draws them, data told from the layout of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html import HtmlExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path):
    def elements(source: str, **wanted: object) -> list[Element]:
        path = tmp_path / "page"
        path.write_text(source, encoding="utf-8")
        options = ExtractOptions(format="html", **wanted)
        return [e for page in HtmlExtractor().extract(path, options, Budget(Limits())) for e in page.elements]

    return elements


def texts(elements: list[Element]) -> list[str]:
    return [element.text for element in elements]


def rows(elements: list[Element]) -> list[list[str]]:
    (table,) = [element.table for element in elements if element.kind == Kind.TABLE]
    return table.rows()


def test_a_cell_inherits_from_its_row_and_its_table(read):
    row = "<td>a<td style='font-size:9px'>b<td><p class=x>c</p>"
    source = f"<table style='font-size:0'><tr>{row}</tr><tr style='visibility:hidden'>{row}<td style='visibility:visible;font-size:9px'>d"
    assert rows(read(source)) == [["", "b", "c", ""], ["", "", "", "d"]]


def test_a_table_with_spans(read):
    source = (
        "<table><caption>Numbers</caption><thead><tr><th colspan=2>AB<th rowspan=2>C<tr><th>A<th>B</thead>"
        "<tr><td>1<td>2<br>3<td><p>4</p><ul><li>5</ul></table>"
    )
    elements = read(source)
    assert [(e.kind, e.text) for e in elements] == [
        (Kind.TEXT, "Numbers"),
        (Kind.TABLE, "| AB |  | C |\n| --- | --- | --- |\n| A | B |  |\n| 1 | 2 3 | 4 - 5 |"),
    ]
    cells = elements[1].table.cells
    assert [(c.row, c.column, c.row_span, c.column_span, c.header) for c in cells[:3]] == [
        (0, 0, 1, 2, True),
        (0, 2, 2, 1, True),
        (1, 0, 1, 1, True),
    ]
    assert not any(cell.header for cell in cells[4:])


def test_rows_and_cells_that_are_not_laid_out_take_no_place(read):
    source = (
        "<table><tr><th>A<th>B<tr style='display:none'><td>s<td>s<tr hidden><td>s<td>s"
        "<tr style='visibility:collapse'><td>s<td>s<tr><td>1<td hidden>s<td>2<tbody hidden><tr><td>s<td>s</table>"
    )
    assert rows(read(source)) == [["A", "B"], ["1", "2"]]


def test_the_head_stands_above_and_the_foot_below_wherever_they_are_written(read):
    body = "<tbody><tr><td>x<td>1</tbody>"
    source = (
        f"<table><tfoot><tr><td>Sum<td>3</tfoot>{body}<thead><tr><th>A<th>B</thead>{body.replace('x', 'y')}</table>"
    )
    assert rows(read(source)) == [["A", "B"], ["x", "1"], ["y", "1"], ["Sum", "3"]]


def test_the_format_of_tables(read):
    (table,) = read("<table><tr><th>a<th>b<tr><td>1<td>2</table>", table_format="html")
    assert table.table_format == "html"
    assert "<td>2</td>" in table.text


def test_a_long_table_comes_in_groups_under_its_header(read):
    source = "<table><tr><th>n<th>twice" + "".join(f"<tr><td>{n}<td>{2 * n}" for n in range(1_000)) + "</table>"
    tables = [element.table.rows() for element in read(source)]
    assert {tuple(table[0]) for table in tables} == {("n", "twice")}
    assert [row for table in tables for row in table[1:]] == [[str(n), str(2 * n)] for n in range(1_000)]


@pytest.mark.parametrize(
    "layout",
    [
        "<table><tr><td><table><tr><th>a<td>b</table><td>menu</table>",
        "<table><tr><td><h2>News</h2><td>menu<tr><td>x<td>y</table>",
        "<table role=presentation><tr><td>menu<td>y<tr><td>x<td>z</table>",
        "<table><tr><td>menu<td>text</table>",
        "<table><tr><td>menu<tr><td>text</table>",
        "<table><tr><th>menu<th>x<tr><td><table><tr><th>a<th>b<tr><td>1<td>2</table><td>z</table>",
        "<table><tr><th>menu<th>x<tr><td><h1>Page</h1><td>z</table>",
        "<table><tr><th><h2>a</h2><th>menu</table>",
        "<table><thead><tr><td><table><tr><td>menu</table><td>x</thead></table>",
    ],
)
def test_a_table_that_is_a_pages_layout_is_text(read, layout):
    assert "menu" in [element.text for element in read(layout) if element.kind == Kind.TEXT]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "<thead><tr><th><h4>Plan</h4><th>Price</thead><tr><td>Basic<td>$5<tr><td><h5>Pro</h5><td>$9",
            [["Plan", "Price"], ["Basic", "$5"], ["Pro", "$9"]],
        ),
        ("<tr><th>Item<th>Do<tr><td>A<td><form>Buy</form>", [["Item", "Do"], ["A", "Buy"]]),
        (
            "<thead><tr><td>Item<td>Sum</thead><tr><td><table><tr><td>pic<td>Cup</table><td>$3",
            [["Item", "Sum"], ["pic\nCup", "$3"]],
        ),
    ],
)
def test_a_header_makes_a_table_of_data_whatever_its_cells_hold(read, source, expected):
    assert rows(read(f"<table>{source}</table>")) == expected


def test_a_data_table_inside_of_a_layout_is_a_table(read):
    assert rows(read("<table><tr><td>menu<td><table><tr><th>a<th>b<tr><td>1<td>2</table></table>")) == [
        ["a", "b"],
        ["1", "2"],
    ]


def test_without_tables_their_text_stays(read):
    assert texts(read("<table><tr><th>a<th>b<tr><td>1<td>2</table>", tables=False)) == ["a b\n1 2"]


def test_without_text_the_tables_stay(read):
    assert [e.kind for e in read("<title>t</title><p>x<table><tr><th>a<td>b</table>", text=False)] == [Kind.TABLE]
