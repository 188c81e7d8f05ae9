"""Tables as text: every format says the same cells, and no text breaks out of its cell."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from nemo_retriever_dagster.extract.tables.formats import render
from nemo_retriever_dagster.model import Cell, Table

CARS = Table.of_rows([["Car", "Color"], ["Coupe", "White"], ["Sedan", "Gray"]], headers=1)
SPANS = Table(
    cells=(
        Cell(row=0, column=0, text="Name", row_span=2, header=True),
        Cell(row=0, column=1, text="Shipcalls", column_span=2, header=True),
        Cell(row=1, column=1, text="Foreign", header=True),
        Cell(row=1, column=2, text="Domestic", header=True),
        Cell(row=2, column=0, text="Manila"),
        Cell(row=2, column=1, text="2454"),
        Cell(row=2, column=2, text="6125"),
    )
)

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("|\\\n\r\t<>&\"'`*_#"), max_size=20)
grids = st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(texts, min_size=n, max_size=n), min_size=1, max_size=5))


def flat(text: str) -> str:
    return " ".join(text.split())


def pipe_rows(markdown: str) -> list[list[str]]:
    """Read pipe rows as GitHub does: a pipe without a backslash before it ends a cell."""
    lines = [re.findall(r"((?:\\.|[^|\\])*)\|", line.removeprefix("|")) for line in markdown.split("\n")]
    return [[re.sub(r"\\(.)", r"\1", cell).strip() for cell in line] for line in lines]


def test_markdown():
    assert render(CARS, "markdown") == "| Car | Color |\n| --- | --- |\n| Coupe | White |\n| Sedan | Gray |"


def test_markdown_has_a_spanning_text_once():
    assert render(SPANS, "markdown").split("\n") == [
        "| Name | Shipcalls |  |",
        "| --- | --- | --- |",
        "|  | Foreign | Domestic |",
        "| Manila | 2454 | 6125 |",
    ]


def test_pseudo_markdown():
    assert render(CARS, "pseudo_markdown") == "| Car | Color |\n| Coupe | White |\n| Sedan | Gray |"


def test_simple():
    assert render(SPANS, "simple") == "Name Shipcalls Foreign Domestic Manila 2454 6125"


def test_html():
    assert render(SPANS, "html") == (
        '<table><thead><tr><th rowspan="2">Name</th><th colspan="2">Shipcalls</th></tr>'
        "<tr><th>Foreign</th><th>Domestic</th></tr></thead>"
        "<tbody><tr><td>Manila</td><td>2454</td><td>6125</td></tr></tbody></table>"
    )


@pytest.mark.parametrize("table_format", ["markdown", "html", "pseudo_markdown", "simple"])
def test_an_empty_table_is_empty_text(table_format):
    assert render(Table(cells=()), table_format) == ""


@given(grids)
def test_markdown_reads_back(rows):
    header, dashes, *body = pipe_rows(render(Table.of_rows(rows), "markdown"))
    assert dashes == ["---"] * len(rows[0])
    assert [header, *body] == [[flat(text) for text in row] for row in rows]


@given(grids)
def test_pseudo_markdown_reads_back(rows):
    assert pipe_rows(render(Table.of_rows(rows), "pseudo_markdown")) == [[flat(text) for text in row] for row in rows]


@given(grids, st.integers(0, 2))
def test_html_reads_back(rows, headers):
    tree = LexborHTMLParser(render(Table.of_rows(rows, headers=headers), "html"))
    read = [[flat(cell.text()) for cell in row.css("th, td")] for row in tree.css("tr")]
    assert read == [[flat(text) for text in row] for row in rows]
    assert len(tree.css("th")) == min(headers, len(rows)) * len(rows[0])


@given(grids)
def test_simple_has_all_text(rows):
    assert render(Table.of_rows(rows), "simple").split() == [
        word for row in rows for text in row for word in text.split()
    ]
