"""Headers and footers that no page shows are not read."""

from __future__ import annotations

import docx
import pytest
from docx_writer import read_docx, texts


@pytest.mark.parametrize(
    ("first", "even", "shown"),
    [
        (False, False, ["usual", "text", "end"]),
        (True, False, ["usual", "first", "text", "end"]),
        (False, True, ["usual", "even", "text", "end"]),
        (True, True, ["usual", "first", "even", "text", "end"]),
    ],
)
def test_headers_of_first_and_even_pages_are_read_where_they_are_switched_on(tmp_path, first, even, shown):
    document = docx.Document()
    section = document.sections[0]
    section.header.paragraphs[0].text = "usual"
    section.first_page_header.paragraphs[0].text = "first"
    section.even_page_header.paragraphs[0].text = "even"
    section.footer.paragraphs[0].text = "end"
    section.different_first_page_header_footer = first
    document.settings.odd_and_even_pages_header_footer = even
    document.add_paragraph("text")
    document.save(tmp_path / "made.docx")
    assert texts(read_docx(tmp_path / "made.docx")) == shown


def test_a_first_header_that_a_later_section_shows_is_read(tmp_path):
    document = docx.Document()
    document.sections[0].first_page_header.paragraphs[0].text = "first"
    document.add_section().different_first_page_header_footer = True
    document.save(tmp_path / "made.docx")
    assert texts(read_docx(tmp_path / "made.docx")) == ["first"]
