"""The signs of symbol fonts are read as what is seen: a limit that turns from "at least" to "3" is a wrong dose."""

from __future__ import annotations

import pptx
import pytest
from docx_writer import paragraph, read_body, run, texts
from pptx.oxml import parse_xml

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.ooxml_symbols import symbol_sign, without_private
from nemo_retriever_dagster.extract.pptx import PptxExtractor
from nemo_retriever_dagster.limits import Budget, Limits


@pytest.mark.parametrize(
    ("code", "font", "sign"),
    [
        (0xF0B3, "Symbol", "≥"),
        (0xF0A3, "symbol", "≤"),
        (0x00B4, "Symbol", "\u00d7"),
        (0xF0B9, "Symbol", "≠"),
        (0xF0AE, "Symbol", "→"),
        (0xF0A5, "Symbol", "∞"),
        (0xF02D, "Symbol", "\u2212"),
        (0xF020, "Symbol", " "),
        (0xF06D, "Symbol", "μ"),
        (0xF04A, "Symbol", "ϑ"),
        (0xF07E, "Symbol", "\u223c"),
        (0xF0D7, "Symbol", "⋅"),
        (0xF0F2, "Symbol", "∫"),
        (0xF0FE, "Symbol", "⎭"),
        (0xF080, "Symbol", "•"),
        (0xF0FC, "Wingdings", "✓"),
        (0xF0E8, "Wingdings", "→"),
        (0xF083, "Wingdings", "③"),
        (0xF0D8, "Wingdings", "•"),
        (0xF052, "Wingdings 2", "☑"),
        (0xF0B3, "Corporate Icons", "•"),
        (0x2713, "Segoe UI Symbol", "✓"),
        (0x00E9, "Arial", "é"),
        (0x2265, "Symbol", "≥"),
        (0xF100, "Symbol", ""),
        (-1, "Symbol", ""),
        (1 << 40, "Symbol", ""),
    ],
)
def test_a_code_is_its_fonts_sign(code, font, sign):
    assert symbol_sign(code, font) == sign


def test_private_signs_are_read_by_the_first_font_with_a_table():
    assert without_private("a\uf0b3b\uf061", ["Arial", "Symbol", "Wingdings"]) == "a≥b\u03b1"
    assert without_private("\uf0b3", []) == "•"
    assert without_private("plain", ["Symbol"]) == "plain"


def test_word_shows_symbols_and_text_in_a_symbol_font(tmp_path):
    symbol = '<w:r><w:sym w:font="Symbol" w:char="F0B3"/></w:r>'
    as_text = run("\uf0a3", '<w:rFonts w:ascii="Symbol" w:hAnsi="Symbol" w:cs="Arial"/>')
    odd = '<w:r><w:sym w:font="Symbol" w:char="x"/></w:r>'
    body = paragraph(run("aged ") + symbol + run(" 18, BMI ") + as_text + run(" 30") + odd)
    assert texts(read_body(tmp_path, body)) == ["aged ≥ 18, BMI ≤ 30"]


@pytest.mark.parametrize("font", ["sym", "latin"])
def test_a_slide_shows_text_in_a_symbol_font(tmp_path, font):
    show = pptx.Presentation()
    box = show.slides.add_slide(show.slide_layouts[6]).shapes.add_textbox(0, 0, 100, 100)
    piece = box.text_frame.paragraphs[0].add_run()
    piece.text = "\uf0b3 5 mg"
    namespace = "http://schemas.openxmlformats.org/drawingml/2006/main"
    piece.font._element.append(parse_xml(f'<a:{font} xmlns:a="{namespace}" typeface="Symbol"/>'))
    path = tmp_path / "made.pptx"
    show.save(path)
    (page,) = PptxExtractor().extract(path, ExtractOptions(format="pptx"), Budget(limits=Limits()))
    assert texts(list(page.elements)) == ["≥ 5 mg"]
