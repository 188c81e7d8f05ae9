"""What of a sheet stands together: tables side by side, hidden rows and columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.xlsx import XlsxExtractor
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nemo_retriever_dagster.model import Element

Rows = list[list[object]]


@pytest.fixture
def sheet(tmp_path: Path) -> Callable[..., list[Element]]:
    """Write a sheet and return its elements without the title; the hidden rows and columns are named as in Excel."""

    def read(rows: Rows, *, hidden: str = "", merged: str = "", state: str = "visible") -> list[Element]:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        for name in hidden.split():
            places = book.active.row_dimensions if name.isdigit() else book.active.column_dimensions
            places[int(name) if name.isdigit() else name].hidden = True
        if merged:
            book.active.merge_cells(merged)
        book.create_sheet()
        book.active.sheet_state = state
        book.save(tmp_path / "made.xlsx")
        page, _ = XlsxExtractor().extract(tmp_path / "made.xlsx", ExtractOptions(format="xlsx"), Budget(Limits()))
        return list(page.elements[1:])

    return read


def grids(elements: list[Element]) -> list[list[list[str]]]:
    return [element.table.rows() for element in elements]


def test_tables_side_by_side_are_two(sheet):
    left = [["Region", "Sales"], ["North", 10], ["South", 20]]
    right = [["Product", "Count"], ["A", 1], ["B", 2], ["C", 3]]
    rows = [[*one, None, *other] for one, other in zip([*left, [None, None]], right, strict=True)]
    assert grids(sheet(rows)) == [
        [["Region", "Sales"], ["North", "10"], ["South", "20"]],
        [["Product", "Count"], ["A", "1"], ["B", "2"], ["C", "3"]],
    ]


def test_the_empty_row_of_one_table_beside_another_parts_it(sheet):
    rows = [
        ["a", "b", None, "c", "d"],
        [1, 2, None, "x", 3],
        [None, None, None, "y", 4],
        ["e", "f", None, "z", 5],
        [6, 7, None, "w", 6],
        [8, 9],
    ]
    assert grids(sheet(rows)) == [
        [["a", "b"], ["1", "2"]],
        [["e", "f"], ["6", "7"], ["8", "9"]],
        [["c", "d"], ["x", "3"], ["y", "4"], ["z", "5"], ["w", "6"]],
    ]


@pytest.mark.parametrize(
    "rows",
    [
        [["Name", "Post", None, "Jan", "Feb"], ["Ann", "cook", None, 1, 2], ["Bob", "baker", None, 3]],
        [["Name", "Post", None, "Town", "Land"], ["Ann", "cook", None, "Rome", "Italy"]],
        [["Name", None, "Town", "Land"], ["Ann", None, "Rome", "Italy"], ["Bob"]],
        [["Name", "Post", None, "Remark"], ["Ann", "cook"], ["Bob", "baker"]],
        [["Task", "Owner", None, "State", "Remark"], ["Plan", "Ann", None, "done", "ok"], ["Build", "Bob"]],
    ],
)
def test_an_empty_column_inside_a_table_does_not_part_it(sheet, rows):
    (element,) = sheet(rows)
    assert element.table.shape == (len(rows), sum(cell is not None for cell in rows[0]))


def test_a_title_alone_above_its_table_does_not_part_it(sheet):
    rows = [["Tasks"], ["Task", "Owner", None, "State", "Remark"], ["Plan", "Ann", None, "done", "ok"]]
    assert len(sheet(rows)) == 1


def test_a_short_table_beside_a_long_one_is_its_own_where_the_gap_is_wide_or_it_begins_elsewhere(sheet):
    long = [["Task", "Owner"], ["Plan", "Ann"], ["Build", "Bob"], ["Test", "Cy"]]
    wide = [[None, None, "Key", "Means"], [None, None, "x", "late"], [], []]
    lower = [[], [None, "Key", "Means"], [None, "x", "late"], []]
    for short in (wide, lower):
        rows = [[*one, *other] for one, other in zip(long, short, strict=True)]
        assert grids(sheet(rows)) == [long, [["Key", "Means"], ["x", "late"]]]


def test_tables_of_the_same_header_are_two_though_row_stands_beside_row(sheet):
    rows = [["Name", "Phone", None, "Name", "Phone"], ["Ann", 12, None, "Bob", 34]]
    assert grids(sheet(rows)) == [[["Name", "Phone"], ["Ann", "12"]], [["Name", "Phone"], ["Bob", "34"]]]


def test_a_merged_cell_over_both_holds_them_together(sheet):
    rows = [["Report"], ["a", "b", None, "c", "d"], [1, 2, None, "x", 3], [None, None, None, "y", 4]]
    assert len(sheet(rows, merged="A1:E1")) == 1


def marked(elements: list[Element]) -> list[tuple[bool, list[list[str]]]]:
    return [(element.attributes.get("hidden", False), element.table.rows()) for element in elements]


TABLE: Rows = [["Name", "Post", "Pay"], ["Ann", "cook", 10], ["Bob", "baker", 20], ["Cy", "clerk", 30]]


def test_hidden_rows_are_a_table_of_their_own_under_the_header(sheet):
    assert marked(sheet(TABLE, hidden="3")) == [
        (False, [["Name", "Post", "Pay"], ["Ann", "cook", "10"], ["Cy", "clerk", "30"]]),
        (True, [["Name", "Post", "Pay"], ["Bob", "baker", "20"]]),
    ]


def test_hidden_columns_are_a_table_of_their_own(sheet):
    assert [(element.attributes, element.text) for element in sheet(TABLE, hidden="B C")] == [
        ({}, "Name\nAnn\nBob\nCy"),
        ({"hidden": True}, "| Post | Pay |\n| --- | --- |\n| cook | 10 |\n| baker | 20 |\n| clerk | 30 |"),
    ]


def test_hidden_rows_and_columns_hold_every_cell_once_but_the_header(sheet):
    assert marked(sheet(TABLE, hidden="3 C")) == [
        (False, [["Name", "Post"], ["Ann", "cook"], ["Cy", "clerk"]]),
        (True, [["Name", "Post", "Pay"], ["", "", "10"], ["Bob", "baker", "20"], ["", "", "30"]]),
    ]


def test_a_hidden_header_does_not_head_what_is_shown(sheet):
    shown, covered = sheet(TABLE, hidden="1")
    assert [cell.header for cell in shown.table.cells] == [False] * 9
    assert (covered.attributes, covered.table.rows()) == ({"hidden": True}, [["Name", "Post", "Pay"]])


def test_all_of_a_hidden_sheet_is_marked(sheet):
    assert [element.attributes for element in sheet(TABLE, state="veryHidden")] == [{"hidden": True}]
