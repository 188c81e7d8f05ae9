"""Formulas in pages: once, in the form their maker wrote or put together from their parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.html import HtmlExtractor
from nemo_retriever_dagster.limits import Budget, Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str], str]:
    def text(source: str) -> str:
        path = tmp_path / "page.html"
        path.write_text(source)
        pages = HtmlExtractor().extract(path, ExtractOptions(format="html"), Budget(Limits()))
        return "\n".join(element.text for page in pages for element in page.elements)

    return text


SQUARE = "<msup><mi>c</mi><mn>2</mn></msup>"
SUM = "<munderover><mo>\u2211</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (f"<mi>E</mi> <mo>=</mo> <mi>m</mi>{SQUARE}", "E=mc^{2}"),
        ("<mfrac><mrow><mn>1</mn><mo>+</mo><mi>x</mi></mrow><mn>2</mn></mfrac>", "(1+x)/(2)"),
        (f"<msqrt><mi>a</mi>{SQUARE}</msqrt><mroot><mi>b</mi><mn>3</mn></mroot>", "\u221a(ac^{2})\u221a[3](b)"),
        (f"{SUM}<msub><mi>x</mi><mi>i</mi></msub>", "\u2211_{i=1}^{n}x_{i}"),
        ("<mtable><mtr><mtd>1</mtd><mtd>2</mtd></mtr><mtr><mtd>3</mtd><mtd>4</mtd></mtr></mtable>", "1 & 2; 3 & 4"),
        (
            "<mi>sin</mi><mo>&#x2061;</mo><mn>2</mn><mo>&#x2062;</mo><mi>x</mi><mtext>if</mtext><mi>y</mi>",
            "sin 2x if y",
        ),
        ("<mphantom><mi>no</mi></mphantom><mi>a</mi><mspace></mspace><mi>b</mi>", "a b"),
        ("<mfrac><mn>1</mn></mfrac>", "1"),
        ("<semantics><mi>a</mi><annotation-xml><mi>no</mi></annotation-xml></semantics>", "a"),
    ],
)
def test_a_formula_is_put_together_from_its_parts(read, parts, expected):
    assert read(f"<p>Say <math>{parts}</math>.</p>") == f"Say {expected}."


TEX = f'<semantics><mrow>{SQUARE}</mrow><annotation encoding="application/x-tex">c^2</annotation></semantics>'


@pytest.mark.parametrize(
    "formula",
    [
        f"<math>{TEX}</math>",
        f'<span class="katex-mathml"><math>{TEX}</math></span><span class="katex-html" aria-hidden="true">c2</span>',
        f'<nobr aria-hidden="true">c2</nobr><span class="MJX_Assistive_MathML"><math>{TEX}</math></span>',
        '<span class="katex"><span class="katex-html" aria-hidden="true">c^2</span></span>',
    ],
)
def test_a_formula_is_read_once_and_as_its_maker_wrote_it(read, formula):
    assert read(f"<p>Say <span>{formula}</span>.</p>") == "Say c^2."


def test_a_formula_on_a_line_of_its_own_stands_apart_and_a_hidden_one_is_out(read):
    assert read("<p>a<math display=block><mi>x</mi></math>b<math hidden><mi>y</mi></math></p>") == "a x b"


def test_a_formula_of_any_depth_is_read(read):
    assert read("<math>" + "<mrow>" * 490 + "x" + "</mrow>" * 490 + "</math>") == "x"
