"""A Word paragraph is read as it is shown: results of fields, nothing hidden or deleted, a line for a line."""

from __future__ import annotations

import pytest
from docx_writer import paragraph, read_body, run, texts


def mark(kind: str, data: str = "") -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}">{data}</w:fldChar></w:r>'


def field(code: str, result: str) -> str:
    return mark("begin") + code + mark("separate") + result + mark("end")


def code(text: str) -> str:
    return f"<w:r><w:instrText> {text} </w:instrText></w:r>"


DELETED_END = '<w:rPr><w:del w:id="1" w:author="x"/></w:rPr>'


def test_results_of_fields_inside_an_instruction_are_not_text(tmp_path):
    sex = field(code("MERGEFIELD sex"), run("male"))
    title = field(code("IF") + sex + code('= "male" "Mr" "Mrs"'), run("Mr"))
    total = field(code("=") + field(code("REF a"), run("40")) + code("+ 2"), run("42"))
    body = paragraph(run("Dear ") + title + run(" Smith, total ") + total + run("."))
    assert texts(read_body(tmp_path, body)) == ["Dear Mr Smith, total 42."]


def test_an_instruction_hides_text_symbols_notes_and_tables_over_several_paragraphs(tmp_path):
    cell = f"<w:tc>{paragraph(run('unseen'))}</w:tc>"
    inside = (
        paragraph(run("Dear ") + mark("begin") + code("IF") + run("unseen"))
        + paragraph(run("unseen") + '<w:r><w:sym w:font="Symbol" w:char="F0B3"/></w:r>')
        + f"<w:tbl><w:tr>{cell}{cell}</w:tr><w:tr>{cell}{cell}</w:tr></w:tbl>"
        + paragraph(mark("separate") + run("Ann") + mark("end") + run(", hello."))
    )
    assert texts(read_body(tmp_path, inside)) == ["Dear", "Ann, hello."]


def test_paragraphs_inside_an_instruction_do_not_end_the_line(tmp_path):
    body = paragraph(run("Dear ") + mark("begin") + code("IF")) + paragraph(
        run("unseen") + mark("separate") + run("Ann") + mark("end") + run(", hello.")
    )
    assert texts(read_body(tmp_path, body)) == ["Dear Ann, hello."]


def test_a_field_without_an_end_hides_nothing(tmp_path):
    whole = field(code("REF a"), run("40"))
    body = paragraph(run("a ") + mark("begin") + run("b ") + mark("separate") + run("c ") + whole) + paragraph(run("d"))
    assert texts(read_body(tmp_path, body)) == ["a b c 40", "d"]
    assert texts(read_body(tmp_path, paragraph(mark("end") + mark("separate") + run("e")))) == ["e"]


def test_a_deleted_field_does_not_count(tmp_path):
    body = paragraph(run("kept ") + f'<w:del w:id="1" w:author="x">{mark("begin")}</w:del>' + run("too") + mark("end"))
    assert texts(read_body(tmp_path, body)) == ["kept too"]


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ("<w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox>", "\u2612"),
        ("<w:checkBox><w:default w:val='1'/></w:checkBox>", "\u2612"),
        ("<w:checkBox><w:default w:val='1'/><w:checked w:val='0'/></w:checkBox>", "\u2610"),
        ("<w:checkBox/>", "\u2610"),
        ("<w:ddList><w:result w:val='1'/><w:listEntry w:val='Low'/><w:listEntry w:val='High'/></w:ddList>", "High"),
        ("<w:ddList><w:listEntry w:val='Low'/><w:listEntry w:val='High'/></w:ddList>", "Low"),
        ("<w:ddList><w:result w:val='7'/><w:listEntry w:val='Low'/></w:ddList>", ""),
    ],
)
def test_form_fields_show_their_value(tmp_path, data, shown):
    form = mark("begin", f"<w:ffData>{data}</w:ffData>") + code("FORM") + mark("separate") + mark("end")
    assert texts(read_body(tmp_path, paragraph(run("[") + form + run("]")))) == [f"[{shown}]"]
    unseen = field(code("IF") + form, run("result"))
    assert texts(read_body(tmp_path, paragraph(unseen))) == ["result"]


