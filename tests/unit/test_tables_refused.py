"""What stands in columns and is no table: listings of programs, contents and indexes whose dots lead to pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.extract.tables import find_tables
from tests.unit.test_tables import page, paragraph, rows

if TYPE_CHECKING:
    from nemo_retriever_dagster.extract.geometry import Glyphs

CODE = [["95", "First(one)"], ["96", "Second(two)"], ["97", "Return three"], ["98", "Finally four"]]
NAMES = [["Name", "Kind"], ["Alpha", "Signed"], ["Gamma", "Double"], ["Delta", "Text"]]


def dotted(label: str) -> str:
    return f"{label} {'.' * (60 - len(label))}"


def typed(words: list[Glyphs]) -> list[Glyphs]:
    return [word._replace(font="CMTT10") for word in words]


def led(*entries: tuple[str, str]) -> list[list[list[str]]]:
    return [table.table.rows() for table in find_tables(page(rows([50, -500], [[dotted(a), b] for a, b in entries])))]


@pytest.mark.parametrize(("font", "tables"), [("CMTT10", 0), ("CMR10", 1)])
def test_numbered_lines_of_code_are_no_table(font: str, tables: int):
    shown = [["", "Of the code"], *CODE]
    words = [word if word.text.isdecimal() else word._replace(font=font) for word in rows([60, 150], shown)]
    assert len(find_tables(page([*words, *typed(paragraph(50, 300, 60, 12))]))) == tables


def test_code_without_numbers_is_no_table_on_a_page_of_other_type():
    words = typed(rows([60, 250], NAMES))
    prose = paragraph(50, 300, 60, 12)
    assert find_tables(page([*words, *prose])) == []
    assert len(find_tables(page([*words, *typed(prose)]))) == 1  # all of the page is in typewriter
    assert len(find_tables(page([*rows([60, 250], NAMES), *prose]))) == 1


def test_columns_of_amounts_in_typewriter_are_a_table():
    amounts = [["pid", "user", "kept"], ["1027", "12", "0.5"], ["1028", "17", "0.25"], ["1104", "9", "0.75"]]
    words = typed(rows([60, 160, 260], amounts))
    assert len(find_tables(page([*words, *paragraph(50, 300, 60, 12)]))) == 1


def test_an_index_is_no_table():
    assert led(("arrays", "14"), ("bounds", "40, 41"), ("bugs, known", "3"), ("contributors", "12\u201315")) == []


def test_contents_under_a_running_head_are_no_table():
    pages = [("Chapter " + "abcdefghij"[at], str(5 * at + 1)) for at in range(9)]
    words = rows([50, -500], [["Of settings", "Contents"], *[[dotted(label), number] for label, number in pages]])
    assert find_tables(page(words)) == []


def test_accounts_whose_dots_lead_to_small_amounts_are_a_table():
    years = [("Purchased technology", "6"), ("Customer contracts", "8"), ("Trademarks", "8"), ("Localization", "1")]
    (table,) = led(*years)
    assert [row[-1] for row in table] == ["6", "8", "8", "1"]


def test_a_heading_over_amounts_that_happen_to_rise_makes_a_table():
    years = [("Trademarks", "2"), ("Purchased technology", "6"), ("Customer contracts", "8")]
    words = rows([50, -500], [["", "Life in years"], *[[dotted(label), number] for label, number in years]])
    (table,) = find_tables(page(words))
    assert [row[-1] for row in table.table.rows()] == ["Life in years", "2", "6", "8"]


@pytest.mark.parametrize(("bold", "tables"), [(True, 2), (False, 1)])
def test_the_heading_of_a_section_parts_two_tables(tables: int, *, bold: bool):
    one, other = [["Cash", "1,058", "815"], ["Debt", "2,400", "625"]], [["Rent", "117", "140"], ["Heat", "320", "410"]]
    heading = [
        word._replace(bold=bold, box=word.box._replace(y1=word.box.y0 + 12))
        for word in rows([50, 90], [["3.1", "Of costs"]], top=130)
    ]
    words = [*rows([50, -350, -450], one), *heading, *rows([50, -350, -450], other, top=150)]
    found = [table.table.rows() for table in find_tables(page(words))]
    assert len(found) == tables
    assert (found == [one, other]) is bold
