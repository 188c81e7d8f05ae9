"""Formulas of Word and PowerPoint as a line of text: every sign that changes the meaning stands in it."""

from __future__ import annotations

import pytest
from docx_writer import paragraph, read_body, run, texts


def letter(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


def over(name: str, properties: str, text: str = "y") -> str:
    return f"<m:{name}><m:{name}Pr>{properties}</m:{name}Pr><m:e>{letter(text)}</m:e></m:{name}>"


def fraction(properties: str) -> str:
    return f"<m:f><m:fPr>{properties}</m:fPr><m:num>{letter('n')}</m:num><m:den>{letter('k')}</m:den></m:f>"


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (fraction(""), "(n)/(k)"),
        (fraction('<m:type m:val="lin"/>'), "(n)/(k)"),
        (fraction('<m:type m:val="noBar"/>'), r"{n \atop k}"),
        (over("acc", ""), r"\hat{y}"),
        (over("acc", '<m:chr m:val="\u20d7"/>'), r"\vec{y}"),
        (over("acc", '<m:chr m:val="\u20d0"/>'), "y\u20d0"),
        (over("bar", '<m:pos m:val="top"/>'), r"\overline{y}"),
        (over("bar", ""), r"\underline{y}"),
        (over("groupChr", ""), r"\underbrace{y}"),
        (over("groupChr", '<m:chr m:val="\u23de"/><m:pos m:val="top"/>'), r"\overbrace{y}"),
        (over("groupChr", '<m:chr m:val="\u2192"/><m:pos m:val="top"/>'), "\\overset{\u2192}{y}"),
        (f'{letter("a+")}<w:del w:id="1" w:author="x">{letter("b")}</w:del>{letter("c")}', "a+c"),
        (f'{letter("a")}<m:r><w:sym w:font="Symbol" w:char="F0B3"/></m:r>{letter("b")}', "a\u2265b"),
    ],
)
def test_formula_is_readable(tmp_path, formula, text):
    body = paragraph(run("So") + f"<m:oMath>{formula}</m:oMath>")
    assert texts(read_body(tmp_path, body)) == [f"So {text}"]
