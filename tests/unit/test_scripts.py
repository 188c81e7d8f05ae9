"""Lines are joined as their script is written."""

from __future__ import annotations

import pytest

from nemo_retriever_dagster.extract.geometry import Glyphs
from nemo_retriever_dagster.extract.layout_blocks import join_lines
from nemo_retriever_dagster.extract.scripts import may_begin
from nemo_retriever_dagster.extract.tables.lines import cell_text
from nemo_retriever_dagster.model import Box


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["two", "words"], "two words"),
        (["\u77e5", "\u8bc6"], "\u77e5\u8bc6"),  # Chinese
        (["\u306e\u6280\u8853", "\u3067\u3042\u308b\u3002"], "\u306e\u6280\u8853\u3067\u3042\u308b\u3002"),  # Japanese
        (
            ["\u0e01\u0e32\u0e23", "\u0e40\u0e23\u0e35\u0e22\u0e19"],
            "\u0e01\u0e32\u0e23\u0e40\u0e23\u0e35\u0e22\u0e19",
        ),  # Thai
        (["\uc790\uc5f0\uc5b4", "\ucc98\ub9ac"], "\uc790\uc5f0\uc5b4 \ucc98\ub9ac"),  # Korean has blanks
        (["\u4f7f\u7528", "Python", "\u8bed\u8a00"], "\u4f7f\u7528 Python \u8bed\u8a00"),
        (["ein gr\u00f6\u00dfe-", "rer Turm", "\u77e5", "\u8bc6"], "ein gr\u00f6\u00dferer Turm \u77e5\u8bc6"),
        ([""], ""),
    ],
)
def test_lines_of_a_paragraph(texts: list[str], expected: str):
    assert join_lines(texts) == expected


def test_lines_of_a_cell():
    words = [Glyphs(text=text, box=Box(0, 12 * i, 10, 12 * i + 10)) for i, text in enumerate("\u77e5\u8bc6")]
    assert cell_text(words) == "\u77e5\u8bc6"


@pytest.mark.parametrize("text", ["Word", "\u2163. Roman", "\u05e9\u05dc", "\uc81c", "\u77e5", "\u0e01", "\u300c"])
def test_a_sentence_may_begin_so(text: str):
    assert may_begin(text)


@pytest.mark.parametrize("text", ["word", "2 words", "(aside", "\u0434\u0430", ""])
def test_a_sentence_does_not_begin_so(text: str):
    assert not may_begin(text)
