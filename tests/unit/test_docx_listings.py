"""Listings in Word documents: a line is a paragraph, known by its style."""

from __future__ import annotations

import pytest
from docx_writer import paragraph, read_body, run

LISTING = '<w:pStyle w:val="S"/>'


def style(name: str) -> str:
    return f'<w:style w:type="paragraph" w:styleId="S"><w:name w:val="{name}"/></w:style>'


def line(text: str) -> str:
    return paragraph(run(text), LISTING)


def parts(elements) -> list[tuple[str, str]]:
    return [(element.text, element.attributes.get("part", "")) for element in elements]


@pytest.mark.parametrize("name", ["HTML Preformatted", "Preformatted Text", "Source Code", "Code"])
def test_lines_of_a_listing_are_one_with_their_blanks(tmp_path, name):
    empty = paragraph("", LISTING)
    body = (
        paragraph(run("Say:"))
        + empty
        + line("if x:")
        + line("    run()  # now")
        + empty
        + line("done")
        + empty
        + paragraph(run("Then:"))
        + line("more")
    )
    assert parts(read_body(tmp_path, body, styles=style(name))) == [
        ("Say:", ""),
        ("if x:\n    run()  # now\n\ndone", "listing"),
        ("Then:", ""),
        ("more", "listing"),
    ]


def test_in_a_cell_a_line_is_the_cells_text(tmp_path):
    row = f"<w:tr><w:tc>{line('a()')}</w:tc><w:tc>{line('b()')}</w:tc></w:tr>"
    (table,) = read_body(tmp_path, f"<w:tbl>{row}{row}</w:tbl>", styles=style("Source Code"))
    assert table.table is not None
    assert table.table.rows() == [["a()", "b()"], ["a()", "b()"]]


def test_other_styles_are_no_listing(tmp_path):
    body = line("  one") + line("two")
    assert parts(read_body(tmp_path, body, styles=style("Plain Text"))) == [("one", ""), ("two", "")]