STYLES = (
    '<w:style w:type="paragraph" w:styleId="Top"><w:name w:val="z-Top of Form"/><w:rPr><w:vanish/></w:rPr></w:style>'
    '<w:style w:type="paragraph" w:styleId="Below"><w:name w:val="below"/><w:basedOn w:val="Top"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Shown"><w:name w:val="shown"/><w:basedOn w:val="Top"/>'
    '<w:rPr><w:vanish w:val="0"/></w:rPr></w:style>'
    '<w:style w:type="character" w:styleId="Hid"><w:name w:val="hid"/><w:rPr><w:vanish/></w:rPr></w:style>'
)


@pytest.mark.parametrize(
    ("style", "properties", "hidden"),
    [
        ("Top", "", True),
        ("Below", "", True),
        ("Shown", "", False),
        ("Normal", '<w:rStyle w:val="Hid"/>', True),
        ("Normal", '<w:rStyle w:val="Hid"/><w:vanish w:val="0"/>', False),
        ("Top", '<w:rStyle w:val="Hid"/>', False),
        ("Top", "<w:vanish/>", True),
    ],
)
def test_a_style_hides_text(tmp_path, style, properties, hidden):
    body = paragraph(run("Words", properties), f'<w:pStyle w:val="{style}"/>')
    (element,) = read_body(tmp_path, body, styles=STYLES)
    assert element.text == "Words"
    assert element.attributes == ({"hidden": True} if hidden else {})


def test_styles_in_a_ring_are_read_once_around(tmp_path):
    ring = "".join(
        f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{name}"/><w:basedOn w:val="{base}"/></w:style>'
        for name, base in [("R1", "R2"), ("R2", "R1")]
    )
    (element,) = read_body(tmp_path, paragraph(run("Words"), '<w:pStyle w:val="R1"/>'), styles=ring)
    assert element.attributes == {}


def test_a_paragraph_whose_end_was_deleted_goes_on_in_the_next(tmp_path):
    heading = '<w:pStyle w:val="Heading1"/>'
    body = paragraph(run("The first half "), DELETED_END) + paragraph(run("and the second."), heading)
    (element,) = read_body(tmp_path, body)
    assert (element.text, element.heading) == ("The first half and the second.", 1)


def test_a_deleted_end_before_a_table_loses_nothing(tmp_path):
    cell = f"<w:tc>{paragraph(run('x'), DELETED_END)}</w:tc>"
    body = paragraph(run("before"), DELETED_END) + f"<w:tbl><w:tr>{cell}{cell}</w:tr></w:tbl>"
    assert texts(read_body(tmp_path, body)) == ["before", "| x | x |\n| --- | --- |"]


def test_a_large_first_letter_belongs_to_its_word(tmp_path):
    body = paragraph(run("O"), '<w:framePr w:dropCap="drop" w:lines="3"/>') + paragraph(run("nce upon a time."))
    assert texts(read_body(tmp_path, body)) == ["Once upon a time."]
    framed = paragraph(run("Aside"), '<w:framePr w:dropCap="none"/>') + paragraph(run("text"))
    assert texts(read_body(tmp_path, framed)) == ["Aside", "text"]


def test_a_style_of_any_name_is_a_heading_by_its_outline_or_that_of_what_it_is_based_on(tmp_path):
    styles = (
        '<w:style w:type="paragraph" w:styleId="Kapitel"><w:name w:val="Kapitel"/>'
        '<w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="Anhang"><w:name w:val="Anhang"/><w:basedOn w:val="Kapitel"/></w:style>'
    )
    body = "".join(paragraph(run(style), f'<w:pStyle w:val="{style}"/>') for style in ("Kapitel", "Anhang", "Normal"))
    assert [(one.text, one.heading) for one in read_body(tmp_path, body, styles=styles)] == [
        ("Kapitel", 2),
        ("Anhang", 2),
        ("Normal", 0),
    ]
