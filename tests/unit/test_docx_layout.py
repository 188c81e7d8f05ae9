"""Word tables that only place text on the page are read as that text, cell by cell; data stay a table."""

from __future__ import annotations

from docx_writer import paragraph, read_body, run, texts

from nemo_retriever_dagster.model import Kind


def styled(text: str, style: str) -> str:
    return paragraph(run(text), f'<w:pStyle w:val="{style}"/>')


def plain(text: str) -> str:
    return paragraph(run(text))


def table(*rows: tuple[str, ...]) -> str:
    lines = ("".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows)
    return "<w:tbl>" + "".join(f"<w:tr>{line}</w:tr>" for line in lines) + "</w:tbl>"


LANGUAGES = table((plain("Language"), plain("Level")), (plain("French"), plain("B2")))


def test_columns_of_a_page_are_read_one_after_the_other(tmp_path):
    left = styled("Experience", "Heading1") + styled("Acme", "Heading2") + styled("Built rockets", "ListBullet")
    right = styled("Skills", "Heading1") + LANGUAGES + paragraph("")
    found = read_body(tmp_path, table((plain("Ann Smith"), paragraph("")), (left, right)))
    assert [(e.text, e.heading) for e in found[:-1]] == [
        ("Ann Smith", 0),
        ("Experience", 1),
        ("Acme", 2),
        ("- Built rockets", 0),
        ("Skills", 1),
    ]
    assert found[-1].table.rows() == [["Language", "Level"], ["French", "B2"]]


def test_one_row_of_several_paragraphs_is_layout(tmp_path):
    found = read_body(tmp_path, table((plain("Acme Ltd") + plain("1 High Street"), plain("Date: today"))))
    assert texts(found) == ["Acme Ltd", "1 High Street", "Date: today"]


def test_one_row_of_single_lines_stays_a_table(tmp_path):
    empty = paragraph("")
    (found,) = read_body(tmp_path, table((plain("Widget") + empty, empty + plain("5.00"))))
    assert found.table.rows() == [["Widget", "5.00"]]


def test_headings_as_the_header_of_data_stay_in_the_table(tmp_path):
    head = (styled("Plan", "Heading4"), styled("Price", "Heading4"))
    (found,) = read_body(tmp_path, table(head, (plain("Basic"), plain("5 a month") + plain("billed yearly"))))
    assert found.kind is Kind.TABLE
    assert found.table.rows() == [["Plan", "Price"], ["Basic", "5 a month\nbilled yearly"]]
