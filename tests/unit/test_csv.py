"""Separated values: the delimiter, the header, groups of rows, and nothing lost."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.csv import CsvExtractor, delimiter_of
from nemo_retriever_dagster.extract.tabular import row_groups
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Element, Kind

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, data: str | bytes, **wanted: object) -> list[Element]:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    options = ExtractOptions(format="csv", **wanted)
    return [e for page in CsvExtractor().extract(path, options, Budget(Limits())) for e in page.elements]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(file, delimiter):
    text = "\n".join(delimiter.join(row) for row in (("name", "price, in €"), ("pen", "1,50"), ("ink", "2,25")))
    quoted = text.replace("price, in €", '"price, in €"').replace("1,50", '"1,50"').replace("2,25", '"2,25"')
    (table,) = read(file, quoted)
    assert table.table.rows() == [["name", "price, in €"], ["pen", "1,50"], ["ink", "2,25"]]
    assert [cell.header for cell in table.table.cells] == [True, True, False, False, False, False]


def test_excels_own_hint_wins(file):
    (table,) = read(file, "sep=;\na,b;c\n1,2;3\n")
    assert table.table.rows() == [["a,b", "c"], ["1,2", "3"]]
    (table,) = read(file, "sep= \na  c\n1 2 3\n")
    assert table.table.rows() == [["a", "", "c"], ["1", "2", "3"]]


def test_quotes_line_ends_blank_lines_and_ragged_rows(file):
    (table,) = read(file, '\ufeffa,b\r\n\r\n"x ""y""\r\nz",1,extra\r\nshort\r\n')
    assert table.table.rows() == [["a", "b", ""], ['x "y"\nz', "1", "extra"], ["short", "", ""]]
    assert table.text.splitlines()[2] == '| x "y" z | 1 | extra |'


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('id, name\n1, "Smith, John"\n', [["id", "name"], ["1", "Smith, John"]]),
        ('id,said\n1,"\\"hi, you\\" to me"\n2,"a\\\\b"\n', [["id", "said"], ["1", '"hi, you" to me'], ["2", "a\\b"]]),
        ('dir,n\n"C:\\a\\",5\n"D:\\b, c\\",6\n', [["dir", "n"], ["C:\\a\\", "5"], ["D:\\b, c\\", "6"]]),
        ('n,said\n1,"Hello" you\n', [["n", "said"], ["1", "Hello you"]]),
    ],
)
def test_blanks_before_quotes_and_backslashes_before_them(file, text, rows):
    (table,) = read(file, text)
    assert table.table.rows() == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("2024-01-01 00:00;1,5\n2024-01-01 01:00;2,5\n", [["2024-01-01 00:00", "1,5"], ["2024-01-01 01:00", "2,5"]]),
        ("1,5;2,5;3,5\n1,0;2,0;3,0\n", [["1,5", "2,5", "3,5"], ["1,0", "2,0", "3,0"]]),
        ("Name;Preis, EUR\nBrot;2,50\n", [["Name", "Preis, EUR"], ["Brot", "2,50"]]),
        ("a, b\n1, 2\n", [["a", "b"], ["1", "2"]]),
        ("1,2,3\n4,5,6\n", [["1", "2", "3"], ["4", "5", "6"]]),
        ("a;b,c\nd;e,f\n", [["a;b", "c"], ["d;e", "f"]]),
    ],
)
def test_decimal_commas_and_commas_of_prose_do_not_part_fields(file, text, rows):
    (table,) = read(file, text)
    assert table.table.rows() == rows


def test_a_quote_that_is_not_closed_costs_its_line_only(file):
    table, told = read(file, 'a,b,c\n0,"two\nlines",1\n1,"open,5\n2,"b, c",6\n3,"last,7\n4,d,8\n')
    assert table.table.rows() == [
        ["a", "b", "c"],
        ["0", "two\nlines", "1"],
        ["1", '"open', "5"],
        ["2", "b, c", "6"],
        ["3", '"last', "7"],
        ["4", "d", "8"],
    ]
    assert told.warnings == (
        "2 lines open a quote and do not close it, the first of them line 4; they were read as they stand.",
    )
    hinted = read(file, 'sep=,\n1,"open\n')
    assert hinted[-1].warnings == ("Line 2 opens a quote and does not close it; it was read as it stands.",)


def test_quotes_that_never_end_are_not_sought_again_for_each_line(file):
    *texts, told = read(file, 'a","\n' * 60_000, tables=False)
    assert "\n".join(element.text for element in texts).splitlines() == ['a", "'] * 60_000
    assert "lines open a quote" in told.warnings[0]


@pytest.mark.parametrize(
    ("text", "header"),
    [("a,b\n1,2\n", True), ("1,2\n3,4\n", False), ("a,a\n1,2\n", False), ("a,\n1,2\n", False), ("a,b\n", False)],
)
def test_the_header(file, text, header):
    (table,) = read(file, text)
    assert any(cell.header for cell in table.table.cells) is header


def test_a_large_file_comes_in_groups_under_its_header(file):
    elements = read(file, "n,twice\n" + "".join(f"{n},{2 * n}\n" for n in range(5_000)))
    assert len(elements) == 25
    assert {tuple(element.table.rows()[0]) for element in elements} == {("n", "twice")}
    body = [row for element in elements for row in element.table.rows()[1:]]
    assert body == [[str(n), str(2 * n)] for n in range(5_000)]


def test_a_large_file_is_read_as_it_is_asked_for(file):
    file.write_text("a,b\n" + "1,2\n" * 100_000)
    pages = CsvExtractor().extract(file, ExtractOptions(format="csv"), Budget(Limits()))
    assert len(next(pages).elements) == 1


@pytest.mark.parametrize("blank", ["", "\n\n", " \n"])
def test_a_file_without_values_has_no_elements(file, blank):
    assert read(file, blank) == []


def test_one_column_is_a_table_too(file):
    (table,) = read(file, "name\nann\nbob\n")
    assert table.table.rows() == [["name"], ["ann"], ["bob"]]


def test_as_text_or_not_at_all(file):
    assert [(e.kind, e.text) for e in read(file, "a;b\n1;2\n", tables=False)] == [(Kind.TEXT, "a; b\n1; 2")]
    assert read(file, "a;b\n1;2\n", tables=False, text=False) == []


def test_the_encoding_and_its_damage(file):
    (table,) = read(file, "Größe;Maß\n1;2\n".encode("cp1252"))
    assert table.table.rows()[0] == ["Größe", "Maß"]
    damaged = read(file, "Größe;Maß\n".encode() * 99 + b"\xff;1\n")
    assert any("damaged" in warning for element in damaged for warning in element.warnings)


fields = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=8).map(str.strip)


@given(st.lists(st.lists(fields, min_size=2, max_size=5), min_size=1, max_size=30))
def test_no_field_is_lost(tmp_path_factory, rows):
    target = io.StringIO()
    csv.writer(target).writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "x.csv"
    elements = read(path, "sep=,\n" + target.getvalue())
    found = [field for e in elements for row in e.table.rows() for field in row if field]
    assert found == [field for row in rows for field in row if field]


@given(
    st.lists(st.lists(st.just("x"), min_size=1, max_size=4), max_size=700),
    st.integers(min_value=0, max_value=3),
)
def test_groups_hold_every_row_once(rows, headers):
    numbered = [[f"{n}"] * len(row) for n, row in enumerate(rows)]
    groups = [element.table.rows() for element in row_groups(numbered, "simple", headers=headers)]
    head = min(headers, len(rows))
    body = [row[0] for group in groups for row in group[head:]]
    assert body == [str(n) for n in range(head, len(rows))]
    assert all([row[0] for row in group[:head]] == [str(n) for n in range(head)] for group in groups)


def test_a_comma_when_nothing_divides():
    assert delimiter_of("") == delimiter_of("words\nmore words\n") == ","
