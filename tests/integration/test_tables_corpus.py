"""Tables of real PDFs, cell for cell: read with the PDF reader, found from words and lines alone."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pypdfium2
import pytest

from nemo_retriever_dagster.extract.pdf_geometry import read_geometry
from nemo_retriever_dagster.extract.tables import find_tables

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
FILES = SHARED / "corpora" / "dev" / "files"
FILINGS = SHARED / "bench" / "qa" / "pdfs"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared corpora are not here")


@cache
def tables(path: Path, page: int) -> list[list[list[str]]]:
    document = pypdfium2.PdfDocument(path)
    try:
        return [found.table.rows() for found in find_tables(read_geometry(document[page - 1]))]
    finally:
        document.close()


def mended(rows: list[list[str]]) -> list[list[str]]:
    """The font of this file maps the ligature ff to @."""
    return [[cell.replace("@", "ff") for cell in row] for row in rows]


def test_multimodal_animals():
    (table,) = tables(FILES / "multimodal_test.pdf", 1)
    assert mended(table) == [
        ["Animal", "Activity", "Place"],
        ["Giraffe", "Driving a car", "At the beach"],
        ["Lion", "Putting on sunscreen", "At the park"],
        ["Cat", "Jumping onto a laptop", "In a home office"],
        ["Dog", "Chasing a squirrel", "In the front yard"],
    ]


def test_multimodal_cars():
    (table,) = tables(FILES / "multimodal_test.pdf", 2)
    assert table == [
        ["Car", "Color1", "Color2", "Color3"],
        ["Coupe", "White", "Silver", "Flat Gray"],
        ["Sedan", "White", "Metallic Gray", "Matte Gray"],
        ["Minivan", "Gray", "Beige", "Black"],
        ["Truck", "Dark Gray", "Titanium Gray", "Charcoal"],
        ["Convertible", "Light Gray", "Graphite", "Slate Gray"],
    ]


def test_a_page_with_a_chart_has_no_table():
    assert tables(FILES / "multimodal_test.pdf", 3) == []


def test_a_sheet():
    (table,) = tables(FILES / "table_test.pdf", 1)
    assert table[0] == ["Year", "Bill", "Amy", "James", "Ted", "Susan"]
    assert table[-1] == ["2004", "N/A", "N/A", "N/A", "501", "N/A"]
    assert len(table) == 21


def test_several_tables_on_a_page():
    first, second, third = tables(FILES / "embedded_table.pdf", 1)
    assert first[1] == ["SciPy", "1.4.1", "Miscellaneous statistical functions"]
    assert [row[0] for row in second] == ["Dependency", "xlrd", "xlwt", "xlsxwriter", "openpyxl", "pyxlsb"]
    assert third[-1] == ["lxml", "4.5.0", "HTML parser for read_html"]


def test_poems_and_their_table():
    assert tables(FILES / "woods_frost.pdf", 1) == []
    (table,) = tables(FILES / "woods_frost.pdf", 2)
    assert table[0] == ["#", "Collection", "Year"]
    assert table[10] == ["10", "An Afterword", "unknown"]


def test_a_table_that_is_nearly_empty():
    (table,) = tables(FILES / "functional_validation.pdf", 4)
    assert table == [["", "Col 1", "Col 2", "Col 3", "Col 4"], ["Row 1", "", "", "", ""]]


def test_amounts_alone():
    (table,) = tables(FILES / "all-number-table.pdf", 1)
    assert table[:2] == [["200.01", "1"], ["400.01", "3"]]


def test_a_landscape_page_is_read_as_shown():
    first, second = tables(FILES / "eu-015.pdf", 1)
    assert first[1] == ["EU Institutions", "3.597"]
    assert second[-1][0] == "Grand Total"


@pytest.mark.parametrize("name", ["multi-column-2p.pdf", "code_and_formula.pdf", "multi_page.pdf", "fake-memo.pdf"])
def test_prose_code_and_letters_have_no_tables(name):
    assert [tables(FILES / name, page) for page in range(1, len(pypdfium2.PdfDocument(FILES / name)) + 1)].count([]) > 0
    assert all(tables(FILES / name, page) == [] for page in range(1, len(pypdfium2.PdfDocument(FILES / name)) + 1))


def test_a_filing_without_rulings_between_columns():
    first, second = tables(FILINGS / "NIKE_2021_10K.pdf", 77)
    assert first[0] == ["", "MAY 31,", ""]
    assert first[3] == ["Inventories (1)", "$78", "$84"]
    assert first[-1] == ["NET DEFERRED TAX ASSET", "$1,133", "$732"]
    assert second[1] == ["(Dollars in millions)", "2021", "2020", "2019"]
    assert second[-1] == ["UNRECOGNIZED TAX BENEFITS, END OF THE PERIOD", "$896", "$771", "$808"]


def test_a_filing_with_labels_over_two_lines():
    table = tables(FILINGS / "NIKE_2021_10K.pdf", 38)[1]
    assert [
        "TOTAL NIKE, INC. EARNINGS BEFORE INTEREST AND TAXES (1)",
        "$6,923",
        "$2,976",
        "133%",
        "$4,850",
        "-39%",
    ] in table


def test_a_filing_with_shaded_rows():
    (table,) = tables(FILINGS / "AMCOR_2023_10K.pdf", 53)
    assert table[0] == ["For the years ended June 30,", "2023", "2022", "2021"]
    assert ["Net income", "$1,058", "$815", "$951"] in table
    assert table[-1] == ["Cash and cash equivalents balance at end of the fiscal year", "$689", "$775", "$850"]


def test_a_filing_with_headings_over_columns():
    document = pypdfium2.PdfDocument(FILINGS / "KRAFTHEINZ_2019_10K.pdf")
    found = find_tables(read_geometry(document[80]))[0]
    document.close()
    spans = {cell.text: cell.column_span for cell in found.table.cells if cell.row == 0 and cell.text}
    assert spans == {"U.S. Plans": 2, "Non-U.S. Plans": 2}
    assert found.table.rows()[2] == ["Projected benefit obligation", "$—", "$—", "$162", "$148"]


@pytest.mark.parametrize(("page", "last"), [(4, "8,886"), (6, "84.9")])
def test_a_table_in_a_column_beside_prose(page, last):
    (table,) = tables(FILES / "multi-column.pdf", page)
    assert len(table) >= 4
    assert not any(len(cell.split()) > 8 for row in table for cell in row), "prose of the other column is in it"
    assert any(last in cell for cell in table[-1])
