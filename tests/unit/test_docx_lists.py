"""Numbers of Word's lists are those that Word shows: a step without text counts, and so do links and exceptions."""

from __future__ import annotations

import io

import docx
from docx_writer import paragraph, read_body, read_docx, run, texts
from PIL import Image

from nemo_retriever_dagster.model import Kind


def item(text: str = "", *, numbering: int = 90, level: int = 0, mark: str = "") -> str:
    place = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{numbering}"/></w:numPr><w:rPr>{mark}</w:rPr>'
    return paragraph(run(text) if text else "", place)


def level(place: int, text: str, form: str = "decimal", more: str = "") -> str:
    return f'<w:lvl w:ilvl="{place}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{text}"/></w:lvl>'


def plan(name: int, content: str) -> str:
    return f'<w:abstractNum w:abstractNumId="{name}">{content}</w:abstractNum>'


def use(name: int, of: int, content: str = "") -> str:
    return f'<w:num w:numId="{name}"><w:abstractNumId w:val="{of}"/>{content}</w:num>'


PLAIN = plan(90, level(0, "%1.")) + use(90, 90)


def test_a_step_that_is_a_picture_has_its_number(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (100, 80), "red").save(picture, "PNG")
    document = docx.Document()
    for style in ("List Number", "List Bullet"):
        document.add_paragraph("one", style=style)
        document.add_paragraph(style=style).add_run().add_picture(picture)
        document.add_paragraph("three", style=style)
    document.save(tmp_path / "made.docx")
    found = read_docx(tmp_path / "made.docx")
    shown = ["picture" if element.kind is Kind.IMAGE else element.text for element in found]
    assert shown == ["1. one", "2.", "picture", "3. three", "- one", "picture", "- three"]


def test_an_empty_item_counts_unless_its_end_is_deleted_or_hidden(tmp_path):
    deleted, hidden = '<w:del w:id="1" w:author="x"/>', "<w:vanish/>"
    body = item("a") + item() + item("c") + item(mark=deleted) + item("d") + item(mark=hidden) + item("e")
    assert texts(read_body(tmp_path, body, numbering=PLAIN)) == ["1. a", "3. c", "4. d", "5. e"]


def test_rows_are_numbered_by_empty_items(tmp_path):
    row = f"<w:tr><w:tc>{item()}</w:tc><w:tc>{paragraph(run('x'))}</w:tc></w:tr>"
    (table,) = read_body(tmp_path, f"<w:tbl>{row}{row}</w:tbl>", numbering=PLAIN)
    assert table.table.rows() == [["1.", "x"], ["2.", "x"]]


def test_a_cell_over_two_rows_has_one_number(tmp_path):
    upper, lower = (f"<w:tc><w:tcPr><w:vMerge{more}/></w:tcPr>{item()}</w:tc>" for more in (' w:val="restart"', ""))
    other = f"<w:tc>{paragraph(run('x'))}</w:tc>"
    rows = f"<w:tr>{upper}{other}</w:tr><w:tr>{lower}{other}</w:tr>"
    (table,) = read_body(tmp_path, f"<w:tbl>{rows}</w:tbl>", numbering=PLAIN)
    assert [cell.text for cell in table.table.cells] == ["1.", "x", "x"]


def test_a_list_that_names_a_style_is_the_list_of_that_style(tmp_path):
    numbering = (
        plan(90, '<w:numStyleLink w:val="Steps"/>')
        + plan(91, '<w:styleLink w:val="Steps"/>' + level(0, "%1)"))
        + plan(92, '<w:numStyleLink w:val="Unknown"/>' + level(0, "%1:"))
        + use(90, 90)
        + use(92, 92)
    )
    body = item("one") + item("two") + item("other", numbering=92)
    assert texts(read_body(tmp_path, body, numbering=numbering)) == ["1) one", "2) two", "1: other"]


def test_a_list_that_changes_a_level_goes_on_counting(tmp_path):
    numbering = PLAIN + use(91, 90, f'<w:lvlOverride w:ilvl="0">{level(0, "%1)", "lowerLetter")}</w:lvlOverride>')
    body = item("one") + item("two", numbering=91) + item("three")
    assert texts(read_body(tmp_path, body, numbering=numbering)) == ["1. one", "b) two", "3. three"]


def test_a_legal_number_is_in_digits(tmp_path):
    levels = level(0, "%1.", "upperRoman") + level(1, "%1.%2", more="<w:isLgl/>")
    body = item("one") + item("under", level=1)
    assert texts(read_body(tmp_path, body, numbering=plan(90, levels) + use(90, 90))) == ["I. one", "  1.1 under"]
