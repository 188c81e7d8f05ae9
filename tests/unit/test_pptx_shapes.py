"""Shapes on slides: what placeholders are, the order shapes are read in, which of them are shown."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pptx
import pytest
from lxml import etree
from PIL import Image
from pptx.util import Inches

from nemo_retriever_dagster.extract.contract import ExtractOptions
from nemo_retriever_dagster.extract.pptx import PptxExtractor
from nemo_retriever_dagster.limits import Budget, Limits
from nemo_retriever_dagster.model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nemo_retriever_dagster.model import Element

TWO_CONTENT, COMPARISON, BLANK = 3, 4, 6
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


@pytest.fixture
def elements(tmp_path: Path) -> Callable[..., list[Element]]:
    """Make a slide of a layout, fill it, and return its elements."""

    def read(layout: int, fill: Callable[[pptx.slide.Slide], None]) -> list[Element]:
        show = pptx.Presentation()
        fill(show.slides.add_slide(show.slide_layouts[layout]))
        show.save(tmp_path / "made.pptx")
        (page,) = PptxExtractor().extract(tmp_path / "made.pptx", ExtractOptions(format="pptx"), Budget(Limits()))
        return list(page.elements)

    return read


def box(on: pptx.slide.Slide, text: str, left: float, top: float) -> None:
    on.shapes.add_textbox(Inches(left), Inches(top), Inches(1), Inches(0.5)).text_frame.text = text


@pytest.mark.parametrize(
    ("layout", "texts"),
    [
        (TWO_CONTENT, ["- content 1", "- content 2"]),
        (COMPARISON, ["content 1", "- content 2", "content 3", "- content 4"]),
    ],
)
def test_placeholders_are_known_by_their_index_on_the_layout_alone(elements, layout, texts):
    """The master's indexes 2, 3 and 4 are date, footer and slide number; a layout's are contents."""

    def fill(page):
        for index in range(1, len(texts) + 1):
            page.placeholders[index].text = f"content {index}"

    assert [(e.text, e.heading, e.attributes) for e in elements(layout, fill)] == [(text, 0, {}) for text in texts]


def test_footers_are_marked_and_come_last_and_slide_numbers_are_left_out(elements):
    def fill(page):
        for place, kind in enumerate(["dt", "ftr", "sldNum"]):
            text = page.shapes.add_textbox(0, Inches(place), Inches(1), Inches(0.5))
            text.text_frame.text = f"the {kind}"
            mark = f'<p:ph xmlns:p="{P}" type="{kind}" idx="{place + 10}"/>'
            text._element.nvSpPr.nvPr.append(etree.fromstring(mark))
        page.placeholders[1].text = "content"

    assert [(e.text, e.attributes) for e in elements(TWO_CONTENT, fill)] == [
        ("- content", {}),
        ("the dt", {"part": "footer"}),
        ("the ftr", {"part": "footer"}),
    ]


def test_outlines_without_text_part_and_join_nothing(elements):
    def fill(page):
        page.shapes.add_shape(1, 0, 0, Inches(9), Inches(7))
        group = page.shapes.add_group_shape()
        group.shapes.add_connector(1, Inches(1), Inches(2), Inches(8), Inches(3))
        for left in (1, 5):
            for top in (1, 2):
                box(page, f"{left} {top}", left, top)

    assert [e.text for e in elements(BLANK, fill)] == ["1 1", "1 2", "5 1", "5 2"]


def test_hidden_shapes_and_members_of_hidden_groups_are_marked(elements):
    def fill(page):
        box(page, "hidden", 1, 1)
        page.shapes[0]._element.nvSpPr.cNvPr.set("hidden", "1")
        group = page.shapes.add_group_shape()
        box(group, "inside", 1, 2)
        group._element.nvGrpSpPr.cNvPr.set("hidden", "true")
        box(page, "shown", 1, 3)
        page.shapes[2]._element.nvSpPr.cNvPr.set("hidden", "0")

    assert [(e.text, e.attributes) for e in elements(BLANK, fill)] == [
        ("hidden", {"hidden": True}),
        ("inside", {"hidden": True}),
        ("shown", {}),
    ]


def test_pictures_of_bullets_are_no_pictures_of_the_slide(elements):
    def fill(page):
        data = io.BytesIO()
        Image.new("RGB", (80, 80), "red").save(data, "PNG")
        _, link = page.part.get_or_add_image_part(data)
        frame = page.shapes.add_textbox(0, 0, Inches(3), Inches(3)).text_frame
        frame.text = "one"
        bullet = f'<a:buBlip xmlns:a="{A}" xmlns:r="{R}"><a:blip r:embed="{link}"/></a:buBlip>'
        frame.paragraphs[0]._p.get_or_add_pPr().append(etree.fromstring(bullet))

    assert [(e.kind, e.text) for e in elements(BLANK, fill)] == [(Kind.TEXT, "- one")]
